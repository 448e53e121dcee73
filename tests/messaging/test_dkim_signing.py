"""DKIM: what is signed here another program verifies, whatever is in the message; and nothing signed can be changed."""

import base64
import re
from types import SimpleNamespace

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from webapp.messaging import dkim_signing, senders
from webapp.messaging.dkim_signing import Signer
from webapp.platform.db import value
from webapp.platform.errors import Invalid, Refused

KEYS = {"rsa": rsa.generate_private_key(65537, 2048), "ed25519": ed25519.Ed25519PrivateKey.generate()}


def pem(key) -> str:
    how = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(*how).decode()


SIGNERS = {kind: Signer("lone.example", "s1", pem(key)) for kind, key in KEYS.items()}
HEADERS = (
    b"From: Lone Star <hello@lone.example>\r\nTo: Ada <ada@a.example>\r\nSubject: Hi\r\nDate: Mon, 1 Jan 2026 00:00:00 -0000\r\n"
    b"Message-ID: <1@lone.example>\r\nList-Unsubscribe: <https://c.example/u/1>\r\n"
    b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\nList-Id: <a.lone.example>\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\nReply-To: desk@lone.example\r\n"
)
blank = st.sampled_from([b" ", b"\t", b"  ", b" \t ", b"\r\n", b"\r\n\r\n", b".", b"\r\n.", b"", b"\xc3\xa9", b"a=20"])
bodies = st.lists(st.one_of(blank, st.binary(max_size=30).map(lambda raw: re.sub(rb"[\r\n\0]", b"", raw)))).map(
    b"".join
)
words = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60).map(str.encode)
folded = st.lists(words, min_size=1, max_size=4).map(b"\r\n\t ".join)


def verified(message: bytes, kind: str) -> bool:
    record = dkim_signing._published(KEYS[kind]).encode()
    return dkim.verify(
        message, dnsfunc=lambda name, timeout=5: record if name == b"s1._domainkey.lone.example." else b""
    )


@settings(max_examples=250, deadline=None)
@given(body=bodies, subject=folded, to=folded, kind=st.sampled_from(["ed25519", "ed25519", "ed25519", "rsa"]))
def test_another_program_verifies_what_is_signed(body, subject, to, kind):
    headers = HEADERS.replace(b"Subject: Hi", b"Subject:" + subject).replace(
        b"Ada <ada@a.example>", to + b" <a@a.example>"
    )
    message = SIGNERS[kind].signed(headers + b"\r\n" + body + b"\r\n")
    assert verified(message, kind)
    assert all(len(line) <= 78 for line in message[: message.index(b"\r\nFrom: ")].split(b"\r\n"))


@pytest.mark.parametrize("kind", SIGNERS)
def test_nothing_that_is_signed_can_be_changed_or_added(kind):
    message = SIGNERS[kind].signed(HEADERS + b"\r\nHello\r\n")
    assert verified(message, kind)
    for header in (b"From", b"To", b"Subject", b"Date", b"Message-ID", b"List-Unsubscribe", b"List-Unsubscribe-Post",
                   b"List-Id", b"MIME-Version", b"Content-Type", b"Reply-To"):  # fmt: skip
        assert not verified(re.sub(rb"\r\n%s: " % header, rb"\r\n%s: x" % header, message), kind), header
    assert not verified(message.replace(b"Hello", b"hello"), kind)
    assert not verified(b"From: Somebody <else@x.example>\r\n" + message, kind)
    bare = HEADERS.replace(b"Reply-To: desk@lone.example\r\n", b"")
    message = SIGNERS[kind].signed(bare + b"\r\nHello\r\n")
    assert verified(message, kind) and not verified(b"Reply-To: else@x.example\r\n" + message, kind)


@given(st.binary(max_size=300), st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_whatever_comes_something_is_signed(headers, body):
    assert SIGNERS["ed25519"].sign(headers, body).startswith(b"DKIM-Signature: v=1; a=ed25519-sha256;")


def test_a_key_of_another_kind_is_refused():
    with pytest.raises(ValueError, match="RSA and Ed25519"):
        Signer("a.example", "s", pem(ec.generate_private_key(ec.SECP256R1())))
    with pytest.raises(ValueError):
        Signer("a.example", "s", "no key")


@pytest.mark.parametrize("kind", dkim_signing.KINDS)
def test_a_senders_key_is_made_sealed_and_signs(cast, tx, kind):
    with tx():
        sender = senders.save_smtp(None, {"name": "L", "address": "hello@lone.example", "host": "h", "tls": "none"})
        assert dkim_signing.of(sender) is None and dkim_signing.record_of(sender) is None
        record = dkim_signing.make_key(sender, " S1 ", kind)
        assert record.name == "s1._domainkey.lone.example" and record.text.startswith(f"v=DKIM1; k={kind}; p=")
        base64.b64decode(record.text.rpartition("p=")[2], validate=True)
        message = dkim_signing.of(sender).signed(HEADERS + b"\r\nHello\r\n")
        assert dkim.verify(message, dnsfunc=lambda name, timeout=5: record.text.encode())
        senders.save(sender, {"name": "Renamed", "password": "new"})
        assert dkim_signing.of(sender) and dkim_signing.record_of(sender) == record
        kept = value("SELECT CAST(row_to_json(s) AS text) FROM senders s") + value(
            "SELECT string_agg(a::text, '') FROM audit_log a"
        )
        assert "PRIVATE" not in kept and senders.secret(sender, "dkim_private_key")[40:80] not in kept
        dkim_signing.forget_key(sender)
        assert dkim_signing.of(sender) is None and senders.secret(sender, "password") == "new"


def test_a_key_has_a_selector_that_dns_can_hold(cast, tx):
    with tx():
        sender = senders.ensure_local("L", "hello@lone.example")
        for selector in ("", "a b", "ä", "a.b", "-a", "x" * 64):
            with pytest.raises(Invalid) as caught:
                dkim_signing.make_key(sender, selector, "dsa")
            assert set(caught.value.errors) == {"selector", "kind"}
        with pytest.raises(Refused):
            dkim_signing.make_key(SimpleNamespace(channel="sms"), "s1")
