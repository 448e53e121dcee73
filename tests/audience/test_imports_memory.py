"""The columns of last time: what was chosen comes back, what was empty then is guessed afresh."""

from webapp.audience.imports import imports
from webapp.platform.db import transaction


def run_through(org: int, content: bytes, mapping: dict[str, str] | None = None) -> dict[str, str]:
    """Imports a file and returns the mapping it began with."""
    with transaction(org):
        started = imports.start("leads.csv", content)
        began = dict(started.mapping)
        imports.configure(started, mapping or began, {})
        imports.queue(started)
    with transaction(org):
        pass
    return began


def test_a_choice_is_remembered_and_an_empty_column_is_not_decided(cast):
    header = b"First Name,Email,City,Note\n"
    first = run_through(
        cast.org, header + b"Ada,ada@example.com,,hello\n", {"0": "first_name", "1": "email", "2": "", "3": ""}
    )
    assert (first["2"], first["3"]) == ("", "attributes.note")
    again = run_through(cast.org, header + b"Bo,bo@example.com,Austin,hello\n")
    assert again == {"0": "first_name", "1": "email", "2": "city", "3": ""}


def test_a_remembered_field_is_not_given_twice(cast):
    header = b"Contact,Email,Mail\n"
    run_through(cast.org, header + b"Ada,,ada@example.com\n", {"0": "first_name", "1": "", "2": "email"})
    again = run_through(cast.org, header + b"Ada,ada@example.org,ada@example.com\n")
    assert list(again.values()).count("email") == 1
