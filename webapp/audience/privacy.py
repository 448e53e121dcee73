"""Privacy requests: everything kept about a person handed out, or made nobody's for good.

Anonymising empties what tells who somebody is and keeps what happened, so that figures stay true. Their addresses go on
the suppression list, alone and without a name: only an address in clear can be compared with those of the next import,
so one that brings them back makes a lead that nothing is sent to. Uploaded files are forgotten by themselves after some
days; the audit log never holds more than ids.

Higher floors keep things about leads too: they `register` what to hand out and what to forget.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from webapp.audience import consents, timeline
from webapp.audience.leads import Lead
from webapp.platform import audit
from webapp.platform.db import db, rows, run
from webapp.platform.errors import Invalid, Refused

SOURCE = "privacy request"
NOTE = "Asked to be forgotten."
EMPTIED = (
    "first_name", "last_name", "email", "phone", "external_id", "date_of_birth", "city", "district",
)  # fmt: skip
# Of a fact stays what refers to things of the house and what the house says in words of its own.
KEPT_KEYS = [
    "campaign_id", "send_id", "import_id", "import", "segment_id", "policy_id", "automation_id", "from", "into", "to",
    "channel", "reason", "model", "score",
]  # fmt: skip
FREE_FACTS = ["custom", "call_logged", "page_visited"]  # whose payload others write


@dataclass(frozen=True)
class Person:
    """Somebody as the house keeps them. ids: their lead and those merged into it. addresses: lower-case e-mail, E.164."""

    ids: list[int]
    addresses: list[str]


@dataclass(frozen=True)
class Part:
    """What a module keeps about people. export: what is handed out. forget: called while the leads are still whole."""

    export: Callable[[Person], Any]
    forget: Callable[[Person], None]


_parts: dict[str, Part] = {}


def register(name: str, export: Callable[[Person], Any], forget: Callable[[Person], None]) -> None:
    """Adds what a module of a higher floor keeps about people, under the name it has in an export."""
    _parts[name] = Part(export, forget)


def kept_in(table: str, person: Person, column: str = "lead_id") -> list[dict[str, Any]]:
    """Returns a table's rows about a person, as JSON has them."""
    asked = f"SELECT to_jsonb(t) - 'org_id' - 'tx' AS row FROM {table} t WHERE {column} = ANY(:ids) ORDER BY t.id"
    return [found.row for found in rows(asked, ids=person.ids)]


def _person(lead: Lead) -> Person:
    # Over several merges: who was merged into somebody merged into them is the same person. UNION ends at a circle.
    merged = rows(
        "WITH RECURSIVE person (id) AS (SELECT CAST(:id AS bigint) UNION SELECT m.merged_id FROM lead_merges m"
        " JOIN person p ON m.kept_id = p.id WHERE m.undone_at IS NULL)"
        " SELECT id FROM person WHERE id <> :id ORDER BY id",
        id=lead.id,
    )
    ids = [lead.id, *(row.id for row in merged)]
    found = rows("SELECT unnest(ARRAY[email_key, phone]) AS address FROM leads WHERE id = ANY(:ids)", ids=ids)
    return Person(ids, sorted({row.address for row in found if row.address}))


def export(lead: Lead) -> dict[str, Any]:
    """Returns everything kept about a lead, part by part, ready for JSON. It is noted that it was handed out."""
    person = _person(lead)
    barred = "SELECT to_jsonb(s) - 'org_id' AS row FROM suppressions s WHERE address = ANY(:addresses) ORDER BY id"
    inside = (
        "SELECT to_jsonb(m) - 'org_id' || jsonb_build_object('segment', s.name) AS row FROM segment_members m"
        " JOIN segments s ON s.org_id = m.org_id AND s.id = m.segment_id WHERE m.lead_id = ANY(:ids) ORDER BY m.id"
    )
    everything = {
        "lead": kept_in("leads", person, "id"),
        "policies": kept_in("policies", person),
        "consents": kept_in("consents", person),
        "suppressions": [row.row for row in rows(barred, addresses=person.addresses)],
        "segments": [row.row for row in rows(inside, ids=person.ids)],
        "scores": kept_in("lead_scores", person),
        "groups": kept_in("whatsapp_group_members", person),
        "personas": kept_in("persona_scores", person),
        "imports": kept_in("import_changes", person),
        "timeline": kept_in("lead_events", person),
    } | {name: part.export(person) for name, part in _parts.items()}
    timeline.record(lead.id, "lead_exported")
    audit.record("privacy.exported", "lead", lead.id)
    return everything


def anonymise(lead: Lead, typed: str) -> None:
    """Makes a lead nobody's; it cannot be undone. typed: the lead's name, as asked for on the page.

    Raises Invalid at `typed` where it is another, Refused where there is nobody any more.
    """
    db.session.refresh(lead, with_for_update=True)
    if lead.anonymized_at:
        raise Refused("This lead is anonymised already.")
    if " ".join(typed.split()) != " ".join(lead.name.split()):
        raise Invalid({"typed": f"Type {lead.name} to go on."})
    person = _person(lead)
    # Above first: what is kept there is found by what the leads still say.
    for part in _parts.values():
        part.forget(person)
    _bar(person)
    _forget_rest(person)
    _forget_bulk(person)
    _forget_answers(person)
    emptied = ", ".join(f"{column} = NULL" for column in EMPTIED)
    run(
        f"UPDATE leads SET {emptied}, tags = '{{}}', attributes = '{{}}', anonymized_at = now(), updated_at = now()"
        " WHERE id = ANY(:ids)",
        ids=person.ids,
    )
    db.session.expire(lead)
    # Which fields, and not what stood in them: whoever follows the timeline looks at the lead again.
    changes = {field: [None, None] for field in (*EMPTIED, "tags", "attributes")}
    timeline.record(lead.id, "lead_updated", {"changes": changes})
    timeline.record(lead.id, "lead_anonymized")
    audit.record("privacy.anonymised", "lead", lead.id, after={"with": person.ids[1:]})
    db.session.flush()


def _bar(person: Person) -> None:
    for lead_id in person.ids:
        for channel in consents.CHANNELS:
            consents.set_consent(lead_id, channel, "unsubscribed", source=SOURCE)
    run(
        "UPDATE consents SET source = :source, evidence = NULL WHERE lead_id = ANY(:ids)", source=SOURCE, ids=person.ids
    )
    run(
        "INSERT INTO suppressions (channel, address, reason, note)"
        " SELECT c.channel, a.address, 'manual', :note FROM unnest(CAST(:addresses AS text[])) AS a (address)"
        " JOIN unnest(CAST(:channels AS text[])) AS c (channel)"
        " ON (c.channel = 'email') = (strpos(a.address, '@') > 0)"
        " ON CONFLICT (org_id, channel, address) DO UPDATE SET note = EXCLUDED.note",
        addresses=person.addresses, channels=list(consents.CHANNELS), note=NOTE,
    )  # fmt: skip


def _forget_rest(person: Person) -> None:
    run(
        "UPDATE lead_events SET payload = CASE WHEN type = ANY(:free) THEN '{}' ELSE COALESCE((SELECT"
        " jsonb_object_agg(e.key, e.value) FROM jsonb_each(payload) e WHERE e.key = ANY(:kept)"
        " AND (jsonb_typeof(e.value) IN ('number', 'boolean') OR e.value #>> '{}' ~ '^[a-z_]{1,40}$')), '{}') END"
        " WHERE lead_id = ANY(:ids)",
        free=FREE_FACTS, kept=KEPT_KEYS, ids=person.ids,
    )  # fmt: skip
    run(
        "UPDATE policies SET number = 'anonymised-' || id, updated_at = now() WHERE lead_id = ANY(:ids)", ids=person.ids
    )
    # Both are there to bring values back.
    run("DELETE FROM import_changes WHERE lead_id = ANY(:ids)", ids=person.ids)
    run("DELETE FROM lead_merges WHERE kept_id = ANY(:ids) OR merged_id = ANY(:ids)", ids=person.ids)
    run(
        "UPDATE import_errors SET value = NULL, raw = NULL WHERE lower(value) = ANY(:addresses)"
        " OR EXISTS (SELECT FROM jsonb_array_elements_text(CASE jsonb_typeof(raw) WHEN 'array' THEN raw END) c"
        " WHERE lower(c) = ANY(:addresses))",
        addresses=person.addresses,
    )


def _forget_bulk(person: Person) -> None:
    ids = list(map(str, person.ids))
    run(
        "UPDATE bulk_actions SET selection = jsonb_set(selection, '{before}',"
        " (selection -> 'before') - CAST(:ids AS text[])) WHERE selection -> 'before' ?| CAST(:ids AS text[])",
        ids=ids,
    )
    # Whole or begun, as one searches. One that still goes on keeps it: without it, it would change everybody.
    run(
        "UPDATE bulk_actions b SET selection = b.selection #- '{filter,q}' FROM (SELECT id,"
        " lower(btrim(selection #>> '{filter,q}')) AS q, regexp_replace(selection #>> '{filter,q}', '[^0-9]', '', 'g')"
        " AS digits FROM bulk_actions WHERE finished_at IS NOT NULL AND selection #> '{filter,q}' IS NOT NULL) s"
        " WHERE b.id = s.id AND EXISTS (SELECT FROM leads l, unnest(ARRAY[l.email_key, l.phone, lower(l.external_id),"
        " lower(l.first_name), lower(l.last_name), lower(concat_ws(' ', l.first_name, l.last_name))]) AS t (said)"
        " WHERE l.id = ANY(:ids) AND t.said <> '' AND (strpos(s.q, t.said) > 0"
        " OR length(s.q) >= :begun AND starts_with(t.said, s.q)"
        " OR length(s.digits) >= :national AND t.said = l.phone AND strpos(l.phone, ltrim(s.digits, '0')) > 0))",
        ids=person.ids, begun=3, national=6,
    )  # fmt: skip


def _forget_answers(person: Person) -> None:
    """Answers kept for calls made twice: about the lead, or with an address of theirs anywhere."""
    run(
        "DELETE FROM idempotency_keys WHERE (body #>> '{json,data,id}' = ANY(:ids)"
        # Ids are counted for each table: another thing's answer with the same id stays.
        " AND body #> '{json,data}' ? 'first_name')"
        " OR EXISTS (SELECT FROM unnest(CAST(:addresses AS text[])) AS a (address)"
        " WHERE strpos(lower(body::text), a.address) > 0)",
        ids=list(map(str, person.ids)), addresses=person.addresses,
    )  # fmt: skip
