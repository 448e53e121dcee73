"""The fields a rule may name: one line each. What is not here, no attribute and no kind of fact, cannot be asked."""

import re

from webapp.audience.lead_values import INSURANCE_TYPES, PRIORITIES, STATUSES, TIERS
from webapp.audience.rules.calendar import BirthdayField, InactiveField
from webapp.audience.rules.deeds import USUAL, deed
from webapp.audience.rules.field import AttributeField, ColumnField, Field
from webapp.audience.rules.holdings import PolicyCountField, PolicyField
from webapp.audience.rules.operators import CHOICE, DATE, DAY, NUMBER, REF, TAGS
from webapp.audience.rules.standing import ConsentField, SegmentField

WHO, WHERE, SALE, WHEN, CONSENT, POLICIES = "The lead", "Where", "Sales", "Dates", "Consent", "Policies and segments"

FIELDS: dict[str, Field] = {
    field.name: field
    for field in (
        ColumnField("status", "Status", SALE, CHOICE, STATUSES),
        ColumnField("priority", "Priority", SALE, CHOICE, PRIORITIES),
        ColumnField("source", "Source", SALE),
        ColumnField("insurance_type", "Insurance type", SALE, CHOICE, INSURANCE_TYPES),
        ColumnField("value_estimate", "Estimated value", SALE, NUMBER),
        ColumnField("score", "Lead score", SALE, NUMBER),
        ColumnField("engagement_score", "Engagement score", SALE, NUMBER),
        ColumnField("customer_tier", "Tier", SALE, CHOICE, TIERS),
        ColumnField("owner_id", "Owner", SALE, REF, refers="owners"),
        ColumnField("tags", "Tags", WHO, TAGS),
        ColumnField("persona_type", "Persona", WHO),
        ColumnField("first_name", "First name", WHO),
        ColumnField("last_name", "Last name", WHO),
        ColumnField("email", "E-mail", WHO),
        ColumnField("phone", "Phone", WHO),
        ColumnField("external_id", "Number in your system", WHO),
        ColumnField("language", "Language", WHO),
        ColumnField("state", "State", WHERE),
        ColumnField("city", "City", WHERE),
        ColumnField("country", "Country", WHERE),
        ColumnField("region", "Region", WHERE),
        ColumnField("district", "District", WHERE),
        ColumnField("timezone", "Time zone", WHERE),
        ColumnField("created_at", "Created", WHEN, DATE),
        ColumnField("updated_at", "Last changed", WHEN, DATE),
        ColumnField("last_activity_at", "Last active", WHEN, DATE),
        InactiveField("inactive", "Inactive", WHEN),
        ColumnField("date_of_birth", "Date of birth", WHEN, DAY),
        BirthdayField("birthday", "Birthday", WHEN),
        ConsentField("consent.email", "E-mail consent", CONSENT),
        ConsentField("consent.sms", "SMS consent", CONSENT),
        ConsentField("consent.whatsapp", "WhatsApp consent", CONSENT),
        PolicyField("policies", "Policy", POLICIES),
        PolicyCountField("policy_count", "Number of policies", POLICIES),
        SegmentField("segment", "Segment", POLICIES),
        *(deed(name) for name in USUAL),
    )
}
FACT_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")


def field_named(name: str) -> Field | None:
    """Returns the field of a name: one of FIELDS, "attributes.<key>" or "event.<kind of fact>"; None for any other."""
    if name in FIELDS:
        return FIELDS[name]
    sort, _, rest = name.partition(".")
    if sort == "attributes" and rest.strip() and len(rest) <= 100 and "\0" not in rest:
        return AttributeField(name, rest.replace("_", " ").strip().capitalize(), "Attributes")
    return deed(rest) if sort == "event" and FACT_NAME.fullmatch(rest) else None
