"""Every endpoint: it works; a role without the permission is refused; another organisation's things are not there;
without a token nothing is. An endpoint that is added without a line here fails the first test."""

import io
import re
from dataclasses import dataclass
from typing import Any

import pytest

from tests.api.client import Caller, problem
from tests.api.world import CSV, RULES, SENDER, TEMPLATE, launched
from webapp.platform.roles import PERMISSIONS, ROLES

EMAIL_TEMPLATE = {"name": "Older", "subject": "Hi {{ first_name }}", "body_html": "<p>Hi</p>"}
FILE = {"file": (CSV, "leads.csv")}


@dataclass(frozen=True)
class Endpoint:
    """One endpoint. body: one it takes. status: of its success. at: the status the campaign has to stand at first.
    query: names of ids its query needs; asked: what else stands in it. static: its segment is the one picked by hand.
    spare: its sender is one that no campaign uses."""

    method: str
    path: str
    permission: str | None
    body: Any = None
    status: int = 200
    at: str | None = None
    query: tuple[str, ...] = ()
    static: bool = False
    spare: bool = False
    asked: Any = None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


ENDPOINTS = (
    Endpoint("POST", "/auth/token", None, {"email": "a@b.example", "password": "wrong"}),
    Endpoint("GET", "/leads", "leads.view"),
    Endpoint("POST", "/leads", "leads.edit", {"first_name": "Bea"}, 201),
    Endpoint("POST", "/leads/bulk", "leads.edit", {"leads": [{"external_id": "A-1", "first_name": "Bea"}]}),
    Endpoint("POST", "/events", "leads.edit", {"events": [{"external_id": "A-1", "type": "quote_requested"}]}, 201),
    Endpoint("GET", "/leads/<lead_id>", "leads.view"),
    Endpoint("PUT", "/leads/<lead_id>", "leads.edit", {"city": "Austin"}),
    Endpoint("DELETE", "/leads/<lead_id>", "leads.edit"),
    Endpoint("GET", "/leads/<lead_id>/timeline", "leads.view"),
    Endpoint("POST", "/leads/import", "imports.run", FILE, 202),
    Endpoint("GET", "/leads/import/<import_id>", "imports.view"),
    Endpoint("GET", "/segments", "segments.view"),
    Endpoint("POST", "/segments", "segments.edit", {"name": "New", "rules": RULES}, 201),
    Endpoint("GET", "/segments/<segment_id>", "segments.view"),
    Endpoint("PUT", "/segments/<segment_id>", "segments.edit", {"name": "Renamed"}),
    Endpoint("DELETE", "/segments/<segment_id>", "segments.edit"),
    Endpoint("POST", "/segments/<segment_id>/evaluate", "segments.view"),
    Endpoint("POST", "/segments/<segment_id>/update-memberships", "segments.edit"),
    Endpoint("GET", "/segments/<segment_id>/leads", "segments.view"),
    Endpoint("POST", "/segments/<segment_id>/leads", "segments.edit", {"lead_ids": [1]}, static=True),
    Endpoint("DELETE", "/segments/<segment_id>/leads", "segments.edit", {"lead_ids": [1]}, static=True),
    Endpoint("GET", "/leads/<lead_id>/why", "segments.view", query=("segment_id",)),
    Endpoint("GET", "/segments/leads/<lead_id>", "segments.view"),
    Endpoint("GET", "/templates", "templates.view"),
    Endpoint("POST", "/templates", "templates.edit", TEMPLATE | {"name": "New"}, 201),
    Endpoint("GET", "/templates/<template_id>", "templates.view"),
    Endpoint("PUT", "/templates/<template_id>", "templates.edit", {"name": "Renamed"}),
    Endpoint("DELETE", "/templates/<template_id>", "templates.edit"),
    Endpoint("GET", "/automations/email-templates", "templates.view"),
    Endpoint("POST", "/automations/email-templates", "templates.edit", EMAIL_TEMPLATE, 201),
    Endpoint("GET", "/automations/email-templates/<template_id>", "templates.view"),
    Endpoint("PUT", "/automations/email-templates/<template_id>", "templates.edit", {"subject": "Hi again"}),
    Endpoint("DELETE", "/automations/email-templates/<template_id>", "templates.edit"),
    Endpoint("GET", "/senders", "senders.view"),
    Endpoint("POST", "/senders", "senders.edit", SENDER, 201),
    Endpoint("GET", "/senders/<sender_id>", "senders.view"),
    Endpoint("PUT", "/senders/<sender_id>", "senders.edit", {"name": "Renamed"}),
    Endpoint("DELETE", "/senders/<sender_id>", "senders.edit", spare=True),
    Endpoint("POST", "/senders/<sender_id>/test", "senders.edit"),
    Endpoint("POST", "/senders/<sender_id>/hold", "senders.edit", {"reason": "They complained"}),
    Endpoint("POST", "/senders/<sender_id>/release", "senders.edit"),
    Endpoint("POST", "/senders/<sender_id>/default", "senders.edit"),
    Endpoint("GET", "/campaigns", "campaigns.view"),
    Endpoint("POST", "/campaigns", "campaigns.edit", {"name": "New"}, 201),
    Endpoint("GET", "/campaigns/<campaign_id>", "campaigns.view"),
    Endpoint("PUT", "/campaigns/<campaign_id>", "campaigns.edit", {"name": "Renamed"}),
    Endpoint("DELETE", "/campaigns/<campaign_id>", "campaigns.edit"),
    Endpoint("GET", "/campaigns/<campaign_id>/preview", "campaigns.view"),
    Endpoint("POST", "/campaigns/<campaign_id>/launch", "campaigns.send"),
    Endpoint("POST", "/campaigns/<campaign_id>/pause", "campaigns.send", at="active"),
    Endpoint("POST", "/campaigns/<campaign_id>/resume", "campaigns.send", at="paused"),
    Endpoint("POST", "/campaigns/<campaign_id>/cancel", "campaigns.send", at="active"),
    Endpoint("POST", "/campaigns/<campaign_id>/adjust", "campaigns.send", {"priority": 1}, at="active"),
    Endpoint("GET", "/campaigns/<campaign_id>/forecast", "campaigns.view"),
    Endpoint("GET", "/campaigns/<campaign_id>/analytics", "campaigns.view"),
    Endpoint("GET", "/campaigns/<campaign_id>/sends", "campaigns.view"),
    Endpoint("GET", "/marketing/campaigns", "campaigns.view"),
    Endpoint("POST", "/marketing/campaigns", "campaigns.edit", {"name": "Sale", "template_name": "Welcome"}, 201),
    Endpoint("GET", "/marketing/campaigns/<campaign_id>/stats", "campaigns.view"),
    Endpoint("POST", "/marketing/campaigns/<campaign_id>/activate", "campaigns.send"),
    Endpoint("POST", "/marketing/campaigns/<campaign_id>/pause", "campaigns.send", at="active"),
    Endpoint("POST", "/marketing/campaigns/<campaign_id>/resume", "campaigns.send", at="paused"),
    Endpoint("POST", "/marketing/campaigns/<campaign_id>/cancel", "campaigns.send", at="active"),
    Endpoint("POST", "/marketing/campaigns/<campaign_id>/recipients", "campaigns.edit", {},
             asked={"use_target_audience": "true"}),
    Endpoint("POST", "/marketing/process-daily", "campaigns.send"),
    Endpoint("GET", "/marketing/health", "delivery.view"),
)  # fmt: skip
GUARDED = [endpoint for endpoint in ENDPOINTS if endpoint.permission]
NAMING = [endpoint for endpoint in GUARDED if "<" in endpoint.path]


def call(who: Caller, endpoint: Endpoint, ids: dict[str, int], **more: Any) -> Any:
    ids = ids | {"segment_id": ids["static_id"]} if endpoint.static else ids
    ids = ids | {"sender_id": ids["spare_id"]} if endpoint.spare else ids
    if endpoint.query:
        more["query_string"] = {name: ids[name] for name in endpoint.query} | more.get("query_string", {})
    if endpoint.asked:
        more["query_string"] = endpoint.asked | more.get("query_string", {})
    path = re.sub(r"<(\w+)>", lambda name: str(ids[name[1]]), endpoint.path)
    if endpoint.body is FILE:
        content, name = FILE["file"]
        return who(endpoint.method, path, data={"file": (io.BytesIO(content), name)}, **more)
    return who(endpoint.method, path, endpoint.body, **more)


def test_every_endpoint_is_in_the_table_with_its_permission(app):
    registered = {}
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith("/api/v1"):
            view = app.view_functions[rule.endpoint].view_class
            for method in rule.methods - {"HEAD", "OPTIONS"}:
                path = re.sub(r"<int:(\w+)>", r"<\1>", rule.rule.removeprefix("/api/v1"))
                registered[f"{method} {path}"] = getattr(getattr(view, method.lower()), "permission", None)
    assert registered == {str(endpoint): endpoint.permission for endpoint in ENDPOINTS}


@pytest.mark.parametrize("endpoint", GUARDED, ids=str)
def test_it_works_for_whoever_holds_the_permission(endpoint, cast, caller, world):
    if endpoint.at:
        launched(cast.org, world.campaign_id, endpoint.at)
    holder = next(role for role in ("viewer", "marketer", "admin") if role in PERMISSIONS[endpoint.permission])
    answer = call(caller(holder), endpoint, world.ids())
    assert answer.status_code == endpoint.status, answer.text
    assert answer.json["success"] is True
    assert {"data", "message"} <= set(answer.json)


@pytest.mark.parametrize("endpoint", GUARDED, ids=str)
def test_a_role_without_the_permission_is_refused(endpoint, caller, world):
    for role in set(ROLES) - PERMISSIONS[endpoint.permission]:
        answer = call(caller(role), endpoint, world.ids())
        assert problem(answer, 403) == {}, role


@pytest.mark.parametrize("endpoint", NAMING, ids=str)
def test_what_belongs_to_another_organisation_is_not_there(endpoint, cast, caller, other_world):
    if endpoint.at:
        launched(cast.other_org, other_world.campaign_id, endpoint.at)
    problem(call(caller("admin"), endpoint, other_world.ids()), 404)


@pytest.mark.parametrize("endpoint", GUARDED, ids=str)
def test_without_a_token_nothing_is_answered(app, endpoint, world):
    answer = call(Caller(app), endpoint, world.ids())
    problem(answer, 401)
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
