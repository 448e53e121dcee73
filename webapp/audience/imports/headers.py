"""What columns are called in other people's files: the names each target field goes by, English and German."""

import re
import unicodedata

# Lower case, words parted by one space. The likelier name stands first: of two columns that would do, it wins.
SYNONYMS = {
    "external_id": "external id|lead id|customer id|customer number|client id|contact id|record id|crm id|account id"
    "|kundennummer|kunden nr|kundennr|reference number|ref|id",
    "name": "full name|customer name|client name|contact name|lead name|insured name|policyholder|name|kunde"
    "|vollständiger name",
    "first_name": "first name|firstname|given name|forename|vorname|fname|first",
    "last_name": "last name|lastname|surname|family name|nachname|familienname|lname|last",
    "email": "email|e mail|email address|e mail address|email adresse|e mail adresse|emailadresse|mail|primary email"
    "|work email|personal email|email 1",
    "phone": "mobile phone|mobile|mobile number|cell phone|cell|handy|mobil|mobilnummer|phone|phone number|telephone"
    "|telefon|telefonnummer|rufnummer|tel|contact number|whatsapp number|whatsapp|primary phone|phone 1|home phone"
    "|work phone|festnetz",
    "status": "status|lead status|stage|lead stage",
    "priority": "priority|lead priority|priorität|prio",
    "source": "source|lead source|quelle|herkunft|origin|utm source",
    "insurance_type": "insurance type|type of insurance|insurance|line of business|lob|line|product line|policy type"
    "|coverage type|versicherungsart|sparte|versicherung|product|produkt",
    "state": "state|state province|us state|state code|bundesland|province",
    "city": "city|town|city town|ort|stadt|wohnort",
    "country": "country|country code|land",
    "timezone": "timezone|time zone|zeitzone",
    "language": "language|preferred language|sprache|lang",
    "value_estimate": "estimated value|est value|value estimate|deal value|lead value|potential value|value|wert"
    "|amount|betrag",
    "customer_tier": "customer tier|tier|kundenstufe|customer level",
    "date_of_birth": "date of birth|dob|birthday|birth date|birthdate|geburtsdatum|geburtstag|geboren am|geb datum",
    "tags": "tags|tag|labels|label|schlagwörter|schlagworte",
    "owner": "owner|lead owner|owner email|assigned to|agent|agent email|sales rep|betreuer|berater",
    "created_at": "created at|created|created on|created date|creation date|date created|date added|added on|lead date"
    "|angelegt am|erstellt am|erfasst am|angelegt|erstellt|sign up date|signup date",
    "consent_email": "email consent|consent email|opt in email|email opt in|e mail opt in|opt in e mail|email opt-in"
    "|email permission|newsletter opt in|newsletter|e mail einwilligung|einwilligung e mail|email optin",
    "consent_sms": "sms consent|consent sms|opt in sms|sms opt in|text opt in|sms permission|sms optin"
    "|sms einwilligung",
    "consent_whatsapp": "whatsapp consent|consent whatsapp|opt in whatsapp|whatsapp opt in|whatsapp permission"
    "|whatsapp einwilligung|whatsapp optin",
}
POLICY_SYNONYMS = {
    "policy_number": "policy number|policy no|policy id|policynumber|policy nr|policy|contract number|certificate number"
    "|policennummer|versicherungsnummer|vertragsnummer|versicherungsscheinnummer",
    "policy_type": "policy type|type of policy|product|plan|line of business|lob|coverage type|insurance type"
    "|type of insurance|versicherungsart|sparte|produkt",
    "policy_status": "policy status|contract status|status|vertragsstatus",
    "premium": "premium|premium amount|annual premium|yearly premium|gross premium|amount|prämie|praemie|jahresprämie"
    "|beitrag|jahresbeitrag",
    "coverage": "coverage|coverage amount|sum insured|sum assured|insured amount|cover|deckungssumme"
    "|versicherungssumme",
    "started_on": "start date|policy start|effective date|inception date|issue date|commencement date|started on|beginn"
    "|vertragsbeginn|versicherungsbeginn",
    "renews_on": "renewal date|renews on|renewal|policy renewal|expiry date|expiration date|end date|valid until"
    "|maturity date|ablauf|vertragsende|verlängerung",
    "lapsed_on": "lapse date|lapsed on|lapsed",
    "next_due_on": "due date|next due date|premium due date|next due|next payment|payment due|next premium date|fällig am"
    "|fälligkeit",
    "payment_status": "payment status|premium status|payment|zahlungsstatus|zahlstatus",
}
GERMAN = {
    "vorname", "nachname", "telefon", "telefonnummer", "rufnummer", "handy", "mobilnummer", "ort", "wohnort", "sparte",
    "wert", "angelegt am", "erstellt am", "kundennummer", "geburtsdatum", "straße", "strasse", "plz", "anrede",
}  # fmt: skip


def plain(name: str) -> str:
    """Returns a column's name in lower case, its words parted by single spaces."""
    return " ".join(re.findall(r"[^\W_]+", unicodedata.normalize("NFC", name).lower()))


def rank(name: str, synonyms: dict[str, str] = SYNONYMS) -> dict[str, float]:
    """Returns the targets a column's name may mean and how well each fits, from 0 to 1. synonyms: target -> its names."""
    said = plain(name)
    words = set(said.split())
    fits: dict[str, float] = {}
    for target, names in synonyms.items():
        for place, known in enumerate(names.split("|")):
            if said == known:
                fits[target] = max(fits.get(target, 0), 1 - place / 100)
            elif len(known.split()) > 1 and set(known.split()) <= words:
                # "Primary E-Mail Address (work)": more words than ours, with all of ours among them.
                fits[target] = max(fits.get(target, 0), 0.5 + len(known.split()) / 100 - place / 1000)
            elif len(known) > 3 and known in words and target in ("email", "phone", "city", "country", "state"):
                fits[target] = max(fits.get(target, 0), 0.3 - place / 1000)
    return fits


def attribute_key(name: str, place: int) -> str:
    """Returns the key under which a column's cells are kept among a lead's attributes. place: from 0."""
    folded = unicodedata.normalize("NFKD", name.replace("ß", "ss")).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "_", folded).strip("_")[:60].strip("_") or f"column_{place + 1}"
