"""Standings: the demo's scores, worked out by its rules as they would have been month by month."""

from datetime import datetime, timedelta

from webapp.audience import scores
from webapp.demo.people import Person
from webapp.platform.db import run

LOOKS = (timedelta(days=90), timedelta(days=45), timedelta(days=14), timedelta())  # how long ago they were worked out


def give(people: list[Person], now: datetime) -> None:
    """Gives the organisation in scope its rules, and everybody the scores that their timeline makes."""
    scores.ensure_defaults()
    for ago in LOOKS:
        at = now - ago
        known = [person.id for person in people if person.created < at]
        for model in scores.MODELS:
            scores.recompute(model, known, at)
    made = now - LOOKS[0] - timedelta(days=30)
    run("UPDATE score_rules SET created_at = :made, updated_at = :made", made=made)
    run("UPDATE score_thresholds SET created_at = :made", made=made)
    run("UPDATE lead_scores SET created_at = at")
