"""Many hands at once: leads are edited, every segment is brought up to date again and again, rules are saved anew and the
follower follows, each in a thread with connections of its own."""

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Barrier, Event

from flask import Flask
from sqlalchemy import insert

from tests.audience.members import inside, rule, segment, tree
from webapp.audience import consents, following, leads, membership, segments, syncing, timeline
from webapp.audience.leads import Lead
from webapp.platform import tenancy
from webapp.platform.db import db, transaction

CITIES = ("Austin", "Reno", "Boise", None)


@dataclass
class Storm:
    """syncs: how often all segments were brought up to date; facts: what the follower read."""

    app: Flask
    org: int
    edits: int
    syncers: int = 8
    editors: int = 4
    lead_ids: list[int] = field(default_factory=list)
    segment_ids: list[int] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)

    def prepare(self, n: int) -> None:
        """Makes n leads and segments of every sort, some of which ask about others."""
        with transaction(self.org):
            given = [{"first_name": f"Lead {k}", "city": CITIES[k % 4]} for k in range(n)]
            self.lead_ids = list(db.session.scalars(insert(Lead).returning(Lead.id), given))
            picked = segments.save(None, {"name": "Picked", "is_dynamic": False})
            city = segment("Austin", rule("city", "equals", "Austin"))
            tagged = segment("Tagged", rule("tags", "has_any", ["vip"]), rule("status", "not_equals", "lost"))
            seen = segment("Seen", rule("event.page_visited", "did", {"within": "30 days", "times": 2}))
            agreed = segment("Agreed", rule("consent.email", "equals", "subscribed"))
            either = segment("Either", inside(city, tagged), inside(picked), match="any")
            rest = segment("Rest", inside(either, agreed), match="none")
            self.segment_ids = [s.id for s in (picked, city, tagged, seen, agreed, either, rest)]

    def blow(self) -> None:
        """Runs all of it until the edits are made. Raises what any of the threads raised."""
        calm, start = Event(), Barrier(self.editors + self.syncers + 2)

        def run(verb, *args) -> None:
            start.wait(30)
            verb(*args)

        with ThreadPoolExecutor(self.editors + self.syncers + 2) as pool, self.app.app_context():
            others = [pool.submit(run, self._sync, calm, n) for n in range(self.syncers)]
            others += [pool.submit(run, self._follow, calm), pool.submit(run, self._save, calm)]
            editing = [pool.submit(run, self._edit, n, self.edits // self.editors) for n in range(self.editors)]
            try:
                for future in editing:
                    future.result()
            finally:
                calm.set()
            for future in others:
                future.result()

    def _edit(self, seed: int, times: int) -> None:
        dice = random.Random(seed)
        with self.app.app_context():
            for _ in range(times):
                with transaction(self.org):
                    self._change(dice, dice.choice(self.lead_ids))
        self.done["edits"] += times

    def _change(self, dice: random.Random, lead_id: int) -> None:
        kind = dice.choice(("city", "city", "tags", "status", "consent", "visit", "remove", "restore", "pick", "drop"))
        if kind in ("pick", "drop"):
            picked = segments.get(self.segment_ids[0])
            (membership.add if kind == "pick" else membership.remove)(picked, [lead_id])
        elif kind == "remove":
            leads.remove([lead_id])
        elif kind == "restore":
            leads.restore([lead_id])
        elif kind == "visit":
            timeline.record(lead_id, "page_visited")
        elif kind == "consent":
            status = dice.choice(("subscribed", "unsubscribed", "pending"))
            consents.set_consent(lead_id, "email", status, source="test")
        elif lead := db.session.query(Lead).filter_by(id=lead_id, deleted_at=None).with_for_update().one_or_none():
            values = {"city": CITIES, "tags": (["vip"], ["ip"], []), "status": ("new", "lost", "qualified")}[kind]
            leads.update(lead, {kind: dice.choice(values)})

    def _sync(self, calm: Event, seed: int) -> None:
        dice = random.Random(seed)
        with self.app.app_context():
            while not calm.is_set():
                with transaction(self.org):
                    found = db.session.query(segments.Segment).filter_by(is_dynamic=True).all()
                    ordered = [s.id for s in (syncing.in_order(found) if seed % 2 else dice.sample(found, len(found)))]
                for segment_id in ordered:
                    with transaction(self.org):
                        syncing.sync(segments.get(segment_id))
                self.done["rounds of syncs"] += 1

    def _follow(self, calm: Event) -> None:
        with self.app.app_context(), tenancy.scope(self.org):
            while not calm.is_set():
                self.done["facts followed"] += following.run_due(self.org)

    def _save(self, calm: Event) -> None:
        with self.app.app_context():
            for n in range(10**6):
                if calm.wait(0.25):
                    return
                with transaction(self.org):
                    city = segments.get(self.segment_ids[1])
                    segments.save(city, {"criteria": tree(rule("city", "equals", CITIES[n % 3]))})
                self.done["saves"] += 1
