"""Bytes to rows: every dialect there is in the wild, and nothing but Invalid for what is no table."""

import csv
import io
import zipfile
from datetime import date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.audience.imports_data import HEADER, csv_of, xlsx_of
from webapp.audience.imports.reading import MAX_COLUMNS, read
from webapp.audience.imports.survey import survey
from webapp.platform.errors import Invalid

ANN = ["Ann", "Lee", "ann@example.com", "+14152000000"]


def rows_of(content: bytes) -> list[list[str]]:
    return [cells for _, cells in read(content).rows()]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_dialect(delimiter, encoding, end):
    lines = [["Jürgen", "Größe", "j@example.de", "1,5; 2"], ["Zoé", "Côté", "z@example.fr", 'two\nlines, "quoted"']]
    table = read(csv_of(HEADER, *lines, delimiter=delimiter, encoding=encoding, end=end))
    assert table.header == HEADER
    assert [[cell.replace("\r", "") for cell in cells] for _, cells in table.rows()] == lines
    assert table.dialect["delimiter"] == delimiter


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Имя;Фамилия\nИван;Иванов\nМария;Петрова\n" * 3, "cp1251"),
        ("Imię;Nazwisko\nŁukasz;Wiśniewski\nGrażyna;Żółć\nPaweł;Dąbrowski\n" * 2, "cp1250"),
        ("Name;Ort\nJürgen;Köln\nRené;Düren\n", "mac_roman"),
        ("Name;Ort\nJürgen;Köln\nRené;Düren\n", "cp850"),
        ("Vorname;Ort\nGeert;Eichstätt\n", "cp1252"),
        ("Name;Ort\nSchön;Köln\n", "cp1252"),
        ("Nom;Note\nZoé;“cœur” – 5 €\nAndré;l’été\n", "cp1252"),
    ],
)
def test_old_encodings(text, encoding):
    table = read(text.encode(encoding))
    assert [table.header, *(cells for _, cells in table.rows())] == [line.split(";") for line in text.splitlines()]


def test_a_few_broken_bytes_do_not_spoil_utf_8():
    content = ("Name,Ort\n" + "Jürgen,Köln\n" * 50).encode() + b"M\xfcller,Bonn\n"
    assert read(content).dialect["encoding"] == "utf-8"
    assert rows_of(content)[0] == ["Jürgen", "Köln"]


def test_row_numbers_are_those_a_person_sees():
    content = b'Name,Mail\n\nAnn,a@example.com\n" ",\n\n"B\no",b@example.com\n'
    assert list(read(content).rows()) == [(3, ["Ann", "a@example.com"]), (6, ["B\no", "b@example.com"])]


def test_names_of_columns_are_made_distinct():
    assert read(b"Notes,Notes,,Notes (2), Notes \n1,2,3,4,5\n").header == [
        "Notes", "Notes (2)", "Column 3", "Notes (2) (2)", "Notes (3)",
    ]  # fmt: skip


def test_excel_says_which_delimiter():
    assert read(b"sep=;\r\nName;Mail\r\nLee, Ann;a@example.com\r\n").header == ["Name", "Mail"]
    assert list(read(b"sep=;\r\nName;Mail\r\nLee, Ann;a@example.com\r\n").rows())[0][0] == 3


def test_titles_above_the_header_are_passed_over():
    content = b"Export of 2026,,\n,,\nName,Mail,Phone\nAnn,a@example.com,1\n"
    assert read(content).header == ["Name", "Mail", "Phone"]
    assert list(read(content).rows()) == [(4, ["Ann", "a@example.com", "1"])]


def test_a_list_without_a_header():
    table = read(b"a@example.com\nb@example.com\n")
    assert (table.header, [c for _, c in table.rows()]) == (["Column 1"], [["a@example.com"], ["b@example.com"]])


def test_rows_that_do_not_fit():
    content = csv_of(HEADER, ANN[:2], [*ANN, "", ""], [*ANN, "", "shifted"])
    assert [len(cells) for cells in rows_of(content)] == [4, 4, 6]


def test_columns_without_a_name_are_kept():
    assert read(b",name,mail\n0,Ann,a@example.com\n1,Bo,b@example.com\n").header == ["Column 1", "name", "mail"]
    assert read(b"name,mail\nAnn,a@example.com,x\nBo,b@example.com,y\n").header == ["name", "mail", "Column 3"]


def test_the_dialect_of_one_reading_does_for_the_next():
    content = csv_of(HEADER, ANN, delimiter=";", encoding="utf-16")
    first = read(content)
    again = read(content, first.dialect)
    assert (again.header, list(again.rows())) == (first.header, list(first.rows()))


def test_a_workbook():
    table = read(xlsx_of(
        Cover=[["Agency export"]],
        Export=[
            ["Agency export 2026"], [], ["Lead ID", "Name", "Phone", "Value", "Created", "On", "Ok"],
            [1000, "Lee, Ann", 12122000037, 3042.72, datetime(2024, 10, 22, 17, 42), date(2024, 1, 25), True],
            [None, None, None, None, None, None, None], [1001, " & <x>", "(415) 200-0000", 0.1, "2024/01/25", None, False],
        ],
        Notes=[["do not", "import"], ["a", "b"]],
    ))  # fmt: skip
    assert table.dialect["sheet"] == "Export"
    assert table.header[:3] == ["Lead ID", "Name", "Phone"]
    assert list(table.rows()) == [
        (4, ["1000", "Lee, Ann", "12122000037", "3042.72", "2024-10-22T17:42:00", "2024-01-25", "TRUE"]),
        (6, ["1001", " & <x>", "(415) 200-0000", "0.1", "2024/01/25", "", "FALSE"]),
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b" \r\n\r\n ", "empty"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20, "not a table"),
        (bytes(range(256)) * 200, "not a table"),
        (b"%PDF-1.7 ...", "not a table"),
        (b"PK\x03\x04" + bytes(200), "damaged"),
        (xlsx_of(A=[["a", "b"], ["1", "2"]])[:-30], "damaged"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2000), "old Excel"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2000) + "EncryptedPackage".encode("utf-16-le"), "password"),
        (xlsx_of(Empty=[], Blank=[[None]]), "no table"),
        (",".join(f"c{n}" for n in range(MAX_COLUMNS + 1)).encode() + b"\n", "columns"),
    ],
)
def test_what_is_no_table(content, said):
    with pytest.raises(Invalid) as refused:
        read(content)
    assert said in refused.value.errors["file"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"Name,Mail\n", "no row"),
        (b'Name,Mail\nAnn,a@example.com\nBo,"b@example.com\nCy,c@example.com\n', "never closed"),
        (b"a,b\n" + b"1,2\n" * 100 + b'3,"' + b"x" * 200_000 + b"\n", "quotation mark"),
        (b"a,b\n" + b"1,2\n" * 59 + b"1,2,3\n" * 100, "more cells"),
    ],
)
def test_what_is_found_out_further_down(content, said):
    with pytest.raises(Invalid) as refused:
        survey(read(content))
    assert said in refused.value.errors["file"]


def test_archives_that_are_no_workbooks():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("leads.csv", "a,b")
    with pytest.raises(Invalid, match="another look") as refused:
        read(out.getvalue())
    assert "archive" in refused.value.errors["file"]


def only_invalid(content: bytes) -> None:
    try:
        table = read(content)
        width = len(table.header)
        assert len(set(table.header)) == width
        for number, cells in table.rows():
            assert number >= 1
            assert len(cells) >= width
        survey(table)
    except Invalid as refused:
        assert refused.errors["file"]


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=3000))
def test_any_bytes_are_read_or_refused(content):
    only_invalid(content)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=st.sampled_from('ab,;\t|"\n\r \0\x1aé'), max_size=300), st.sampled_from(["utf-8", "utf-16"]))
def test_any_text_is_read_or_refused(text, encoding):
    only_invalid(text.encode(encoding))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_damaged_workbook_is_read_or_refused(data):
    content = bytearray(xlsx_of(A=[["Name", "Mail"], ["Ann", "a@example.com"], [1, date(2024, 1, 1)]]))
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(4, len(content) - 1))] = data.draw(st.integers(0, 255))
    only_invalid(bytes(content))


CELLS = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=3, max_size=20),
    st.sampled_from(",;\t|"),
    st.sampled_from(["utf-8-sig", "utf-16"]),
)
def test_what_was_written_is_read(lines, delimiter, encoding):
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([["Name", "E-Mail", "Phone"], *lines])
    table = read(out.getvalue().encode(encoding), {"delimiter": delimiter, "encoding": encoding, "header_row": 1})
    assert [tuple(cells) for _, cells in table.rows()] == [line for line in lines if "".join(line).strip()]
