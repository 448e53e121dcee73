"""A gateway that counts and breaks: `python -m tests.proof.gateway OPTIONS` speaks SMTP (RFC 5321 with PIPELINING) on one
port and, as Twilio and WhatsApp do, HTTP on another.

What it accepts stands in its ledger before the sender can learn of it: one line for each attempt, flushed.
"""

import argparse
import asyncio
import json
import random
import time
from collections import Counter
from urllib.parse import parse_qs

from tests.proof import faults
from tests.proof.faults import HTTP, SMTP, Fault

DOORS_SHUT = 0.3  # seconds
RETRY_AFTER = 1  # seconds
TWILIO_REFUSALS = ((21211, "The 'To' number is not a valid phone number."), (21614, "'To' is not a mobile number."))
WHATSAPP_REFUSALS = ((131026, "Message undeliverable"), (130472, "User's number is part of an experiment"))


class House:
    """What the connections of one gateway share."""

    def __init__(self, options: argparse.Namespace):
        self.options = options
        self.file = open(options.ledger, "a", encoding="utf-8")  # noqa: SIM115 - open as long as the process
        self.attempts: Counter[tuple[str, str]] = Counter()
        self.numbers = 0
        self.chance = random.Random(options.seed)

    def judge(self, wire: str, channel: str, recipient: str) -> tuple[Fault | None, bool]:
        """Returns what goes wrong with this attempt and whether it is accepted."""
        self.attempts[channel, recipient] += 1
        o = self.options
        fault = faults.draw(
            o.seed, wire, f"{channel}:{recipient}", self.attempts[channel, recipient], o.share, o.rest_share
        )
        return fault, faults.taken(fault, o.seed, recipient)

    def note(self, channel: str, recipient: str, fault: Fault | None, accepted: bool) -> None:
        """Writes an attempt down, durably for everyone but the machine itself."""
        name = fault.name if fault else faults.NONE
        self.file.write(f"{time.time():.6f}\t{channel}\t{recipient}\t{name}\t{int(accepted)}\n")
        self.file.flush()

    def number(self) -> int:
        self.numbers += 1
        return self.numbers


class Spoken(asyncio.Protocol):
    """One connection: what was pipelined behind waits its turn, answers come in order."""

    def __init__(self, house: House):
        self.house, self.buffer, self.held = house, b"", False

    def connection_made(self, transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while not self.held and not self.transport.is_closing() and self.step():
            pass

    def step(self) -> bool:
        """Works off one piece of what has come. Returns False where more has to come first."""
        raise NotImplementedError

    def later(self, seconds: float, answer: bytes, close: bool = False) -> None:
        """Answers after a while; nothing else is read until then."""
        self.held = True
        asyncio.get_running_loop().call_later(seconds, self._now, answer, close)

    def _now(self, answer: bytes, close: bool) -> None:
        self.held = False
        if self.transport.is_closing():
            return
        self.transport.write(answer)
        if close:
            self.transport.close()
        else:
            self.data_received(b"")


class Mail(Spoken):
    """SMTP. A message's fault is drawn by its recipient, which stands right behind MAIL where it is pipelined."""

    def __init__(self, house: House):
        super().__init__(house)
        self.in_data, self.recipient, self.fault, self.accepted, self.refused = False, "", None, False, False

    def connection_made(self, transport) -> None:
        super().connection_made(transport)
        house = self.house
        if house.chance.random() < house.options.no_connection:
            house.note("email", "", faults.FAULTS["no_connection"], False)
            transport.abort()
            return
        transport.write(b"220 gateway ESMTP\r\n")

    def step(self) -> bool:
        end = self.buffer.find(b"\r\n.\r\n" if self.in_data else b"\r\n")
        if end < 0:
            return False
        if self.in_data:
            self.buffer, self.in_data = self.buffer[end + 5 :], False
            self.message()
            return True
        line = self.buffer[:end].decode()
        word = line[:4].upper()
        if word == "MAIL" and b"\r\n" not in self.buffer[end + 2 :] and not self.held_back():
            return False
        self.buffer = self.buffer[end + 2 :]
        self.command(word, line)
        return True

    def held_back(self) -> bool:
        """True where the sender waits for the answer to MAIL before it says more."""
        return not self.house.options.pipelining

    def command(self, word: str, line: str) -> None:
        say = self.transport.write
        if word == "EHLO":
            say(b"250-gateway\r\n250 PIPELINING\r\n" if self.house.options.pipelining else b"250 gateway\r\n")
        elif word == "MAIL":
            self.mail()
        elif word == "RCPT":
            self.rcpt(line)
        elif word == "DATA":
            self.data()
        elif word == "QUIT":
            say(b"221 bye\r\n")
            self.transport.close()
        else:
            say(b"250 ok\r\n")

    def mail(self) -> None:
        """The recipient is read ahead: only so can MAIL itself be refused for one of them."""
        self.recipient = self.fault = None
        following = self.buffer.partition(b"\r\n")[0].decode()
        self.refused = False
        if following.upper().startswith("RCPT"):
            self.meet(following)
        name = self.fault.name if self.fault else ""
        if name == "mail_4xx":
            self.refuse(b"451 4.3.0 mailbox busy\r\n")
        elif name == "timeout_before_reading":
            self.house.note("email", self.recipient, self.fault, False)
            self.later(self.house.options.silence, b"", close=True)
        else:
            self.transport.write(b"250 ok\r\n")

    def meet(self, line: str) -> None:
        self.recipient = line[line.index("<") + 1 : line.rindex(">")]
        self.fault, self.accepted = self.house.judge(SMTP, "email", self.recipient)

    def refuse(self, answer: bytes, close: bool = False) -> None:
        self.refused = True
        self.house.note("email", self.recipient, self.fault, False)
        self.transport.write(answer)
        if close:
            self.transport.close()

    def rcpt(self, line: str) -> None:
        if self.refused:
            self.transport.write(b"503 5.5.1 MAIL first\r\n")
            return
        if self.recipient is None:
            self.meet(line)
        name = self.fault.name if self.fault else ""
        if name == "rcpt_4xx":
            self.refuse(b"450 4.2.1 try later\r\n")
        elif name == "rcpt_5xx":
            self.refuse(b"550 5.1.1 no such user\r\n")
        elif name == "closing_421":
            self.refuse(b"421 4.3.2 shutting down\r\n", close=True)
        else:
            self.transport.write(b"250 ok\r\n")

    def data(self) -> None:
        if self.refused:
            self.transport.write(b"503 5.5.1 RCPT first\r\n")
            return
        self.in_data = True
        # The first body line may begin at once: give the end mark a line end to follow.
        self.buffer = b"\r\n" + self.buffer if self.buffer.startswith(b".\r\n") else self.buffer
        self.transport.write(b"354 go on\r\n")
        if self.fault and self.fault.name == "drop_in_data":
            self.house.note("email", self.recipient, self.fault, False)
            self.transport.close()

    def message(self) -> None:
        self.house.note("email", self.recipient, self.fault, self.accepted)
        name, pace = self.fault.name if self.fault else "", self.house.options.pace / 1000
        if name == "data_4xx":
            self.later(pace, b"452 4.3.1 no room\r\n")
        elif name == "data_5xx":
            self.later(pace, b"554 5.7.1 not taken\r\n")
        elif name == "drop_after_dot":
            self.later(pace, b"", close=True)
        elif name == "timeout_after_acceptance":
            self.later(self.house.options.silence, b"", close=True)
        else:
            self.later(pace, b"250 2.0.0 counted\r\n")


class Web(Spoken):
    """HTTP/1.1 with kept connections: Messages.json of Twilio, /messages of WhatsApp; whatever else is asked is well."""

    def step(self) -> bool:
        head, found, rest = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return False
        lines = head.decode("latin-1").split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        length = int(fields.get("content-length", "0"))
        if len(rest) < length:
            return False
        self.buffer = rest[length:]
        method, path, _ = lines[0].split(" ", 2)
        path = path.partition("?")[0]
        if method == "POST" and path.endswith("/Messages.json"):
            self.sms(parse_qs(rest[:length].decode()))
        elif method == "POST" and path.endswith("/messages"):
            self.whatsapp(json.loads(rest[:length]))
        else:
            self.transport.write(_answer(200, {"id": "1", "status": "active", "data": []}))
        return True

    def sms(self, form: dict[str, list[str]]) -> None:
        to = form["To"][0]
        number = self.house.number()
        body = {"sid": f"SM{number:032x}", "status": "queued", "to": to, "num_segments": "1", "price": None,
                "body": form.get("Body", [""])[0], "error_code": None, "error_message": None}  # fmt: skip
        code, words = TWILIO_REFUSALS[number % 2]
        refusal = {"code": code, "message": words, "more_info": "", "status": 400}
        slow = {"code": 20429, "message": "Too Many Requests", "more_info": "", "status": 429}
        self.attempt("sms", to, _answer(201, body), _answer(400, refusal), slow)

    def whatsapp(self, asked: dict) -> None:
        to = asked["to"]
        number = self.house.number()
        body = {"messaging_product": "whatsapp", "contacts": [{"input": to, "wa_id": to.lstrip("+")}],
                "messages": [{"id": f"wamid.{number:032x}", "message_status": "accepted"}]}  # fmt: skip
        code, words = WHATSAPP_REFUSALS[number % 2]
        refusal = {
            "error": {"message": f"(#{code}) {words}", "type": "OAuthException", "code": code, "fbtrace_id": "A"}
        }
        slow = {"error": {"message": "(#130429) Rate limit hit", "type": "OAuthException", "code": 130429}}
        self.attempt("whatsapp", to, _answer(200, body), _answer(400, refusal), slow)

    def attempt(self, channel: str, to: str, good: bytes, refusal: bytes, slow: dict) -> None:
        recipient = "+" + to.lstrip("+")
        fault, accepted = self.house.judge(HTTP, channel, recipient)
        self.house.note(channel, recipient, fault, accepted)
        o, name = self.house.options, fault.name if fault else ""
        broken = _answer(500, {"code": 20500, "message": "Internal Server Error", "status": 500})
        if name in ("timeout_before_reading_request", "timeout_after_acceptance"):
            self.later(o.silence, b"", close=True)
        elif name == "drop_before_reply":
            self.later(o.pace / 1000, b"", close=True)
        elif name == "truncated_json":
            self.later(o.pace / 1000, good[: good.index(b"\r\n\r\n") + 20], close=True)
        else:
            answers = {"http_429": _answer(429, slow, f"Retry-After: {RETRY_AFTER}\r\n"), "http_4xx_code": refusal,
                       "http_500_before_acceptance": broken, "http_500_after_acceptance": broken}  # fmt: skip
            self.later(o.pace / 1000, answers.get(name, good))


REASONS = {200: "OK", 201: "Created", 400: "Bad Request", 429: "Too Many Requests", 500: "Internal Server Error"}


def _answer(status: int, body: dict, more: str = "") -> bytes:
    data = json.dumps(body).encode()
    head = f"HTTP/1.1 {status} {REASONS[status]}\r\nContent-Type: application/json\r\n{more}Content-Length: {len(data)}\r\n\r\n"
    return head.encode() + data


async def main(options: argparse.Namespace) -> None:
    """Serves until it is ended; shuts its doors now and then, where it is told to."""
    house, loop = House(options), asyncio.get_running_loop()
    pairs = ((Mail, options.smtp_port), (Web, options.http_port))
    while True:
        doors = [
            await loop.create_server(lambda kind=kind: kind(house), "127.0.0.1", port, backlog=500)
            for kind, port in pairs
        ]
        await asyncio.sleep(options.doors * house.chance.uniform(0.5, 1.5) if options.doors else 1e8)
        for door in doors:
            door.close()
        house.note("", "", faults.FAULTS["no_connection"], False)
        await asyncio.sleep(DOORS_SHUT)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--smtp-port", type=int, required=True)
    parser.add_argument("--http-port", type=int, required=True)
    parser.add_argument("--ledger", required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pace", type=float, default=2, help="milliseconds from an acceptance to its answer")
    parser.add_argument("--silence", type=float, default=3, help="seconds without an answer before it hangs up")
    parser.add_argument("--share", type=float, default=0, help="of the attempts that go wrong")
    parser.add_argument("--rest-share", type=float, default=0, help="of the attempts that make a sender rest, each way")
    parser.add_argument("--no-connection", type=float, default=0, help="share of SMTP connections closed at once")
    parser.add_argument("--doors", type=float, default=0, help="seconds between two times without any connection")
    parser.add_argument("--pipelining", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main(options()))
