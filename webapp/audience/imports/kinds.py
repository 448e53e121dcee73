"""What the rows of a file are: leads, or policies of leads. Each kind has its fields and what a row cannot do without."""

from dataclasses import dataclass

from webapp.audience.imports import headers

# target -> how it is called on screen. "attributes.<key>" is one too, for everything the house has no field for.
TARGETS = {
    "first_name": "First name", "last_name": "Last name", "name": "Whole name (is split)", "email": "E-mail",
    "phone": "Phone", "external_id": "Your own number for this lead", "status": "Status", "priority": "Priority",
    "source": "Source", "insurance_type": "Insurance", "state": "State", "city": "City", "country": "Country",
    "timezone": "Time zone", "language": "Language", "value_estimate": "Estimated value", "customer_tier": "Tier",
    "date_of_birth": "Date of birth", "tags": "Tags", "owner": "Owner (address of a user)", "created_at": "Created at",
    "consent_email": "Agreed to e-mail (yes / no)", "consent_sms": "Agreed to SMS (yes / no)",
    "consent_whatsapp": "Agreed to WhatsApp (yes / no)",
}  # fmt: skip
# target -> column of a policy
POLICY_COLUMNS = {
    "policy_number": "number", "policy_type": "type", "policy_status": "status", "premium": "premium",
    "coverage": "coverage", "started_on": "started_on", "renews_on": "renews_on", "lapsed_on": "lapsed_on",
    "next_due_on": "next_due_on", "payment_status": "payment_status",
}  # fmt: skip
POLICY_TARGETS = {
    "policy_number": "Policy number", "policy_type": "Policy type", "policy_status": "Policy status",
    "premium": "Premium", "coverage": "Coverage", "started_on": "Began on", "renews_on": "Renews on",
    "lapsed_on": "Lapsed on", "next_due_on": "Payment due on", "payment_status": "Payment",
    "external_id": "Lead: your number", "email": "Lead: e-mail", "phone": "Lead: phone", "name": "Lead: whole name",
    "first_name": "Lead: first name", "last_name": "Lead: last name", "date_of_birth": "Lead: birthday",
    "city": "Lead: city", "state": "Lead: state", "country": "Lead: country", "language": "Lead: language",
}  # fmt: skip
IDENTIFYING = ("external_id", "email", "phone")
NOBODY = "There is nothing here to reach or identify a person by: no e-mail address, phone number or own number."
NO_NUMBER = "There is no policy number here."


@dataclass(frozen=True)
class Kind:
    """targets: field -> words; synonyms: see `headers`; needs: a row without any of these is refused, with the words
    of `missing`; keeps: a column nobody knows is kept as an attribute of the lead; choose: said where no column that
    it needs is chosen."""

    name: str
    targets: dict[str, str]
    synonyms: dict[str, str]
    needs: tuple[str, ...]
    missing: str
    keeps: bool
    choose: str


LEADS = Kind(
    "leads", TARGETS, headers.SYNONYMS, IDENTIFYING, NOBODY, True,
    "Choose the column with the e-mail address, the phone number or your own number.",
)  # fmt: skip
POLICIES = Kind(
    "policies", POLICY_TARGETS,
    {**headers.POLICY_SYNONYMS, **{name: headers.SYNONYMS[name] for name in POLICY_TARGETS if name in headers.SYNONYMS}},
    ("policy_number",), NO_NUMBER, False, "Choose the column with the policy number.",
)  # fmt: skip
KINDS = {kind.name: kind for kind in (LEADS, POLICIES)}


def likely(header: list[str]) -> str:
    """Returns the kind that the names of the columns speak for: policies where there is a number of one and more that
    only a policy has."""
    found = {target for name in header for target in headers.rank(name, headers.POLICY_SYNONYMS)}
    return "policies" if "policy_number" in found and len(found - {"policy_type"}) > 1 else "leads"
