"""Who may open and do what: every address of the web face, by role, by organisation, with and without a CSRF token."""

import re
from collections.abc import Callable
from datetime import date
from urllib.parse import urlsplit

import pytest

from tests.api.world import build
from tests.web.visitor import Visitor, form_of
from webapp.audience import bulk, consents, groups, leads, merges, personas, policies, scores
from webapp.messaging import holidays, inbound, intents, local_senders, portfolios, senders
from webapp.messaging.phones import PhoneMessage
from webapp.messaging.senders import Sender
from webapp.platform.clock import now
from webapp.platform.db import db, one, run, transaction, value
from webapp.platform.roles import PERMISSIONS, ROLES
from webapp.platform.signing import signer
from webapp.tables import HOUSE_TABLES, metadata

OPEN_TO_ALL = {
    "static", "account.sign_in", "account.sign_in_link", "account.welcome", "public.pixel", "public.click",
    "public.unsubscribe", "public.unsubscribe_post", "public.confirm", "public.confirm_post", "public.preferences",
    "public.preferences_post", "public.view", "public.healthz", "public.readyz", "openapi_document",
    "smtp_webhooks.receive",
    "webhooks.whatsapp_handshake", "webhooks.whatsapp_cloud", "webhooks.twilio",
}  # fmt: skip
EVERYONE_SIGNED_IN = {
    "home.page", "account.page", "account.sign_out", "account.sign_out_everywhere", "account.theme", "openapi_page",
    "account.organizations_page", "account.enter",
}  # fmt: skip
# A view that asks for more where it writes.
STRICTER = {("POST", "imports.detail"): "imports.run"}
SMTP = {"name": "Office", "address": "office@test.example", "host": "127.0.0.1", "port": 9, "tls": "none"}
SEND = (
    "INSERT INTO sends (kind, lead_id, channel, recipient_address, dedup_key, status, sent_at)"
    " VALUES ('test', :lead, 'email', :address, 'one', 'sent', now()) RETURNING id"
)
# What stands on a button that posts a form.
SUBMITS = re.compile(r'<button(?![^>]*(?:type="button"| hidden| hx-get))[^>]*>(?:<[^>]*>)*([^<]*)')


def routes(app) -> list[tuple[str, str, str]]:
    """Returns (method, endpoint, rule) of every address of the web face."""
    return [
        (method, rule.endpoint, rule.rule)
        for rule in app.url_map.iter_rules()
        if not rule.rule.startswith(("/api/v1", "/metrics"))  # those know a caller by their token
        for method in sorted(rule.methods & {"GET", "POST"})
    ]


def guarded(app) -> list[tuple[str, str, str]]:
    return [route for route in routes(app) if route[1] not in OPEN_TO_ALL]


def permission_of(app, method: str, endpoint: str) -> str | None:
    return STRICTER.get((method, endpoint)) or getattr(app.view_functions[endpoint], "permission", None)


def permissioned(app) -> list[tuple[str, str, str]]:
    return [route for route in routes(app) if permission_of(app, *route[:2])]


def things(org: int, user: int, address: str) -> dict[str, int | str]:
    """Returns what stands in the addresses: one thing of each kind in an organisation."""
    world = build(org, user)
    with transaction(org):
        smtp = senders.save_smtp(None, SMTP)
        send = value(SEND, lead=world.lead_id, address=address)
        merging = twice(world.lead_id)
        sending = {
            "holiday_id": holidays.add("US", date(2031, 7, 4), "Fourth").id,
            "portfolio_id": portfolios.save(None, "Lone Star", None).id,
        }
        consents.suppress("email", f"barred{org}@example.com", "manual")
        return world.ids() | sending | holdings(world.lead_id) | meeting(world.lead_id) | scoring() | {
            "field": "city", "other_id": merging["other_id"], "fact_id": merging["fact_id"], "merge_id": merging["merge_id"],
            "action_id": merging["action_id"],
            "sender_id": smtp.id, "user_id": user, "org_id": org, "channel": "email", "verb": "archive", "outcome": "sent",
            "token": signer().pack("unsubscribe", org, send),
            "reply_id": replied(smtp, address), "intent_id": intents.every()[0].id,
            "phone_id": on_a_phone(), "kind": "sms",
            "suppression_id": value("SELECT id FROM suppressions WHERE reason = 'manual'"),
        }  # fmt: skip


def replied(sender: Sender, address: str) -> int:
    """Returns the id of a reply of a lead."""
    kept = inbound.receive(sender, "email", address, sender.address, "Hello", "<1@test.example>", None, now())
    assert kept is not None
    return kept.id


def on_a_phone() -> int:
    """Returns the id of a message on a built-in phone."""
    sender = local_senders.ensure_local_text("sms", "Texts", "+14152000001")
    kept = PhoneMessage(
        channel="sms", direction="to_phone", sender_id=sender.id, phone="+14155550100", number=sender.address, body="Hi",
        provider_message_id="SM1", status="delivered",
    )  # fmt: skip
    db.session.add(kept)
    db.session.flush()
    return kept.id


def scoring() -> dict[str, int]:
    """Returns the ids of a rule of a score and of a threshold."""
    rule = {"condition": {"type": "email_clicked"}, "points": 5}
    ids = {
        "rule_id": scores.save(None, rule, model="score", kind="event").id,
        "threshold_id": scores.add_threshold("score", {"value": 40, "name": "Warm"}).id,
    }
    # Where a house is served beside these tests its timers are to leave this organisation alone.
    run("DELETE FROM work_due WHERE kind = :kind", kind=scores.WORK)
    return ids


def holdings(lead_id: int) -> dict[str, int]:
    """Returns the ids of a policy of a lead and of the fact that tells of one that was removed."""
    policies.remove(policies.create(lead_id, {"number": "Gone"}))
    return {"policy_id": policies.create(lead_id, {"number": "A-1"}).id, "removed_id": policies.latest_removal(lead_id)}


def meeting(lead_id: int) -> dict[str, int]:
    """Returns the ids of a group that a lead is in, of their membership, and of a persona with something said about it."""
    group, persona = groups.create({"name": "Texans"}), personas.create({"name": "Young", "persona_type": "young"})
    groups.add_members(group, [lead_id])
    said = personas.add_attribute(persona, {"type": "age", "name": "Age", "value": "30"})
    member = value("SELECT id FROM whatsapp_group_members WHERE lead_id = :lead", lead=lead_id)
    return {"group_id": group.id, "member_id": member, "persona_id": persona.id, "attribute_id": said.id}


def twice(lead_id: int) -> dict[str, int]:
    """Returns the ids of a lead like another, of a change of theirs, and of a merge that stands."""
    other, gone = (leads.create({"first_name": "Ada", "last_name": name}).id for name in ("Again", "Gone"))
    action = bulk.start("add_tag", {"tag": "again"}, {"ids": [other]}).id
    leads.update(leads.get(lead_id), {"city": "Austin"})
    merging = {"other_id": other, "action_id": action, "fact_id": leads.latest_change(lead_id)}
    return merging | {"merge_id": merges.merge(lead_id, gone).id}


@pytest.fixture
def here(cast) -> dict:
    return things(cast.org, cast.marketer, "ada@example.com")


@pytest.fixture
def elsewhere(cast) -> dict:
    return things(cast.other_org, cast.stranger, "eve@example.com")


@pytest.fixture
def visit(app, cast) -> Callable[..., Visitor]:
    """Returns a function from a role to somebody of it who is signed in; without one, to a stranger at the door."""

    def arrive(role: str | None = None) -> Visitor:
        visitor = Visitor(app)
        if role:
            assert visitor.sign_in(cast.emails[role]).status_code == 303
        return visitor

    return arrive


def filled(rule: str, ids: dict) -> str:
    return re.sub(r"<(?:[^:<>]+:)?(\w+)>", lambda found: str(({"on": "2026-01-31"} | ids)[found[1]]), rule)


def ask(who: Visitor, method: str, rule: str, ids: dict):
    return who.post(filled(rule, ids)) if method == "POST" else who.get(filled(rule, ids))


def test_every_view_says_who_may_use_it(app):
    bare = {e for m, e, _ in routes(app) if not permission_of(app, m, e)}
    assert bare == OPEN_TO_ALL | EVERYONE_SIGNED_IN


def test_nobody_gets_in_without_signing_in(app, visit, here):
    nobody = visit()
    for method, endpoint, rule in guarded(app):
        answer = ask(nobody, method, rule, here)
        assert answer.status_code in (302, 303), (method, endpoint, answer.status_code)
        assert urlsplit(answer.location).path == "/sign-in", endpoint


@pytest.mark.parametrize("role", ROLES)
def test_a_page_opens_for_the_roles_that_may(app, visit, here, role):
    visitor = visit(role)
    for method, endpoint, rule in permissioned(app):
        if method == "GET":
            status = ask(visitor, method, rule, here).status_code
            may = role in PERMISSIONS[permission_of(app, method, endpoint)]
            assert status < 400 if may else status == 403, (endpoint, status)


@pytest.mark.parametrize("role", ROLES)
def test_a_form_is_taken_from_the_roles_that_may(app, visit, here, role):
    visitor = visit(role)
    for method, endpoint, rule in permissioned(app):
        if method == "POST":
            status = ask(visitor, method, rule, here).status_code
            may = role in PERMISSIONS[permission_of(app, method, endpoint)]
            assert (status != 403) if may else (status == 403), (endpoint, status)
            assert status < 500, endpoint


@pytest.mark.parametrize("role", ROLES)
def test_the_navigation_shows_what_opens_and_nothing_else(visit, role):
    visitor = visit(role)
    shown = set(re.findall(r'class="side-link[^"]*" href="([^"]+)"', visitor.get("/").text))
    assert {path for path in shown if visitor.get(path).status_code != 200} == set()
    assert ("/users" in shown) == (role == "admin")
    assert ("/campaigns" in shown) == (role != "agent")


def test_what_belongs_to_another_organisation_is_not_there(app, visit, elsewhere):
    admin = visit("admin")
    before = snapshot(elsewhere["org_id"])
    for method, endpoint, rule in guarded(app):
        if "<int:" in rule:
            answer = ask(admin, method, rule, elsewhere)
            assert answer.status_code == 404, (method, endpoint, answer.status_code)
    assert snapshot(elsewhere["org_id"]) == before


def test_another_organisations_things_cannot_be_named_in_a_form(visit, cast, here, elsewhere):
    admin = visit("admin")
    admin.post("/leads/delete", {"ids": [elsewhere["lead_id"]]})
    admin.post(f"/leads/restore?ids={elsewhere['lead_id']}")
    with transaction(cast.other_org):
        assert value("SELECT deleted_at IS NULL FROM leads")
    edit = f"/leads/{here['lead_id']}/edit"
    owned = admin.post(edit, form_of(admin.get(edit))[0] | {"owner_id": cast.stranger})
    assert form_of(owned)[1] == {"owner_id": "Not a valid choice."}
    draft = {"name": "Spring", "goal": "", "schedule_type": "immediate"}
    for field in ("segment_id", "template_id", "sender_id"):
        answer = admin.post("/campaigns/new", draft | {field: elsewhere[field]})
        assert form_of(answer)[1] == {field: "Choose one from the list."}
    seen = admin.post("/templates/preview", {"subject_line": "{{ email }}", "as_lead": elsewhere["lead_id"]})
    assert f"ada{cast.other_org}@" not in seen.text


def test_a_form_without_its_token_is_refused(app, visit, here, cast):
    admin = visit("admin")
    before = snapshot(cast.org)
    for method, endpoint, rule in routes(app):
        if method == "POST" and not endpoint.startswith(("public.", "smtp_webhooks.", "webhooks.")):
            for headers in ({}, {"X-CSRFToken": "forged"}):
                answer = admin.open(filled(rule, here), method="POST", headers=headers)
                assert answer.status_code == 400, endpoint
                assert "open too long" in answer.text
    assert snapshot(cast.org) == before


def test_a_token_of_somebody_elses_session_does_not_count(visit, here):
    marketer, admin = visit("marketer"), visit("admin")
    marketer.get("/leads")
    answer = admin.post(f"/leads/{here['lead_id']}/delete", headers={"X-CSRFToken": marketer.token})
    assert answer.status_code == 400


def snapshot(org: int) -> dict[str, str]:
    """Returns a digest of every row an organisation has, by table."""
    with transaction(org):
        return {
            name: value(f"SELECT md5(COALESCE(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {name} t")
            for name in metadata.tables
            if name not in HOUSE_TABLES
        }


def test_reading_changes_nothing(app, visit, here, cast):
    admin = visit("admin")
    before = snapshot(cast.org)
    for method, endpoint, rule in permissioned(app):
        if method == "GET":
            for verb in ("GET", "HEAD"):
                assert admin.open(filled(rule, here), method=verb).status_code < 400, endpoint
    assert {name for name, digest in snapshot(cast.org).items() if digest != before[name]} == set()


def test_only_the_button_unsubscribes_not_the_link(visit, here, cast):
    anybody, before = visit(), snapshot(cast.org)
    for verb in ("GET", "HEAD"):
        assert anybody.open(f"/u/{here['token']}", method=verb).status_code == 200
        assert snapshot(cast.org) == before
    assert anybody.open(f"/u/{here['token']}", method="POST").status_code == 200
    with transaction(cast.org):
        assert one("SELECT status FROM consents WHERE channel = 'email'").status == "unsubscribed"


def test_a_viewer_is_shown_no_button_that_would_be_refused(app, visit, here):
    viewer = visit("viewer")
    for method, endpoint, rule in permissioned(app):
        if method == "GET" and "viewer" in PERMISSIONS[permission_of(app, method, endpoint)]:
            page = viewer.get(filled(rule, here)).text.partition("<main")[2].partition("</main>")[0]
            assert set(SUBMITS.findall(page)) <= {"Search", "Show"}, endpoint  # both only read
