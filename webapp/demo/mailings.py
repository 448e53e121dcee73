"""Mailings: what came of the campaigns of the past, message by message."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

from webapp.demo import permissions
from webapp.demo.people import Change, Person

PER_SECOND = 12  # messages sent
UNKNOWN = "The process that was sending this stopped before it could say how it went."
# outcome -> share in percent; what is left was accepted and arrived.
OUTCOMES = {"bounced": 1.5, "failed": 0.7, "skipped": 0.2, "unknown": 0.12}
REFUSALS = (
    ("550", "550 5.1.1 No such user here"), ("552", "552 5.2.2 Mailbox full"),
    ("554", "554 5.7.1 Message refused by local policy"),
)  # fmt: skip
BOUNCES = (
    ("hard", "5.1.1", "The address does not exist"), ("hard", "5.1.10", "The domain takes no mail"),
    ("soft", "4.2.2", "The mailbox is full"),
)  # fmt: skip
PROGRAMS = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
    "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Mobile",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:140.0) Gecko/20100101 Thunderbird/140.0",
)
MACHINE = "Mozilla/5.0"  # all that Apple's mail privacy proxy says of itself


@dataclass
class Dispatch:
    """One recipient of a campaign. skip_reason: why there never was a message; send: the columns of `sends`;
    receipts: of `engagement_events`; payloads: of the facts that have to name the send once it has an id; word: the
    withdrawal that came of it."""

    person: Person
    skip_reason: str | None
    send: dict[str, Any] = field(default_factory=dict)
    receipts: list[dict[str, Any]] = field(default_factory=list)
    payloads: list[dict[str, Any]] = field(default_factory=list)
    word: Change | None = None

    def happened(self, at: datetime, fact: str, **payload: Any) -> None:
        """Notes a fact that names the send."""
        self.payloads.append(payload)
        self.person.happened(at, fact, payload)

    def received(self, rng: Random, at: datetime, kind: str, agent: str | None, **more: Any) -> None:
        """Notes a receipt. agent: the program that gave it, None where it came by mail."""
        ip = agent and f"{rng.choice(('192.0.2', '198.51.100', '203.0.113'))}.{rng.randint(1, 254)}"
        seen = {"at": at, "kind": kind, "user_agent": agent, "ip": ip, "url": None}
        self.receipts.append(seen | more)


@dataclass(frozen=True)
class Mailing:
    """How a campaign of the past went. started: UTC; audience: who was in it then; opens: the share of people who
    open; clicks: the share of those who click; urls: the letter's links; bought: what a click may end in."""

    started: datetime
    audience: Callable[[Person], bool]
    opens: float
    clicks: float
    urls: list[str]
    bought: Callable[[Dispatch, datetime], bool] | None = None

    def run(self, rng: Random, people: list[Person], now: datetime) -> list[Dispatch]:
        """Returns everybody the campaign was meant for, in order, with what came of it."""
        meant = [person for person in people if person.created < self.started and self.audience(person)]
        dispatches = [Dispatch(p, permissions.verdict(p, "email", self.started)) for p in meant]
        written = [dispatch for dispatch in dispatches if dispatch.skip_reason is None]
        for n, dispatch in enumerate(written):
            at = self.started + timedelta(seconds=4 + n / PER_SECOND)
            self._send(rng, dispatch, at, now)
        return dispatches

    def _send(self, rng: Random, dispatch: Dispatch, at: datetime, now: datetime) -> None:
        kinds = [*OUTCOMES, "accepted"]
        outcome = rng.choices(kinds, [*OUTCOMES.values(), 100 - sum(OUTCOMES.values())])[0]
        if outcome in ("bounced", "skipped") and not _free(dispatch.person, at):
            outcome = "accepted"
        dispatch.send = blank(self.started, at)
        if outcome == "skipped":
            _skip(dispatch, at)
        elif outcome in ("failed", "unknown"):
            _fail(rng, dispatch, outcome, at)
        else:
            dispatch.send |= {"status": "sent", "sent_at": at, "delivered_at": at}
            dispatch.happened(at, "email_sent")
            if outcome == "bounced":
                _bounce(rng, dispatch, at)
            else:
                self._read(rng, dispatch, at, now)

    def _read(self, rng: Random, dispatch: Dispatch, sent: datetime, now: datetime) -> None:
        """Lets a message that arrived be fetched by a machine, opened, clicked and answered by leaving."""
        if rng.random() < 0.17:
            at = sent + timedelta(seconds=rng.uniform(3, 120))
            dispatch.received(rng, at, "machine_open", MACHINE)
            dispatch.send |= {"machine_open_count": 1, "updated_at": at}
            dispatch.happened(at, "email_machine_opened")
        warmth = dispatch.person.warmth
        opened = sent + timedelta(minutes=2 + 140 * math.exp(rng.gauss(0, 1.35)))
        if opened > now - timedelta(hours=2) or rng.random() >= min(self.opens * warmth / 0.417, 0.97):
            return
        agent = rng.choice(PROGRAMS)
        _open(rng, dispatch, opened, agent, now)
        if rng.random() < min(self.clicks * warmth / 0.55, 0.9):
            self._click(rng, dispatch, opened, agent, now)
        elif rng.random() < 0.014 and _free(dispatch.person, opened):
            _leave(rng, dispatch, opened + timedelta(seconds=rng.randint(15, 200)), agent)

    def _click(self, rng: Random, dispatch: Dispatch, opened: datetime, agent: str, now: datetime) -> None:
        send, at = dispatch.send, opened + timedelta(seconds=rng.randint(6, 90))
        send |= {"status": "clicked", "clicked_at": at}
        for _ in range(1 if rng.random() < 0.78 else 2):
            # What stands first in a letter is clicked most.
            url = rng.choices(self.urls, [2.5**-n for n in range(len(self.urls))])[0]
            send["click_count"] += 1
            send["links_clicked"].append({"url": url, "clicked_at": at.isoformat()})
            send["updated_at"] = max(send["updated_at"], at)
            dispatch.received(rng, at, "clicked", agent, url=url)
            if send["click_count"] == 1:
                dispatch.person.happened(at, "page_visited", {"url": url})
            dispatch.happened(at, "email_clicked", url=url)
            at += timedelta(seconds=rng.randint(25, 400))
        if self.bought and rng.random() < 0.22:
            at += timedelta(days=rng.uniform(0.5, 15))
            if at < now and self.bought(dispatch, at):
                send |= {"status": "converted", "converted_at": at, "updated_at": at}


def blank(planned: datetime, at: datetime) -> dict[str, Any]:
    """Returns the columns of a send to which nothing has happened yet. at: when it was attempted (UTC)."""
    moments = ("sent_at", "delivered_at", "opened_at", "clicked_at", "converted_at", "unsubscribed_at")
    words = ("error_code", "error_message", "bounce_type", "skip_reason")
    counts = dict.fromkeys(("open_count", "machine_open_count", "click_count"), 0)
    return dict.fromkeys((*moments, *words)) | counts | {
        "status": "pending", "attempts": 1, "links_clicked": [], "planned_on": planned.date(), "not_before": planned,
        "created_at": planned, "updated_at": at,
    }  # fmt: skip


def _free(person: Person, at: datetime) -> bool:
    """True if nothing said or done after a moment would contradict a change at that moment."""
    return "email" not in person.barred and all(change.at < at for change in person.consents["email"])


def _skip(dispatch: Dispatch, at: datetime) -> None:
    """They told an agent on the phone while the campaign was on its way."""
    said = Change(at - timedelta(seconds=2), "unsubscribed", "agent", "asked on the phone")
    permissions.say(dispatch.person, "email", said)
    dispatch.send |= {"status": "skipped", "skip_reason": "unsubscribed", "attempts": 0}
    dispatch.happened(at, "email_skipped", reason="unsubscribed")


def _fail(rng: Random, dispatch: Dispatch, outcome: str, at: datetime) -> None:
    code, message = rng.choice(REFUSALS) if outcome == "failed" else (None, UNKNOWN)
    if outcome == "unknown":
        at += timedelta(seconds=120)
    dispatch.send |= {
        "status": outcome, "error_code": code, "error_message": message, "updated_at": at,
        "bounce_type": "hard" if outcome == "failed" else None,
    }  # fmt: skip
    dispatch.happened(at, f"email_{outcome}", error=message)


def _bounce(rng: Random, dispatch: Dispatch, sent: datetime) -> None:
    kind, code, message = rng.choice(BOUNCES)
    at = sent + timedelta(seconds=rng.randint(5, 900))
    dispatch.send |= {
        "status": "bounced", "delivered_at": None, "bounce_type": kind, "error_code": code, "error_message": message,
        "updated_at": at,
    }  # fmt: skip
    dispatch.received(rng, at, "bounced", None)
    if kind == "hard":
        permissions.bar(dispatch.person, "email", at, "hard_bounce")


def _open(rng: Random, dispatch: Dispatch, opened: datetime, agent: str, now: datetime) -> None:
    dispatch.send |= {"status": "opened", "opened_at": opened}
    dispatch.happened(opened, "email_opened")
    at = opened
    for _ in range(1 + min(int(rng.expovariate(1.5)), 4)):
        dispatch.received(rng, at, "opened", agent)
        dispatch.send["open_count"] += 1
        dispatch.send["updated_at"] = at
        at += timedelta(hours=rng.uniform(0.2, 40))
        if at >= now:
            break


def _leave(rng: Random, dispatch: Dispatch, at: datetime, agent: str) -> None:
    source = rng.choice(("page", "one-click"))
    dispatch.word = Change(at, "unsubscribed", source)
    permissions.say(dispatch.person, "email", dispatch.word)
    dispatch.person.barred["email"] = (at, "unsubscribe")
    dispatch.send |= {"unsubscribed_at": at, "updated_at": max(at, dispatch.send["updated_at"])}
    dispatch.received(rng, at, "unsubscribed", agent)
    dispatch.happened(at, "email_unsubscribed")
