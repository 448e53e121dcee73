"""Where webhooks go in a test: an HTTP server that keeps each POST and checks its signature as we must."""

import base64
import hashlib
import hmac
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl


@dataclass(frozen=True)
class Told:
    url: str
    headers: dict[str, str]
    body: bytes

    def form(self, auth_token: str) -> dict[str, str]:
        """Returns the fields of a Twilio webhook after checking its signature."""
        fields = dict(parse_qsl(self.body.decode(), keep_blank_values=True))
        signed = self.url + "".join(name + fields[name] for name in sorted(fields))
        wanted = base64.b64encode(hmac.new(auth_token.encode(), signed.encode(), hashlib.sha1).digest()).decode()
        assert self.headers["X-Twilio-Signature"] == wanted
        return fields

    def change(self, app_secret: str) -> dict[str, Any]:
        """Returns the value of a WhatsApp webhook's one change after checking its signature."""
        wanted = hmac.new(app_secret.encode(), self.body, hashlib.sha256).hexdigest()
        assert self.headers["X-Hub-Signature-256"] == f"sha256={wanted}"
        said = json.loads(self.body)
        assert said["object"] == "whatsapp_business_account"
        (entry,) = said["entry"]
        (change,) = entry["changes"]
        assert change["field"] == "messages" and change["value"]["messaging_product"] == "whatsapp"
        return change["value"]


@dataclass
class Sink:
    """refusals: so many POSTs are answered with 500 first. answer: the body of the others' answers."""

    refusals: int = 0
    answer: bytes = b""
    told: list[Told] = field(default_factory=list)

    def __enter__(self) -> "Sink":
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if sink.refusals:
                    sink.refusals -= 1
                    self.send_error(500)
                    return
                sink.told.append(Told(sink.base + self.path, dict(self.headers), body))
                self.send_response(200 if sink.answer else 204)
                self.send_header("Content-Length", str(len(sink.answer)))
                self.end_headers()
                self.wfile.write(sink.answer)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
