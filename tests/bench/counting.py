"""A segment's count on 1,000,000 leads, against the SQL a person would write by hand."""

import statistics
import time

from tests.bench.desk import add_leads, house
from webapp.audience import segments
from webapp.audience.rules.tree import parse_flat
from webapp.platform.db import transaction, value

CASES = [
    (
        "type, value and status",
        [("insurance_type", "equals", "auto"), ("value_estimate", "greater_than", "1000"), ("status", "equals", "new")],
        "insurance_type = 'auto' AND value_estimate > 1000 AND status = 'new'",
    ),
    (
        "state in a list, tag",
        [("state", "in", ["TX", "CA"]), ("tags", "contains", "vip")],
        "lower(state) IN ('tx', 'ca') AND tags @> ARRAY['vip']",
    ),
    (
        "city and date",
        [("city", "starts_with", "City 1"), ("created_at", "greater_than", "2026-01-01")],
        "lower(city) LIKE 'city 1%' AND created_at >= '2026-01-02'",
    ),
]


def _median(run, times: int = 5) -> tuple[float, int]:
    taken, result = [], 0
    for _ in range(times):
        started = time.perf_counter()
        result = run()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken), result


def main(n: int = 1_000_000) -> None:
    with house() as (_, org):
        add_leads(org, n)
        with transaction(org):
            for name, rules, sql in CASES:
                group = parse_flat(
                    [dict(zip(("field", "operator", "value"), rule, strict=True)) for rule in rules], True
                )
                by_hand = f"SELECT count(*) FROM leads WHERE org_id = {org} AND deleted_at IS NULL AND {sql}"
                _median(lambda: segments.count(group), 1), _median(lambda: value(by_hand), 1)  # noqa: B023 - warm
                hand, expected = _median(lambda: value(by_hand))  # noqa: B023
                ours, found = _median(lambda: segments.count(group))  # noqa: B023
                assert found == expected, (name, found, expected)
                print(f"count, {name}: {ours * 1000:.0f} ms, by hand {hand * 1000:.0f} ms, ratio {ours / hand:.2f}"
                      f" (target at most 1.2; {found:,} of {n:,})")  # fmt: skip


if __name__ == "__main__":
    main()
