"""Every table of the house, imported so that migrations and the catalogue tests see them all."""

from webapp.audience import (
    bulk,
    consents,
    groups,
    leads,
    membership,
    merges,
    personas,
    policies,
    scores,
    segments,
    timeline,
)
from webapp.audience.imports import tables as imports
from webapp.campaigns import campaigns, recipients
from webapp.messaging import (
    batches,
    hours,
    inbound,
    intents,
    links,
    mailbox,
    meters,
    phones,
    portfolios,
    receipts,
    senders,
    sends,
    tallies,
    templates,
)
from webapp.platform import api_tokens, audit, idempotency, jobs, organizations, users, work
from webapp.platform.db import Base

MODULES = (
    organizations, users, api_tokens, audit, idempotency, jobs, work,
    leads, policies, timeline, consents, segments, membership, scores, groups, personas, bulk, merges, imports,
    portfolios, senders, meters, templates, links, sends, batches, receipts, tallies, mailbox, inbound, intents, phones, hours,
    campaigns, recipients,
)  # fmt: skip
metadata = Base.metadata
# Of the house and not of an organisation: no org_id, no row-level security.
HOUSE_TABLES = {"organizations", "job_runs", "scheduler_nodes", "scheduler_lease", "alembic_version"}
