"""An IMAP4rev1 server on loopback with one account, which keeps to RFC 3501 (and RFC 6851 for MOVE) until its script says
otherwise, and remembers what it was asked."""

import re
import socket
import ssl
import threading
from dataclasses import dataclass, field


@dataclass
class Stored:
    uid: int
    raw: bytes
    flags: set[str] = field(default_factory=set)


@dataclass
class Server:
    """folders: what it holds. moves: whether it offers MOVE. prefix: what names of folders must begin with, as on servers
    with a personal namespace. drop_at: (command, how many of them it still answers): then it hangs up. uid_behind: names
    the UID behind the message. refuses: commands it answers NO."""

    login: tuple[str, str] = ("desk", "secret")
    moves: bool = True
    prefix: str = ""
    uid_behind: bool = False
    refuses: tuple[str, ...] = ()
    drop_at: tuple[str, int] | None = None
    tls: ssl.SSLContext | None = None
    folders: dict[str, list[Stored]] = field(default_factory=lambda: {"INBOX": []})
    commands: list[str] = field(default_factory=list)
    connections: int = 0
    next_uid: int = 1

    def __enter__(self) -> "Server":
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def put(self, raw: bytes, *flags: str, folder: str = "INBOX") -> Stored:
        stored = Stored(self.next_uid, raw, set(flags))
        self.next_uid += 1
        self.folders[folder].append(stored)
        return stored

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=_Dialogue(self, connection).run, daemon=True).start()


class Gone(Exception):
    """This connection is over."""


class _Dialogue:
    def __init__(self, server: Server, connection: socket.socket):
        self.server, self.connection = server, connection
        self.signed_in, self.selected = False, None

    def run(self) -> None:
        try:
            if self.server.tls:
                self.connection = self.server.tls.wrap_socket(self.connection, server_side=True)
            self.reader = self.connection.makefile("rb")
            self._say("* OK scripted IMAP4rev1 ready")
            while line := self.reader.readline():
                tag, _, rest = line.decode("latin-1").strip().partition(" ")
                self._command(tag, rest)
        except (Gone, OSError):
            pass
        finally:
            self.connection.close()

    def _say(self, text: str, literal: bytes | None = None, rest: str = "") -> None:
        data = text.encode()
        if literal is not None:
            data += b" {%d}\r\n" % len(literal) + literal + rest.encode()
        self.connection.sendall(data + b"\r\n")

    def _command(self, tag: str, text: str) -> None:
        word, _, rest = text.partition(" ")
        word = word.upper()
        if word == "UID":
            sub, _, rest = rest.partition(" ")
            word = f"UID {sub.upper()}"
        self.server.commands.append(word)
        if self.server.drop_at and self.server.drop_at[0] == word:
            self.server.drop_at = word, self.server.drop_at[1] - 1
            if self.server.drop_at[1] < 0:
                self.server.drop_at = None
                self.connection.shutdown(socket.SHUT_RDWR)
                raise Gone
        if word in self.server.refuses:
            self._say(f"{tag} NO [UNAVAILABLE] not today")
            return
        if not self.signed_in and word not in ("CAPABILITY", "LOGIN", "LOGOUT", "NOOP"):
            self._say(f"{tag} BAD sign in first")
            return
        handler = getattr(self, "_" + word.lower().replace(" ", "_"), None)
        if handler is None:
            self._say(f"{tag} BAD unknown command")
        else:
            self._say(f"{tag} {handler(rest) or 'OK done'}")
        if word == "LOGOUT":
            raise Gone

    def _capability(self, _rest: str) -> None:
        # As Dovecot: what it can do with a mailbox it says to whom it knows.
        self._say("* CAPABILITY IMAP4rev1" + " MOVE" * (self.server.moves and self.signed_in))

    def _login(self, rest: str) -> str:
        self.signed_in = tuple(re.findall(r'"?([^" ]+)"?', rest)) == self.server.login
        return "OK in" if self.signed_in else "NO [AUTHENTICATIONFAILED] Invalid credentials"

    def _logout(self, _rest: str) -> None:
        self._say("* BYE")

    def _noop(self, _rest: str) -> None:
        """Does nothing."""

    def _select(self, rest: str) -> str:
        name = rest.strip('"')
        if name not in self.server.folders:
            return "NO [NONEXISTENT] no such folder"
        self.selected = name
        self._say(f"* {len(self.server.folders[name])} EXISTS")
        self._say("* OK [UIDVALIDITY 1] valid")
        return "OK [READ-WRITE] selected"

    def _create(self, rest: str) -> str:
        name = rest.strip('"')
        if not name.startswith(self.server.prefix):
            return "NO outside of the namespace"
        if name in self.server.folders:
            return "NO [ALREADYEXISTS] it is there"
        self.server.folders[name] = []
        return "OK created"

    def _status(self, rest: str) -> str:
        name = rest.partition(" (")[0].strip('"')
        if name not in self.server.folders:
            return "NO no such folder"
        self._say(f'* STATUS "{name}" (MESSAGES {len(self.server.folders[name])})')
        return "OK told"

    def _chosen(self, uids: str) -> list[Stored]:
        wanted = {int(uid) for uid in uids.split(",")}
        return [stored for stored in self.server.folders[self.selected] if stored.uid in wanted]

    def _uid_search(self, rest: str) -> None:
        without = {word.removeprefix("UN").title() for word in rest.split()}
        found = [s.uid for s in self.server.folders[self.selected] if not {f"\\{flag}" for flag in without} & s.flags]
        self._say(" ".join(["* SEARCH", *map(str, found)]))

    def _uid_fetch(self, rest: str) -> None:
        uids, _, items = rest.partition(" ")
        limit = int(re.search(r"BODY\.PEEK\[\]<0\.(\d+)>", items)[1])
        for stored in self._chosen(uids):
            n = self.server.folders[self.selected].index(stored) + 1
            if self.server.uid_behind:
                self._say(f"* {n} FETCH (BODY[]<0>", stored.raw[:limit], f" UID {stored.uid})")
            else:
                self._say(f"* {n} FETCH (UID {stored.uid} BODY[]<0>", stored.raw[:limit], ")")

    def _uid_store(self, rest: str) -> None:
        uids, _, change = rest.partition(" ")
        for stored in self._chosen(uids):
            stored.flags |= set(re.findall(r"\\\w+", change))

    def _uid_move(self, rest: str) -> str:
        uids, _, name = rest.partition(" ")
        name = name.strip('"')
        if not self.server.moves or name not in self.server.folders:
            return "NO [TRYCREATE] no such folder"
        for stored in self._chosen(uids):
            self.server.folders[self.selected].remove(stored)
            self.server.folders[name].append(stored)
        return "OK moved"
