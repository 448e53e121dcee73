"""A process that is stopped in the middle of a transaction holds nobody up: the database ends it."""

import time
from threading import Event, Thread

from sqlalchemy.exc import OperationalError

from tests.messaging import desk
from webapp.campaigns import dispatch
from webapp.messaging import delivery, outbox
from webapp.messaging.providers import smtp
from webapp.platform import db as database
from webapp.platform.db import rows, run, transaction, value
from webapp.web.shell import stream_csv

SHOWN = "SHOW idle_in_transaction_session_timeout"


def test_what_a_stopped_process_holds_does_not_make_others_late(cast, tx, monkeypatch, app):
    campaign_id = desk.started(cast.org, 3)
    holds, told = Event(), []

    def stopped() -> None:
        with app.app_context():
            try:
                with transaction(cast.org):
                    rows("SELECT FROM campaign_batches WHERE campaign_id = :c FOR UPDATE", c=campaign_id)
                    holds.set()
                    time.sleep(3)
            except OperationalError as problem:
                told.append(problem)

    with monkeypatch.context() as sooner:
        sooner.setattr(database, "SILENT_SECONDS", 0.5)
        process = Thread(target=stopped)
        process.start()
        assert holds.wait(30)
    with transaction(cast.org):
        order = dispatch.order_of(campaign_id)
        assert delivery.send_batch(lambda: order, "test")["sent"] == 3
    process.join()
    assert told and told[0].connection_invalidated


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
        assert value(SHOWN) == f"{database.SILENT_SECONDS}s"
    talk = outbox.TALK_SECONDS + smtp.TALK_SECONDS
    assert talk + database.SILENT_SECONDS < talk + delivery.RECORD_SECONDS < outbox.LEASE_SECONDS


def test_a_browser_may_be_slow_to_send(app, cast):
    with app.test_request_context():
        assert value(SHOWN) == "0"


def test_a_slow_reader_of_a_download_is_waited_for(app, cast):
    with app.test_request_context(), transaction(cast.org):
        answer = stream_csv("slow.csv", lambda: iter([value(SHOWN)]))
        assert "".join(answer.response) == "0"
