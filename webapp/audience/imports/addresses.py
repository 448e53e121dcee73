"""E-mail addresses as people write them. The rule is that of users.clean_email; this is its fast lane."""

import re

from webapp.platform.errors import Invalid
from webapp.platform.users import clean_email

# What is plainly an address. Everything else goes to the library: quoted parts, other scripts, names that are reserved.
SIMPLE = re.compile(
    r"[A-Za-z0-9_%+'-]+(?:\.[A-Za-z0-9_%+'-]+)*@(?:[a-z0-9](?:[a-z0-9]|-(?=[a-z0-9])){0,62}\.)+"
    r"(?!arpa$|invalid$|local$|localhost$|onion$)[a-z]{2,24}$"
)
ANGLED = re.compile(r"<([^<>@\s]+@[^<>@\s]+)>")


def read_email(text: str) -> str | None:
    """Returns the address in its usual form, or None if the text is none."""
    if len(text) <= 254 and SIMPLE.match(text) and text.index("@") <= 64:
        return text
    angled = ANGLED.search(text)
    try:
        return clean_email(angled[1] if angled else text.removeprefix("mailto:"))
    except Invalid:
        return None
