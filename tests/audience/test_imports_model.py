"""The set-based merge against the same rules written down row by row."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.audience.imports_data import Desk, csv_of
from webapp.audience import leads
from webapp.audience.imports.identity import KEYS, Entry, judge
from webapp.platform.db import run, transaction

FIELDS = ("external_id", "email", "phone", "city")
MAPPING = {"0": "external_id", "1": "email", "2": "phone", "3": "city"}
PHONES = [f"+1415200000{n}" for n in range(4)]


def maybe(*values):
    return st.sampled_from([None, *values])


ROWS = st.lists(
    st.tuples(maybe("X", "Y", "Z"), maybe("a@example.com", "B@example.com", "b@example.com", "c@example.com"),
              maybe(*PHONES), maybe("Reno", "Elko", "Ely")).filter(lambda row: any(row[:3])),
    min_size=1, max_size=8,
)  # fmt: skip


def key_of(field: str, value: str | None) -> str | None:
    return value.lower() if value and field == "email" else value


def distinct(rows: list[tuple]) -> list[tuple]:
    """The rows of `rows` that can be leads side by side."""
    taken: set[tuple[str, str]] = set()
    kept = []
    for row in rows:
        keys = {(field, key_of(field, row[place])) for place, field in enumerate(KEYS) if row[place]}
        if not keys & taken:
            taken |= keys
            kept.append(row)
    return kept


def expected(
    known: dict[int, tuple], lines: list[tuple], rule: str, merge: bool
) -> tuple[list[tuple], tuple[int, int]]:
    """Returns the leads and (created, updated), one row after the other."""
    holders = {(f, key_of(f, row[p])): id_ for id_, row in known.items() for p, f in enumerate(KEYS) if row[p]}
    entries = [
        Entry(n, *(key_of(f, row[p]) for p, f in enumerate(KEYS)),
              tuple(holders.get((f, key_of(f, row[p]))) for p, f in enumerate(KEYS)))
        for n, row in enumerate(lines, start=1)
    ]  # fmt: skip
    keys = {id_: (row[0], key_of("email", row[1])) for id_, row in known.items()}
    people = {id_: list(row) for id_, row in known.items()}
    for row, verdict in zip(lines, judge(entries, keys, merge=merge), strict=True):
        cells = [None if field in verdict.lost else cell for field, cell in zip(FIELDS, row, strict=True)]
        person = verdict.lead_id or -verdict.leader
        if person not in people:
            people[person] = cells
        elif rule == "update":
            people[person] = [new or old for old, new in zip(people[person], cells, strict=True)]
        elif rule == "fill":
            people[person] = [old or new for old, new in zip(people[person], cells, strict=True)]
    created = sum(id_ < 0 for id_ in people)
    updated = sum(_plain(people[id_]) != _plain(row) for id_, row in known.items())
    return sorted(map(_plain, people.values())), (created, updated)


def _plain(row) -> tuple:
    return tuple(str(key_of(field, cell)) for field, cell in zip(FIELDS, row, strict=True))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(known=ROWS, lines=ROWS, rule=st.sampled_from(["update", "fill", "skip"]), merge=st.booleans())
def test_the_sets_do_what_the_rows_would(app, cast, known, lines, rule, merge):
    desk = Desk(app, cast.org, cast.marketer)
    with transaction(cast.org):
        run("DELETE FROM leads")
        there = {leads.create(dict(zip(FIELDS, row, strict=True))).id: row for row in distinct(known)}
    content = csv_of(["Lead ID", "E-Mail", "Phone", "City"], *([cell or "" for cell in row] for row in lines))
    row = desk.take(content, MAPPING, duplicates=rule, shared_phone="merge" if merge else "apart")
    wanted, (created, updated) = expected(there, lines, rule, merge)
    assert sorted(_plain([getattr(lead, field) for field in FIELDS]) for lead in desk.leads()) == wanted
    assert (row.created, row.updated, row.failed) == (created, updated, 0)
    assert row.skipped == row.total - created - updated
