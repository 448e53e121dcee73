"""Tokens: what a message may say, and a sandbox that what users write can neither leave nor exhaust."""

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minijinja import TemplateError

from tests.messaging.letters import composer, row
from webapp.messaging import tokens
from webapp.messaging.compose import LEAD_TOKENS, lead_values
from webapp.messaging.grammar import in_pieces
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
        ("{{ call_me_url }}", "cannot be used yet"),
        ("{{ confirm_url }}", "There is no token"),
        ("{{ first_name", "cannot be read near line 1"),
        ("\n\n{% if %}", "cannot be read near line 3"),
        ("{{ first_name|nonsense }}", "There is no filter “nonsense”."),
        ("{{ first_name|pprint }}", "There is no filter “pprint”."),
        ("{% set x = 1 %}", "{% set %} cannot be used in a message."),
        ("{{ range(3) }}", "Nothing can be called in a message: range(…)."),
        ("{{ first_name|length }}", "cannot be read"),
        ("{{ 'x'|money }}", "cannot be filled in"),
        ("{{ 'x'|date }}", "cannot be filled in"),
        ("{% include 'body.html' %}", "{% include %} cannot be used in a message."),
        ("{{ 1/0 }}", "cannot be read"),
    ],
)
def test_what_cannot_be_said_is_refused_in_words(body, words):
    assert words in problem(body)


@pytest.mark.parametrize(
    "body",
    [
        "{% for a in [1, 2, 3, 4, 5, 6, 7, 8] %}" * 7 + "{% endfor %}" * 7,
        "{% for a in [1, 2, 3, 4, 5, 6, 7, 8] %}" * 4 + "x" * 90_000 + "{% endfor %}" * 4,
        "{% for a in range(100000) %}{% endfor %}",
        "{% set a = 'x' %}" + "{% set a = a ~ a %}" * 40,
        "{{ 'x' * 1000000 }}",
        "{{ '}}' * 1000000 }}",
        '{{ {"a": {"b": "x"}}.a.b * 1000000 }}',
        "{{ 10 ** 10000000 }}",
        "{{ '%1000000000d'|format(1) }}",
        "{{ 'a'|replace('', 'aaaa')|replace('', 'aaaa') }}",
        "{{ 'a'|center(1000000000) }}",
        "{{ 'aaaa'.join(attributes.a) }}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% for a in attributes.a recursive %}{{ loop(attributes.a) }}{% endfor %}",
        "{{ '" + "x" * 1000 + "' }}",
        "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
        "{{" * 100_000,
        "x" * 2_100_000,
    ],
)  # fmt: skip
@pytest.mark.timeout(60)
def test_templates_that_could_run_away_are_refused_at_once(body):
    assert problem(body)


def test_what_runs_away_for_one_lead_only_is_stopped_there():
    made = composer("{% for x in attributes.all %}" + "word " * 20_000 + "{% endfor %}")
    with pytest.raises(TemplateError, match="out of fuel"):
        made.build(row(attributes={"all": [0] * 10_000}))
    with pytest.raises(ValueError, match="more than 10,000 characters"):
        composer("{{ attributes.all }}").build(row(attributes={"all": [0] * 10_000}))


PIECES = (
    "word ", "{ ", "x" * 90, " " * 300, "\n", "{{ city }}", "{# n #}", "{%- if city -%}", "{% endif %}", "{{- city -}}",
    "{#- n -#}", "@media{p{a:b}}", "é",
)  # fmt: skip


@settings(max_examples=200, deadline=None, database=None)
@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
def test_plain_text_laid_out_in_pieces_fills_in_to_the_same(body):
    if body.count("{%- if") == body.count("{% endif") and not problem(body):
        assert filled(in_pieces(body), city="Austin") == filled(body, city="Austin")


def test_what_a_letter_needs_is_there():
    body = (
        "{% if (first_name) and not(city) %}{{ first_name|upper|default('you (all) * |x', true) }}{% elif state == 'TX' -%}"
        " {{ 'a' if city else 'b' }}{% else %}{% for x in attributes.a %}{{ loop.index }}{{ x[0] }}{% endfor %}{% endif %}"
        "{{ attributes['a b'] ~ '!' }}{{ attributes.n|default(0) + 1 }}<style>@media{p{color:red}}</style>{# a * note #}"
    )
    assert problem(body) is None


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
    body = "{% for p in attributes.pets %}{{ p.name }}{% endfor %}{{ attributes.car.make }}"
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
