"""Every job of the house, in one table: name, cadence in seconds, function."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from flask import Flask, current_app

from webapp.audience import bulk_running, following, leads, persona_scores, scores
from webapp.audience.bulk import WORK as BULK
from webapp.audience.imports import imports
from webapp.audience.segments import SWEEP
from webapp.audience.timeline import FOLLOWED
from webapp.campaigns import dispatch, replanning
from webapp.campaigns.campaigns import WORK as CAMPAIGNS
from webapp.campaigns.turns import Turns
from webapp.messaging import confirmations, health, intents, mailbox, mailbox_polling, phones
from webapp.messaging.meters import HEALTH
from webapp.platform import idempotency, jobs, tenancy, work
from webapp.platform.db import rows, transaction
from webapp.platform.jobs import Job, Runner
from webapp.platform.logs import log

SEND_THREADS = 4  # connections a process sends over at once
IDLE_SECONDS = 0.1
SLICE_SECONDS = 0.3  # how long one organisation is served before the next one gets its turn
BULK_SLICE_SECONDS = 2
logger = log(__name__)


def send() -> None:
    """Sends what is due, a slice for each organisation in turn, until nothing is due."""
    runner: Runner = current_app.extensions["runner"]
    if not work.due(CAMPAIGNS):
        return
    # No turn is taken just to look: the first one is the one that tends to the organisation and starts what is due.
    turns = Turns(lambda: work.due(CAMPAIGNS), most=SEND_THREADS - 1)
    with ThreadPoolExecutor(SEND_THREADS) as pool:
        # Read to the end, so that a failure is told.
        list(pool.map(lambda _: _send_in_turn(runner, turns), range(SEND_THREADS)))


def _send_in_turn(runner: Runner, turns: Turns) -> None:
    while not runner.stopping.is_set():
        with runner.app.app_context():
            turn = turns.take()
        if turn is None:
            if not turns.is_busy:
                return
            # Somebody is still at it, and may be for as long as a server says nothing: what comes due meanwhile is ours.
            runner.stopping.wait(IDLE_SECONDS)
            continue
        turns.give_back(turn[0], _serve(runner, *turn) > 0)


def _serve(runner: Runner, org_id: int, tend: bool) -> int:
    """Gives an organisation one slice. Returns the number of batches it had."""
    try:
        with _in_scope(runner.app, org_id):
            if tend:
                dispatch.start_due()
            sent = dispatch.send_for(runner.node, SLICE_SECONDS, runner.stopping)
            if tend or not sent:
                dispatch.settle()
            return sent
    except Exception:
        # Of one organisation; the others are served nevertheless, and it is tried again at the next tick.
        logger.exception("not sent", org_id=org_id)
        return 0


def plan() -> None:
    """Lays out anew what is left of campaigns whose limits, tiers, windows or priorities changed."""
    runner: Runner = current_app.extensions["runner"]
    for org_id in work.due(replanning.PLANS):
        if runner.stopping.is_set():
            return
        with _in_scope(runner.app, org_id):
            try:
                replanning.run_due()
            except Exception:
                logger.exception("not planned", org_id=org_id)


@contextmanager
def _in_scope(app: Flask, org_id: int) -> Iterator[None]:
    """A fresh app context in the scope of one organisation, for a thread or a job."""
    with app.app_context(), tenancy.scope(org_id):
        yield


def ask_for_consent() -> None:
    """Sends the requests to confirm a consent that are due."""
    runner: Runner = current_app.extensions["runner"]
    for org_id in work.due(confirmations.WORK):
        with _in_scope(runner.app, org_id):
            confirmations.send_due(runner.node, runner.stopping)


def import_files() -> None:
    """Works off the waiting imports, one after the other."""
    runner: Runner = current_app.extensions["runner"]
    for org_id in work.due("imports"):
        with _in_scope(runner.app, org_id):
            while not runner.stopping.is_set() and imports.run_next(runner.node):
                pass


def tell() -> None:
    """Announces the work that this process's transactions have woken."""
    work.tell()


def keep_segments() -> None:
    """Brings segments up to date with what happened to leads and with the clock."""
    runner: Runner = current_app.extensions["runner"]
    for org_id in dict.fromkeys([*work.due(FOLLOWED), *work.due(SWEEP)]):
        if runner.stopping.is_set():
            return
        with _in_scope(runner.app, org_id):
            try:
                following.run_due(org_id)
            except Exception:
                # Of one organisation; the others are kept nevertheless, and it is tried again at the next tick.
                logger.exception("segments not kept", org_id=org_id)


def change_leads() -> None:
    """Works off bulk actions, a slice for each organisation in turn, until none is waiting."""
    runner: Runner = current_app.extensions["runner"]
    while not runner.stopping.is_set():
        worked = False
        for org_id in work.due(BULK):
            with _in_scope(runner.app, org_id):
                worked |= bulk_running.run_slice(runner.node, BULK_SLICE_SECONDS, runner.stopping)
        if not worked:
            return


def keep_scores() -> None:
    """Works out the scores of organisations whose rules were changed, and of all with rules by the hour."""
    runner: Runner = current_app.extensions["runner"]
    for org_id in work.due(scores.WORK):
        if runner.stopping.is_set():
            return
        try:
            with _in_scope(runner.app, org_id):
                scores.run_due(org_id)
        except Exception:
            # What is wrong in one organisation keeps no other waiting; this one is tried again in a while.
            logger.exception("scores could not be worked out", org_id=org_id)


def clean_up() -> None:
    """Forgets what nobody needs any more: answered idempotency keys, mailbox overflow, old uploads, leads deleted long
    ago. Gives every organisation its own confirmation message, to be worded before it is first sent, and the usual rules
    by which replies are sorted."""
    with transaction():
        organizations = [row.id for row in rows("SELECT id FROM organizations WHERE is_active")]
    for org_id in organizations:
        try:
            with transaction(org_id):
                confirmations.template()
                intents.ensure_defaults()
                idempotency.prune()
                mailbox.prune()
                phones.prune()
                leads.purge()
                imports.prune()
        except Exception:
            # What is odd in one organisation keeps no other from being cleaned; within the hour it is tried again.
            logger.exception("could not be cleaned up", org_id=org_id)


def keep_personas() -> None:
    """Reckons everybody's personas afresh: leads are merged, deleted and restored without their groups being touched."""
    with transaction():
        organizations = [row.id for row in rows("SELECT id FROM organizations WHERE is_active")]
    for org_id in organizations:
        with transaction(org_id):
            persona_scores.recompute()


def judge_senders() -> None:
    """Brings the health of senders up to date where they sent lately, and holds those that go wrong."""
    for org_id in work.due(HEALTH):
        try:
            with transaction(org_id):
                health.refresh()
        except Exception:
            # What is wrong in one organisation keeps no other waiting.
            logger.exception("senders not judged", org_id=org_id)


def read_mailboxes() -> None:
    """Reads the bounces, complaints and answers that wait in senders' mailboxes, one organisation after the other."""
    runner: Runner = current_app.extensions["runner"]
    with transaction():
        organizations = [row.id for row in rows("SELECT id FROM organizations WHERE is_active")]
    for org_id in organizations:
        try:
            with _in_scope(runner.app, org_id):
                mailbox_polling.poll(org_id, runner.stopping)
        except Exception:
            # Of one organisation; its messages are still unread, and the next tick reads them.
            logger.exception("mailboxes could not be read", org_id=org_id)


JOBS = [
    Job("send", 1, send, "Starts due campaigns and sends their batches", everywhere=True),
    Job("plan", 1, plan, "Plans again what is left of campaigns when limits change or a day was missed"),
    Job("confirm", 1, ask_for_consent, "Asks people to confirm their consent", everywhere=True),
    Job("import", 1, import_files, "Works off waiting imports", everywhere=True),
    Job("bulk", 1, change_leads, "Works off bulk actions on leads", everywhere=True),
    Job("tell", 1, tell, "Tells the timers what this process's users have set going", everywhere=True),
    Job("segments", 1, keep_segments, "Brings segments up to date with changed leads and the clock"),
    Job("scores", 5, keep_scores, "Works out scores after rules were changed, and every hour because points fade"),
    Job("health", 300, judge_senders, "Works out the health of senders, and holds those that go wrong"),
    Job("personas", 86400, keep_personas, "Reckons afresh how sure we are who is which persona"),
    Job("mailboxes", 60, read_mailboxes, "Reads bounces, complaints and answers out of senders' mailboxes"),
    Job("forget-ticks", 60, jobs.prune, "Forgets ticks older than 14 days"),
    Job(
        "clean-up", 3600, clean_up, "Forgets answered keys, mailbox overflow, old uploads and leads deleted 30 days ago"
    ),
]


def start(app: Flask) -> Runner:
    """Starts this process's timers."""
    runner = Runner(app, JOBS)
    app.extensions["runner"] = runner
    keeper = app.extensions.get("embedded")
    if keeper is not None:
        runner.jobs = [Job("database", 2, keeper.keep, "Keeps the embedded database running", everywhere=True), *JOBS]
    runner.start()
    logger.info("timers started", node=runner.node, jobs=len(runner.jobs))
    return runner
