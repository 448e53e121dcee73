"""SMTP connections: made, secured, signed in to, kept, and noticed when the server has gone; and what the operator is
told where there is none."""

import socket
import ssl
import time
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.messaging.scripted_smtp import Fault, Server
from tests.messaging.test_smtp import deliver, five, kinds, letter, pool  # noqa: F401
from webapp.messaging import senders
from webapp.messaging.providers import smtp
from webapp.messaging.providers.smtp import connection
from webapp.messaging.providers.smtp.connection import Unreachable
from webapp.platform import secrets
from webapp.platform.clock import now


def certificate_for(folder: Path, *names: x509.GeneralName) -> tuple[str, ssl.SSLContext]:
    """Makes a certificate that vouches for itself: (its file, a server's context)."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "scripted")])
    made = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now() - timedelta(days=1))
        .not_valid_after(now() + timedelta(days=1)).add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    plain = serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(made.public_bytes(pem))
    (folder / "key.pem").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return str(folder / "cert.pem"), context


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> tuple[str, ssl.SSLContext]:
    return certificate_for(tmp_path_factory.mktemp("tls"), x509.DNSName("localhost"))


def refused(server: Server, **changed) -> str:
    """Returns what the operator is told."""
    key = {"host": "127.0.0.1", "port": server.port, "tls": "none", "username": "", "password": ""} | changed
    with pytest.raises(Unreachable) as caught:
        smtp.check_address(tuple(key.values()))
    assert kinds(server, five(), deliver(server, five(), **changed)) == "LLLLL"
    return str(caught.value)


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_a_secured_and_signed_in_connection_delivers(certificate, monkeypatch, tls):
    trusted, context = certificate
    monkeypatch.setenv("SSL_CERT_FILE", trusted)
    with Server(login=("ada", "s3cret"), **{tls: context}) as server:
        outcomes = deliver(server, five(), host="localhost", tls=tls, username="ada", password="s3cret")
        assert kinds(server, five(), outcomes) == "AAAAA"
        assert server.connections == 1


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_a_certificate_nobody_vouches_for_is_not_taken(certificate, tls):
    with Server(**{tls: certificate[1]}) as server:
        assert "no secure connection" in refused(server, tls=tls)
        assert "MAIL" not in server.commands


def test_a_certificate_for_another_name_is_not_taken(tmp_path, monkeypatch):
    trusted, context = certificate_for(tmp_path, x509.DNSName("other.example"))
    monkeypatch.setenv("SSL_CERT_FILE", trusted)
    with Server(tls=context) as server:
        assert "no secure connection" in refused(server, tls="tls", host="localhost")


def test_without_what_the_sender_is_set_to_use_nothing_is_sent():
    with Server() as server:
        assert "does not offer what this sender is set to use" in refused(server, tls="starttls")
        assert "does not offer what this sender is set to use" in refused(server, username="ada", password="x")


def test_a_wrong_password_is_said_to_be_one():
    with Server(login=("ada", "s3cret")) as server:
        assert "refused the user name or password (535)" in refused(server, username="ada", password="guess")
        assert "letters that SMTP cannot carry" in refused(server, username="ada", password="pässword")


@pytest.mark.parametrize("greeting", ["554 no service here", "421 too busy"])
def test_a_server_that_will_not_talk_is_unreachable_and_nobody_loses_an_attempt(greeting):
    with Server({("connect", 0): Fault(greeting, drop=True)}) as server:
        assert greeting in refused(server)


def test_servers_that_hang_up_say_nothing_or_are_not_there_are_unreachable(monkeypatch):
    monkeypatch.setattr(connection, "CONNECT_SECONDS", 0.3)
    with Server({("connect", 0): Fault(drop=True)}) as server:
        assert refused(server)
    with Server({("connect", 0): Fault(silent=True)}) as server:
        assert "timed out" in refused(server)
    with Server({("EHLO", 0): Fault(drop=True)}) as server:
        assert refused(server)
    assert "Connection refused" in refused(server)


@pytest.mark.parametrize("host", ["nobody.invalid", "a..b", "x" * 70 + ".example", "ü" * 300])
def test_host_names_that_lead_nowhere_are_unreachable(host):
    with Server() as server:
        assert host in refused(server, host=host)


def test_a_server_that_knows_no_ehlo_is_greeted_the_old_way():
    with Server({("EHLO", 0): Fault("502 what is that")}, pipelining=False) as server:
        assert kinds(server, five(), deliver(server, five())) == "AAAAA"
        assert server.commands[:2] == ["EHLO", "HELO"]


def test_checking_a_server_says_what_it_offers():
    with Server(login=("ada", "x")) as server:
        said = smtp.check_address(("127.0.0.1", server.port, "none", "", ""))
        assert said == "250 ok (offers AUTH, PIPELINING)"


@pytest.mark.parametrize("pipelining", [True, False])
def test_an_idle_connection_that_the_server_closed_is_noticed(monkeypatch, pipelining):
    monkeypatch.setattr(connection, "QUIET_SECONDS", 0)
    with Server(pipelining=pipelining) as server:
        first = deliver(server, [letter(1)])
        server.hang_up()
        time.sleep(0.02)
        assert kinds(server, [letter(1), letter(2)], first + deliver(server, [letter(2)])) == "AA"
        assert server.connections == 2


@pytest.mark.timeout(30)
def test_an_idle_connection_that_answers_no_more_does_not_hold_anyone_up(monkeypatch):
    monkeypatch.setattr(connection, "QUIET_SECONDS", 0)
    monkeypatch.setattr(connection, "NOOP_SECONDS", 0.1)
    with Server() as server:
        deliver(server, [letter(1)])
        monkeypatch.setattr("tests.messaging.scripted_smtp._Dialogue._noop", lambda self, line: server.closing.wait())
        assert [o.kind for o in deliver(server, [letter(2)])] == ["accepted"]
        assert server.connections == 2


@pytest.mark.parametrize(("limit", "value"), [("IDLE_SECONDS", -1), ("REUSE_LIMIT", 5)])
def test_old_and_much_used_connections_are_replaced(monkeypatch, limit, value):
    monkeypatch.setattr(connection, limit, value)
    with Server() as server:
        outcomes = deliver(server, five()) + deliver(server, [letter(6)])
        assert kinds(server, [*five(), letter(6)], outcomes) == "AAAAAA"
        assert server.connections == 2
        time.sleep(0.02)
        assert server.commands.count("QUIT") == 1


def test_no_socket_is_left_open_by_a_failure():
    with Server(login=("ada", "x")) as server:
        for _ in range(3):
            refused(server, username="ada", password="wrong")
        deadline = time.monotonic() + 2
        while any(each.fileno() >= 0 for each in server.open) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not [each for each in server.open if each.fileno() >= 0]


def test_credentials_sealed_under_another_key_make_the_sender_unreachable_and_nothing_unknown(cast, tx):
    with socket.create_server(("127.0.0.1", 0)) as listener, tx():
        sender = senders.save_smtp(None, {"name": "A", "address": "a@b.example", "host": "127.0.0.1", "tls": "none",
                                          "port": listener.getsockname()[1], "username": "u", "password": "p"})  # fmt: skip
        assert senders.secret(sender, "password") == "p"
        sender.secrets = "gAAAAAB" + secrets.seal({"password": "p"})[7:-4] + "AAA="
        with pytest.raises(Unreachable, match="another SECRET_KEY"):
            smtp.deliver(sender, iter(five()), time.monotonic() + 5)
