"""Who a row is, without a database: the rules in the order of their strength."""

from hypothesis import given, settings
from hypothesis import strategies as st

from webapp.audience.imports.identity import KEYS, Entry, judge

NOBODY = (None, None, None)


def verdicts(*entries, leads=None, merge=False):
    numbered = [Entry(row, *entry) for row, entry in enumerate(entries, start=1)]
    return [(v.leader, v.lead_id, v.lost) for v in judge(numbered, leads or {}, merge=merge)]


def test_the_same_address_is_the_same_person():
    assert verdicts((None, "a", None), (None, "a", None), (None, "b", None)) == [
        (1, None, []),
        (1, None, []),
        (3, None, []),
    ]


def test_a_shared_phone_joins_only_who_may_be_one_person():
    couple = (None, "a", "1"), (None, "b", "1")
    assert verdicts(*couple) == [(1, None, []), (2, None, ["phone"])]
    assert verdicts(*couple, merge=True) == [(1, None, []), (1, None, [])]
    assert verdicts((None, "a", "1"), (None, None, "1")) == [(1, None, []), (1, None, [])]
    assert verdicts((None, None, "1"), (None, "a", "1"), (None, "b", "1"))[2] == (3, None, ["phone"])
    assert verdicts(("X", None, "1"), ("Y", None, "1")) == [(1, None, []), (2, None, ["phone"])]


def test_stronger_values_come_first():
    leads = {1: ("X", "x"), 2: (None, "b"), 3: (None, None)}
    assert verdicts(("X", "b", "3", (1, 2, 3)), leads=leads) == [(1, 1, ["email", "phone"])]
    assert verdicts((None, "b", "3", (None, 2, 3)), leads=leads) == [(1, 2, ["phone"])]


def test_rows_meet_in_a_lead_they_share():
    leads = {1: (None, "a")}
    rows = (None, "a", None, (None, 1, None)), (None, None, "1", (None, None, 1))
    assert verdicts(*rows, leads=leads) == [(1, 1, []), (1, 1, [])]


def test_what_a_row_adds_is_known_to_the_next():
    leads = {7: ("X", "old")}
    rows = ("X", "new", None, (7, None, None)), (None, "new", None), (None, "old", None, (None, 7, None))
    assert verdicts(*rows, leads=leads) == [(1, 7, []), (1, 7, []), (1, 7, [])]


def test_a_lead_known_only_by_its_phone_is_not_somebody_else():
    leads = {1: (None, "a")}
    assert verdicts((None, "b", "1", (None, None, 1)), leads=leads) == [(1, None, ["phone"])]
    assert verdicts((None, "b", "1", (None, None, 1)), leads=leads, merge=True) == [(1, 1, [])]


VALUES = st.sampled_from([None, "1", "2", "3"])


@settings(max_examples=500, deadline=None)
@given(st.lists(st.tuples(VALUES, VALUES, VALUES), max_size=12), st.data(), st.booleans())
def test_no_value_ends_up_with_two_people(entries, data, merge):
    # The leads there are: no two with the same value, as their unique indexes have it.
    holders = {key: {v: data.draw(st.sampled_from([None, 1, 2])) for v in ("1", "2", "3")} for key in KEYS}
    leads = {
        lead: tuple(next((v for v, h in holders[key].items() if h == lead), None) for key in ("external_id", "email"))
        for lead in (1, 2)
    }
    numbered = [
        Entry(row, *entry, tuple(holders[key].get(value) for key, value in zip(KEYS, entry, strict=True)))
        for row, entry in enumerate(entries, start=1)
        if entry != NOBODY
    ]
    owners: dict[tuple[str, str], object] = {(key, v): h for key in KEYS for v, h in holders[key].items() if h}
    for entry, verdict in zip(numbered, judge(numbered, leads, merge=merge), strict=True):
        person = verdict.lead_id or -verdict.leader
        kept = [key for key in KEYS if getattr(entry, key) and key not in verdict.lost]
        assert kept, "a row always keeps what it is known by"
        for key in kept:
            assert owners.setdefault((key, getattr(entry, key)), person) == person
        assert verdict.leader <= entry.row
