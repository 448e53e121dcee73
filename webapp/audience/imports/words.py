"""What people write in the cells of their files, and what the house calls it. All keys are lower case."""

EMPTY = {"", "null", "(null)", "<null>", "n/a", "#n/a", "-", "--", "–", "—", "\\n"}
# Not names of people or places that happen to look so (Nan, Na), hence apart.
EMPTY_BUT_A_NAME = {"na", "nan", "nil", "none", "undefined", "unknown", "?", "#ref!", "#value!", "#name?", "#div/0!"}
TOTALS = {
    "total", "totals", "grand total", "sub total", "subtotal", "sum", "summe", "gesamt", "gesamtsumme",
    "zwischensumme", "average", "count", "anzahl",
}  # fmt: skip

YES = {
    "true", "yes", "y", "1", "on", "x", "✓", "✔", "checked", "opt-in", "opt in", "optin", "opted in", "opted-in",
    "subscribed", "agreed", "granted", "ja", "j", "wahr", "oui", "si", "sí",
}  # fmt: skip
NO = {
    "false", "no", "n", "0", "off", "unchecked", "opt-out", "opt out", "optout", "opted out", "opted-out",
    "unsubscribed", "denied", "withdrawn", "stop", "nein", "falsch", "non",
}  # fmt: skip

INSURANCE = {
    "auto": "auto car cars vehicle motor motorcycle automobile kfz kfz-versicherung kraftfahrt autoversicherung"
    " kfz-haftpflicht vollkasko teilkasko",
    "home": "home house homeowner homeowners property dwelling household renter renters condo wohngebäude"
    " wohngebaeude gebäude hausrat wohngebäudeversicherung hausratversicherung haus",
    "life": "life term leben lebensversicherung risikoleben",
    "health": "health medical mediclaim kranken krankenversicherung gesundheit pkv gkv zahnzusatz",
    "travel": "travel trip reise reiseversicherung reiserücktritt auslandsreise",
    "business": "business commercial corporate sme gewerbe betrieb betriebshaftpflicht firmen gewerbeversicherung",
    "other": "other misc miscellaneous andere anderes sonstige sonstiges",
}
STATUS = {
    "new": "new open fresh neu offen",
    "contacted": "contacted reached kontaktiert angesprochen",
    "qualified": "qualified qualifiziert",
    "proposal": "proposal quoted quote offer angebot",
    "converted": "converted won customer client sold kunde gewonnen abgeschlossen",
    "lost": "lost closed dead verloren",
}
POLICY_STATUS = {
    "active": "active inforce in-force current live issued paid-up renewed aktiv laufend gültig",
    "lapsed": "lapsed lapse verfallen",
    "cancelled": "cancelled canceled terminated surrendered void storniert gekündigt",
    "expired": "expired ended matured closed abgelaufen beendet",
}
PAYMENT_STATUS = {
    "paid": "paid current ok settled bezahlt",
    "due": "due pending open unpaid outstanding fällig offen",
    "overdue": "overdue late missed arrears default überfällig verzug",
}
PRIORITY = {
    "low": "low niedrig gering",
    "medium": "medium normal standard mittel",
    "high": "high hoch",
    "urgent": "urgent critical dringend kritisch",
}
TIER = {"bronze": "bronze", "silver": "silver silber", "gold": "gold", "platinum": "platinum platin"}
LANGUAGE = {
    "en": "en english englisch", "de": "de german deutsch", "es": "es spanish spanisch español",
    "fr": "fr french französisch français", "hi": "hi hindi", "it": "it italian italienisch", "pt": "pt portuguese",
    "zh": "zh chinese", "vi": "vi vietnamese", "ko": "ko korean", "tl": "tl tagalog", "pl": "pl polish polnisch",
    "tr": "tr turkish türkisch", "ru": "ru russian russisch", "ar": "ar arabic arabisch",
}  # fmt: skip
PHRASES = {
    "insurance_type": {
        "two wheeler": "auto", "home owners": "home", "term life": "life", "whole life": "life",
        "small business": "business",
    },
    "policy_status": {"in force": "active", "paid up": "active"},
    "payment_status": {"up to date": "paid", "past due": "overdue", "in arrears": "overdue"},
    "status": {
        "in progress": "contacted", "closed won": "converted", "closed lost": "lost", "closed - won": "converted",
        "closed - lost": "lost",
    },
}  # fmt: skip


def _by_word(words: dict[str, str]) -> dict[str, str]:
    return {word: meaning for meaning, said in words.items() for word in said.split()}


# target -> what is written -> what is stored
CHOICES = {
    "insurance_type": _by_word(INSURANCE) | PHRASES["insurance_type"],
    "status": _by_word(STATUS) | PHRASES["status"],
    "priority": _by_word(PRIORITY),
    "customer_tier": _by_word(TIER),
    "policy_type": _by_word(INSURANCE) | PHRASES["insurance_type"],
    "policy_status": _by_word(POLICY_STATUS) | PHRASES["policy_status"],
    "payment_status": _by_word(PAYMENT_STATUS) | PHRASES["payment_status"],
}
LANGUAGES = _by_word(LANGUAGE)

COUNTRIES = {
    "usa": "US", "u.s.": "US", "u.s.a.": "US", "united states": "US", "united states of america": "US",
    "vereinigte staaten": "US", "deutschland": "DE", "germany": "DE", "österreich": "AT", "austria": "AT",
    "schweiz": "CH", "switzerland": "CH", "india": "IN", "indien": "IN", "bharat": "IN", "uk": "GB",
    "united kingdom": "GB", "great britain": "GB", "england": "GB", "canada": "CA", "kanada": "CA", "mexico": "MX",
    "france": "FR", "frankreich": "FR", "italy": "IT", "italien": "IT", "spain": "ES", "spanien": "ES",
    "netherlands": "NL", "niederlande": "NL", "australia": "AU", "poland": "PL", "polen": "PL",
}  # fmt: skip

STATES = {
    "alabama": "AL", "alaska": "AK", "arizona": "AZ", "arkansas": "AR", "california": "CA", "colorado": "CO",
    "connecticut": "CT", "delaware": "DE", "district of columbia": "DC", "florida": "FL", "georgia": "GA",
    "hawaii": "HI", "idaho": "ID", "illinois": "IL", "indiana": "IN", "iowa": "IA", "kansas": "KS", "kentucky": "KY",
    "louisiana": "LA", "maine": "ME", "maryland": "MD", "massachusetts": "MA", "michigan": "MI", "minnesota": "MN",
    "mississippi": "MS", "missouri": "MO", "montana": "MT", "nebraska": "NE", "nevada": "NV", "new hampshire": "NH",
    "new jersey": "NJ", "new mexico": "NM", "new york": "NY", "north carolina": "NC", "north dakota": "ND",
    "ohio": "OH", "oklahoma": "OK", "oregon": "OR", "pennsylvania": "PA", "rhode island": "RI",
    "south carolina": "SC", "south dakota": "SD", "tennessee": "TN", "texas": "TX", "utah": "UT", "vermont": "VT",
    "virginia": "VA", "washington": "WA", "west virginia": "WV", "wisconsin": "WI", "wyoming": "WY",
    "washington dc": "DC", "washington d c": "DC", "new york state": "NY", "washington state": "WA",
}  # fmt: skip
USPS = frozenset(STATES.values())

MONTHS = {
    name: number
    for number, names in enumerate(
        ("jan jän", "feb", "mar mär mrz", "apr", "may mai", "jun", "jul", "aug", "sep", "oct okt", "nov", "dec dez"),
        start=1,
    )
    for name in names.split()
}  # by the first three letters, English and German
