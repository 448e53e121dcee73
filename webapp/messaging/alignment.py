"""Whether receivers will believe a sender's e-mail: SPF, DKIM and DMARC, each with a verdict and what to publish."""

import ipaddress
import re
from dataclasses import dataclass

from webapp.messaging import dkim_signing, dns_records, senders
from webapp.messaging.dns_records import Records, organizational, tags
from webapp.messaging.senders import Sender
from webapp.platform import audit, clock
from webapp.platform.db import db
from webapp.platform.errors import Invalid, Refused

# Terms that stand for whatever addresses a name has.
RESOLVED = re.compile(r"(?<=\s)\+?((?:a|mx|ptr|exists)(?:[:/]\S+)?)(?=\s|$)", re.I)
ALL = re.compile(r"(?i)(?:^|\s)([-~?+]?)all(?:\s|$)")
ALL_WORDS = {
    "-": "others are refused",
    "~": "others are suspect",
    "?": "it says nothing of others",
    "+": "anybody may send",
}


@dataclass(frozen=True)
class Verdict:
    """state: good, warning or bad. words: what was found. publish: (name, text) of the record to publish, if one helps."""

    mechanism: str
    state: str
    words: str
    publish: tuple[str, str] | None = None


def save_pasted(sender: Sender, text: str) -> None:
    """Keeps the records as somebody pasted them. Raises Invalid or Refused."""
    _must_be_email(sender)
    text = text.strip().replace("\0", "")
    if len(text) > dns_records.TEXT_LIMIT:
        raise Invalid({"records": f"This is more than {dns_records.TEXT_LIMIT:,} characters."})
    found = dns_records.parse(text)
    if text and not (found.spf or found.dkim or found.dmarc):
        raise Invalid(
            {"records": "There is no SPF, DKIM or DMARC record in this. One begins with v=spf1, for example."}
        )
    _keep(sender, {"text": text, "at": clock.now().isoformat(), "source": "pasted"} if text else None)


def look_up(sender: Sender) -> None:
    """Asks DNS for a sender's records and keeps them. Raises Refused where it does not answer."""
    _must_be_email(sender)
    found = dns_records.look_up(
        sender.domain, bounce_domain(sender), sender.config.get("dkim_selector", ""), sender.config.get("host", "")
    )
    _keep(sender, found | {"source": "dns"})


def _must_be_email(sender: Sender) -> None:
    if sender.channel != "email":
        raise Refused("Only e-mail has such records.")


def _keep(sender: Sender, kept: dict | None) -> None:
    senders.hold_row(sender)
    others = {name: value for name, value in sender.config.items() if name != "dns"}
    sender.config = others | ({"dns": kept} if kept else {})
    db.session.flush()
    audit.record("sender.records_kept", "sender", sender.id, after={"source": kept["source"] if kept else None})


def bounce_domain(sender: Sender) -> str:
    """Returns the domain of the envelope, which SPF is about."""
    return sender.config.get("bounce_domain") or sender.domain


def of(sender: Sender) -> list[Verdict]:
    """Returns the verdicts on an e-mail sender from its kept records; none before there are any."""
    kept = sender.config.get("dns")
    if not kept:
        return []
    found = dns_records.parse(kept["text"])
    records = Records(
        found.spf, found.dkim, found.dmarc, tuple(kept.get("included", ())), tuple(kept.get("addresses", ()))
    )  # fmt: skip
    dmarc = tags(records.dmarc[0]) if records.dmarc else {}
    verdicts = [spf(sender, records, dmarc), dkim(sender, records, dmarc)]
    return [*verdicts, dmarc_of(sender, records, verdicts), bulk(verdicts)]


def aligns(domain: str, other: str, mode: str) -> bool:
    """True if two domains align: mode "s" wants the same, any other the same registered domain."""
    domain, other = domain.lower(), other.lower()
    return domain == other or (mode.lower() != "s" and organizational(domain) == organizational(other))


def spf(sender: Sender, records: Records, dmarc: dict[str, str]) -> Verdict:
    """Judges the record of the bounce domain: that there is one, what it says of our server, of others, and alignment."""
    domain, server = bounce_domain(sender), sender.config.get("host", "")
    wish = (domain, f"v=spf1 {_mechanism(server)} ~all" if server else "v=spf1 mx ~all")
    if not records.spf:
        return Verdict("SPF", "bad", f"{domain} has no SPF record: receivers cannot tell who may send for it.", wish)
    if len(records.spf) > 1:
        return Verdict("SPF", "bad", "There are several SPF records. Receivers then take none: make them one.", None)
    record = records.spf[0]
    policy = ALL.search(record)
    others = policy[1] or "+" if policy else ""
    if others == "+":
        return Verdict("SPF", "bad", "The record ends in +all: anybody may send for this domain. End it in ~all.", wish)
    if not aligns(domain, sender.domain, dmarc.get("aspf", "r")):
        return Verdict(
            "SPF", "bad", f"Bounces go to {domain}, which does not align with the From domain {sender.domain}.", None
        )
    ends = f"{policy[0].strip()}: {ALL_WORDS[others]}" if policy else "no all, so it says nothing of others"
    named = _names(server, record, records)
    if named:
        return Verdict(
            "SPF", "good", f"The record covers {server or 'the server'} and aligns with {sender.domain} ({ends})."
        )
    merged = (domain, _with(record, _mechanism(server)))
    if resolved := RESOLVED.findall(record):
        words = f"The record aligns ({ends}). Whether {server or 'your server'} is behind its {' and '.join(resolved)}"
        return Verdict("SPF", "warning", f"{words} cannot be seen from here. If it is not, name it:", merged)
    if dns_records.mentioned(record) or not server:
        words = (
            f"The record aligns ({ends}). Whether it covers {server or 'your server'} depends on what it includes: ask"
        )
        return Verdict("SPF", "warning", f"{words} the provider which include it wants.", None)
    return Verdict("SPF", "bad", f"The record does not name {server} ({ends}).", merged)


def _mechanism(server: str) -> str:
    try:
        address = ipaddress.ip_address(server)
    except ValueError:
        return f"a:{server}"
    return f"ip{address.version}:{address}"


def _with(record: str, mechanism: str) -> str:
    end = ALL.search(record)
    at = end.start() if end else len(record)
    return f"{record[:at].rstrip()} {mechanism} {record[at:].strip()}".strip()


def _names(server: str, record: str, records: Records) -> bool:
    """True if a record, or one it includes, names the server by name or by one of its addresses."""
    addresses = {server, *records.addresses}
    for text in (record, *records.included):
        for term in text.split()[1:]:
            kind, _, value = term.lstrip("+").lower().partition(":")
            if kind == "a" and value == server.lower():
                return True
            if kind in ("ip4", "ip6") and _is_in(value, addresses):
                return True
    return False


def _is_in(network: str, addresses: set[str]) -> bool:
    try:
        wanted = ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
    for address in addresses:
        try:
            if ipaddress.ip_address(address) in wanted:
                return True
        except ValueError:
            continue
    return False


def dkim(sender: Sender, records: Records, dmarc: dict[str, str]) -> Verdict:
    """Judges whether the key that is published is ours."""
    ours = dkim_signing.record_of(sender)
    if ours is None:
        words = "Canvass does not sign for this sender. Make a DKIM key, unless your mail server signs by itself."
        return Verdict("DKIM", "warning" if records.dkim else "bad", words)
    publish = (ours.name, ours.text)
    if not records.dkim:
        return Verdict("DKIM", "bad", "Our key is not published, so nobody can check our signatures.", publish)
    published = [tags(record).get("p", "") for record in records.dkim]
    if tags(ours.text)["p"] in published:
        return Verdict("DKIM", "good", f"The published key is ours, and it aligns with {sender.domain}.")
    if not any(published):
        return Verdict("DKIM", "bad", "The published key is empty, which means it was taken back.", publish)
    return Verdict("DKIM", "bad", "The published key is another one than ours: our signatures fail.", publish)


def dmarc_of(sender: Sender, records: Records, verdicts: list[Verdict]) -> Verdict:
    """Judges the policy that is published, and whether SPF or DKIM carries it."""
    wish = (f"_dmarc.{organizational(sender.domain)}", "v=DMARC1; p=none; rua=mailto:postmaster@" + sender.domain)
    if not records.dmarc:
        return Verdict("DMARC", "bad", "There is no DMARC record, which large receivers want of bulk senders.", wish)
    if len(records.dmarc) > 1:
        return Verdict("DMARC", "bad", "There are several DMARC records. Receivers then take none: keep one.")
    found = tags(records.dmarc[0])
    policy = found.get("p", "").lower()
    if policy not in ("none", "quarantine", "reject"):
        return Verdict("DMARC", "bad", "The record has no policy: p= is none, quarantine or reject.", wish)
    modes = ", ".join(
        f"{name} {'strict' if found.get(tag, 'r').lower() == 's' else 'relaxed'}"
        for tag, name in (("aspf", "SPF"), ("adkim", "DKIM"))
    )
    carried = [verdict.mechanism for verdict in verdicts if verdict.state == "good"]
    does = {"none": "only watched", "quarantine": "put into spam", "reject": "refused"}[policy]
    if not carried:
        words = f"p={policy}: mail that does not align is {does}, and neither SPF nor DKIM is sure to align yet."
        return Verdict("DMARC", "warning" if policy == "none" else "bad", words)
    state = "good" if policy != "none" else "warning"
    later = " Make it quarantine once reports show no mail of yours failing." if policy == "none" else ""
    return Verdict("DMARC", state, f"p={policy} ({modes}): mail that does not align is {does}.{later}")


def bulk(verdicts: list[Verdict]) -> Verdict:
    """Says how this sender stands to what large receivers ask of bulk senders."""
    # Without a signature there is nothing to be in order.
    missing = [v.mechanism for v in verdicts if v.state == "bad" or v.mechanism == "DKIM" and v.state != "good"]
    does = "Every message carries one-click unsubscribe, a visible link and a List-Id"
    if missing:
        return Verdict("Bulk sending", "bad", f"{does}; large receivers also want {' and '.join(missing)} in order.")
    return Verdict("Bulk sending", "good", f"{does}. Keep complaints under 0.10 %, and never at 0.30 %.")
