"""Tokens: what a message may say, and a sandbox that what users write can neither leave nor exhaust."""

from datetime import date

import pytest

from webapp.messaging import tokens
from webapp.messaging.compose import LEAD_TOKENS, lead_values
from webapp.messaging.tokens import TOKENS, problem, used


def filled(body: str, **values) -> str:
    return tokens.environment().render_str(body, **values)


@pytest.mark.parametrize("name", sorted(set(TOKENS) - tokens.UNBUILT))
def test_every_token_can_be_used(name):
    assert problem(f"{{{{ {name} }}}}") is None
    assert used(f"{{{{ {name} }}}}") == {name}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("{{ frist_name }}", "There is no token {{ frist_name }}."),
        ("{{ a }} {{ b }}", "There is no token {{ a }}, {{ b }}."),
        ("{% if nonsense %}x{% endif %}", "There is no token {{ nonsense }}."),
        ("{{ first_name.__class__ }}", "There is no token"),
        ("{{ _open }}", "There is no token {{ _open }}."),
        ("{{ _link_1 }}", "There is no token"),
        ("{{ preferences_url }}", "cannot be used yet"),
        ("{{ first_name", "cannot be read near line 1"),
        ("\n\n{% if %}", "cannot be read near line 3"),
        ("{{ first_name|nonsense }}", "cannot be read"),
        ("{{ first_name|length }}", "cannot be read"),
        ("{{ 'x'|money }}", "cannot be filled in"),
        ("{{ 'x'|date }}", "cannot be filled in"),
        ("{% include 'body.html' %}", "cannot be read"),
        ("{{ 1/0 }}", "cannot be read"),
    ],
)
def test_what_cannot_be_said_is_refused_in_words(body, words):
    assert words in problem(body)


@pytest.mark.parametrize(
    "body",
    [
        "{% for a in range(100000) %}{% for b in range(100000) %}x{% endfor %}{% endfor %}",
        "{% for a in range(10000000) %}{% endfor %}",
        "{{ 'x' * 10000000000 }}",
        "{{ 10 ** 10000000 }}",
        "{% set a = 'x' * 1000 %}{% for i in range(1000) %}{% set a = a ~ a %}{% endfor %}{{ a }}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{{ range(100000000)|list }}",
        "{% for a in range(9000) %}" + "x" * 400 + "{% endfor %}",
        "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    ],
)
def test_templates_that_run_away_are_refused_soon(body):
    assert problem(body)


def test_python_cannot_be_reached():
    for body in (
        "{{ ''.__class__ }}",
        "{{ [].append }}",
        "{{ cycler }}",
        "{{ self }}",
        "{{ config }}",
        "{{ attributes.__init__ }}",
    ):
        assert problem(body) or filled(body, attributes={}) == ""


def test_dates_and_amounts_are_written_as_asked():
    assert filled("{{ d|date }}", d=date(2026, 12, 1)) == "1 December 2026"
    assert filled("{{ d|date('%d/%m/%y') }}", d="2026-12-01T10:00:00Z") == "01/12/26"
    assert filled("{{ renewal_date|date('%d.%m.%Y') }}", renewal_date=TOKENS["renewal_date"][1]) == "01.12.2026"
    assert filled("{{ a|money('$') }}", a="1200") == "$1,200.00"
    assert filled("{{ premium_amount|money }}", premium_amount=TOKENS["premium_amount"][1]) == "1,200.00"
    assert filled("[{{ a|money }}{{ a|date }}{{ b|money }}{{ b|date }}]", a=None) == "[]"


def test_a_template_that_fails_where_a_value_is_missing_is_refused():
    assert problem("{{ first_name + '!' }}") and not problem("{{ first_name ~ '!' }}")
    assert problem("{{ premium_amount|money }} {{ due_date|date }} {{ first_name[0] }} {{ attributes.a.b.c }}") is None


def test_nested_names_and_names_of_the_templates_own_are_told_apart():
    body = "{% set x = 1 %}{% for p in attributes.pets %}{{ p.name }}{{ x }}{% endfor %}{{ attributes.car.make }}"
    assert used(body, None, "{{ city }}") == {"attributes.pets", "attributes.car.make", "city"}
    assert problem(body) is None


def test_the_values_of_a_lead_are_those_that_are_known(cast, tx):
    class Row:
        first_name, last_name, email, phone, city, state, attributes = (
            None,
            "Lopez",
            "a@b.c",
            None,
            "Austin",
            None,
            None,
        )

    values = lead_values(Row, "Lone Star")
    assert values == {"last_name": "Lopez", "customer_name": "Lopez", "email": "a@b.c", "city": "Austin", "attributes": {},
                      "company_name": "Lone Star"}  # fmt: skip
    assert set(values) < LEAD_TOKENS
