"""Signed tokens. Short-lived ones (sign-in and invitation links) through itsdangerous; the ones printed into every
message through a compact form of our own, because four of them are made for each message sent."""

import hashlib
import hmac

from itsdangerous import BadSignature, URLSafeTimedSerializer

from webapp.platform.errors import NotFound

MAC_BYTES = 12  # 96 bits: far beyond guessing over HTTP, and short enough for a link in a text message


class Signer:
    """Makes and reads tokens under one secret."""

    def __init__(self, secret: str):
        self._secret = secret
        self._key = hashlib.sha256(b"canvass message tokens" + secret.encode()).digest()
        self._started: dict[str, hashlib.blake2b] = {}

    def dumps(self, purpose: str, payload: dict) -> str:
        """Returns a dated token that carries `payload` for one purpose."""
        return URLSafeTimedSerializer(self._secret, salt=purpose).dumps(payload)

    def loads(self, purpose: str, token: str, max_age: int) -> dict:
        """Reads a dated token. max_age: seconds. Raises NotFound if it is forged, of another purpose or too old."""
        try:
            return URLSafeTimedSerializer(self._secret, salt=purpose).loads(token, max_age=max_age)
        except BadSignature:
            raise NotFound("This link is not valid any more.") from None

    def pack(self, purpose: str, *numbers: int) -> str:
        """Returns a compact token of some non-negative numbers for one purpose, safe in a URL and in an address."""
        body = bytes([len(numbers)])
        for number in numbers:
            size = (number.bit_length() + 7) // 8
            body += bytes((size,)) + number.to_bytes(size)
        return (body + self._mac(purpose, body)).hex()

    def unpack(self, purpose: str, token: str) -> tuple[int, ...]:
        """Reads a compact token. Raises NotFound if it is forged or made for another purpose."""
        try:
            raw = bytes.fromhex(token)
        except ValueError:
            raise NotFound("This link is not valid.") from None
        body, mac = raw[:-MAC_BYTES], raw[-MAC_BYTES:]
        known = (self._mac(purpose, body), self._earlier_mac(purpose, body))
        # Both are compared whatever the first says: how long it takes tells nothing.
        if not body or not sum(hmac.compare_digest(mac, expected) for expected in known):
            raise NotFound("This link is not valid.")
        numbers, at = [], 1
        for _ in range(body[0]):
            size = body[at]
            numbers.append(int.from_bytes(body[at + 1 : at + 1 + size]))
            at += 1 + size
        return tuple(numbers)

    def _mac(self, purpose: str, body: bytes) -> bytes:
        # A keyed BLAKE2b that has read the purpose already: a fifth of an HMAC, six times for each message sent.
        started = self._started.get(purpose)
        if started is None:
            started = hashlib.blake2b(purpose.encode() + b"\0", key=self._key, digest_size=MAC_BYTES)
            self._started[purpose] = started
        mac = started.copy()
        mac.update(body)
        return mac.digest()

    def _earlier_mac(self, purpose: str, body: bytes) -> bytes:
        """As tokens in messages sent before were signed; their links stay good."""
        return hmac.digest(self._key, purpose.encode() + b"\0" + body, "sha256")[:MAC_BYTES]


_signer: Signer | None = None


def configure(secret: str) -> None:
    """Sets the house's one signer."""
    global _signer
    _signer = Signer(secret)


def signer() -> Signer:
    """Returns the house's signer."""
    assert _signer is not None, "signing.configure was not called"
    return _signer
