"""An SMTP server on loopback that keeps to RFC 5321 strictly until its script says otherwise, and remembers what it took."""

import base64
import select
import socket
import ssl
import struct
import threading
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Fault:
    """What goes wrong at one point: it answers this (or nothing), after keeping the message or not, and may hang up."""

    reply: str = ""
    drop: bool = False
    silent: bool = False
    keep: bool = False


@dataclass
class Server:
    """faults: (point, number of the message from 1) -> Fault; points are connect, EHLO, MAIL, RCPT, DATA, body, end.
    lenient: asks for a message although it took no recipient, as RFC 2920 lets it."""

    faults: dict[tuple[str, int], Fault] = field(default_factory=dict)
    pipelining: bool = True
    lenient: bool = False
    chatty: bool = False
    login: tuple[str, str] | None = None
    tls: ssl.SSLContext | None = None
    starttls: ssl.SSLContext | None = None
    accepted: list[tuple[str, bytes]] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    hurried: list[str] = field(default_factory=list)  # commands that came before the answer to the one before
    astray: list[bytes] = field(default_factory=list)  # messages that came although no recipient was taken
    connections: int = 0
    messages: int = 0

    def __enter__(self) -> "Server":
        self.closing = threading.Event()
        self.open: list[socket.socket] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        # A blocked accept() keeps the port open after close(): shutting it down wakes it.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.hang_up()

    def hang_up(self) -> None:
        """Closes every connection there is."""
        for connection in self.open:
            _reset(connection)
        self.open.clear()

    def _accept(self) -> None:
        while not self.closing.is_set():
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            self.open.append(connection)
            threading.Thread(target=_Dialogue(self, connection).run, daemon=True).start()


def _reset(connection: socket.socket) -> None:
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    connection.close()


class Gone(Exception):
    """This connection is over."""


class _Dialogue:
    def __init__(self, server: Server, connection: socket.socket):
        self.server, self.connection = server, connection
        self.sender = self.recipient = self.fault_at = None

    def run(self) -> None:
        try:
            if self.server.tls:
                self.connection = self.server.tls.wrap_socket(self.connection, server_side=True)
            self.reader = self.connection.makefile("rb")
            self._answer("connect", "220 scripted ESMTP")
            while True:
                self._command(self._line())
        except (Gone, OSError):
            _reset(self.connection)

    def _line(self) -> bytes:
        line = self.reader.readline()
        if not line:
            raise Gone
        return line

    def _say(self, reply: str) -> None:
        lines = reply.split("\n")
        if self.server.chatty and reply[3:4] == " ":
            lines = [f"{reply[:3]}-and", f"{reply[:3]}-so on", reply]
        self.connection.sendall("".join(line + "\r\n" for line in lines).encode())

    def _answer(self, point: str, reply: str, keep: tuple[str, bytes] | None = None) -> bool:
        """Gives the answer at a point of the dialogue, or does what the script says. True if it was the good answer."""
        fault = self.server.faults.get((point, self.server.messages)) or self.server.faults.get((point, 0))
        if keep and (fault is None or fault.keep):
            self.server.accepted.append(keep)
        if fault is None:
            self._say(reply)
            return True
        if fault.silent:
            self.server.closing.wait()
            raise Gone
        if fault.reply:
            self._say(fault.reply)
        if fault.drop:
            if fault.reply:
                # Without a reset: that would take the answer away from a client that has not read it yet.
                self.connection.shutdown(socket.SHUT_WR)
                while self.connection.recv(65536):
                    pass
            raise Gone
        return fault.reply[:1] == reply[:1]

    def _command(self, line: bytes) -> None:
        word = line[:4].decode("latin-1").upper().strip()
        self.server.commands.append(word)
        if not self.server.pipelining and word != "QUIT" and select.select([self.connection], [], [], 0.001)[0]:
            self.server.hurried.append(word)
        getattr(self, f"_{word.lower()}", self._unknown)(line)

    def _unknown(self, _line: bytes) -> None:
        self._say("500 what?")

    def _ehlo(self, _line: bytes) -> None:
        offers = ["scripted"] + ["PIPELINING"] * self.server.pipelining + ["AUTH PLAIN"] * bool(self.server.login)
        offers += ["STARTTLS"] * bool(self.server.starttls)
        self._answer("EHLO", "\n".join(f"250{'-' if offer != offers[-1] else ' '}{offer}" for offer in offers))

    def _helo(self, _line: bytes) -> None:
        self._say("250 hello")

    def _star(self, _line: bytes) -> None:
        self._say("220 go on")
        self.connection = self.server.starttls.wrap_socket(self.connection, server_side=True)
        self.reader = self.connection.makefile("rb")

    def _auth(self, line: bytes) -> None:
        _, user, password = base64.b64decode(line.split()[2]).decode().split("\0")
        self._say("235 welcome" if (user, password) == self.server.login else "535 5.7.8 no")

    def _mail(self, line: bytes) -> None:
        if self.sender is not None:
            self._say("503 5.5.1 nested MAIL command")
            return
        self.server.messages += 1
        if self._answer("MAIL", "250 2.1.0 ok"):
            self.sender = line

    def _rcpt(self, line: bytes) -> None:
        if self.sender is None:
            self._say("503 5.5.1 need MAIL command")
        elif self._answer("RCPT", "251 will forward"):
            self.recipient = line[line.index(b"<") + 1 : line.rindex(b">")].decode()

    def _data(self, _line: bytes) -> None:
        fault = self.server.faults.get(("DATA", self.server.messages))
        if not self.recipient and not self.server.lenient and not (fault and fault.drop):
            self._say("554 5.5.1 no valid recipients")
        elif self._answer("DATA", "354 go on"):
            self._body()

    def _body(self) -> None:
        if ("body", self.server.messages) in self.server.faults:
            self.reader.read(20)
            raise Gone
        lines = iter(self._line, b".\r\n")
        data = b"".join(line.removeprefix(b".") for line in lines)
        if data and not self.recipient:
            self.server.astray.append(data)
        kept = (self.recipient, data) if self.recipient else None
        self.sender = self.recipient = None
        self._answer("end", "250 2.0.0 kept" if kept else "554 5.5.1 no valid recipients", kept)

    def _rset(self, _line: bytes) -> None:
        self.sender = self.recipient = None
        self._say("250 ok")

    def _noop(self, _line: bytes) -> None:
        self._say("250 ok")

    def _quit(self, _line: bytes) -> None:
        self._say("221 bye")
        raise Gone
