"""The demo: a fresh database is seeded once for this module, by two at the same time."""

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random

import phonenumbers
import pytest
from flask import Flask
from phonenumbers import timezone as phone_zones

from tests.conftest import make_database, settings
from webapp import create_app
from webapp.audience import consents, segments, timeline
from webapp.audience.stakeholders import STAKEHOLDERS
from webapp.campaigns import checking, plan
from webapp.campaigns.campaigns import Campaign
from webapp.demo import PASSWORD, letters, people, seed, texts
from webapp.demo.audiences import SEGMENTS
from webapp.messaging import compose, templates, texting, tokens, whatsapp
from webapp.messaging.tallies import MEASURES
from webapp.platform import users
from webapp.platform.clock import ZONES, now
from webapp.platform.db import db, one, rows, transaction, value

EVERY_TABLE = (
    "organizations", "users", "leads", "policies", "lead_events", "consents", "suppressions", "segments", "templates",
    "template_versions", "senders", "campaigns", "campaign_recipients", "sends", "links", "engagement_events",
    "campaign_analytics", "campaign_daily", "audit_log", "segment_members", "segment_sizes", "lead_scores", "personas",
    "whatsapp_groups",
)  # fmt: skip


@dataclass
class Demo:
    """The seeded house. today: UTC, when it was made; answers: of the two calls."""

    app: Flask
    today: date
    answers: list[bool] = field(default_factory=list)
    org: int = 0
    other: int = 0


@pytest.fixture(scope="module")
def demo(server, tmp_path_factory) -> Iterator[Demo]:
    name = f"demo_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    made = Demo(create_app(settings(tmp_path_factory.mktemp("home")), make_database(server, name)), now().date())

    def call() -> None:
        with made.app.app_context():
            made.answers.append(seed())

    threads = [threading.Thread(target=call) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with made.app.app_context():
        with transaction():
            slugs = {row.slug: row.id for row in rows("SELECT slug, id FROM organizations")}
        made.org, made.other = slugs["demo-insurance"], slugs["other-insurance"]
        yield made
        db.engine.dispose()


@pytest.fixture
def inside(demo) -> Iterator[Demo]:
    """In a transaction of the demo organisation."""
    with demo.app.app_context(), transaction(demo.org):
        yield demo


def counts() -> dict[str, int]:
    return {table: value(f"SELECT count(*) FROM {table}") for table in EVERY_TABLE}


def test_two_at_once_seed_once(demo):
    assert sorted(demo.answers) == [False, True]


def test_seeding_again_changes_nothing(demo):
    with demo.app.app_context():
        for org in (demo.org, demo.other):
            with transaction(org):
                before = counts()
            assert seed() is False
            with transaction(org):
                assert counts() == before


def test_there_is_something_on_every_page(inside):
    found = counts()
    assert found["leads"] == 5000
    assert 2500 <= value("SELECT count(DISTINCT lead_id) FROM policies") <= 3500
    derived = value(
        "SELECT count(*) FROM lead_events WHERE type IN ('segment_entered', 'segment_exited', 'score_threshold_crossed')"
    )
    assert 40_000 <= found["lead_events"] - derived <= 62_000
    assert found["segments"] == len(SEGMENTS) + len(STAKEHOLDERS)
    assert found["segment_members"] > 10_000 and found["segment_sizes"] > 500
    assert found["templates"] == found["template_versions"] == 6
    states = {row.status: row.n for row in rows("SELECT status, count(*) AS n FROM campaigns GROUP BY 1")}
    assert states == {"completed": 3, "draft": 1}
    assert found["senders"] == 3
    assert {(r.channel, r.is_default) for r in rows("SELECT channel, is_default FROM senders")} == {
        (channel, True) for channel in ("email", "sms", "whatsapp")
    }
    for column, least in {"status": 6, "priority": 4, "customer_tier": 4, "insurance_type": 7, "source": 9}.items():
        assert value(f"SELECT count(DISTINCT {column}) FROM leads") == least
    assert value("SELECT count(*) FROM policies WHERE status = 'active' AND renews_on < current_date + 30") > 100
    assert value("SELECT count(*) FROM policies WHERE payment_status = 'overdue'") > 50
    assert value("SELECT count(*) FROM policies WHERE status = 'lapsed'") > 100
    assert value("SELECT count(DISTINCT to_char(date_of_birth, 'MMDD')) FROM leads") >= 365
    assert value("SELECT count(*) FROM segments WHERE estimated_size > 20") == len(SEGMENTS) + len(STAKEHOLDERS)
    assert all(segment.estimated_size == segments.count(segment.tree) for segment in segments.every())


def test_the_demo_users_can_sign_in(demo):
    with demo.app.app_context():
        for email, role in (
            ("admin@demo.example", "admin"), ("marketer@demo.example", "marketer"), ("agent@demo.example", "agent"),
            ("viewer@demo.example", "viewer"), ("stranger@other.example", "admin"),
        ):  # fmt: skip
            with transaction():
                [(org, user_id)] = users.find_everywhere(email)
            with transaction(org):
                user = users.get(user_id)
                assert user.role == role
                assert users.authenticate(user, PASSWORD)


def test_people_can_be_real(inside):
    found = rows("SELECT * FROM leads")
    assert len({lead.email for lead in found if lead.email}) == sum(1 for lead in found if lead.email)
    for lead in found:
        assert lead.email or lead.phone
        assert lead.timezone in ZONES
        assert lead.email is None or lead.email.isascii()
        if lead.phone:
            number = phonenumbers.parse(lead.phone)
            assert phonenumbers.is_valid_number(number)
            assert "55501" in lead.phone, "a number somebody could have"
    # The area code and the zone agree on the time.
    for lead in found[::50]:
        if lead.phone:
            listed = phone_zones.time_zones_for_number(phonenumbers.parse(lead.phone))
            moment = one("SELECT now() AT TIME ZONE :own AS own, now() AT TIME ZONE :listed AS listed",
                         own=lead.timezone, listed=listed[-1])  # fmt: skip
            assert abs(moment.own - moment.listed) <= timedelta(hours=1)


def test_shares_of_consent_are_plausible(inside):
    of = {
        (row.channel, row.status): row.n / 5000
        for row in rows("SELECT channel, status, count(*) AS n FROM consents GROUP BY 1, 2")
    }
    assert 0.74 <= of["email", "subscribed"] <= 0.84
    assert 0.05 <= of["email", "unsubscribed"] <= 0.10
    assert 0.02 <= of["email", "pending"] <= 0.06
    assert of["whatsapp", "subscribed"] < of["sms", "subscribed"] < of["email", "subscribed"]


def test_consents_are_the_last_word_on_the_timeline(inside):
    wrong = rows(
        "SELECT c.id FROM consents c CROSS JOIN LATERAL (SELECT payload->>'to' AS said FROM lead_events e"
        " WHERE e.org_id = c.org_id AND e.lead_id = c.lead_id AND e.type = 'consent_changed'"
        " AND e.payload->>'channel' = c.channel ORDER BY e.occurred_at DESC, e.id DESC LIMIT 1) last"
        " WHERE last.said <> c.status"
    )
    assert wrong == []


def test_nothing_happens_before_a_lead_is_there_or_after_now(inside):
    assert value("SELECT count(*) FROM lead_events e JOIN leads l USING (org_id) WHERE e.lead_id = l.id"
                 " AND e.occurred_at < l.created_at") == 0  # fmt: skip
    for table, columns in {
        "leads": "created_at updated_at last_activity_at date_of_birth",
        "lead_events": "occurred_at created_at",
        "policies": "created_at updated_at started_on lapsed_on",
        "consents": "changed_at created_at updated_at",
        "suppressions": "created_at",
        "campaigns": "created_at started_at completed_at",
        "sends": "created_at updated_at sent_at delivered_at opened_at clicked_at converted_at unsubscribed_at",
        "engagement_events": "at created_at",
        "segments": "created_at updated_at",
    }.items():
        for column in columns.split():
            assert value(f"SELECT count(*) FROM {table} WHERE {column} > now()") == 0, (table, column)
    assert value("SELECT max(renews_on) - current_date FROM policies") > 300


def test_leads_are_as_their_timeline_says(inside):
    assert set(timeline.FACTS) >= {row.type for row in rows("SELECT DISTINCT type FROM lead_events")}
    assert rows(
        "SELECT l.id FROM leads l CROSS JOIN LATERAL (SELECT payload->>'to' AS became FROM lead_events e"
        " WHERE e.org_id = l.org_id AND e.lead_id = l.id AND e.type = 'status_changed'"
        " ORDER BY e.occurred_at DESC, e.id DESC LIMIT 1) last WHERE last.became <> l.status"
    ) == []  # fmt: skip
    born = rows(
        "SELECT l.id FROM leads l LEFT JOIN lead_events e ON e.org_id = l.org_id AND e.lead_id = l.id"
        " AND e.type = 'lead_created' AND e.occurred_at = l.created_at GROUP BY l.id HAVING count(e.id) <> 1"
    )
    assert born == []
    assert value("SELECT count(*) FROM leads WHERE last_activity_at < created_at OR updated_at < created_at") == 0


def test_policies_are_consistent(inside):
    assert value("SELECT count(*) FROM policies WHERE number !~ '^LIC-7[0-9]{5}$'") == 0
    assert (
        value("SELECT count(*) FROM policies WHERE status = 'active' AND renews_on < :today", today=inside.today) == 0
    )
    assert value("SELECT count(*) FROM policies WHERE status = 'lapsed' AND (lapsed_on < renews_on"
                 " OR renews_on < current_date - 366)") == 0  # fmt: skip
    assert value("SELECT count(*) FROM policies WHERE renews_on <= started_on OR lapsed_on < started_on") == 0
    assert (
        value(
            "SELECT count(*) FROM policies WHERE (payment_status = 'overdue') <> (next_due_on < :today)",
            today=inside.today,
        )
        == 0
    )


SENDS_COUNTED = {
    "sent": "sent_at IS NOT NULL", "delivered": "delivered_at IS NOT NULL", "bounced": "status = 'bounced'",
    "failed": "status = 'failed'", "unknown": "status = 'unknown'", "opened": "opened_at IS NOT NULL",
    "machine_opened": "machine_open_count > 0", "clicked": "clicked_at IS NOT NULL",
    "unsubscribed": "unsubscribed_at IS NOT NULL", "conversions": "converted_at IS NOT NULL",
    "complaints": "bounce_type = 'complaint'",
}  # fmt: skip


def counted(campaign_id: int) -> dict[str, int]:
    """The measures of a campaign, counted one by one over its sends and recipients."""
    found = {
        measure: value(f"SELECT count(*) FROM sends WHERE campaign_id = :id AND {condition}", id=campaign_id)
        for measure, condition in SENDS_COUNTED.items()
    }
    for measure, column in (("opens", "open_count"), ("clicks", "click_count")):
        found[measure] = int(value(f"SELECT sum({column}) FROM sends WHERE campaign_id = :id", id=campaign_id))
    recipients = "SELECT count(*) FROM campaign_recipients WHERE campaign_id = :id"
    found["planned"] = value(recipients, id=campaign_id)
    found["skipped"] = value(f"{recipients} AND state = 'skipped'", id=campaign_id) + value(
        "SELECT count(*) FROM sends WHERE campaign_id = :id AND status = 'skipped'", id=campaign_id
    )
    return found


def completed() -> list[Campaign]:
    return db.session.query(Campaign).filter_by(status="completed").order_by(Campaign.started_at).all()


def test_tallies_equal_the_sends(inside):
    assert len(completed()) == 3
    for campaign in completed():
        expected = counted(campaign.id)
        totals = one("SELECT * FROM campaign_analytics WHERE campaign_id = :id", id=campaign.id)
        assert {measure: getattr(totals, column) for measure, column in MEASURES.items()} == expected
        daily = one(f"SELECT {', '.join(f'sum({m})::int AS {m}' for m in MEASURES)} FROM campaign_daily"
                    " WHERE campaign_id = :id", id=campaign.id)  # fmt: skip
        assert daily._asdict() == expected
        assert expected["planned"] == sum(expected[m] for m in ("sent", "failed", "unknown", "skipped"))
        assert expected["planned"] == campaign.target_count
        assert 0.3 <= totals.open_rate <= 0.52
        assert 0.03 <= totals.click_rate <= 0.13
        assert sum(plan.skipped(campaign).values()) == expected["skipped"]
        assert set(plan.skipped(campaign)) <= set(consents.SKIP_REASONS)


def test_receipts_equal_the_sends(inside):
    for kind, column in {
        "opened": "open_count",
        "machine_open": "machine_open_count",
        "clicked": "click_count",
    }.items():
        wrong = rows(
            f"SELECT s.id FROM sends s WHERE s.{column} <> (SELECT count(*) FROM engagement_events e"
            " WHERE e.org_id = s.org_id AND e.send_id = s.id AND e.kind = :kind)", kind=kind,
        )  # fmt: skip
        assert wrong == []
    astray = rows(
        "SELECT e.id FROM engagement_events e LEFT JOIN links l ON l.org_id = e.org_id AND l.id = e.link_id"
        " WHERE e.kind = 'clicked' AND l.url IS DISTINCT FROM e.url"
    )
    assert astray == []
    assert value("SELECT count(*) FROM sends WHERE jsonb_array_length(links_clicked) <> click_count") == 0


def test_every_send_is_well_formed(inside):
    assert value("SELECT count(*) FROM sends WHERE dedup_key <> 'campaign:' || campaign_id || ':email:'"
                 " || recipient_address OR recipient_address <> lower(recipient_address)") == 0  # fmt: skip
    assert value("SELECT count(*) FROM sends s JOIN leads l ON l.org_id = s.org_id AND l.id = s.lead_id"
                 " WHERE l.email_key <> s.recipient_address") == 0  # fmt: skip
    assert value("SELECT count(*) FROM sends WHERE status IN ('pending', 'sending')") == 0
    assert value("SELECT count(*) FROM sends WHERE NOT COALESCE(sent_at <= opened_at AND opened_at <= clicked_at,"
                 " sent_at <= opened_at, clicked_at IS NULL)") == 0  # fmt: skip
    for status, condition in {
        "sent": "delivered_at IS NOT NULL AND opened_at IS NULL",
        "opened": "opened_at IS NOT NULL AND clicked_at IS NULL",
        "clicked": "clicked_at IS NOT NULL AND converted_at IS NULL",
        "converted": "converted_at >= clicked_at",
        "bounced": "sent_at IS NOT NULL AND delivered_at IS NULL AND bounce_type IS NOT NULL",
        "failed": "sent_at IS NULL AND error_message IS NOT NULL",
        "skipped": "sent_at IS NULL AND skip_reason IS NOT NULL AND attempts = 0",
    }.items():
        assert value(f"SELECT count(*) FROM sends WHERE status = '{status}' AND NOT ({condition})") == 0, status


def test_recipients_are_who_the_segment_says(inside):
    for campaign in completed():
        meant = {
            r.lead_id for r in rows("SELECT lead_id FROM campaign_recipients WHERE campaign_id = :id", id=campaign.id)
        }
        group = segments.get(campaign.segment_id).tree
        assert meant <= {row.id for row in db.session.execute(segments.people(group, segments.Lead.id))}
        assert 300 <= len(meant) <= 1700
        newest = "SELECT max(created_at) FROM leads WHERE id = ANY(:ids)"
        assert value(newest, ids=list(meant)) < campaign.started_at


def test_each_send_has_its_facts(inside):
    for fact, condition in {
        "email_sent": "sent_at IS NOT NULL", "email_opened": "opened_at IS NOT NULL",
        "email_machine_opened": "machine_open_count > 0", "email_failed": "status = 'failed'",
        "email_skipped": "status = 'skipped'", "email_unsubscribed": "unsubscribed_at IS NOT NULL",
    }.items():  # fmt: skip
        told = "SELECT lead_id, (payload->>'campaign_id')::bigint, (payload->>'send_id')::bigint FROM lead_events"
        asked = f"SELECT lead_id, campaign_id, id FROM sends WHERE {condition}"
        assert sorted(rows(f"{told} WHERE type = :fact", fact=fact)) == sorted(rows(asked)), fact
    left = "SELECT count(*) FROM consents WHERE evidence LIKE 'send %' AND status = 'unsubscribed'"
    assert value(left) == value("SELECT count(*) FROM sends WHERE unsubscribed_at IS NOT NULL") > 0


def test_letters_can_be_filled_in(inside):
    environment = tokens.environment()
    for letter in letters.LETTERS:
        assert templates.check(letter) == {}
        assert 2 <= len(compose.trackable(letter["html_content"])) <= 3
        assert "unsubscribe_url" in tokens.used(letter["html_content"])
        for given in ({}, {name: example for name, (_, example) in tokens.TOKENS.items()}):
            values = dict.fromkeys(tokens.TOKENS) | given
            for field_name in ("subject_line", "preview_text", "html_content"):
                filled = environment.render_str(letter[field_name], **values)
                assert "{{" not in filled and "None" not in filled and "[" not in filled
                assert filled.strip()


def test_texts_can_be_filled_in(inside):
    made = {t["template_type"]: t for t in texts.TEMPLATES}
    assert whatsapp.problem(made["whatsapp"]["whatsapp"]) == {}
    assert tokens.problem(made["sms"]["text_content"]) is None
    assert texting.trackable_text(made["sms"]["text_content"]) == ["https://www.example.com/renew"]
    examples = {name: example for name, (_, example) in tokens.TOKENS.items()}
    for values in ({"company_name": "Demo Insurance"}, examples):
        shown = whatsapp.text(made["whatsapp"]["whatsapp"], values)
        sms = tokens.environment().render_str(made["sms"]["text_content"], **values)
        assert not {"{{", "None", "{%"} & set(shown.split() + sms.split())
        assert texting.segments(sms).encoding == "GSM-7" and texting.segments(sms).segments <= 2


def test_the_draft_can_be_launched(inside):
    draft = db.session.query(Campaign).filter_by(status="draft").one()
    assert checking.missing(draft) == {}
    assert plan.preview(draft)[None] > 100


def test_the_other_organisation_sees_nothing_of_it(demo):
    with demo.app.app_context():
        with transaction(demo.other):
            found = counts()
            assert found["leads"] == 25
            assert 50 <= found["lead_events"] <= 800
            for table in ("segments", "templates", "senders", "campaigns", "sends", "links", "engagement_events"):
                assert found[table] == 0, table
            assert {row.org_id for row in rows("SELECT DISTINCT org_id FROM leads")} == {demo.other}
        with transaction():
            assert value("SELECT count(*) FROM leads") == 0


def test_the_same_chance_makes_the_same_people(demo):
    moment = now()
    first, second = (people.make(Random(7), 60, [1, 2], moment) for _ in range(2))
    assert [person.lead for person in first] == [person.lead for person in second]
