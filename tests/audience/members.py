"""Making segments, and holding what is stored of their members against their rules and the timeline."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from flask import Flask
from sqlalchemy import event

from webapp.audience import following, leads, membership, segments, timeline
from webapp.audience.leads import Lead
from webapp.audience.segments import Segment
from webapp.platform.db import db, rows, transaction, value

FACTS_AND_ROWS = """
    SELECT COALESCE(f.lead_id, m.lead_id) AS lead_id, COALESCE(f.segment_id, m.segment_id) AS segment_id,
        COALESCE(f.entered, 0) AS entered, COALESCE(f.exited, 0) AS exited,
        COALESCE(m.open, 0) AS open, COALESCE(m.ended, 0) AS ended
    FROM (SELECT lead_id, (payload->>'segment_id')::bigint AS segment_id,
            count(*) FILTER (WHERE type = 'segment_entered') AS entered,
            count(*) FILTER (WHERE type = 'segment_exited') AS exited
        FROM lead_events WHERE type IN ('segment_entered', 'segment_exited') GROUP BY 1, 2) f
    FULL JOIN (SELECT lead_id, segment_id, count(*) FILTER (WHERE exited_at IS NULL) AS open,
            count(*) FILTER (WHERE exited_at IS NOT NULL) AS ended
        FROM segment_members GROUP BY 1, 2) m USING (lead_id, segment_id)
"""


def rule(field: str, operator: str = "equals", value: Any = None) -> dict[str, Any]:
    """Returns one rule."""
    return {"field": field, "operator": operator} | ({} if value is None else {"value": value})


def tree(*rules: Any, match: str = "all") -> dict[str, Any]:
    """Returns a rule tree."""
    return {"match": match, "rules": list(rules)}


def segment(name: str, *rules: Any, match: str = "all", **values: Any) -> Segment:
    """Adds a dynamic segment."""
    return segments.save(None, {"name": name, "criteria": tree(*rules, match=match)} | values)


def inside(*segments: Segment) -> Any:
    """Returns the rule that a lead is in one of some segments."""
    return rule("segment", "in", [one.id for one in segments])


def change(org_id: int, lead_id: int, **values: Any) -> None:
    """Changes a lead in a transaction of its own."""
    with transaction(org_id):
        leads.update(leads.get(lead_id), values)


def stored(segment_id: int) -> set[int]:
    """Returns the ids of the stored members."""
    found = rows("SELECT lead_id FROM segment_members WHERE segment_id = :id AND exited_at IS NULL", id=segment_id)
    return {row.lead_id for row in found}


def by_rules(segment_id: int) -> set[int]:
    """Returns the ids of the leads the rules are true for, asked afresh."""
    return set(db.session.scalars(segments.people(segments.get(segment_id).tree, Lead.id)))


def imbalances() -> list[Any]:
    """Returns (lead, segment) pairs where the facts do not tell what the rows say: each entry is one row and each exit
    ends one, and who is in a segment entered it once more than they left it."""
    return [
        row for row in rows(FACTS_AND_ROWS)
        if row.entered != row.open + row.ended or row.exited != row.ended or row.open not in (0, 1)
    ]  # fmt: skip


def settled(org_id: int) -> None:
    """Follows until nothing is left to follow, also what following itself moved. A fact can be read once no older
    transaction of the whole server runs any more, of other tests' too: that is waited for."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if following.run_due(org_id):
            continue
        with transaction(org_id):
            if not following.is_behind():
                return
        time.sleep(0.05)
    raise AssertionError("the facts did not become readable")


def readable(org_id: int) -> None:
    """Waits until every fact so far has its final place in the order: until no older transaction of the whole server
    runs, of other tests' either."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with transaction(org_id):
            if (value("SELECT max(tx) FROM lead_events") or 0) <= timeline.horizon().tx:
                return
        time.sleep(0.05)
    raise AssertionError("the facts did not become readable")


def check(org_id: int) -> Counter[str]:
    """Asserts that every dynamic segment stores who its rules are true for, that sizes say so and that facts and rows
    balance. Returns how many facts of either type there are."""
    with transaction(org_id):
        for one in db.session.query(Segment).filter_by(is_dynamic=True, is_active=True):
            assert stored(one.id) == by_rules(one.id), one.name
            assert one.estimated_size == len(stored(one.id)) == membership.size(one.id), one.name
        assert imbalances() == []
        told = rows("SELECT type, count(*) AS n FROM lead_events WHERE type LIKE 'segment\\_%' GROUP BY 1")
        return Counter({row.type: row.n for row in told})


def in_thread(app: Flask, org_id: int, verb: Callable[[], Any]) -> Future:
    """Starts a verb in a thread with a connection and a transaction of its own. Returns its future."""
    pool = ThreadPoolExecutor(1)

    def alone() -> Any:
        with app.app_context(), transaction(org_id):
            return verb()

    started = pool.submit(alone)
    pool.shutdown(wait=False)
    return started


@contextmanager
def statements() -> Iterator[list[str]]:
    """Collects the SQL statements that are run meanwhile."""
    seen: list[str] = []

    def keep(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    event.listen(db.engine, "before_cursor_execute", keep)
    try:
        yield seen
    finally:
        event.remove(db.engine, "before_cursor_execute", keep)
