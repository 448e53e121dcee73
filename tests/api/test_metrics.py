"""The figures for a monitor: asked for with an admin's token, of one organisation, in the text a monitor reads."""

import re

import pytest

from tests.api.client import Caller, alone, problem
from tests.messaging import desk
from webapp.platform.db import run

LINE = re.compile(r'[a-z_]+(\{[a-z_]+="(?:[^"\\\n]|\\["\\n])*"(,[a-z_]+="(?:[^"\\\n]|\\["\\n])*")*\})? -?[0-9.e+-]+')


def ask(app, token: str | None):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return alone(app.test_client(use_cookies=False).get, "/metrics", headers=headers)


def figures(app, token: str) -> dict[str, float]:
    answer = ask(app, token)
    assert answer.status_code == 200, answer.text
    assert answer.content_type == "text/plain; version=0.0.4; charset=utf-8"
    lines = answer.text.splitlines()
    assert answer.text.endswith("\n")
    samples = [line for line in lines if not line.startswith("#")]
    assert [line for line in samples if not LINE.fullmatch(line)] == []
    typed = {line.split()[2] for line in lines if line.startswith("# TYPE")}
    assert {re.split(r"[{ ]", line)[0] for line in samples} <= typed
    return {name: float(n) for name, _, n in (line.rpartition(" ") for line in samples)}


@pytest.fixture
def admin(caller) -> Caller:
    return caller("admin")


def test_only_an_admins_token_opens_them(app, caller):
    problem(ask(app, None), 401)
    problem(ask(app, "forged"), 401)
    for role in ("marketer", "agent", "viewer"):
        problem(ask(app, caller(role).token), 403)


def test_they_say_what_goes_out_and_what_is_stuck(app, cast, tx, admin):
    campaign_id = desk.started(cast.org, 3)
    with tx():
        run("UPDATE sends SET not_before = now() - interval '90 s'")
        run("UPDATE sends SET status = 'unknown' WHERE id = (SELECT min(id) FROM sends)")
        run("UPDATE senders SET held_at = now(), hold_reason = 'Out of credit'")
        run(
            "INSERT INTO sender_minutes (sender_id, minute, sent, failed) SELECT id, date_trunc('minute', now()) - n *"
            " interval '1 minute', 10, 1 FROM senders, generate_series(1, 2) n"
        )
        run("DELETE FROM campaign_batches")
        run(
            "INSERT INTO campaign_batches (campaign_id, send_date, batch_number, batch_size, moved_at)"
            " VALUES (:id, (now() AT TIME ZONE 'America/Chicago')::date, 1, 3, now())",
            id=campaign_id,
        )
        run(
            "INSERT INTO job_runs (job, node, tick_at) VALUES ('clean-up', 'x', now() - interval '100 s') ON CONFLICT DO NOTHING"
        )
    seen = figures(app, admin.token)
    assert (seen["canvass_pending"], seen["canvass_unknown"], seen["canvass_held_senders"]) == (2, 1, 1)
    assert seen["canvass_oldest_pending_seconds"] >= 90
    assert seen["canvass_messages_per_minute"] == 4
    assert (seen["canvass_active_campaigns"], seen["canvass_batches_last_minute"]) == (1, 1)
    assert 99 <= seen['canvass_job_age_seconds{job="clean-up"}'] < 200
    assert seen["canvass_db_pool_in_use"] >= 1
    # At midnight in Chicago some of these minutes were yesterday.
    assert seen['canvass_messages_today{channel="email",status="sent"}'] in (0, 10, 20)


def test_another_organisations_are_its_own(app, cast, admin):
    desk.started(cast.other_org, 3)
    seen = figures(app, admin.token)
    assert (seen["canvass_pending"], seen["canvass_active_campaigns"]) == (0, 0)
