"""Building SMS: one short text with its links made countable, a way out, and what it will cost in segments."""

import re
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from webapp.messaging import tokens
from webapp.messaging.compose import Bodies, Letterhead, is_countable, lead_values
from webapp.messaging.grammar import CODE, in_pieces
from webapp.messaging.headers import UNFIT
from webapp.platform.signing import Signer

OPT_OUT = " Reply STOP to opt out"
STOP = re.compile(r"\bSTOP\b")
LIMIT = 1600  # characters: the most that is taken for one message
NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")
# Of a text an address may be written in: a token is stepped over whole, wherever it stands.
URL = re.compile(
    rf"""(?P<code>{CODE.pattern})|(?P<url>\bhttps?://(?:\{{\{{.*?\}}\}}|\{{#.*?\#\}}|\{{%(?:(?!%\}}).)*%\}}(?!https?://)|[^\s<>"{{}}])+)""",
    re.S | re.I,
)
# What ends a sentence or a condition does not belong to the address before it.
URL_END = re.compile(r"(?:[.,;:!?'*]|\{%-?\s*(?:endif|endfor|else|elif\b.*?)\s*-?%\}|\{#.*?#\})+\Z", re.S)

# GSM 03.38. An extension takes two places: an escape, and the letter.
GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM_EXTENSION = frozenset("\f^{}\\[~]|€")


class Segments(NamedTuple):
    """encoding: "GSM-7" or "UCS-2". characters: the places taken (septets, or units of 16 bits). segments: how many
    messages are paid for."""

    encoding: str
    characters: int
    segments: int


def segments(text: str) -> Segments:
    """Returns how a text travels and how many segments it takes. Nothing is split inside a letter of two places."""
    gsm = all(letter in GSM or letter in GSM_EXTENSION for letter in text)
    if gsm:
        single, joined = 160, 153
        sizes = [2 if letter in GSM_EXTENSION else 1 for letter in text]
    else:
        single, joined = 70, 67
        sizes = [2 if ord(letter) > 0xFFFF else 1 for letter in text]
    total = sum(sizes)
    encoding = "GSM-7" if gsm else "UCS-2"
    if total <= single:
        return Segments(encoding, total, 1 if total else 0)
    count, used = 1, 0
    for size in sizes:
        if used + size > joined:
            count, used = count + 1, 0
        used += size
    return Segments(encoding, total, count)


@dataclass(frozen=True)
class TextMessage:
    """One finished SMS. recipient: E.164. opaque: the token of the send. status_callback: where its states are told;
    "" leaves that to the provider's module."""

    send_id: int
    recipient: str
    body: str
    opaque: str
    status_callback: str = ""


@dataclass
class TextComposer:
    """Builds the messages of one campaign. Of the bodies only the text counts. link_ids: link as written -> link id;
    others are left alone."""

    bodies: Bodies
    head: Letterhead
    signer: Signer
    link_ids: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        text = self.bodies.text or ""
        self.environment = tokens.environment()
        self.needs = tokens.used(text)
        self._says_stop = says_stop(text)
        self.environment.add_template("text.txt", in_pieces(self._tracked(text)))

    def _tracked(self, text: str) -> str:
        def replaced(match: re.Match[str]) -> str:
            url = _address_of(match)
            link_id = self.link_ids.get(url) if url else None
            return f"{{{{ _link_{link_id} }}}}{match[0][len(url) :]}" if link_id else match[0]

        return URL.sub(replaced, text)

    def values(self, row: Any) -> dict[str, Any]:
        """Returns what the tokens stand for. row: a lead's columns as the outbox claims them, with the send's id."""
        values = lead_values(row, self.head.company)
        values["unsubscribe_url"] = self._url("u", "unsubscribe", row.id)
        if "preferences_url" in self.needs:
            values["preferences_url"] = self._url("p", "preferences", row.lead_id or 0)
        for link_id in self.link_ids.values():
            values[f"_link_{link_id}"] = self._url("t/c", "click", row.id, link_id)
        return values

    def _url(self, path: str, purpose: str, *numbers: int) -> str:
        return f"{self.head.base_url}/{path}/{self.signer.pack(purpose, self.head.org_id, *numbers)}"

    def render(self, row: Any, extra: dict[str, Any] | None = None) -> str:
        """Returns the text for one lead, as `build` puts it into a message. Raises TemplateError and ValueError."""
        values = self.values(row) | (extra or {})
        values = {name: value for name, value in values.items() if value is not None}
        filled = self.environment.render_template("text.txt", **values)
        text = "\n".join(UNFIT.sub(" ", line).rstrip() for line in filled.splitlines()).strip()
        if not text:
            raise ValueError("the text is empty for this person")
        # Looked for in what is really said; a lead whose name is STOP gives nobody a way out.
        if values["unsubscribe_url"] not in text and not (self._says_stop and STOP.search(text)):
            text += OPT_OUT
        if len(text) > LIMIT:
            raise ValueError(f"the text has more than {LIMIT:,} characters for this person")
        return text

    def build(self, row: Any, extra: dict[str, Any] | None = None) -> TextMessage:
        """Returns the message for one claimed row. extra: values looked up beside the lead (policy, agent).

        Raises TemplateError or ValueError where the text cannot be filled in for this lead or its number be called.
        """
        if not NUMBER.fullmatch(row.recipient_address):
            raise ValueError(f"{row.recipient_address[:40]!r} is not a phone number")
        body = self.render(row, extra)
        return TextMessage(row.id, row.recipient_address, body, self.signer.pack("message", self.head.org_id, row.id))


def says_stop(text: str) -> bool:
    """True if the author's own words, tokens aside, name the word that stops messages."""
    return bool(STOP.search(CODE.sub(" ", text)))


def with_way_out(text: str) -> str:
    """Returns a text as it is counted while it is written: with the sentence that a message without a way out gets."""
    return text if says_stop(text) or "unsubscribe_url" in tokens.used(text) else text.rstrip() + OPT_OUT


def trackable_text(text: str) -> list[str]:
    """Returns the distinct links of a text that can be counted, as written."""
    found = (_address_of(match) for match in URL.finditer(text))
    return [url for url in dict.fromkeys(found) if url and is_countable(url)]


def _address_of(match: re.Match[str]) -> str:
    """Returns the address a match begins with; "" where it is a token and no address."""
    if match["url"] is None:
        return ""
    url = URL_END.sub("", match["url"])
    while url.endswith(")") and url.count(")") > url.count("("):
        url = URL_END.sub("", url[:-1])
    return url
