"""Header values of a message: names, addresses and subjects as RFC 5322 and 2047 have them, whatever people typed."""

import re
from email.header import Header
from email.utils import formataddr

from email_validator import EmailNotValidError, validate_email

PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ]{0,60}")
ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
PLAIN_ADDRESS = re.compile(rf"{ATOM}(?:\.{ATOM})*@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
# Controls, line separators, lone surrogates and what turns the reading direction round. Joiners of emoji stay.
UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
NEWLINE = "\n"  # while a message is built; CRLF at its end


class Unsendable(ValueError):
    """An address that e-mail cannot carry; its text is shown at the send."""


def carried(address: str) -> str:
    """Returns an address as it goes over the wire: ASCII, an international domain in its xn-- form. Raises Unsendable."""
    if PLAIN_ADDRESS.fullmatch(address) and len(address) <= 254:
        return address
    try:
        ascii_form = validate_email(address, check_deliverability=False, test_environment=True).ascii_email
    except EmailNotValidError:
        ascii_form = None
    if ascii_form is None or not PLAIN_ADDRESS.fullmatch(ascii_form):
        raise Unsendable(f"e-mail cannot carry the address {address[:254]!r}")
    return ascii_form


def mailbox(name: str, address: str) -> str:
    """Returns a name and an address as a header shows them. Plain names, nearly all of them, need no quoting."""
    if PLAIN_NAME.fullmatch(name):
        return f"{name} <{address}>"
    if name.isascii() and len(name) <= 60 and "=?" not in name:
        return formataddr((name, address))
    return f"{Header(name, 'utf-8', header_name='Reply-To').encode(linesep=NEWLINE)} <{address}>"


def encoded(subject: str) -> str:
    """Returns a header value: as it is where it is short ASCII, otherwise folded and encoded by RFC 2047."""
    if subject.isascii() and subject.isprintable() and len(subject) < 68 and "=?" not in subject:
        return subject
    return Header(subject, "utf-8", header_name="Subject").encode(linesep=NEWLINE)


def one_line(text: str) -> str:
    """Returns the text as one line of characters that can be shown."""
    return " ".join(UNFIT.sub(" ", text).split())
