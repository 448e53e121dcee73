"""An HTTP server on loopback that reads each request to its last byte, remembers it, and then does what its script says."""

import json
import socket
import ssl
import struct
import threading
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Step:
    """What happens to one request. raw: the bytes answered, {} where nothing is. accepts: whether it counts as taken.
    early: hangs up before reading it. silent: says nothing until the server ends. drop: hangs up after the answer."""

    raw: bytes = b""
    accepts: bool = False
    early: bool = False
    silent: bool = False
    drop: bool = False


def says(status: int, data: Any, accepts: bool = False, drop: bool = False, **headers: str) -> Step:
    """Returns a step that answers with JSON (or with text as it is)."""
    body = data.encode() if isinstance(data, str) else json.dumps(data).encode()
    lines = [
        f"HTTP/1.1 {status} So",
        f"Content-Length: {len(body)}",
        *(f"{n.replace('_', '-')}: {v}" for n, v in headers.items()),
    ]
    return Step("\r\n".join(lines).encode() + b"\r\n\r\n" + body, accepts, drop=drop)


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Server:
    """steps: what happens to the requests, in order; `default` to all further ones."""

    default: Step
    steps: list[Step] = field(default_factory=list)
    tls: ssl.SSLContext | None = None
    asked: list[Asked] = field(default_factory=list)
    taken: list[Asked] = field(default_factory=list)
    connections: int = 0

    def __enter__(self) -> "Server":
        self.closing, self.hung_up = threading.Event(), threading.Event()
        self.lock = threading.Lock()
        self.open: list[socket.socket] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.base = f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self.stop_listening()
        for connection in self.open:
            _reset(connection)

    def stop_listening(self) -> None:
        """Lets nobody in any more; a blocked accept() keeps the port open, so it is woken."""
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            return
        self.listener.close()

    def _accept(self) -> None:
        while not self.closing.is_set():
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            self.open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
            reader = connection.makefile("rb")
            while line := reader.readline():
                if not self._one(connection, reader, line):
                    break
        except OSError:
            pass
        _reset(connection)

    def _one(self, connection: socket.socket, reader: Any, line: bytes) -> bool:
        with self.lock:
            step = self.steps.pop(0) if self.steps else self.default
        if step.early:
            return False
        method, path, _ = line.decode().split(" ", 2)
        headers = {}
        while (header := reader.readline().decode().strip()) != "":
            name, _, value = header.partition(":")
            headers[name.lower()] = value.strip()
        asked = Asked(method, path, headers, reader.read(int(headers.get("content-length", 0))))
        with self.lock:
            self.asked.append(asked)
            if step.accepts:
                self.taken.append(asked)
        if step.silent:
            self.closing.wait()
            return False
        connection.sendall(step.raw)
        if step.drop:
            connection.shutdown(socket.SHUT_WR)
            self.hung_up.set()
            connection.recv(1)
        return not step.drop


def _reset(connection: socket.socket) -> None:
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    connection.close()
