"""Histories: what people did and what was done with them over the two years: visits, calls, changes of state."""

from datetime import datetime, timedelta
from random import Random

from webapp.demo.people import Person, awake

JOURNEY = ("new", "contacted", "qualified", "proposal")
PAGES = (
    "/",
    "/quotes/{kind}",
    "/{kind}",
    "/{kind}/coverage",
    "/claims",
    "/contact",
    "/blog",
    "/about",
    "/faq",
    "/login",
)
PAGE_WEIGHTS = (18, 22, 20, 10, 5, 6, 7, 2, 5, 5)
CALLS = {"successful": 46, "no_answer": 27, "voicemail": 15, "busy": 5, "callback_later": 5, "wrong_number": 2}
NOTES = (
    "Asked for a quote by e-mail.", "Comparing with the present insurer.", "Wants to bundle home and auto.",
    "Interested, decides after the weekend.", "Asked about the deductible.", "Happy with the claim handling.",
    "Prefers calls in the evening.", "Wants to add a second driver.", "Price too high for now.",
    "Spouse decides together, call again.", "Question about the renewal date.", "Moving house next month.",
)  # fmt: skip
TOUCHES = frozenset({"lead_created", "page_visited", "call_logged", "email_opened", "email_machine_opened",
                     "email_clicked", "email_unsubscribed"})  # fmt: skip
CHANGES = frozenset({"lead_created", "status_changed", "lead_updated"})


def live(rng: Random, people: list[Person], now: datetime) -> None:
    """Lets everybody come in, move through the states, look around and be called."""
    for person in people:
        person.happened(person.created, "lead_created", {"source": person.lead["source"]})
        _journey(rng, person, now)
        _visits(rng, person, now)
        _calls(rng, person, now)
        if rng.random() < 0.22:
            _correction(rng, person, now)


def _journey(rng: Random, person: Person, now: datetime) -> None:
    """The states on the way to the one they are in, which takes days or weeks."""
    status = person.lead["status"]
    if status in JOURNEY:
        path = JOURNEY[: JOURNEY.index(status) + 1]
    elif status == "lost" and not person.policies:
        path = (*JOURNEY[: rng.randint(2, 4)], "lost")
    elif person.policies[0]["created_at"] - person.created < timedelta(hours=1):
        path = ("new", "converted")  # with us before we knew them: nobody had to be won
    else:
        path = (*JOURNEY, "converted")
    won = person.policies[0]["created_at"] if "converted" in path else None
    end = won or person.created + min(timedelta(days=rng.randint(4, 60)), (now - person.created) * 0.98)
    moments = sorted(awake(rng, person.created, end, person.lead["timezone"]) for _ in path[1:])
    if won:
        moments[-1] = won
    if status == "lost" and person.policies:
        # Lost again with their last policy.
        lapsed = max(fact.at for fact in person.facts if fact.type == "policy_lapsed")
        path, moments = (*path, "lost"), [*moments, max(lapsed, moments[-1])]
    for before, after, at in zip(path, path[1:], moments, strict=False):
        person.happened(at, "status_changed", {"from": before, "to": after}, person.agent)


def _visits(rng: Random, person: Person, now: datetime) -> None:
    """Sessions of a few pages: often about the day they came, then now and then."""
    zone, kind = person.lead["timezone"], person.lead["insurance_type"] or "insurance"
    fortnight = min(person.created + timedelta(days=14), now)
    sessions = [fortnight] * (rng.random() < 0.55) + [now] * int(rng.expovariate(1 / (0.2 + 3.3 * person.warmth)))
    for until in sessions:
        at = awake(rng, person.created, until, zone)
        for _ in range(1 + min(int(rng.expovariate(1.0)), 5)):
            page = rng.choices(PAGES, PAGE_WEIGHTS)[0].format(kind=kind)
            person.happened(at, "page_visited", {"url": f"https://www.example.com{page}"})
            at += timedelta(seconds=rng.randint(8, 240))
            if at >= now:
                return


def _calls(rng: Random, person: Person, now: datetime) -> None:
    if not person.lead["phone"] or person.lead["status"] == "new":
        return
    for _ in range(min(int(rng.expovariate(0.55)), 7)):
        outcome = rng.choices(list(CALLS), list(CALLS.values()))[0]
        call = {"direction": "outbound" if rng.random() < 0.8 else "inbound", "outcome": outcome, "duration_seconds": 0}
        if outcome in ("successful", "callback_later"):
            call |= {"duration_seconds": int(rng.lognormvariate(5.2, 0.7)), "notes": rng.choice(NOTES)}
        person.happened(awake(rng, person.created, now, person.lead["timezone"]), "call_logged", call, person.agent)


def _correction(rng: Random, person: Person, now: datetime) -> None:
    """Somebody put a detail right."""
    worth, priority = person.lead["value_estimate"], person.lead["priority"]
    if worth and rng.random() < 0.6:
        before = f"{round(worth * rng.uniform(0.5, 1.4), -1):.2f}"
        changes = {"value_estimate": [before, f"{worth:.2f}"]}
    else:
        changes = {"priority": ["low" if priority != "low" else "medium", priority]}
    at = awake(rng, person.created, now, person.lead["timezone"])
    person.happened(at, "lead_updated", {"changes": changes}, person.agent)


def conclude(people: list[Person]) -> None:
    """Draws the times of the last activity and the last change from all that happened."""
    for person in people:
        lead = person.lead
        lead["last_activity_at"] = max(fact.at for fact in person.facts if fact.type in TOUCHES)
        lead["updated_at"] = max(fact.at for fact in person.facts if fact.type in CHANGES)
