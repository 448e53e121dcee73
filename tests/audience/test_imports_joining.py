"""An import that puts its leads into a segment picked by hand, and takes them out again when it is taken back."""

import pytest

from tests.audience.imports_data import Desk, csv_of
from webapp.audience import leads, membership, segments
from webapp.audience.imports import imports
from webapp.platform.db import rows, transaction
from webapp.platform.errors import Invalid

FILE = csv_of(
    ["E-mail", "First name"], ["known@example.com", "Kim"], ["new@example.com", "Nia"], ["not an address", "?"]
)


@pytest.fixture
def desk(app, cast):
    return Desk(app, cast.org, cast.marketer)


@pytest.fixture
def friends(cast) -> int:
    with transaction(cast.org):
        leads.create({"email": "known@example.com"})
        return segments.save(None, {"name": "Friends", "is_dynamic": False}).id


def inside(org: int, segment_id: int) -> list[tuple[str, str]]:
    with transaction(org):
        found = rows(
            "SELECT l.email, m.source FROM segment_members m JOIN leads l ON l.id = m.lead_id"
            " WHERE m.segment_id = :id AND m.exited_at IS NULL ORDER BY l.email",
            id=segment_id,
        )
        assert segments.get(segment_id).estimated_size == membership.size(segment_id)
    return [tuple(row) for row in found]


def test_everybody_of_the_file_goes_in_and_comes_out_when_it_is_taken_back(desk, cast, friends):
    with transaction(cast.org):
        by_hand = leads.create({"email": "by-hand@example.com"}).id
        membership.add(segments.get(friends), [by_hand])
    done = desk.take(FILE, segment_id=friends)
    assert done.status == "done"
    joined = [("by-hand@example.com", "manual"), ("known@example.com", "import"), ("new@example.com", "import")]
    assert [who for who in inside(cast.org, friends) if "@example.com" in (who[0] or "")] == joined
    with transaction(cast.org):
        imports.undo(imports.get(done.id))
    assert inside(cast.org, friends) == joined[:1]


def test_only_a_segment_picked_by_hand_takes_an_import(desk, cast, friends):
    with transaction(cast.org):
        by_rules = segments.save(None, {"name": "All"}).id
    for wrong in (by_rules, 10**30, "none", 999_999_999):
        with pytest.raises(Invalid) as caught:
            desk.bring(FILE, segment_id=wrong)
        assert list(caught.value.errors) == ["segment_id"]


def test_a_segment_deleted_meanwhile_fails_the_import_and_changes_nothing(desk, cast, friends):
    started = desk.bring(FILE, segment_id=friends)
    with transaction(cast.org):
        segments.remove(segments.get(friends))
    desk.work()
    row = desk.row(started)
    assert row.status == "failed" and "not there any more" in row.message
    with transaction(cast.org):
        assert leads.count() == 1
