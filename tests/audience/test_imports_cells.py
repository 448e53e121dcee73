"""Cells to values. No text, whatever it is, makes a reader raise."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webapp.audience import lead_values
from webapp.audience.imports import amounts, dates, phones
from webapp.audience.imports.addresses import SIMPLE, read_email
from webapp.audience.imports.cells import READERS, Reading, reader_of
from webapp.audience.imports.names import split_name
from webapp.platform import organizations
from webapp.platform.db import transaction
from webapp.platform.errors import Invalid
from webapp.platform.users import clean_email

TODAY = date(2026, 11, 21)
TARGETS = [*READERS, "attributes.notes"]


def reading(**changes) -> Reading:
    given_ = {"country": "US", "zone": ZoneInfo("America/Chicago"), "today": TODAY, "owners": {"jane@example.com": 7}}
    return Reading(**given_ | changes)


def value(target: str, text: str, **changes):
    return reader_of(target, reading(**changes))(text).value


def problem(target: str, text: str, **changes):
    cell = reader_of(target, reading(**changes))(text)
    assert cell.value is None
    return cell.problem


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("text", ["", "  ", "null", "NULL", "n/a", "-", "\0", "\ufeff", "\u200b \0"])
def test_what_means_nothing(target, text):
    assert reader_of(target, reading())(text) == (None, None)


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(TARGETS), st.text(max_size=60), st.sampled_from(["mdy", "dmy"]), st.sampled_from(["point", "comma"])
)
def test_any_text_is_read_or_dropped_with_a_reason(target, text, order, decimals):
    cell = reader_of(target, reading(order=order, decimals=decimals))(text)
    assert "\0" not in repr(cell.value)
    assert cell.problem is None or cell.problem.endswith((".", ")"))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(TARGETS), st.text(alphabet="0123456789.,-/+:() TZ$€@ae\0", max_size=30))
def test_any_near_miss_is_read_or_dropped(target, text):
    reader_of(target, reading())(text)


@pytest.mark.parametrize(
    ("text", "decimals", "amount"),
    [
        ("4257.53", "point", "4257.53"), ("$7,097.87", "point", "7097.87"), ("1,086", "point", "1086"),
        ("5.034,30", "comma", "5034.30"), ("999,99", "comma", "999.99"), ("1.234", "comma", "1234"),
        ("1.234", "point", "1.23"), ("1.234,50 €", "point", "1234.50"), ("₹8,220.06", "point", "8220.06"),
        ("12,34,567.80", "point", "1234567.80"), ("1'234.50", "point", "1234.50"), ("1 234,5", "comma", "1234.50"),
        ("EUR 12", "point", "12"), ("Rs. 1,200", "point", "1200"), ("0", "point", "0"), (".5", "point", "0.50"),
        ("1.234.567", "point", "1234567"), ("2.005", "comma", "2005"), ("0.005", "point", "0.01"), ("12,5", "point", "12.50"),
    ],
)  # fmt: skip
def test_money(text, decimals, amount):
    assert value("value_estimate", text, decimals=decimals) == Decimal(amount)


@pytest.mark.parametrize(
    "text", ["a lot", "-5", "(12.50)", "5-", "1,2,3", "1.2.3,4,5", "12%", "1e5", "10000000000", "..", "1-2", "٣"]
)
def test_no_money(text):
    assert problem("value_estimate", text)


@settings(deadline=None)
@given(st.decimals(0, Decimal("9999999999.99"), places=2, allow_nan=False))
def test_money_comes_back_in_either_notation(amount):
    american = f"${amount:,.2f}"
    german = f"{amount:,.2f} €".translate(str.maketrans(",.", ".,"))
    for text in (str(amount), american):
        assert amounts.parse(text, "point") == amount
    assert amounts.parse(german, "comma") == amount
    assert amounts.decimals_of([american, german.replace("€", "")]) in (None, "point", "comma")


def test_the_decimal_mark_of_a_column():
    assert amounts.decimals_of(["1.234", "5.034,30", "999"]) == "comma"
    assert amounts.decimals_of(["$1,234", "5,034.30"]) == "point"
    assert amounts.decimals_of(["1,234", "999", "x", "a,b"]) is None


@pytest.mark.parametrize(
    ("text", "order", "day"),
    [
        ("2024-11-08", "mdy", (2024, 11, 8)), ("2024/1/5", "mdy", (2024, 1, 5)), ("08/22/2024", "mdy", (2024, 8, 22)),
        ("03/04/2024", "mdy", (2024, 3, 4)), ("03/04/2024", "dmy", (2024, 4, 3)), ("03.04.2024", "mdy", (2024, 4, 3)),
        ("12-02-1946", "dmy", (1946, 2, 12)), ("08 Nov 2025", "mdy", (2025, 11, 8)), ("8. März 2024", "dmy", (2024, 3, 8)),
        ("Nov 8, 2025", "dmy", (2025, 11, 8)), ("Sat, 08 November 2025", "mdy", (2025, 11, 8)), ("8-Nov-25", "mdy", (2025, 11, 8)),
        ("November 8th 2025", "mdy", (2025, 11, 8)), ("3/4/68", "mdy", (1968, 3, 4)), ("3/4/25", "mdy", (2025, 3, 4)),
        ("45234", "mdy", (2023, 11, 4)), ("20241108", "mdy", (2024, 11, 8)), ("2024-10-22T17:42:00", "mdy", (2024, 10, 22)),
    ],
)  # fmt: skip
def test_days(text, order, day):
    assert dates.read_date(text, order) == date(*day)


@pytest.mark.parametrize(
    "text", ["31/02/2025", "2025-02-30", "13/13/2025", "soon", "32 Jan 2025", "1/2", "2025-1-1 25:00"]
)
def test_no_days(text):
    for order in ("mdy", "dmy"):
        assert dates.read_date(text, order) is None


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2025-04-23T11:00:00Z", datetime(2025, 4, 23, 11, tzinfo=UTC)),
        ("2024-11-08 10:07:00", datetime(2024, 11, 8, 16, 7, tzinfo=UTC)),
        ("08/22/2024", datetime(2024, 8, 22, 5, tzinfo=UTC)),
        ("8/22/2024 3:05 PM", datetime(2024, 8, 22, 20, 5, tzinfo=UTC)),
        ("2024-08-22 12:05 am", datetime(2024, 8, 22, 5, 5, tzinfo=UTC)),
        ("22.08.2024, 15:05 Uhr", datetime(2024, 8, 22, 20, 5, tzinfo=UTC)),
        ("2024-08-22T15:05:06.789+02:00", datetime(2024, 8, 22, 13, 5, 6, 789000, tzinfo=UTC)),
        ("22 Aug 2024 15:05:06 +0530", datetime(2024, 8, 22, 9, 35, 6, tzinfo=UTC)),
    ],
)
def test_moments(text, moment):
    assert value("created_at", text) == moment


def test_dates_that_cannot_be():
    assert "future" in problem("created_at", "2026-12-24")
    assert problem("created_at", "0001-01-01T00:00:00+14:00")
    assert problem("created_at", "9999-12-31 23:59")
    assert problem("date_of_birth", "01/01/1899")
    assert problem("date_of_birth", "11/22/2026")
    assert value("date_of_birth", "11/21/2026") == TODAY
    assert "day, month, year" in problem("date_of_birth", "02/31/2025", order="dmy")


@settings(deadline=None)
@given(st.dates(date(1900, 1, 1), date(2068, 12, 31)))
def test_days_come_back_in_every_form(day):
    for form, order in (("%Y-%m-%d", "mdy"), ("%m/%d/%Y", "mdy"), ("%d/%m/%Y", "dmy"), ("%d.%m.%Y", "mdy"),
                        ("%d %b %Y", "mdy"), ("%B %d, %Y", "dmy"), ("%d-%b-%Y", "dmy"), ("%a, %d %b %Y", "mdy")):  # fmt: skip
        assert dates.read_date(day.strftime(form), order) == day, form
    serial = (day - date(1899, 12, 30)).days
    if serial >= 10_000:
        assert dates.read_date(str(serial), "mdy") == day


@settings(deadline=None)
@given(st.datetimes(datetime(1971, 1, 1), datetime(2026, 1, 1)), st.integers(-12 * 60, 14 * 60))
def test_moments_come_back(naive, minutes):
    aware = naive.replace(microsecond=0, tzinfo=UTC) + timedelta(minutes=0)
    sign, ahead = ("-" if minutes < 0 else "+"), abs(minutes)
    local = (aware + timedelta(minutes=minutes)).replace(tzinfo=None)
    for text in (f"{local:%Y-%m-%d %H:%M:%S}{sign}{ahead // 60:02}:{ahead % 60:02}", f"{aware:%d %b %Y, %H:%M:%S} UTC"):
        assert value("created_at", text) == aware


def test_the_order_of_a_column():
    assert dates.order_of(["03/04/2024", "09/10/2026", "29/09/2026"]) == "dmy"
    assert dates.order_of(["2024-11-08 10:07:00", "08/22/2024", "31/02/2025", "09 Nov 2025"]) == "mdy"
    assert dates.order_of(["03/04/2024", "2024-11-28", "x"]) is None


@pytest.mark.parametrize(
    ("text", "country", "number"),
    [
        ("415.200.0000", "US", "+14152000000"), ("1-512-200-0074", "US", "+15122000074"), ("(415) 200-0333", "US", "+14152000333"),
        (" 5122000296 ", "US", "+15122000296"), ("+14152000888 ext. 12", "US", "+14152000888"), ("12122000037", "US", "+12122000037"),
        ("030 / 1000000", "DE", "+49301000000"), ("0171 / 1016837", "DE", "+491711016837"), ("0049 30 1000000", "US", "+49301000000"),
        ("98765 10001", "IN", "+919876510001"), ("09876510000", "IN", "+919876510000"), ("+91-9876510002", "US", "+919876510002"),
        ("+49 (0)30 1234567", "US", "+49301234567"),
    ],
)  # fmt: skip
def test_phones(text, country, number):
    assert value("phone", text, country=country) == number


@pytest.mark.parametrize("text", ["12345", "call me", "1.2122E+10", "123456789012345678", "@"])
def test_no_phones(text):
    assert problem("phone", text)


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(["US", "DE", "IN", "GB", "FR", "AT", "CH", "IT", "BR", "MX", "RU", "JP"]),
    st.sampled_from(["", "0", "00", "+", "1", "+1", "+1 ", "49", "+49", "+91", "+44 (0)"]),
    st.lists(st.sampled_from(["-", " ", ".", "(", ")", "/", *"0123456789" * 3]), min_size=3, max_size=16),
)
def test_the_fast_lane_for_phones_says_what_the_library_says(country, prefix, digits):
    text = (prefix + "".join(digits)).strip()
    library = phones._parsed(text, country)
    found = phones.read_phone(text, country) if text else None
    assert found == library or (library is None and text.startswith("00"))


def test_a_phone_is_as_leads_clean_it(cast):
    for country, text in (("US", "(415) 200-0333"), ("DE", "030 / 1000000"), ("IN", "98765 10001"), ("US", "555-1234")):
        assert phones.read_phone(text, country) == lead_values.clean_phone(text, country)
    with transaction(cast.org):
        assert lead_values.clean({"phone": "415.200.0000"})["phone"] == value(
            "phone", "415.200.0000", country=organizations.current().country
        )


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("  KAYLA.BEST27@EXAMPLE.NET ", "KAYLA.BEST27@example.net"), ("Ann Lee <ann@example.com>", "ann@example.com"),
        ("mailto:ann@example.com", "ann@example.com"), ("jürgen@example.de", "jürgen@example.de"),
        ("o'neil+tag@mail.example.co.uk", "o'neil+tag@mail.example.co.uk"),
    ],
)  # fmt: skip
def test_addresses(text, address):
    assert value("email", text) == address


@pytest.mark.parametrize(
    "text", ["kylie at example.net", "a@b", "@example.com", "a@@example.com", "a b@example.com", "a@example..com", "x"]
)
def test_no_addresses(text):
    assert problem("email", text)


@settings(max_examples=500, deadline=None)
@given(
    st.text(alphabet="abZ1._%+'-", max_size=8),
    st.text(alphabet="abZ1.-", max_size=8),
    st.sampled_from(["com", "test", "local", "localhost", "invalid", "onion", "arpa", "xn--p1ai", "c", "123", "Com"]),
)
def test_the_fast_lane_for_addresses_says_what_the_library_says(local, domain, last):
    text = f"{local}@{domain}.{last}"
    try:
        library = clean_email(text)
    except Invalid:
        library = None
    assert read_email(text) == library
    assert not SIMPLE.match(text) or library == text


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("Wiggins, Susan", "Susan", "Wiggins"), ("Susan Wiggins", "Susan", "Wiggins"), ("Mary Jo de la Cruz", "Mary Jo", "de la Cruz"),
        ("दर्शना गावडे", "दर्शना", "गावडे"), ("Cher", "Cher", None), ("John Smith, Jr.", "John", "Smith Jr."), ("Dr. Ann Lee", "Ann", "Lee"),
        ("Herr van Dyk", "van", "Dyk"), ("Ludwig van Beethoven", "Ludwig", "van Beethoven"), ("Lee,", None, "Lee"),
        ("John Smith III", "John", "Smith III"),
    ],
)  # fmt: skip
def test_names(text, first, last):
    assert split_name(text) == (first, last)


@settings(deadline=None)
@given(st.text(max_size=40))
def test_no_part_of_a_name_is_lost_but_titles(text):
    first, last = split_name(text)
    assert len(f"{first or ''}{last or ''}") <= len(text)


@pytest.mark.parametrize(
    ("target", "text", "stored"),
    [
        ("insurance_type", "AUTO ", "auto"), ("insurance_type", "Kfz", "auto"), ("insurance_type", "Wohngebäude", "home"),
        ("insurance_type", "Leben", "life"), ("insurance_type", "Reise", "travel"), ("insurance_type", "Kranken", "health"),
        ("insurance_type", "Home Insurance", "home"), ("insurance_type", "motor", "auto"), ("status", "Closed Won", "converted"),
        ("priority", "HOCH", "high"), ("customer_tier", "Gold", "gold"), ("state", "Florida", "FL"), ("state", "ny", "NY"),
        ("state", "N.Y.", "NY"), ("state", "Washington, D.C.", "DC"), ("state", "District of Columbia", "DC"),
        ("state", "Bayern", "Bayern"), ("country", "Deutschland", "DE"), ("country", "us", "US"), ("country", "Narnia", "Narnia"),
        ("timezone", "america/new york", "America/New_York"), ("timezone", "PST", "America/Los_Angeles"), ("language", "Deutsch", "de"),
        ("consent_email", "TRUE", True), ("consent_sms", "Y", True), ("consent_email", "1", True), ("consent_email", "no", False),
        ("consent_whatsapp", "Nein", False), ("owner", "JANE@example.com", 7),
        ("tags", "VIP; expo-24|vip, ,new\nline", ["vip", "expo-24", "new line"]),
        ("city", " Frankfurt\n am  Main ", "Frankfurt am Main"), ("last_name", "Na", "Na"), ("first_name", "Nan", "Nan"),
        ("attributes.notes", "a\r\nb\0", "a\nb"), ("external_id", "00017", "00017"),
    ],
)  # fmt: skip
def test_words(target, text, stored):
    assert value(target, text) == stored


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("insurance_type", "boat"), ("status", "42"), ("priority", "p0"), ("customer_tier", "tin"), ("timezone", "Mars/Base"),
        ("consent_email", "maybe"), ("owner", "bob@example.com"), ("external_id", "Total"), ("external_id", "Gesamt:"),
    ],
)  # fmt: skip
def test_words_nobody_knows(target, text):
    assert problem(target, text)


def test_too_much_text_is_cut_and_said_so():
    for target, limit in (("city", 200), ("first_name", 200), ("attributes.notes", 2000)):
        cell = reader_of(target, reading())("x" * (limit + 1))
        assert cell.value == "x" * limit
        assert str(limit) in cell.problem
