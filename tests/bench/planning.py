"""The plan of a campaign to 1,000,000 people, against one hand-written INSERT ... SELECT of the same rows."""

import time

from tests.bench.desk import add_leads, house, settle
from webapp.audience import segments
from webapp.campaigns import campaigns, dispatch
from webapp.messaging import senders, templates
from webapp.platform import tenancy
from webapp.platform.db import run, transaction, value

HAND = """
    INSERT INTO sends (campaign_id, kind, lead_id, channel, sender_id, recipient_address, recipient_name,
                       template_version_id, variant, dedup_key, planned_on, priority, status, not_before)
    SELECT campaign_id, kind, lead_id, channel, sender_id, recipient_address, recipient_name, template_version_id, variant,
           'hand:' || dedup_key, planned_on, priority, 'pending', not_before
    FROM sends WHERE campaign_id = :id ORDER BY id"""


def main(n: int = 1_000_000) -> None:
    with house() as (app, org):
        add_leads(org, n)
        settle(app)
        with transaction(org):
            server = {"host": "127.0.0.1", "port": 9, "tls": "none"}
            sender = senders.save_smtp(None, {"name": "Plan", "address": "bench@example.com", **server})
            template = templates.save(
                None, {"name": "Plan", "subject_line": "Hi", "html_content": "<p>{{ first_name }}</p>"}
            )
            segment = segments.save(None, {"name": "Plan"})
            chosen = {"template_id": template.id, "segment_id": segment.id, "sender_id": sender.id}
            campaign_id = campaigns.save(None, {"name": "Plan", **chosen}).id
            campaigns.launch(campaign_id)
        began = time.perf_counter()
        with tenancy.scope(org):
            dispatch.start_due()
        planned = time.perf_counter() - began
        with transaction(org):
            rows = value("SELECT count(*) FROM sends WHERE campaign_id = :id", id=campaign_id)
        assert rows == n, rows
        began = time.perf_counter()
        with transaction(org):
            run(HAND, id=campaign_id)
        by_hand = time.perf_counter() - began
    print(f"planning {n:,} people: {planned:.1f} s with their frozen audience and batches; {n / planned:,.0f}/s;"
          f" the same sends by hand {by_hand:.1f} s, ratio {planned / by_hand:.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
