"""The stand-in: a server on loopback in every process that speaks as Twilio and as the WhatsApp Cloud API do, keeps what
it is given as messages on people's phones, and tells what became of them by signed webhooks.

It stands in for the providers until a sender has an account with one, and fails in each of their ways when told to.
"""

import threading

from flask import Flask, current_app

from webapp.messaging.standin.server import Server

_servers: dict[int, Server] = {}
_starting = threading.Lock()


def address_of_server() -> tuple[str, int]:
    """Returns (host, port) of this process's stand-in, started at the first use."""
    app: Flask = current_app._get_current_object()
    with _starting:
        server = _servers.get(id(app))
        if server is None:
            server = _servers[id(app)] = Server(app)
            threading.Thread(target=server.serve_forever, name="stand-in", daemon=True).start()
        return server.server_address[:2]
