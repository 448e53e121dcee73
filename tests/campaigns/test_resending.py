"""What a person says never arrived goes out again, also after its campaign had completed; and completes it once more."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from tests.messaging.desk import counters, recount, send_of, settle, settle_some, started, status
from webapp.campaigns import campaigns, dispatch, resending
from webapp.platform import tenancy
from webapp.platform.db import one, rows, run, transaction, value

BY = "Mara"


def completed(org: int, kinds: list[str]) -> tuple[int, list[int]]:
    """Returns a campaign that is done, and its sends."""
    campaign_id = started(org, len(kinds))
    ids = settle(org, campaign_id, kinds)
    with tenancy.scope(org):
        dispatch.settle()
    with transaction(org):
        assert status(campaign_id) == "completed"
    return campaign_id, ids


def test_a_completed_campaign_goes_on_for_what_did_not_arrive_and_completes_again(cast, tx):
    campaign_id, ids = completed(cast.org, ["accepted", "unknown", "unknown"])
    with tx():
        run("DELETE FROM work_due")
        assert resending.as_not_sent(ids[1:2], BY).done == 1
        assert (status(campaign_id), send_of(ids[1]).status) == ("active", "pending")
        row = one("SELECT completed_at, resumed_at FROM campaigns WHERE id = :id", id=campaign_id)
        assert (row.completed_at, row.resumed_at is None) == (None, False)
        assert value("SELECT count(*) FROM work_due WHERE kind = 'campaigns' AND due_at <= now()") == 1
        said = rows("SELECT action, entity_id FROM audit_log WHERE action LIKE '%reopened' OR action LIKE 'sends.%'")
        assert {tuple(row) for row in said} == {
            ("campaign.reopened", campaign_id),
            ("sends.resolved_as_not_sent", campaign_id),
        }
    settle_some(cast.org, campaign_id, 1)
    with tenancy.scope(cast.org):
        dispatch.settle()
    with tx():
        assert (status(campaign_id), send_of(ids[1]).status, send_of(ids[1]).attempts) == ("completed", "sent", 2)
        assert send_of(ids[2]).status == "unknown"
        assert counters(campaign_id) == recount(campaign_id)


def test_one_with_nothing_to_send_again_stays_completed(cast, tx):
    campaign_id, ids = completed(cast.org, ["accepted", "unknown"])
    with tx():
        run("UPDATE sends SET opened_at = now() WHERE id = :id", id=ids[1])
        before = one("SELECT completed_at, resumed_at FROM campaigns WHERE id = :id", id=campaign_id)
        resolved = resending.as_not_sent(ids, BY)
        assert (resolved.done, dict(resolved.left)) == (0, {"seen": 1})
        assert status(campaign_id) == "completed"
        assert one("SELECT completed_at, resumed_at FROM campaigns WHERE id = :id", id=campaign_id) == before
        assert rows("SELECT FROM audit_log WHERE action = 'campaign.reopened'") == []


def test_one_whose_sender_is_gone_and_one_that_was_cancelled_send_no_more(cast, tx):
    campaign_id, ids = completed(cast.org, ["unknown"])
    with tx():
        run("UPDATE campaigns SET sender_id = NULL")
        assert dict(resending.as_not_sent(ids, BY).left) == {"ended": 1}
        run("UPDATE campaigns SET status = 'cancelled'")
        assert dict(resending.as_not_sent(ids, BY).left) == {"cancelled": 1}
        assert (status(campaign_id), send_of(ids[0]).status) == ("cancelled", "unknown")


def test_two_people_at_once_send_it_again_once_and_others_cannot(app, cast, tx):
    campaign_id, ids = completed(cast.org, ["unknown"] * 4)
    ready = Barrier(4)

    def act(org: int) -> int:
        with app.app_context(), tenancy.scope(org):
            ready.wait()
            with transaction(org):
                return resending.as_not_sent(ids, BY).done

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(act, [cast.org, cast.org, cast.org, cast.other_org]))
    assert sorted(done) == [0, 0, 0, 4]
    assert done[3] == 0
    with tx():
        assert status(campaign_id) == "active"
        assert value("SELECT count(*) FROM audit_log WHERE action = 'campaign.reopened'") == 1
        campaigns.cancel(campaign_id)
        assert counters(campaign_id) == recount(campaign_id)
