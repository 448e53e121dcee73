"""The delivery page: what is going out, what is stuck, and what a person does about it."""

import re

import pytest
from sqlalchemy import event

from tests.api.client import alone
from tests.messaging import desk
from tests.web.visitor import Visitor, htmx
from webapp.messaging import senders
from webapp.platform.db import db, run, value

ALL_QUERIES = (
    # the scope twice (the person, the page), the person and that their organisation is active
    "SELECT set_config", "SELECT set_config", "FROM users", "FROM organizations",
    # the list of unknown sends: campaigns to narrow it to, the page of it, how many
    "SELECT DISTINCT campaign_id", "FROM sends LEFT OUTER JOIN campaigns", "SELECT count(*) AS count_1",
    # failures by code; the organisation's zone
    "GROUP BY 1, 2, 3", "FROM organizations",
    # the last hour; what waits, is being sent, is planned and was sent today; what is held; unknown; today; next days
    "m.minute BETWEEN", "CROSS JOIN LATERAL", "status = 'sending'", "c.channels[1]", "m.minute >=",
    "c.hold_reason", "held_at IS NOT NULL", "FROM templates", "rate_limited_until >", "LIMIT %(limit)s) u",
    "v_daily_campaign_schedule", "b.send_date >",
)  # fmt: skip


@pytest.fixture
def visit(app, cast):
    def arrive(role: str) -> Visitor:
        visitor = Visitor(app)
        assert visitor.sign_in(cast.emails[role]).status_code == 303
        return visitor

    return arrive


@pytest.fixture
def unknown(cast, tx) -> tuple[int, list[int]]:
    """A campaign to four people: two unknown sends, one that failed, one that went out."""
    campaign_id = desk.started(cast.org, 4)
    ids = desk.settle(cast.org, campaign_id, ["unknown", "unknown", "rejected", "accepted"])
    with tx():
        run("UPDATE sends SET error_code = '550', error_message = '550 5.1.1 No such user' WHERE status = 'failed'")
    return campaign_id, ids


def statuses(tx, ids: list[int]) -> list[str]:
    with tx():
        return [desk.send_of(id).status for id in ids]


def toasts(page: str) -> str:
    return page.partition('id="toasts"')[2].partition("<dialog")[0]


def test_where_nothing_happens_it_says_so(visit):
    page = visit("viewer").get("/delivery").text
    for words in ("Nothing left in the last hour.", "Nothing is planned for today.", "Every message is accounted for.",
                  "Nothing failed."):  # fmt: skip
        assert words in page
    assert "Held until somebody decides" not in page


@pytest.mark.parametrize(("role", "status"), [("admin", 200), ("marketer", 200), ("viewer", 200), ("agent", 403)])
def test_it_opens_for_those_who_see_campaigns(visit, role, status):
    for path in ("/delivery", "/delivery/now", "/delivery/failures"):
        assert visit(role).get(path).status_code == status


def test_it_shows_what_is_so(visit, cast, tx, unknown):
    campaign_id, _ = unknown
    with tx():
        run("UPDATE senders SET held_at = now(), hold_reason = 'The account is out of credit.'")
        run(
            "INSERT INTO sender_minutes (sender_id, minute, sent) SELECT id, date_trunc('minute', now()) - interval '3 min', 1234"
            " FROM senders"
        )
        run("DELETE FROM campaign_batches")
        run(
            "INSERT INTO campaign_batches (campaign_id, send_date, batch_number, batch_size, sent, done) SELECT :id,"
            " (now() AT TIME ZONE 'America/Chicago')::date + n, n + 3, 250, 90 - n, 100 - n FROM generate_series(0, 2) n",
            id=campaign_id,
        )
        held = desk.draft("Storm warning").id
        run(
            "UPDATE campaigns SET status = 'paused', hold_reason = 'Too many failed.', paused_at = now() WHERE id = :id",
            id=held,
        )
    page = visit("marketer").get("/delivery").text
    for words in ("The account is out of credit.", "Storm warning", "Too many failed.", "batch 3 of 5, priority 5",
                  "The address does not exist, or its server refuses us", "Lead0", "Lead1", "1,234"):  # fmt: skip
        assert words in page, words
    assert page.count('name="ids"') == 2
    assert "Let it go on" in page
    assert "Let it send again" not in page  # for admins
    assert "Let it send again" in visit("admin").get("/delivery").text
    viewer = visit("viewer").get("/delivery").text
    assert not {"Let it go on", "Let it send again", "count as sent"} & set(re.findall(r">\s*([^<>]+?)\s*<", viewer))


def test_the_part_that_follows_is_the_part_of_the_page(visit, unknown):
    visitor = visit("viewer")
    part = visitor.get("/delivery/now", headers=htmx()).text
    assert part.lstrip().startswith('<div class="stack" id="now" hx-get="/delivery/now"')
    assert "<html" not in part
    table = visitor.get("/delivery?channel=email", headers=htmx()).text
    assert table.lstrip().startswith('<section class="card list" id="table-unknown"')


def test_each_failure_opens_the_people_behind_it(visit, unknown, tx):
    _, ids = unknown
    page = visit("viewer").get("/delivery").text
    (address,) = re.findall(r'href="(/delivery/failures\?channel=[^"]+)"', page)[:1]
    people = visit("viewer").get(address.replace("&amp;", "&")).text
    assert "lead2@example.com" in people
    assert "550 5.1.1 No such user" in people
    assert "lead0@example.com" not in people
    assert "lead2@" not in visit("viewer").get("/delivery/failures?channel=email&code=none").text
    with tx():
        run("UPDATE sends SET error_code = NULL WHERE id = :id", id=ids[2])
    assert "lead2@" in visit("viewer").get("/delivery/failures?channel=email&code=none").text


def test_a_person_says_what_happened(visit, unknown, tx):
    campaign_id, ids = unknown
    marketer = visit("marketer")
    answer = marketer.post("/delivery/unknown/sent", {"ids": [ids[0]]})
    assert (answer.status_code, answer.location) == (303, "/delivery")
    assert "1 counted as sent." in toasts(marketer.get("/delivery").text)
    marketer.post("/delivery/unknown/not-sent", {"ids": [ids[1], ids[0]]})
    assert "1 on their way again." in toasts(marketer.get("/delivery").text)
    assert statuses(tx, ids) == ["sent", "pending", "failed", "sent"]
    marketer.post("/delivery/unknown/not-sent", {"ids": ids})
    assert "Nothing to do" in toasts(marketer.get("/delivery").text)
    with tx():
        assert (
            value("SELECT after ->> 'by' FROM audit_log WHERE action = 'sends.resolved_as_sent'") == "Marketer Person"
        )
        assert desk.counters(campaign_id) == desk.recount(campaign_id)


def test_what_cannot_be_sent_again_says_why(visit, unknown, tx):
    _, ids = unknown
    with tx():
        run("UPDATE campaigns SET status = 'completed', sender_id = NULL")
    marketer = visit("marketer")
    marketer.post("/delivery/unknown/not-sent", {"ids": ids[:2]})
    said = toasts(marketer.get("/delivery").text)
    assert "2 left as they are. 2: the campaign has ended and its sender is gone; send it again from a copy." in said
    assert statuses(tx, ids[:2]) == ["unknown", "unknown"]


def test_all_of_one_campaign_at_once(visit, unknown, tx):
    campaign_id, ids = unknown
    marketer = visit("marketer")
    page = marketer.get(f"/delivery?campaign={campaign_id}").text
    until = re.search(r'name="until" value="([^"]+)"', page)[1]
    with tx():
        # One that became unknown after the page was shown is not what the person meant.
        run("UPDATE sends SET status = 'unknown', updated_at = now() + interval '1 minute' WHERE id = :id", id=ids[3])
    marketer.post("/delivery/unknown/not-sent", {"campaign": campaign_id, "until": until})
    assert statuses(tx, ids) == ["pending", "pending", "failed", "unknown"]


def test_odd_input_changes_nothing_and_breaks_nothing(visit, unknown, tx, cast):
    campaign_id, ids = unknown
    marketer = visit("marketer")
    for form, status in (
        ({"ids": ["x"]}, 422), ({"ids": [10**30]}, 422), ({"ids": [-1]}, 422), ({}, 303), ({"ids": [2**62]}, 303),
        ({"campaign": campaign_id, "until": "soon"}, 422), ({"campaign": campaign_id}, 422),
        ({"campaign": "0", "until": "2026-01-01T00:00:00+00:00"}, 422), ({"campaign": 2**62, "until": "2026-01-01"}, 404),
        ({"campaign": campaign_id, "until": "0001-01-01T00:00:00+14:00"}, 422),
    ):  # fmt: skip
        assert marketer.post("/delivery/unknown/sent", form).status_code == status, form
    assert statuses(tx, ids[:2]) == ["unknown", "unknown"]
    for address in (
        "?campaign=9&channel=pigeon",
        "?sort=nothing&after=x",
        "/failures?code=" + "x" * 300,
        "/failures?channel=x",
    ):
        assert marketer.get("/delivery" + address).status_code == 200, address


def test_nobody_else_resolves(visit, unknown, tx, app, cast):
    _, ids = unknown
    for role in ("viewer", "agent"):
        assert visit(role).post("/delivery/unknown/sent", {"ids": ids}).status_code == 403
    visit("stranger").post("/delivery/unknown/sent", {"ids": ids})
    assert statuses(tx, ids[:2]) == ["unknown", "unknown"]


def test_what_is_held_goes_on_when_a_person_says_so(visit, cast, tx):
    campaign_id = desk.in_state(cast.org, "paused")
    with tx():
        run("UPDATE campaigns SET hold_reason = 'Too many failed.' WHERE id = :id", id=campaign_id)
        sender_id = senders.every()[0].id
        senders.hold(sender_id, "Out of credit.")
    admin = visit("admin")
    assert visit("marketer").post(f"/delivery/senders/{sender_id}/release").status_code == 403
    admin.post(f"/delivery/senders/{sender_id}/release")
    admin.post(f"/delivery/campaigns/{campaign_id}/resume")
    with tx():
        assert value("SELECT held_at FROM senders WHERE id = :id", id=sender_id) is None
        assert desk.status(campaign_id) == "active"
    assert "Held until" not in admin.get("/delivery").text
    assert admin.post(f"/delivery/campaigns/{campaign_id}/resume").status_code == 409
    admin.post(f"/delivery/campaigns/{campaign_id}/cancel")
    with tx():
        assert desk.status(campaign_id) == "cancelled"


def test_the_page_asks_the_same_few_questions_however_much_there_is(visit, unknown, app):
    visitor = visit("viewer")
    visitor.get("/delivery")
    asked: list[str] = []

    def note(_connection, _cursor, statement, *_):
        asked.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        alone(visitor.client.get, "/delivery")
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
    assert [want for want in ALL_QUERIES if not any(want in one for one in asked)] == []
    assert len(asked) == len(ALL_QUERIES), "\n\n".join(asked)
