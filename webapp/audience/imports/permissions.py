"""The consents an import brings. They are only ever added: what a lead said before, in either direction, stands."""

from typing import Any

from webapp.audience import timeline
from webapp.audience.consents import CHANNELS
from webapp.platform.db import run


def source_of(import_id: int) -> str:
    """Returns how the consents of an import name their source, by which they are found again when it is undone."""
    return f"import {import_id}"


def add(import_id: int, file_name: str, fields: list[str], options: dict[str, Any]) -> int:
    """Adds the consents that the staged rows and the importer state. Returns how many. Fills import_consents."""
    run("CREATE TEMP TABLE import_consents (lead_id bigint, channel text, status text) ON COMMIT DROP")
    run('CREATE TEMP TABLE import_withdrawn (channel text, address text COLLATE "C") ON COMMIT DROP')
    added = 0
    for channel in CHANNELS:
        column, stated = f"consent_{channel}", channel in options["consent"]
        if column in fields or stated:
            evidence = f"{file_name}: {options['consent_source']}" if stated else f"{file_name}: its own column"
            added += _add(channel, _says(channel, column in fields, stated), source_of(import_id), evidence)
    run("ANALYZE import_consents")
    return added


def _says(channel: str, has_column: bool, stated: bool) -> str:
    """The SQL of what a staged row says: true, false or NULL. A no in the file outweighs what is stated for all."""
    address = "s.email" if channel == "email" else "s.phone"
    # Agreeing for somebody whose address we were not given means nothing.
    stated_sql = f"CASE WHEN {address} IS NOT NULL THEN true END"
    if not has_column:
        return stated_sql
    return f"COALESCE(s.consent_{channel}, {stated_sql})" if stated else f"s.consent_{channel}"


def _add(channel: str, says: str, source: str, evidence: str) -> int:
    _note_withdrawn(channel)
    address = "s.email_key" if channel == "email" else "s.phone"
    return run(
        "WITH added AS (INSERT INTO consents (lead_id, channel, status, source, evidence)"
        f" SELECT COALESCE(s.lead_id, m.lead_id), :channel, CASE WHEN {says} AND w.address IS NULL THEN 'subscribed'"
        " ELSE 'unsubscribed' END, :source, :evidence"
        ' FROM import_rows s LEFT JOIN import_made m USING ("row") LEFT JOIN import_withdrawn w'
        f" ON w.channel = :channel AND w.address = {address} WHERE {says} IS NOT NULL"
        " ON CONFLICT (org_id, lead_id, channel) DO NOTHING RETURNING lead_id, channel, status)"
        " INSERT INTO import_consents SELECT lead_id, channel, status FROM added",
        channel=channel,
        source=source,
        evidence=evidence[:1000],
    )


def _note_withdrawn(channel: str) -> None:
    # Somebody who said no, was deleted and comes back with the file still says no.
    run(
        "INSERT INTO import_withdrawn SELECT DISTINCT :channel,"
        f" {'o.email_key' if channel == 'email' else 'o.phone'} FROM consents c JOIN leads o ON o.id = c.lead_id"
        " WHERE c.channel = :channel AND c.status = 'unsubscribed' AND o.deleted_at IS NOT NULL",
        channel=channel,
    )
    run("ANALYZE import_withdrawn")


def record(import_id: int) -> None:
    """Writes the facts of the consents added."""
    timeline.record_select(
        "consent_changed",
        "SELECT lead_id, jsonb_build_object('channel', channel, 'to', status, 'source', CAST(:source AS text),"
        " 'import', CAST(:import_id AS bigint)) FROM import_consents",
        source=source_of(import_id),
        import_id=import_id,
    )
