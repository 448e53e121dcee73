"""The SQL that rules become and a plain Python reading of their documentation agree, lead by lead.

A case is one random tree at one moment, asked of the whole crowd: each of its leads has to get the same verdict from
both. The suite judges 300 trees x 320 leads = 96,000 verdicts, and each tree also for one lead alone, for some
leads, and by its count.
"""

from datetime import datetime
from typing import Any

import time_machine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.audience import rules_oracle, rules_trees
from tests.audience.rules_crowd import NOWS, Crowd
from tests.audience.rules_oracle import KINDS
from webapp.audience import estimating
from webapp.audience.leads import Lead
from webapp.audience.rules.asking import Asking
from webapp.audience.rules.fields import FIELDS
from webapp.audience.rules.operators import OPERATORS
from webapp.audience.rules.tree import Group, parse
from webapp.audience.segments import people
from webapp.platform.db import db, transaction

CASES = 300
RANDOM = settings(max_examples=CASES, deadline=None, database=None, suppress_health_check=list(HealthCheck))


def found(group: Group, now: datetime, ids: tuple[int, ...] | None = None) -> set[int]:
    return set(db.session.scalars(people(group, Lead.id, asking=Asking(now=now, ids=ids))))


def check(crowd: Crowd, tree: dict[str, Any], now: datetime) -> int:
    """Holds the SQL against the oracle: all leads, one, some, the count. Returns how many leads the tree is true for."""
    expected = {id for id, lead in crowd.leads.items() if rules_oracle.holds(tree, lead, now)}
    one, some = (next(iter(expected), 1),), tuple(range(1, len(crowd.leads), 7))
    group = parse(tree)
    with transaction(crowd.org):
        assert found(group, now) == expected, tree
        assert found(group, now, some) == expected & set(some), tree
        assert found(group, now, one) == expected & set(one), tree
        with time_machine.travel(now, tick=False):
            assert estimating.funnel(group).count == len(expected), tree
    return len(expected)


@RANDOM
@given(tree=rules_trees.trees(), now=st.sampled_from(NOWS))
def test_random_trees_find_whom_the_documentation_says(crowd, tree, now):
    check(crowd, tree, now)


def test_every_field_with_every_operator_is_among_the_random_rules():
    """What the engine offers is what is tried above, so that nothing added to it goes untried."""
    offered = {(name, o.name) for name, asked in FIELDS.items() for o in asked.operators()}
    tried = {(name, operator) for name, kind in KINDS.items() for operator in rules_trees.OPERATORS[kind]}
    tried |= {(f"consent.{c}", o) for c in ("email", "sms", "whatsapp") for o in rules_trees.ALL[:4]}
    tried |= {("policy_count", o) for o in (*rules_trees.ALL[:4], *rules_trees.ORDERED)}
    tried |= {("policies", "has"), ("policies", "has_none"), ("segment", "in"), ("segment", "not_in")}
    tried |= {("inactive", "for"), ("birthday", "is_today"), ("birthday", "this_month"), ("birthday", "within")}
    tried |= {(name, o) for name in FIELDS if name.startswith("event.") for o in ("did", "did_not")}
    assert offered == tried
    assert {o.name for o in OPERATORS.values() if "attribute" in o.kinds} == set(rules_trees.OPERATORS["attribute"])
