"""DKIM signatures (RFC 6376), relaxed/relaxed, for messages as `compose` builds them.

The key is loaded once and everything that is the same for all messages is made once. dkimpy verifies in the tests what
is signed here; signing with it costs several times as much, because it parses the key and the message each time.
"""

import base64
import hashlib
import re
import time
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

from webapp.messaging import credentials, senders
from webapp.messaging.senders import Sender
from webapp.platform import audit
from webapp.platform.db import db
from webapp.platform.errors import Invalid, Refused

SELECTOR = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
KINDS = ("rsa", "ed25519")
# One that is not in a message counts as empty there, so that nobody can add it; From twice, so that no second one can be.
SIGNED = (
    "From", "From", "To", "Subject", "Date", "Message-ID", "Reply-To", "List-Id", "List-Unsubscribe",
    "List-Unsubscribe-Post", "MIME-Version", "Content-Type",
)  # fmt: skip
WANTED = tuple(name.lower().encode() for name in SIGNED)
SPACES = re.compile(rb"[ \t]+")
FOLDS = re.compile(rb"\r?\n")
HEADER = re.compile(rb"([!-9;-~]+)[ \t]*:([^\r\n]*(?:\r?\n[ \t][^\r\n]*)*)")
LINE = 72  # characters of the signature on a line


class Signer:
    """Signs for one domain with one key. Threads may share it."""

    def __init__(self, domain: str, selector: str, private_key: str):
        """private_key: PEM. Raises ValueError for what is none, or of a kind that DKIM does not have."""
        self.key = serialization.load_pem_private_key(private_key.encode(), None)
        if not isinstance(self.key, rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey):
            raise ValueError("DKIM has keys of RSA and Ed25519.")
        self._is_rsa = isinstance(self.key, rsa.RSAPrivateKey)
        self._head = (
            f"DKIM-Signature: v=1; a={'rsa' if self._is_rsa else 'ed25519'}-sha256; c=relaxed/relaxed;\r\n"
            f" d={domain};\r\n s={selector};\r\n h={':'.join(SIGNED[:7])}:\r\n {':'.join(SIGNED[7:])};\r\n t="
        ).encode()
        # The same as the verifier reads it: lower case name, one line, single spaces.
        self._relaxed = SPACES.sub(b" ", FOLDS.sub(b"", self._head)).replace(b"DKIM-Signature: ", b"dkim-signature:")

    def sign(self, headers: bytes, body: bytes) -> bytes:
        """Returns the DKIM-Signature header, ending CRLF, to be put before the headers. headers: with their line ends,
        the empty line not among them; body: what comes after that line, with no dots stuffed."""
        digest = base64.b64encode(hashlib.sha256(relaxed_body(body)).digest())
        rest = b"%d;" % time.time(), b"bh=" + digest + b";", b"b="
        signed = _relaxed_headers(headers) + self._relaxed + b" ".join(rest)
        if self._is_rsa:
            made = self.key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
        else:
            made = self.key.sign(hashlib.sha256(signed).digest())
        text = base64.b64encode(made)
        lines = b"\r\n ".join(text[at : at + LINE] for at in range(0, len(text), LINE))
        return self._head + b"\r\n ".join(rest) + lines + b"\r\n"

    def signed(self, message: bytes) -> bytes:
        """Returns a whole message, lines ending CRLF and no dots stuffed, with its signature before it."""
        headers, _, body = message.partition(b"\r\n\r\n")
        return self.sign(headers + b"\r\n", body) + message


def relaxed_body(body: bytes) -> bytes:
    """Returns a body as RFC 6376, 3.4.4 has it."""
    if b"  " in body or b"\t" in body:
        body = SPACES.sub(b" ", body)
    body = body.replace(b" \r\n", b"\r\n")
    if body.endswith(b" "):
        body = body[:-1]
    while body.endswith(b"\r\n"):
        body = body[:-2]
    return body + b"\r\n" if body else b""


def _relaxed_headers(headers: bytes) -> bytes:
    """Returns the signed headers as RFC 6376, 3.4.2 has them, in the order of h=."""
    found: dict[bytes, list[bytes]] = {}
    for match in HEADER.finditer(headers):
        found.setdefault(match[1].lower(), []).append(match[2])
    lines = []
    for name in WANTED:
        # Of several of one name the last comes first (5.4.2).
        if values := found.get(name):
            value = SPACES.sub(b" ", FOLDS.sub(b"", values.pop())).strip()
            lines.append(name + b":" + value + b"\r\n")
    return b"".join(lines)


@dataclass(frozen=True)
class Record:
    """What is to be published for a key. name: where; text: the TXT record, which a zone file breaks into strings."""

    name: str
    text: str


def make_key(sender: Sender, selector: str, kind: str = "rsa") -> Record:
    """Gives an e-mail sender a new DKIM key under a selector. Returns what to publish. Raises Invalid or Refused."""
    if sender.channel != "email":
        raise Refused("Only e-mail is signed with DKIM.")
    selector = selector.strip().lower()
    errors = {}
    if not SELECTOR.fullmatch(selector):
        errors["selector"] = "A selector is one word of letters, digits and hyphens."
    if kind not in KINDS:
        errors["kind"] = f"Choose one of {', '.join(KINDS)}."
    if errors:
        raise Invalid(errors)
    made = rsa.generate_private_key(65537, 2048) if kind == "rsa" else ed25519.Ed25519PrivateKey.generate()
    pem = made.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    senders.hold_row(sender)
    sender.secrets = credentials.added(sender.secrets, {"dkim_private_key": pem})
    sender.config = sender.config | {"dkim_selector": selector, "dkim_public": _published(made)}
    db.session.flush()
    audit.record("sender.dkim_key_made", "sender", sender.id, after={"selector": selector, "kind": kind})
    return record_of(sender)


def forget_key(sender: Sender) -> None:
    """Takes a sender's DKIM key away: its messages go out unsigned."""
    senders.hold_row(sender)
    sender.secrets = credentials.without(sender.secrets, "dkim_private_key")
    sender.config = {name: kept for name, kept in sender.config.items() if name not in ("dkim_selector", "dkim_public")}
    db.session.flush()
    audit.record("sender.dkim_key_forgotten", "sender", sender.id)


def record_of(sender: Sender) -> Record | None:
    """Returns what is to be published for a sender's key; None where it has none."""
    selector, public = sender.config.get("dkim_selector"), sender.config.get("dkim_public")
    return Record(f"{selector}._domainkey.{sender.domain}", public) if selector and public else None


def _published(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> str:
    if isinstance(key, rsa.RSAPrivateKey):
        raw = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )  # fmt: skip
        return f"v=DKIM1; k=rsa; p={base64.b64encode(raw).decode()}"
    raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return f"v=DKIM1; k=ed25519; p={base64.b64encode(raw).decode()}"


def of(sender: Sender) -> Signer | None:
    """Returns what signs a sender's messages, its key loaded; None where it has no key. Raises Refused where the key
    was sealed under another SECRET_KEY."""
    key, selector = senders.secret(sender, "dkim_private_key"), sender.config.get("dkim_selector")
    return Signer(sender.domain, selector, key) if key and selector else None
