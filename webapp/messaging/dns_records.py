"""The TXT records by which receivers judge a domain's mail, read from text as people paste it or from DNS itself."""

import re
from dataclasses import dataclass, field
from typing import Any

import dns.exception
import dns.resolver

from webapp.platform import clock
from webapp.platform.errors import Refused

TEXT_LIMIT = 20_000  # characters
LOOKUPS = 10  # included SPF records followed, as receivers do (RFC 7208, 4.6.4)
SECONDS = 3.0
QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
# What begins a record, wherever it stands in a line of a zone file or of `dig`.
BEGINS = re.compile(r"(?i)v\s*=\s*(spf1|dkim1|dmarc1)\b")
TAG = re.compile(r"\s*([A-Za-z][A-Za-z0-9_]*)\s*=\s*([^;]*?)\s*(?:;|\Z)", re.S)


@dataclass(frozen=True)
class Records:
    """TXT records found of each kind, as one string each; what an SPF record includes stands in `included`."""

    spf: tuple[str, ...] = ()
    dkim: tuple[str, ...] = ()
    dmarc: tuple[str, ...] = ()
    included: tuple[str, ...] = ()
    addresses: tuple[str, ...] = field(default=())  # of the sending server


def parse(text: str) -> Records:
    """Returns the records in a text: one a line, alone or in a line of a zone file; strings in quotes are joined."""
    found: dict[str, list[str]] = {"spf1": [], "dkim1": [], "dmarc1": []}
    for line in _joined(text[:TEXT_LIMIT]):
        quoted = QUOTED.findall(line)
        record = "".join(re.sub(r"\\(.)", r"\1", part) for part in quoted) if quoted else line
        begins = BEGINS.search(record)
        if begins:
            found[begins[1].lower()].append(record[begins.start() :].strip())
        elif re.search(r"(?:^|[\s;])p\s*=\s*[A-Za-z0-9+/=]{40,}", record):
            found["dkim1"].append(record[record.index("p") :].strip() if "k=" not in record else record.strip())
    return Records(tuple(found["spf1"]), tuple(found["dkim1"]), tuple(found["dmarc1"]))


def _joined(text: str) -> list[str]:
    """Returns the lines of a text; those inside the brackets of a zone file as one."""
    lines: list[str] = []
    open_ = False
    for line in text.splitlines():
        if open_ and lines:
            lines[-1] += " " + line
        else:
            lines.append(line)
        # Brackets inside quotes are text.
        bare = QUOTED.sub("", line)
        open_ = (open_ or "(" in bare) and ")" not in bare
    return lines


def tags(record: str) -> dict[str, str]:
    """Returns the tags of a DKIM or DMARC record; of several of one name the first. Junk has none."""
    found: dict[str, str] = {}
    for name, value in TAG.findall(record):
        found.setdefault(name.lower(), re.sub(r"\s+", "", value) if name.lower() == "p" else value)
    return found


def look_up(domain: str, spf_domain: str, selector: str, server: str) -> dict[str, Any]:
    """Returns what is published, to be kept: {"text", "included", "addresses", "at"}. Asks at most SECONDS long. Raises
    Refused where nothing answers."""
    resolver = _resolver()
    deadline = clock.now().timestamp() + SECONDS
    spf = _texts(resolver, spf_domain, deadline)
    names = [f"{selector}._domainkey.{domain}"] if selector else []
    names += dict.fromkeys([f"_dmarc.{domain}", f"_dmarc.{organizational(domain)}"])
    lines = [text for text in spf if text.lower().startswith("v=spf1")]
    for name in names:
        found = _texts(resolver, name, deadline)
        lines += found
        if name.startswith("_dmarc.") and any(text.lower().startswith("v=dmarc1") for text in found):
            break
    included = _included(resolver, [text for text in lines if text.lower().startswith("v=spf1")], deadline)
    return {
        "text": "\n".join(lines)[:TEXT_LIMIT],
        "included": included,
        "addresses": _addresses(resolver, server, deadline),
        "at": clock.now().isoformat(),
    }


def _resolver() -> dns.resolver.Resolver:
    try:
        resolver = dns.resolver.Resolver()
    except dns.resolver.NoResolverConfiguration:
        raise Refused("This machine has no name server to ask. Paste the records instead.") from None
    resolver.timeout = 1.0
    return resolver


def _asked(resolver: dns.resolver.Resolver, name: str, kind: str, deadline: float) -> Any:
    left = deadline - clock.now().timestamp()
    if left <= 0:
        raise Refused(f"DNS did not answer within {SECONDS:.0f} seconds. Try again, or paste the records.")
    try:
        return resolver.resolve(name, kind, lifetime=left, search=False)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return ()
    except (dns.exception.DNSException, ValueError, OSError):
        raise Refused(f"DNS did not answer for {name}. Try again, or paste the records.") from None


def _texts(resolver: dns.resolver.Resolver, name: str, deadline: float) -> list[str]:
    return [
        b"".join(answer.strings).decode("utf-8", "replace").replace("\0", "")
        for answer in _asked(resolver, name, "TXT", deadline)
    ]


def _addresses(resolver: dns.resolver.Resolver, server: str, deadline: float) -> list[str]:
    if not server:
        return []
    try:
        return [answer.address for kind in ("A", "AAAA") for answer in _asked(resolver, server, kind, deadline)]
    except Refused:
        return []


def _included(resolver: dns.resolver.Resolver, records: list[str], deadline: float) -> list[str]:
    """Returns the SPF records that records include or hand over to, and those that these do."""
    waiting = [name for record in records for name in mentioned(record)]
    seen: set[str] = set()
    found: list[str] = []
    while waiting and len(seen) < LOOKUPS:
        name = waiting.pop(0)
        if name in seen:
            continue
        seen.add(name)
        try:
            texts = _texts(resolver, name, deadline)
        except Refused:
            break
        for text in texts:
            if text.lower().startswith("v=spf1"):
                found.append(text[:2000])
                waiting += mentioned(text)
    return found


def mentioned(record: str) -> list[str]:
    """Returns the domains whose SPF records a record includes or hands over to."""
    return [name.lower().rstrip(".") for name in re.findall(r"(?i)(?:include:|redirect=)([\w.-]{1,253})", record)]


# Under these two letters registrars sell names one level down: co.uk, com.au, ...
SECOND_LEVEL = {
    "co",
    "com",
    "net",
    "org",
    "gov",
    "edu",
    "ac",
    "or",
    "ne",
    "go",
    "gob",
    "gouv",
    "nom",
    "ltd",
    "plc",
    "me",
}


def organizational(domain: str) -> str:
    """Returns the domain that was registered: example.co.uk for mail.example.co.uk. By a rule of thumb, not by the list of
    all registries."""
    labels = domain.lower().rstrip(".").split(".")
    keep = 3 if len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in SECOND_LEVEL else 2
    return ".".join(labels[-keep:])
