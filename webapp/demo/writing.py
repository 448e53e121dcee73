"""Writing: what was made up goes into the database, one statement for thousands of rows."""

import json
from typing import Any

from webapp.demo.people import Person
from webapp.platform.db import rows, run

CHUNK = 10_000  # rows of one statement


def insert(table: str, made: list[dict[str, Any]]) -> list[int]:
    """Adds rows that all have the same columns. Returns their ids in the order of the rows.

    As JSON and not with COPY, which PostgreSQL refuses on tables under row-level security.
    """
    ids: list[int] = []
    for start in range(0, len(made), CHUNK):
        columns = ", ".join(made[0])
        found = rows(
            f"INSERT INTO {table} ({columns}) SELECT {columns} FROM"
            f" json_populate_recordset(CAST(NULL AS {table}), CAST(:made AS json)) RETURNING id",
            made=json.dumps(made[start : start + CHUNK], default=str, ensure_ascii=False),
        )
        ids += [row.id for row in found]
    # Identities are handed out in the order of the rows and only ever grow.
    return sorted(ids)


def settle() -> None:
    """Lets PostgreSQL look at what was written: it joins tables it believes empty row by row."""
    for table in ("leads", "consents", "policies", "lead_events"):
        run("SELECT refresh_statistics(:table)", table=table)


def leads(people: list[Person]) -> None:
    """Adds the leads and tells each person their id."""
    for person, lead_id in zip(people, insert("leads", [person.lead for person in people]), strict=True):
        person.id = lead_id


def policies(people: list[Person]) -> None:
    """Adds what people hold, in the order of the policies' numbers."""
    held = [
        policy | {"lead_id": person.id, "updated_at": policy["created_at"]}
        for person in people
        for policy in person.policies
    ]
    insert("policies", sorted(held, key=lambda policy: policy["number"]))


def permissions(people: list[Person]) -> None:
    """Adds everybody's last word about each channel, and the addresses that are barred."""
    insert("consents", [
        {
            "lead_id": person.id, "channel": channel, "status": words[-1].status, "source": words[-1].source,
            "evidence": words[-1].evidence, "changed_at": words[-1].at, "created_at": words[0].at,
            "updated_at": words[-1].at,
        }
        for person in people
        for channel, words in person.consents.items()
    ])  # fmt: skip
    insert("suppressions", [
        {
            "channel": channel, "reason": reason, "created_at": at,
            "address": person.lead["email" if channel == "email" else "phone"],
        }
        for person in people
        for channel, (at, reason) in person.barred.items()
    ])  # fmt: skip


def timeline(people: list[Person]) -> None:
    """Adds all that happened, in the order in which it did."""
    facts = [
        {
            "lead_id": person.id, "type": fact.type, "payload": fact.payload, "actor": fact.actor,
            "occurred_at": fact.at, "created_at": fact.at,
        }
        for person in people
        for fact in person.facts
    ]  # fmt: skip
    insert("lead_events", sorted(facts, key=lambda fact: fact["occurred_at"]))
