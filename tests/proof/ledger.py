"""What the gateway saw against what the house says: exact for each recipient."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.proof.faults import FAULTS, NONE

ENDS = ("sent", "failed", "unknown", "skipped")


@dataclass(frozen=True)
class Attempt:
    """One line: moment in seconds since 1970; recipient is "" where the connection did not come so far."""

    moment: float
    channel: str
    recipient: str
    fault: str
    accepted: bool


@dataclass
class Death:
    """Something that was killed while it may have been sending. pids: of processes; empty for the database, which lets
    any process lose what it was claiming just then."""

    moment: float
    pids: frozenset[int] = frozenset()


@dataclass
class Verdict:
    """counts: ends, accepted, faults. excused: unknown by a fault, by the death of a process, by that of the database."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    excused: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        return sum(self.counts[name] for name in ENDS)

    def __str__(self) -> str:
        ends = ", ".join(f"{name} {self.counts[name]:,}" for name in ENDS)
        told = f"accepted {self.counts['accepted']:,}, duplicates 0; {ends}"
        if self.excused:
            told += f"; unknown by {dict(self.excused)}"
        return told + (f"; faults {dict(sorted(self.faults.items()))}" if self.faults else "")


def read(path: Path) -> list[Attempt]:
    """Returns the gateway's ledger, oldest first. The last line may still be under way."""
    if not path.exists():
        return []
    whole = path.read_text(encoding="utf-8").rpartition("\n")[0]
    parts = (line.split("\t") for line in whole.splitlines())
    return [Attempt(float(moment), channel, to, fault, taken == "1") for moment, channel, to, fault, taken in parts]


def accepted(attempts: Iterable[Attempt]) -> Counter[tuple[str, str]]:
    """Returns how often each (channel, recipient) was accepted."""
    return Counter((a.channel, a.recipient) for a in attempts if a.accepted)


def compare(attempts: list[Attempt], sends: list[Any], deaths: list[Death]) -> Verdict:
    """Holds every send (channel, recipient_address, status, claimed_by, claimed_at in seconds or None) against the ledger.

    Raises AssertionError: accepted twice; accepted and called failed or skipped; called sent and never accepted; tried
    again after a fault that left it unclear; unknown where nothing was.
    """
    seen: dict[tuple[str, str], list[Attempt]] = defaultdict(list)
    found = Verdict()
    for attempt in attempts:
        seen[attempt.channel, attempt.recipient].append(attempt)
        if attempt.fault != NONE:
            found.faults[attempt.fault] += 1
    for send in sends:
        key = (send.channel, send.recipient_address)
        found.counts[send.status] += 1
        found.counts["accepted"] += _held(seen.get(key, []), send)
        if send.status == "unknown":
            found.excused[_excuse(seen.get(key, []), send, deaths)] += 1
    known = {(send.channel, send.recipient_address) for send in sends}
    strangers = {key for key in seen if key[1] and key not in known}
    assert not strangers, f"{len(strangers)} recipients were written to that nobody planned: {sorted(strangers)[:3]}"
    return found


def _held(lines: list[Attempt], send: Any) -> int:
    """Returns how often a send was accepted: never or once."""
    taken = sum(line.accepted for line in lines)
    who = f"{send.channel} to {send.recipient_address} ({send.status}): {[(a.fault, a.accepted) for a in lines]}"
    assert send.status in ENDS, f"not at an end: {who}"
    assert taken <= 1, f"accepted {taken} times: {who}"
    if taken:
        assert send.status in ("sent", "unknown"), f"accepted, and yet {send.status}: {who}"
    if send.status == "sent":
        assert taken == 1, f"called sent and never accepted: {who}"
    for line in lines[:-1]:
        assert line.fault != NONE, f"tried again after it was accepted: {who}"
        fault = FAULTS[line.fault]
        assert not fault.final, f"tried again after it was refused for good: {who}"
        assert not fault.unclear or fault.again, f"tried again although it may have gone: {who}"
    return taken


def _excuse(lines: list[Attempt], send: Any, deaths: list[Death]) -> str:
    """Returns why a send may be unknown: fault, process or database."""
    if any(line.fault != NONE and FAULTS[line.fault].unclear for line in lines):
        return "fault"
    pid = int((send.claimed_by or ":0").rpartition(":")[2])
    if any(pid in death.pids for death in deaths):
        return "process"
    databases = [death.moment for death in deaths if not death.pids]
    if send.claimed_at is None:
        assert databases, f"unknown without a reason: {send}"
        return "database"
    near = [moment for moment in databases if -40 <= send.claimed_at - moment <= 10]
    assert near, f"unknown without a reason: {send}, {lines}"
    return "database"
