"""Texts: the demo's built-in senders of SMS and WhatsApp, and one template of each."""

from datetime import datetime, timedelta
from typing import Any

from webapp.messaging import local_senders, tokens
from webapp.messaging.templates import Template, TemplateVersion
from webapp.platform.db import db

AGE_DAYS = 60
NUMBERS = {"sms": "+14152000001", "whatsapp": "+14152000002"}
COMPANY = "Demo Insurance"
SMS = (
    "Hi {{ first_name|default('there', true) }}, {{ company_name }} here. Your {{ policy_type|default('insurance', true) }}"
    " policy renews{% if renewal_date %} on {{ renewal_date }}{% else %} soon{% endif %}. Review it in two minutes:"
    " https://www.example.com/renew Reply STOP to opt out"
)
WHATSAPP: dict[str, Any] = {
    "name": "renewal_reminder",
    "language": "en_US",
    "category": "UTILITY",
    "status": "APPROVED",
    "body": (
        "Hello {{1}}, your {{2}} policy with {{3}} renews {{4}}. If nothing has changed, you need not do anything."
        " Answer here if you want us to look at it together, or STOP if you want no more of these."
    ),
    "parameters": [
        "{{ first_name|default('there', true) }}",
        "{{ policy_type|default('insurance', true) }}",
        "{{ company_name }}",
        "{% if renewal_date %}on {{ renewal_date }}{% else %}soon{% endif %}",
    ],
    "footer": "Demo Insurance",
    "buttons": [{"type": "quick_reply", "text": "Yes, call me"}],
}
TEMPLATES: tuple[dict[str, Any], ...] = (
    {
        "name": "Renewal reminder by text", "slug": "renewal-reminder-by-text", "template_type": "sms",
        "description": "Some weeks before a policy renews, in one text.", "text_content": SMS,
        "suggested_channels": ["sms"], "available_tokens": sorted(tokens.used(SMS)),
    },
    {
        "name": "Renewal reminder on WhatsApp", "slug": "renewal-reminder-on-whatsapp", "template_type": "whatsapp",
        "description": "Some weeks before a policy renews, with an answer at one tap.", "whatsapp": WHATSAPP,
        "suggested_channels": ["whatsapp"], "available_tokens": sorted(tokens.used(*WHATSAPP["parameters"])),
    },
)  # fmt: skip


def make(author: int, now: datetime) -> None:
    """Adds the senders and the templates, as if they had been made some time ago. author: a user's id."""
    at = now - timedelta(days=AGE_DAYS)
    for channel, number in NUMBERS.items():
        sender = local_senders.ensure_local_text(channel, COMPANY, number)
        sender.created_at = sender.updated_at = at
    for values in TEMPLATES:
        template = Template(category="retention", created_by=author, created_at=at, updated_at=at, **values)
        db.session.add(template)
        db.session.flush()
        bodies = {name: values[name] for name in ("text_content", "whatsapp") if name in values}
        db.session.add(TemplateVersion(template_id=template.id, number=1, author_id=author, created_at=at, **bodies))
    db.session.flush()
