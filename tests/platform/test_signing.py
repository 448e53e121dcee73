"""Signed tokens: what was packed comes out, and nothing else does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.platform.errors import NotFound
from webapp.platform.signing import Signer

SIGNER = Signer("a secret of the tests, long enough")
NUMBERS = st.lists(st.integers(0, 2**63 - 1), max_size=5)


@given(NUMBERS)
def test_what_is_packed_comes_out(numbers):
    assert SIGNER.unpack("click", SIGNER.pack("click", *numbers)) == tuple(numbers)


@given(NUMBERS, st.data())
def test_a_flipped_bit_is_refused(numbers, data):
    raw = bytearray.fromhex(SIGNER.pack("click", *numbers))
    bit = data.draw(st.integers(0, len(raw) * 8 - 1))
    raw[bit // 8] ^= 1 << bit % 8
    with pytest.raises(NotFound):
        SIGNER.unpack("click", raw.hex())


@given(st.text(max_size=80))
def test_nonsense_is_refused(text):
    with pytest.raises(NotFound):
        SIGNER.unpack("click", text)


def test_a_token_serves_one_purpose_and_one_house():
    token = SIGNER.pack("open", 1, 2)
    for other in (lambda: SIGNER.unpack("unsubscribe", token), lambda: Signer("x" * 40).unpack("open", token)):
        with pytest.raises(NotFound):
            other()


def test_it_fits_where_addresses_end():
    """A local part may have 64 characters, with `bounce-` before the token."""
    assert len("bounce-" + SIGNER.pack("bounce", 10**6, 10**10)) <= 64


def test_dated_tokens_grow_old():
    token = SIGNER.dumps("sign-in", {"u": 1})
    assert SIGNER.loads("sign-in", token, 60) == {"u": 1}
    with pytest.raises(NotFound):
        SIGNER.loads("sign-in", token, -1)
    with pytest.raises(NotFound):
        SIGNER.loads("invite", token, 60)
