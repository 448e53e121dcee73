"""How long an SMS is: characters, the messages it is charged as, and what made it longer than it looks."""

from dataclasses import dataclass

from webapp.messaging import texting

ROOM = {"GSM-7": (160, 153), "UCS-2": (70, 67)}  # characters of one message, and of each of several joined


@dataclass(frozen=True)
class Length:
    """characters of `room` that stand in `messages` messages. odd: characters for which all of it takes more room."""

    encoding: str
    characters: int
    room: int
    messages: int
    odd: tuple[str, ...]

    @property
    def over(self) -> int:
        """How many characters fewer would save a message; 0 where one is enough."""
        if self.messages < 2:
            return 0
        one, joined = ROOM[self.encoding]
        return self.characters - (one if self.messages == 2 else joined * (self.messages - 1))


def length(text: str) -> Length:
    """Returns how long a text is as an SMS."""
    found = texting.segments(text)
    encoding = "GSM-7" if "GSM" in found.encoding.upper() else "UCS-2"
    one, joined = ROOM[encoding]
    messages = max(found.segments, 1)
    odd = () if encoding == "GSM-7" else tuple(dict.fromkeys(c for c in text if _is_odd(c)))
    return Length(encoding, found.characters, one if messages == 1 else joined * messages, messages, odd[:5])


def _is_odd(character: str) -> bool:
    return not character.isascii() and "GSM" not in texting.segments(character).encoding.upper()
