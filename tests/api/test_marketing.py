"""Marketing campaigns by API: a template by its name, people by their numbers, and the figures a script asks for."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.api.client import data, problem
from tests.messaging import desk
from webapp.audience import consents, leads
from webapp.messaging import templates
from webapp.messaging.senders import Sender
from webapp.platform.db import db, one, rows, run, transaction, value

NUMBERS = ["+1 415 200 0001", "(415) 200-0002", "415-200-0003"]
SALE = {"name": "Black Friday Sale", "template_name": "black_friday_2025"}


@pytest.fixture
def sale(cast) -> int:
    """A WhatsApp template and a number to send it from; returns the number's id."""
    with transaction(cast.org):
        made = templates.save(None, desk.LETTER | {"name": "Black Friday"})
        made.template_type, made.whatsapp = "whatsapp", {
            "name": "black_friday_2025", "language": "en", "status": "APPROVED", "body": "Hello", "parameters": [],
        }  # fmt: skip
        sender = Sender(channel="whatsapp", provider="local", name="Shop", address="+14155550000", is_default=True)
        db.session.add(sender)
        db.session.flush()
        return sender.id


@pytest.fixture
def campaign(api, sale) -> int:
    return data(api.post("/marketing/campaigns", SALE), 201)["id"]


def add(api, campaign_id: int, numbers: list[str], **more) -> dict:
    return data(api.post(f"/marketing/campaigns/{campaign_id}/recipients", {"phone_numbers": numbers} | more))


def named(campaign_id: int) -> int:
    return value("SELECT count(*) FROM campaign_recipients WHERE campaign_id = :id AND state = 'added'", id=campaign_id)


@pytest.mark.parametrize("said", ["black_friday_2025", "Black Friday", "black friday", "black-friday"])
def test_a_draft_takes_its_channel_limit_and_sender_from_the_template(api, sale, tx, said):
    made = data(api.post("/marketing/campaigns", SALE | {"template_name": said, "priority": 1}), 201)
    assert (made["status"], made["daily_send_limit"], made["priority"]) == ("draft", 250, 1)
    assert (made["template_name"], made["campaign_type"], made["target_audience"]) == ("Black Friday", "whatsapp", {})
    # The same row under its other name.
    same = data(api.get(f"/campaigns/{made['id']}"))
    assert (same["name"], same["status"], same["sender_id"]) == ("Black Friday Sale", "draft", sale)
    (listed,) = data(api.get("/marketing/campaigns?status=draft"))
    assert listed == made
    with tx():
        assert value("SELECT channels FROM campaigns") == ["whatsapp"]


def test_an_e_mail_campaign_has_no_limit_unless_it_is_given_one(api, world):
    made = data(api.post("/marketing/campaigns", {"name": "Letters", "template_name": "Welcome"}), 201)
    assert (made["campaign_type"], made["daily_send_limit"]) == ("email", None)
    limited = {"name": "Few", "template_name": "welcome", "daily_send_limit": 40}
    assert data(api.post("/marketing/campaigns", limited), 201)["daily_send_limit"] == 40


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        ("name", ""), ("name", None), ("template_name", "nothing like it"), ("template_name", 5), ("daily_send_limit", 0),
        ("daily_send_limit", 10**9), ("priority", 11), ("priority", 0), ("target_audience", "gold"), ("status", "active"),
        ("target_audience", {f"attributes.x{n}": "1" for n in range(21)}),
    ],
)  # fmt: skip
def test_what_a_field_cannot_hold_is_refused_at_it(api, sale, tx, field, bad):
    assert set(problem(api.post("/marketing/campaigns", SALE | {field: bad}), 422)) == {field}
    with tx():
        assert value("SELECT count(*) FROM campaigns") == 0


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        ("shoe_size", "44"), ("customer_tier", "premium"), ("score", "high"), ("customer_tier", None), ("state", {"a": 1}),
        ("segment", [999]), ("event.never", "x"), ("state", []), ("birthday", "x"),
    ],
)  # fmt: skip
def test_an_audience_is_refused_at_the_field_that_is_wrong(api, sale, field, bad):
    body = SALE | {"target_audience": {"city": "Austin", field: bad}}
    assert set(problem(api.post("/marketing/campaigns", body), 422)) == {f"target_audience.{field}"}


def test_an_inactive_template_and_another_organisations_are_not_found(api, sale, tx, other_world, cast):
    with tx():
        run("UPDATE templates SET is_active = false")
    with tx(cast.other_org):
        templates.save(None, desk.LETTER | {"name": "Theirs"})
    for name in ("black_friday_2025", "Theirs"):
        answer = api.post("/marketing/campaigns", SALE | {"template_name": name})
        assert set(problem(answer, 422)) == {"template_name"}


def test_naming_the_same_people_twice_adds_nobody(api, campaign, tx):
    assert add(api, campaign, NUMBERS) == {"recipients_added": 3, "duplicates": 0, "invalid": []}
    assert add(api, campaign, NUMBERS) == {"recipients_added": 0, "duplicates": 3, "invalid": []}
    mixed = [*NUMBERS, "415 200 0004", "+14152000004", "no number", "", "+1"]
    assert add(api, campaign, mixed) == {"recipients_added": 1, "duplicates": 4, "invalid": ["no number", "", "+1"]}
    with tx():
        assert named(campaign) == 4
        assert {row.source for row in rows("SELECT source FROM leads")} == {"api"}
        assert value("SELECT count(*) FROM lead_events WHERE type = 'lead_created'") == 4
        assert value("SELECT count(*) FROM consents") == 0
        added = (
            "SELECT (after ->> 'added')::int AS n FROM audit_log WHERE action = 'campaign.recipients_added' ORDER BY id"
        )
        assert [row.n for row in rows(added)] == [3, 1]
    assert data(api.get(f"/marketing/campaigns/{campaign}/stats"))["pending"] == 4


def test_two_campaigns_may_both_name_somebody(api, campaign, tx):
    other = data(api.post("/marketing/campaigns", SALE | {"name": "Another"}), 201)["id"]
    assert add(api, campaign, NUMBERS)["recipients_added"] == add(api, other, NUMBERS)["recipients_added"] == 3
    with tx():
        assert value("SELECT count(*) FROM leads") == 3


def test_evidence_subscribes_those_who_are_new_and_nobody_else(api, campaign, tx):
    with tx():
        known, left = (leads.create({"phone": number}).id for number in NUMBERS[:2])
        consents.set_consent(left, "whatsapp", "unsubscribed", source="test")
        consents.suppress("whatsapp", "+14152000003", "stop")
    assert add(api, campaign, NUMBERS, consent_evidence="Counter list of May")["recipients_added"] == 3
    with tx():
        stands = {row.lead_id: row for row in rows("SELECT lead_id, channel, status, source, evidence FROM consents")}
        new = value("SELECT id FROM leads WHERE phone = '+14152000003'")
        assert known not in stands
        assert stands[left].status == "unsubscribed"
        assert tuple(stands[new])[1:] == ("whatsapp", "subscribed", "api", "Counter list of May")
        assert consents.is_suppressed("whatsapp", "+14152000003")
        told = one(
            "SELECT lead_id, payload FROM lead_events WHERE type = 'consent_changed' AND payload ->> 'source' = 'api'"
        )
        assert told.lead_id == new
        assert told.payload["evidence"] == "Counter list of May"
    for bad in ("", "x" * 501):
        body = {"phone_numbers": NUMBERS, "consent_evidence": bad}
        answer = api.post(f"/marketing/campaigns/{campaign}/recipients", body)
        assert set(problem(answer, 422)) == {"consent_evidence"}


def test_numbers_are_read_as_in_the_organisations_country(api, campaign, tx):
    with tx():
        run("UPDATE organizations SET country = 'IN' WHERE id = current_setting('app.org_id')::bigint")
    assert add(api, campaign, ["098765 10012", "+14152000001"])["recipients_added"] == 2
    with tx():
        assert {row.phone for row in rows("SELECT phone FROM leads")} == {"+919876510012", "+14152000001"}


def test_a_deleted_lead_is_not_written_to_again_under_their_number(api, campaign, tx):
    with tx():
        lead = leads.create({"phone": NUMBERS[0]})
        consents.set_consent(lead.id, "whatsapp", "subscribed", source="test")
        run("UPDATE leads SET deleted_at = now()")
    assert add(api, campaign, NUMBERS[:1])["recipients_added"] == 1
    with tx():
        assert (
            value(
                "SELECT count(*) FROM campaign_recipients r JOIN leads l ON l.id = r.lead_id WHERE l.deleted_at IS NULL"
            )
            == 1
        )


def test_the_target_audience_adds_those_who_may_be_reached(api, sale, tx):
    with tx():
        for n, (tier, consent) in enumerate([("gold", "subscribed"), ("gold", "unsubscribed"), ("gold", None),
                                             ("silver", "subscribed"), ("platinum", "subscribed")]):  # fmt: skip
            lead = leads.create({"phone": f"+1415200010{n}", "customer_tier": tier, "state": "TX"})
            if consent:
                consents.set_consent(lead.id, "whatsapp", consent, source="test")
    audience = {"customer_tier": ["gold", "platinum"], "state": "TX"}
    made = data(api.post("/marketing/campaigns", SALE | {"target_audience": audience}), 201)
    assert made["target_audience"] == audience
    path = f"/marketing/campaigns/{made['id']}/recipients?use_target_audience=true"
    assert data(api.post(path)) == {"recipients_added": 2, "duplicates": 0, "invalid": []}
    assert data(api.post(path)) == {"recipients_added": 0, "duplicates": 2, "invalid": []}
    both = data(api.post(path, {"phone_numbers": ["+14152000100", "+14152000103"]}))
    assert both == {"recipients_added": 1, "duplicates": 3, "invalid": []}


def test_without_an_audience_or_numbers_there_is_nobody_to_add(api, campaign):
    path = f"/marketing/campaigns/{campaign}/recipients"
    assert set(problem(api.post(path + "?use_target_audience=true"), 422)) == {"target_audience"}
    assert set(problem(api.post(path, {}), 422)) == {"phone_numbers"}
    assert set(problem(api.post(path, {"phone_numbers": "+14152000001"}), 422)) == {"phone_numbers"}
    assert set(problem(api.post(path, {"phone_numbers": ["+14152000001"] * 100_001}), 422)) == {"phone_numbers"}
    assert add(api, campaign, []) == {"recipients_added": 0, "duplicates": 0, "invalid": []}


def test_numbers_are_not_for_e_mail(api, world):
    answer = api.post(f"/marketing/campaigns/{world.campaign_id}/recipients", {"phone_numbers": NUMBERS})
    assert set(problem(answer, 422)) == {"phone_numbers"}


@pytest.mark.parametrize("status", ["active", "paused", "completed", "cancelled", "archived"])
def test_who_comes_too_late_is_told_so(api, campaign, tx, status):
    with tx():
        run("UPDATE campaigns SET status = :status", status=status)
    for answer in (
        api.post(f"/marketing/campaigns/{campaign}/recipients", {"phone_numbers": NUMBERS}),
        api.post(f"/marketing/campaigns/{campaign}/recipients?use_target_audience=true"),
    ):
        problem(answer, 409)
        assert "before it begins" in answer.json["detail"]
    with tx():
        assert value("SELECT count(*) FROM leads") == 0


def test_two_calls_at_once_add_everybody_once(api, campaign, tx):
    many = [f"+1415201{n:04}" for n in range(300)]
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda numbers: add(api, campaign, numbers), [many, many[::-1], many[:150]]))
    assert sum(answer["recipients_added"] for answer in answers) == 300
    assert sum(answer["duplicates"] for answer in answers) == 450
    with tx():
        assert value("SELECT count(*) FROM leads") == named(campaign) == 300


def test_a_repeated_call_is_answered_as_before(api, campaign):
    path, body = f"/marketing/campaigns/{campaign}/recipients", {"phone_numbers": NUMBERS}
    first, again = (api.post(path, body, headers={"Idempotency-Key": "one"}) for _ in range(2))
    assert data(first) == data(again) == {"recipients_added": 3, "duplicates": 0, "invalid": []}
    assert again.headers["Idempotency-Replayed"] == "true"


def test_the_figures_of_a_campaign_that_runs(api, campaign, tx):
    stats = f"/marketing/campaigns/{campaign}/stats"
    nothing = dict.fromkeys(("sent", "delivered", "read", "failed", "pending", "skipped", "unknown"), 0)
    assert data(api.get(stats)) == nothing | {"progress_percentage": 0.0, "estimated_completion_date": None}
    with tx():
        run("UPDATE campaigns SET status = 'active', started_at = now()")
        run(
            "INSERT INTO campaign_analytics (campaign_id, total_planned, total_sent, total_delivered, unique_opened,"
            " total_failed, total_unknown, total_skipped) VALUES (:id, 10000, 7000, 6900, 3000, 300, 1, 199)",
            id=campaign,
        )
        for n, day in enumerate(("2026-11-10", "2026-11-14"), 1):
            run(
                "INSERT INTO campaign_batches (campaign_id, send_date, batch_number, batch_size) VALUES (:id, :day, :n, 250)",
                id=campaign, day=day, n=n,
            )  # fmt: skip
    assert data(api.get(stats)) == {
        "sent": 7000, "delivered": 6900, "read": 3000, "failed": 300, "pending": 2500, "skipped": 199, "unknown": 1,
        "progress_percentage": 75.0, "estimated_completion_date": "2026-11-14",
    }  # fmt: skip


def test_the_day_is_looked_at_at_once(api, campaign, tx, cast):
    with tx():
        run("DELETE FROM work_due")
        run("UPDATE campaigns SET status = 'active'")
        run(
            "INSERT INTO campaign_batches (campaign_id, send_date, batch_number, batch_size, sent, done)"
            " VALUES (:id, (now() AT TIME ZONE 'America/Chicago')::date, 3, 250, 90, 100)",
            id=campaign,
        )
    assert data(api.post("/marketing/process-daily")) == {"campaigns": 1, "due_today": 150, "sent_today": 90}
    with tx():
        due = {row.kind for row in rows("SELECT kind FROM work_due WHERE due_at <= now()")}
        assert {"campaigns", "plans"} <= due
    with tx(cast.other_org):
        assert value("SELECT count(*) FROM work_due WHERE kind = 'plans'") == 0


def test_health_says_whether_somebody_is_needed(api, campaign, tx):
    well = data(api.get("/marketing/health"))
    assert well["status"] == "ok"
    assert {held for name, held in well.items() if name != "status"} == {0}
    with tx():
        run("UPDATE campaigns SET status = 'paused', hold_reason = 'Too many failed.'")
    seen = data(api.get("/marketing/health"))
    assert (seen["status"], seen["held_campaigns"], seen["paused_campaigns"]) == ("attention", 1, 1)


def test_what_has_waited_for_long_needs_somebody(api, cast, tx):
    desk.started(cast.org, 2)
    with tx():
        run("UPDATE sends SET not_before = now() - interval '2 hours'")
    seen = data(api.get("/marketing/health"))
    assert (seen["status"], seen["pending"], seen["active_campaigns"]) == ("attention", 2, 1)
    assert seen["oldest_pending_seconds"] >= 7200


def test_sends_are_listed_by_status_and_channel_page_by_page(api, cast):
    campaign_id = desk.started(cast.org, 5)
    desk.settle(cast.org, campaign_id, ["accepted", "unknown", "rejected", "accepted", "accepted"])
    path = f"/campaigns/{campaign_id}/sends"
    assert [s["status"] for s in data(api.get(f"{path}?status=unknown&channel=email"))] == ["unknown"]
    assert data(api.get(f"{path}?channel=sms")) == []
    first = api.get(f"{path}?status=sent&page_size=2").json
    assert (first["total"], len(first["data"])) == (3, 2)
    rest = api.get(f"{path}?status=sent&page_size=2&cursor={first['next_cursor']}").json
    assert (len(rest["data"]), rest["next_cursor"]) == (1, None)
    assert set(problem(api.get(f"{path}?status=lost"), 422)) == {"status"}
    assert set(problem(api.get(f"{path}?channel=pigeon"), 422)) == {"channel"}
    assert set(problem(api.get(f"{path}?page=501&page_size=200"), 422)) == {"page"}
