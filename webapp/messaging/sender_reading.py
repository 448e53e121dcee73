"""Reading what a sender is told: each kind of field in its own way, anything else refused in plain words."""

import ipaddress
import re
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import phonenumbers

from webapp.messaging.headers import Unsendable, carried
from webapp.messaging.sender_fields import Field, of
from webapp.messaging.sender_limits import NAMES
from webapp.platform.errors import Invalid
from webapp.platform.users import clean_email

HOST = re.compile(r"(?!.*\.\.)[\w.:-]{1,253}")
DOMAIN = re.compile(r"(?=.{4,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def read(fields: tuple[Field, ...], values: dict[str, Any], kept: set[str]) -> dict[str, Any]:
    """Returns the values of a provider's fields as they are kept; secrets only where one is given. kept: names of the
    secrets it has already. Raises Invalid."""
    errors: dict[str, str] = {}
    clean: dict[str, Any] = {}
    for field in fields:
        if field.generated:
            continue
        given = values.get(field.name)
        given = given.strip() if isinstance(given, str) and field.name not in ("password", "imap_password") else given
        if given is None or given == "":
            if field.default is not None and field.name not in values:
                clean[field.name] = field.default
            elif field.required and not (field.is_secret and field.name in kept):
                errors[field.name] = field.words or f"Give the {field.label[:1].lower()}{field.label[1:]}."
            elif not field.is_secret:
                clean[field.name] = field.default if field.place == "imap" else None
            continue
        try:
            clean[field.name] = READERS[field.kind](field, given)
        except ValueError as problem:
            errors[field.name] = field.words or str(problem)
    if "messaging_service_sid" in clean and not errors and not (clean["address"] or clean["messaging_service_sid"]):
        errors["address"] = "Give a number, or the messaging service that has numbers."
    if errors:
        raise Invalid(errors)
    return clean


def exposed(fields: tuple[Field, ...], before: dict[str, Any], own: dict[str, Any], kept: set[str]) -> dict[str, str]:
    """Returns what is wrong where a kept secret would go to another place than it was given for: whoever may change that
    place may not learn it by doing so. before, own: the values of the fields as they were and as they are to be."""
    return {
        field.name: f"The {field.label[:1].lower()}{field.label[1:]} was given for another server. Enter it again."
        for field in fields
        if field.goes_to and field.name in kept and not own.get(field.name) and own.get(field.goes_to[0])
        and any(before.get(name) != own.get(name) for name in field.goes_to)
    }  # fmt: skip


def keep(sender: Any, fields: tuple[Field, ...], own: dict[str, Any]) -> None:
    """Puts what was read where it belongs. What else stands in the config is not the form's and stays."""
    plain = {field.name for field in fields if field.place == "config"}
    config = {name: kept for name, kept in sender.config.items() if name not in plain and name != "imap"}
    config |= {name: own[name] for name in plain if own.get(name) is not None}
    if own.get("imap_host"):
        config["imap"] = {field.key: own[field.name] for field in fields if field.place == "imap"}
    sender.config = config
    for field in fields:
        if field.place == "column" and field.name != "address":
            setattr(sender, field.name, own[field.name])
    sender.address = own.get("address") or own.get("messaging_service_sid") or sender.address


def written(sender: Any) -> dict[str, Any]:
    """Returns what a sender was told, by the names `save` takes; no secrets. sender: see `senders`."""
    told = {name: getattr(sender, name) for name in NAMES}
    for field in of(sender.provider, sender.channel):
        if field.place == "column":
            told[field.name] = getattr(sender, field.name)
        elif not field.is_secret:
            place = sender.config.get("imap", {}) if field.place == "imap" else sender.config
            told[field.name] = place.get(field.key)
    if told.get("messaging_service_sid") == told.get("address"):
        told["address"] = None
    return told


def _text(_field: Field, given: Any) -> str:
    if not isinstance(given, str) or len(given) > 255 or not given.isprintable():
        raise ValueError("This is one line of at most 255 characters.")
    return given


def _token(_field: Field, given: Any) -> str:
    if (
        not isinstance(given, str)
        or len(given) > 2000
        or not given.isascii()
        or not given.isprintable()
        or " " in given
    ):
        raise ValueError("This is one word of plain letters, digits and signs.")
    return given


def _email(_field: Field, given: Any) -> str:
    try:
        return carried(clean_email(str(given)))
    except Invalid as problem:
        raise ValueError(problem.errors["email"]) from problem
    except Unsendable as problem:
        raise ValueError("Mail servers do not take such letters before the @.") from problem


def _host(_field: Field, given: Any) -> str:
    if not isinstance(given, str) or not HOST.fullmatch(given) or _is_link_local(given):
        raise ValueError("Give a server's host name.")
    return given


def _is_link_local(host: str) -> bool:
    """True for an address of the machine's own network segment (where clouds keep their secrets), however it is spelt."""
    host = host.strip("[]").rstrip(".")
    try:
        address = ipaddress.ip_address(host)
        return (getattr(address, "ipv4_mapped", None) or address).is_link_local
    except ValueError:
        pass
    try:
        return ipaddress.ip_address(socket.inet_aton(host)).is_link_local
    except (OSError, ValueError):
        return False


def _port(_field: Field, given: Any) -> int:
    if not isinstance(given, int) or isinstance(given, bool) or not 1 <= given <= 65535:
        raise ValueError("A port is a number from 1 to 65535.")
    return given


def _id(_field: Field, given: Any) -> int:
    if not isinstance(given, int) or isinstance(given, bool) or not 0 < given < 2**63:
        raise ValueError("Choose one from the list.")
    return given


def _choice(field: Field, given: Any) -> str:
    if given not in [value for value, _ in field.choices]:
        raise ValueError("Choose one from the list.")
    return given


def _domain(_field: Field, given: Any) -> str:
    if not isinstance(given, str) or not DOMAIN.fullmatch(given.lower()):
        raise ValueError("Give a domain, such as bounces.example.com.")
    return given.lower()


def _phone(_field: Field, given: Any) -> str:
    try:
        number = phonenumbers.parse(str(given), None)
    except phonenumbers.NumberParseException:
        number = None
    if number is None or not phonenumbers.is_possible_number(number):
        raise ValueError("Give a number with its country code, such as +1 415 555 2671.")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _matching(pattern: str, words: str) -> Callable[[Field, Any], str]:
    shape = re.compile(pattern)

    def read_one(_field: Field, given: Any) -> str:
        if not isinstance(given, str) or not shape.fullmatch(given):
            raise ValueError(words)
        return given

    return read_one


def _url(_field: Field, given: Any) -> str:
    words = "Give an https address, or an http address of this machine."
    try:
        parts = urlsplit(str(given))
        host, _ = parts.hostname or "", parts.port
    except ValueError as problem:
        raise ValueError(words) from problem
    plain = parts.scheme == "http" and host in LOOPBACK
    odd = parts.query or parts.fragment or "@" in parts.netloc or not HOST.fullmatch(host) or len(str(given)) > 255
    if (
        not (parts.scheme == "https" or plain)
        or odd
        or _is_link_local(host)
        or not str(given).isprintable()
        or " " in given
    ):
        raise ValueError(words)
    return str(given).rstrip("/")


READERS: dict[str, Callable[[Field, Any], Any]] = {
    "text": _text, "token": _token, "email": _email, "host": _host, "port": _port, "choice": _choice, "domain": _domain,
    "phone": _phone, "url": _url, "id": _id,
    "digits": _matching(r"[0-9]{3,30}", "This is a number of digits only."),
    "account_sid": _matching(r"AC[0-9A-Za-z]{8,62}", "An account SID begins with AC."),
    "service_sid": _matching(r"MG[0-9A-Za-z]{8,62}", "The SID of a messaging service begins with MG."),
}  # fmt: skip
