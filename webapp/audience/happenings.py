"""Happenings: facts about leads that other systems tell us, under names of their own."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import insert

from webapp.audience import timeline
from webapp.audience.rules.fields import FACT_NAME
from webapp.audience.timeline import FACTS, LeadEvent
from webapp.platform import audit, work
from webapp.platform.clock import now
from webapp.platform.db import db, rows, run

LIMIT = 1_000  # of one call
PAYLOAD_LIMIT = 10_000  # bytes of JSON
OLDEST = datetime(1970, 1, 1, tzinfo=UTC)
SKEW = timedelta(minutes=1)  # clocks differ a little; what is told from so far ahead happened now
MOST = 2**63 - 1
NOBODY = "There is no such lead."


@dataclass
class Told:
    """What came of one happening: the fact it became, or why it was refused."""

    fact: LeadEvent | None = None
    errors: dict[str, str] = field(default_factory=dict)


def record(given: Mapping[int, dict[str, Any]]) -> dict[int, Told]:
    """Writes happenings to the timelines of their leads. Returns what came of each, by the keys given.

    given: lead_id, external_id or email; type; payload; occurred_at (UTC, now if not given).
    """
    moment = now()
    told = {place: Told(errors=_errors(values, moment)) for place, values in given.items()}
    good = {place: values for place, values in given.items() if not told[place].errors}
    found = _leads(good)
    batch = []
    for place, values in good.items():
        lead_id, by = found.get(_named(values)), _named(values)[0]
        if lead_id is None:
            told[place].errors[by] = NOBODY
            continue
        at = min(values.get("occurred_at") or moment, moment)
        batch.append((place, {"lead_id": lead_id, "type": values["type"], "payload": values.get("payload") or {},
                              "actor": audit.actor_name(), "occurred_at": at}))  # fmt: skip
    if batch:
        wanted = insert(LeadEvent).returning(LeadEvent, sort_by_parameter_order=True)
        facts = db.session.scalars(wanted, [values for _, values in batch]).all()
        for (place, _), fact in zip(batch, facts, strict=True):
            told[place].fact = fact
        _note_activity([values for _, values in batch])
        work.wake(timeline.FOLLOWED)
    return told


def _errors(values: dict[str, Any], moment: datetime) -> dict[str, str]:
    errors = {}
    if len([name for name in ("lead_id", "external_id", "email") if values.get(name) is not None]) != 1:
        errors["lead_id"] = "Name the lead by one of lead_id, external_id and email."
    type = str(values.get("type") or "")
    if not FACT_NAME.fullmatch(type) or len(type) < 2:
        errors["type"] = "Use small letters, digits and underscores, beginning with a letter: at least 2, at most 60."
    elif type in FACTS and type != "custom":
        errors["type"] = "Canvass writes this kind of fact itself. Give yours another name."
    if len(json.dumps(values.get("payload") or {}, ensure_ascii=False).encode()) > PAYLOAD_LIMIT:
        errors["payload"] = f"Use at most {PAYLOAD_LIMIT:,} bytes of JSON."
    at = values.get("occurred_at")
    if at is not None and not OLDEST <= at <= moment + SKEW:
        errors["occurred_at"] = "Give a time from 1970 until now."
    return errors


def _named(values: dict[str, Any]) -> tuple[str, Any]:
    """Returns by which field a happening names its lead, and the value."""
    return next((name, values[name]) for name in ("lead_id", "external_id", "email") if values.get(name) is not None)


def _leads(given: Mapping[int, dict[str, Any]]) -> dict[tuple[str, Any], int]:
    """Returns (field, value) -> lead id of the living leads that are named."""
    named: dict[str, set[Any]] = {"lead_id": set(), "external_id": set(), "email": set()}
    for values in given.values():
        name, value = _named(values)
        named[name].add(value)
    found = rows(
        "SELECT 'lead_id' AS name, CAST(l.id AS text) AS value, l.id FROM leads l WHERE l.id = ANY(:ids)"
        " AND l.deleted_at IS NULL"
        " UNION ALL SELECT 'external_id', l.external_id, l.id FROM leads l WHERE l.external_id = ANY(:numbers)"
        " AND l.deleted_at IS NULL"
        " UNION ALL SELECT 'email', a.given, l.id FROM (SELECT given, lower(given) AS key FROM"
        " unnest(CAST(:addresses AS text[])) given) a JOIN leads l ON l.email_key = a.key AND l.deleted_at IS NULL",
        ids=[lead for lead in named["lead_id"] if 0 < lead <= MOST],
        numbers=list(named["external_id"]), addresses=list(named["email"]),
    )  # fmt: skip
    return {(row.name, int(row.value) if row.name == "lead_id" else row.value): row.id for row in found}


def _note_activity(facts: list[dict[str, Any]]) -> None:
    latest: dict[int, datetime] = {}
    for fact in facts:
        latest[fact["lead_id"]] = max(fact["occurred_at"], latest.get(fact["lead_id"], OLDEST))
    ids = sorted(latest)
    run("SELECT id FROM leads WHERE id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE", ids=ids)
    run(
        "UPDATE leads l SET last_activity_at = n.at FROM unnest(CAST(:ids AS bigint[]), CAST(:times AS timestamptz[]))"
        " n (id, at) WHERE l.id = n.id AND (l.last_activity_at IS NULL OR l.last_activity_at < n.at)",
        ids=ids, times=[latest[lead_id] for lead_id in ids],
    )  # fmt: skip
