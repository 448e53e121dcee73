"""Templates: every save that changes something is a version, and what was sent stays readable for ever."""

import pytest

from tests.messaging import desk
from tests.messaging.desk import LETTER
from webapp.campaigns import dispatch
from webapp.messaging import templates
from webapp.messaging.templates import TemplateVersion
from webapp.platform import tenancy
from webapp.platform.db import db, value
from webapp.platform.errors import Invalid, NotFound, Refused


def refused(template=None, **values) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        templates.save(template, LETTER | {"name": "Letter"} | values)
    return caught.value.errors


def numbers(template) -> list[int]:
    found = db.session.query(TemplateVersion).filter_by(template_id=template.id).order_by(TemplateVersion.number)
    return [version.number for version in found]


def test_saving_keeps_a_version_when_something_changed(cast, tx):
    with tx():
        template = templates.save(None, LETTER | {"name": "Letter"}, cast.marketer)
        templates.save(template, LETTER | {"name": "Renamed", "category": "retention"})
        assert numbers(template) == [1]
        templates.save(template, LETTER | {"name": "Renamed", "subject_line": "Hello"}, cast.admin)
        assert numbers(template) == [1, 2]
        latest = templates.latest_version(template)
        assert (latest.number, latest.subject_line, latest.author_id) == (2, "Hello", cast.admin)
        first = db.session.query(TemplateVersion).filter_by(template_id=template.id, number=1).one()
        assert (first.subject_line, first.author_id) == (LETTER["subject_line"], cast.marketer)
        assert templates.version(first.id) is first


def test_a_slug_is_made_once_and_kept(cast, tx):
    with tx():
        template = templates.save(None, LETTER | {"name": "Spring Offer!"})
        assert template.slug == "spring-offer"
        assert templates.save(template, LETTER | {"name": "Summer"}).slug == "spring-offer"
        assert refused(name="spring offer") == {"name": "There is a template of that name already."}
        assert refused(name="Other", slug="Spring-Offer") == {"slug": "There is a template of that name already."}
        assert templates.save(template, LETTER | {"name": "Summer", "slug": "summer"}).slug == "summer"
    with tx(cast.other_org):
        assert templates.save(None, LETTER | {"name": "Summer"}).slug == "summer"


def test_plain_text_is_made_where_nobody_wrote_it_and_follows_the_html(cast, tx):
    with tx():
        template = templates.save(None, LETTER | {"name": "Letter"})
        assert template.text_is_derived and template.text_content.startswith("Hello {{ first_name }}\n")
        templates.save(template, {"name": "Letter", "subject_line": "x", "html_content": "<p>New {{ city }}</p>"})
        assert template.text_content == "New {{ city }}\n"
        assert template.available_tokens == ["city"]
        templates.save(template, LETTER | {"name": "Letter", "text_content": "By hand"})
        assert (template.text_is_derived, template.text_content) == (False, "By hand")


def test_tokens_with_quotes_inside_links_can_be_saved(cast, tx):
    html = """<a href="https://a.example/?s={{ state|default("none") }}">{{ first_name|default("you") }}</a>"""
    with tx():
        template = templates.save(None, LETTER | {"name": "Letter", "html_content": html})
        assert template.text_content == (
            '{{ first_name|default("you") }} (https://a.example/?s={{ state|default("none") }})\n'
        )


@pytest.mark.parametrize(
    ("values", "field", "words"),
    [
        ({"subject_line": " "}, "subject_line", "Write a subject."),
        ({"html_content": ""}, "html_content", "Write the message."),
        ({"name": ""}, "name", "at most 120"),
        ({"name": "x" * 121}, "name", "at most 120"),
        ({"category": "spam"}, "category", "Choose one of"),
        ({"subject_line": "x" * 501}, "subject_line", "too long"),
        ({"html_content": "x" * 500_001}, "html_content", "too long"),
        ({"subject_line": "{{ frist_name }}"}, "subject_line", "There is no token {{ frist_name }}."),
        ({"preview_text": "{{ x }}"}, "preview_text", "There is no token"),
        ({"text_content": "{{ x }}"}, "text_content", "There is no token"),
        (
            {"html_content": "{% for a in [1, 2, 3] %}{% macro f() %}{% endmacro %}{% endfor %}"},
            "html_content",
            "cannot be used",
        ),
        ({"html_content": "<style>{% if city %}</style>x{% endif %}"}, "text_content", "No plain text can be made"),
    ],
)
def test_what_cannot_be_sent_is_refused_at_its_field(cast, tx, values, field, words):
    with tx():
        assert words in refused(**values)[field]
        assert value("SELECT count(*) FROM templates") == 0


def test_nul_characters_are_left_out(cast, tx):
    with tx():
        template = templates.save(None, {"name": "A\0", "subject_line": "b\0", "html_content": "<p>\0c</p>"})
        db.session.flush()
        assert (template.name, template.subject_line, template.html_content) == ("A", "b", "<p>c</p>")


def test_deleting_a_template_leaves_its_versions_and_what_was_sent(cast, tx):
    campaign_id = desk.started(cast.org)
    with tx(), pytest.raises(Refused, match="is being sent by Offer"):
        templates.remove(templates.get(value("SELECT template_id FROM campaigns")))
    desk.settle(cast.org, campaign_id, ["accepted"] * 3)
    with tenancy.scope(cast.org):
        dispatch.settle()
    with tx():
        version_id = value("SELECT DISTINCT template_version_id FROM sends")
        templates.remove(templates.get(value("SELECT template_id FROM campaigns")))
        assert templates.version(version_id).html_content == desk.HTML
        assert value("SELECT template_id FROM campaigns WHERE id = :id", id=campaign_id) is None


def test_only_active_letters_are_offered_by_name(cast, tx):
    with tx():
        for name in ("b", "A", "c"):
            templates.save(None, LETTER | {"name": name, "is_active": name != "c"})
        assert [template.name for template in templates.usable()] == ["A", "b"]
        with pytest.raises(NotFound):
            templates.get(987_654)
        with pytest.raises(NotFound):
            templates.version(987_654)
