"""The suppression list: addresses are kept as leads' are, whatever shape they come in; nobody's no is lifted unexplained."""

import random
from threading import Barrier

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from tests.audience.imports_data import csv_of, xlsx_of
from tests.audience.members import in_thread
from webapp.audience import consents, leads, suppressions
from webapp.audience.consents import Suppression
from webapp.platform.db import db, one, rows, value
from webapp.platform.errors import Invalid, NotFound


def kept() -> list[tuple[str, str, str]]:
    return [tuple(row) for row in rows("SELECT channel, address, reason FROM suppressions ORDER BY channel, address")]


def facts(lead_id: int) -> list[tuple[str, dict]]:
    found = rows("SELECT type, payload FROM lead_events WHERE lead_id = :id ORDER BY id", id=lead_id)
    return [(row.type, row.payload) for row in found if row.type != "lead_created"]


def found(term: str) -> list[str]:
    return list(db.session.scalars(select(Suppression.address).where(suppressions.search(term))))


def test_pasted_addresses_are_kept_as_leads_are_and_told_on_their_timelines(cast, tx):
    with tx():
        ada = leads.create({"email": "ada@example.com", "phone": "+14152001234"}).id
        text = " Ada@Example.COM \n\nBob <bob@example.com>\r\nmailto:eve@example.com\nADA@example.com\n\u00c9va@example.com\n"
        outcome = suppressions.add("email", text, "manual", " by letter\0 ")
        assert (outcome.added, outcome.already) == (4, 1)
        assert (suppressions.add("email", "ada@example.com", "invalid").added, kept()[0][2]) == (0, "manual")
        assert suppressions.add("sms", "(415) 200-1234\n+44 20 7946 0000", "invalid").added == 2
        assert kept() == [
            ("email", "ada@example.com", "manual"), ("email", "bob@example.com", "manual"),
            ("email", "eve@example.com", "manual"), ("email", "\u00e9va@example.com", "manual"),
            ("sms", "+14152001234", "invalid"), ("sms", "+442079460000", "invalid"),
        ]  # fmt: skip
        assert value("SELECT note FROM suppressions WHERE address = 'bob@example.com'") == "by letter"
        told = [
            ("suppressed", {"channel": "email", "reason": "manual"}),
            ("suppressed", {"channel": "sms", "reason": "invalid"}),
        ]
        assert facts(ada) == told
        assert consents.suppressed_of(leads.get(ada)) == {"email": True, "sms": True, "whatsapp": False}


def test_one_line_that_is_no_address_refuses_the_whole_and_says_which(cast, tx):
    with tx():
        with pytest.raises(Invalid) as refused:
            suppressions.add("email", "ada@example.com\n\n+1 415 200 1234\nx@\n", "manual")
        assert refused.value.errors["addresses"].split("\n") == [
            "Line 3, +1 415 200 1234: This is not an e-mail address.", "Line 4, x@: This is not an e-mail address.",
        ]  # fmt: skip
        assert kept() == []


@pytest.mark.parametrize(
    ("changed", "field"),
    [({"channel": "fax"}, "channel"), ({"reason": "complaint"}, "reason"), ({"reason": ""}, "reason"), ({"note": "x" * 501}, "note"),
     ({"text": " \n "}, "addresses"), ({"text": "a@example.com\n" * 2001}, "addresses")],
)  # fmt: skip
def test_what_cannot_be_added_is_told_at_its_field(cast, tx, changed, field):
    with tx(), pytest.raises(Invalid) as refused:
        suppressions.add(**({"channel": "email", "text": "ada@example.com", "reason": "manual"} | changed))
    assert set(refused.value.errors) == {field}


@given(st.sampled_from(("email", "sms")), st.text(max_size=60))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
def test_any_text_is_an_address_or_none_and_an_address_stays_itself(channel, text):
    address = suppressions.read_address(channel, text, "US")
    assert address is None or suppressions.read_address(channel, address, "US") == address == address.lower()


LIST = [
    ["Name", "Wrote to", "When"],
    ["Ada", "Ada@Example.com", "2026"],
    ["Bob", "-", ""],
    ["Eve", "eve@example.com", ""],
    ["Eve", "eve@example.com", ""],
]


@pytest.mark.parametrize(
    "content",
    [csv_of(*LIST, delimiter=";", encoding="utf-16"), csv_of(*LIST), xlsx_of(Sheet1=LIST)],
    ids=["semicolons", "commas", "excel"],
)
def test_a_file_is_read_by_the_column_that_holds_addresses(cast, tx, content):
    with tx():
        consents.suppress("email", "ada@example.com", "complaint")
        outcome = suppressions.bring(content, "email", "manual", "old system")
        assert (outcome.added, outcome.already, outcome.refused_count) == (1, 2, 1)
        assert [(r.row, r.text, r.why) for r in outcome.refused] == [(3, "-", "This is not an e-mail address.")]
        assert [reason for _, _, reason in kept()] == ["complaint", "manual"]


def test_a_plain_list_needs_no_header(cast, tx):
    with tx():
        assert suppressions.bring(b"ada@example.com\nbob@example.com\n", "email", "manual").added == 2
        assert suppressions.bring(b"4152001234\n(415) 200 1235\nnobody\n", "whatsapp", "invalid").added == 2


@pytest.mark.parametrize("content", [b"", b"%PDF-1.7", b"Name\nAda\nBob\n", b"4152001234\n4152001235\n"])
def test_a_file_without_addresses_is_refused(cast, tx, content):
    with tx(), pytest.raises(Invalid) as refused:
        suppressions.bring(content, "email", "manual")
    assert set(refused.value.errors) == {"file"}


def test_a_hundred_thousand_rows_go_in_at_once(cast, tx):
    n = 100_000
    lines = [f"Lead{k}@Example{k % 7}.com" for k in range(n)] + ["nonsense"] * 500
    random.Random(1).shuffle(lines)
    with tx():
        outcome = suppressions.bring("\n".join(lines).encode(), "email", "invalid")
        assert (outcome.added, outcome.already, outcome.refused_count, len(outcome.refused)) == (n, 0, 500, 200)


def test_the_list_is_found_by_the_beginning_of_an_address(cast, tx):
    with tx():
        suppressions.add("email", "ada@example.com\nadam@example.com\nbob@example.com", "manual")
        suppressions.add("sms", "+14152001234\n+442079460000", "manual")
        assert sorted(found("ADA")) == ["ada@example.com", "adam@example.com"]
        assert found("ada@") == ["ada@example.com"]
        assert found("(415) 20") == found("+1415") == ["+14152001234"]
        assert found("+44 20") == ["+442079460000"]
        assert found("%") == found("zz\0") == []
        assert len(found("")) == 5
        assert not found("\U0010ffff")


def test_a_no_of_theirs_is_lifted_with_a_reason_only(cast, tx):
    with tx():
        ada = leads.create({"email": "ada@example.com"}).id
        for reason in consents.REASONS:
            consents.suppress("email", "ada@example.com", reason)
            entry = db.session.scalars(select(Suppression)).one()
            needed = reason not in suppressions.BY_HAND
            assert suppressions.wants_why([entry]) == needed and suppressions.lead_of(entry).id == ada
            if needed:
                for why in ("", "  \0", "x" * 501):
                    with pytest.raises(Invalid):
                        suppressions.lift([entry.id], why)
            assert suppressions.lift([entry.id, 10**12], "new mailbox" if needed else "") == 1
            fact, payload = facts(ada)[-1]
            assert (fact, payload["reason"], payload.get("evidence")) == (
                "suppression_lifted", reason, "new mailbox" if needed else None,
            )  # fmt: skip
        noted = one("SELECT before, after FROM audit_log WHERE action = 'suppression.lifted' ORDER BY id LIMIT 1")
        assert noted.before["address"] == "ad\u2022\u2022\u2022@example.com" and noted.after == {"why": "new mailbox"}
        with pytest.raises(NotFound):
            suppressions.lift([entry.id])


def test_another_organisations_entries_are_not_there(cast, tx):
    with tx(cast.other_org):
        consents.suppress("email", "ada@example.com", "manual")
        other = value("SELECT id FROM suppressions")
    with tx(), pytest.raises(NotFound):
        suppressions.lift([other], "why")


def test_lifted_by_several_at_once_each_is_told_once(app, cast, tx):
    with tx():
        lead_ids = [leads.create({"email": f"lead{n}@example.com"}).id for n in range(5)]
        suppressions.add("email", "\n".join(f"lead{n}@example.com" for n in range(5)), "manual")
        ids = list(db.session.scalars(select(Suppression.id)))
    all_ready = Barrier(4)

    def lift(asked: list[int]) -> int:
        # Seen by all of them before anyone takes them off.
        assert len(suppressions.some(asked)) == 5
        all_ready.wait(10)
        try:
            return suppressions.lift(asked)
        except NotFound:
            return 0

    lifting = [in_thread(app, cast.org, lambda asked=asked: lift(asked)) for asked in (ids, ids[::-1], ids, ids[::-1])]
    assert sorted(one_.result(30) for one_ in lifting) == [0, 0, 0, 5]
    with tx():
        assert [[fact for fact, _ in facts(lead_id)] for lead_id in lead_ids] == [
            ["suppressed", "suppression_lifted"]
        ] * 5
        assert value("SELECT count(*) FROM audit_log WHERE action = 'suppression.lifted'") == 5
        assert kept() == []
