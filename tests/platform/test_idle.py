"""A process that is stopped in the middle of a transaction holds nobody up: the database ends it."""

import time

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from tests.messaging import desk
from webapp.campaigns import dispatch
from webapp.messaging import delivery, outbox
from webapp.messaging.providers import smtp
from webapp.platform import db as database
from webapp.platform.db import rows, run, transaction, value
from webapp.web.shell import stream_csv

SHOWN = "SHOW idle_in_transaction_session_timeout"


def test_what_a_stopped_process_holds_does_not_make_others_late(cast, tx, monkeypatch, database_url):
    campaign_id = desk.started(cast.org, 3)
    monkeypatch.setattr(database, "IDLE_SECONDS", 0.5)
    address, options = database.app_engine_options(database_url)
    stopped = create_engine(address, **options)
    with stopped.connect() as holder, transaction(cast.org):
        holder.execute(text("SELECT set_config('app.org_id', :org, true)"), {"org": str(cast.org)})
        held = holder.execute(
            text("SELECT FROM campaign_batches WHERE campaign_id = :c FOR UPDATE"), {"c": campaign_id}
        )
        assert held.all()
        order = dispatch.order_of(campaign_id)
        ended = delivery.send_batch(lambda: order, "test")
        with pytest.raises(OperationalError) as told:
            holder.commit()
    stopped.dispose()
    assert told.value.connection_invalidated
    assert ended["sent"] == 3


def test_a_batch_is_recorded_by_whoever_wakes_up_in_time(cast, tx, monkeypatch):
    campaign_id = desk.started(cast.org, 3)
    finalise, naps = delivery.outcomes.finalise, iter([0.3])

    def slept(claimed, told):
        found = finalise(claimed, told)
        if nap := next(naps, None):
            run("SET LOCAL idle_in_transaction_session_timeout = 50")
            time.sleep(nap)
        return found

    monkeypatch.setattr(delivery.outcomes, "finalise", slept)
    with transaction(cast.org):
        order = dispatch.order_of(campaign_id)
        assert delivery.send_batch(lambda: order, "test")["sent"] == 3
    with tx():
        assert dict(rows("SELECT status, count(*) FROM sends GROUP BY 1")) == {"sent": 3}
        assert desk.counters(campaign_id)["sent"] == 3


def test_a_transaction_after_one_that_was_ended_works(cast, tx):
    with tx():
        pass
    run("SET LOCAL idle_in_transaction_session_timeout = 50")
    time.sleep(0.3)
    with tx():
        assert value("SELECT count(*) FROM users") > 0


def test_it_is_ended_well_within_a_lease(cast, tx):
    with tx():
        assert value(SHOWN) == f"{database.IDLE_SECONDS}s"
    talk = outbox.TALK_SECONDS + smtp.TALK_SECONDS
    assert talk + database.IDLE_SECONDS < talk + delivery.RECORD_SECONDS < outbox.LEASE_SECONDS


def test_a_slow_reader_of_a_download_is_waited_for(app, cast):
    with app.test_request_context(), transaction(cast.org):
        answer = stream_csv("slow.csv", lambda: iter([value(SHOWN)]))
        assert "".join(answer.response) == "0"
