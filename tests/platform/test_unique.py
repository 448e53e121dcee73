"""Two people who save the same name at once: one is told, and neither loses what their transaction did before."""

import pytest

from webapp.messaging import templates
from webapp.messaging.templates import Template
from webapp.platform.db import add_unique, db, run, value
from webapp.platform.errors import Invalid

LETTER = {"subject_line": "Hello", "html_content": "<p>Hello</p>"}


def test_a_clash_is_told_and_the_transaction_goes_on(cast, tx):
    clash = Invalid({"name": "taken"})
    with tx():
        templates.save(None, LETTER | {"name": "One"})
        other = templates.save(None, LETTER | {"name": "Two"})
        run("UPDATE organizations SET locale = 'xx' WHERE id = :id", id=cast.org)
        for row in (other, Template()):
            with pytest.raises(Invalid) as told:
                add_unique(row, clash, {"name": "Two", "slug": "one"})
            assert told.value is clash
        add_unique(other, clash, {"slug": "three"})
    with tx():
        assert value("SELECT locale FROM organizations WHERE id = :id", id=cast.org) == "xx"
        assert value("SELECT string_agg(slug, ' ' ORDER BY slug) FROM templates") == "one three"


def test_a_template_renamed_into_a_name_just_taken_is_told(cast, tx, monkeypatch):
    with tx():
        templates.save(None, LETTER | {"name": "One"})
        other = templates.save(None, LETTER | {"name": "Two"})
        # The look before the write finds nothing, as when the other has not committed yet.
        looked = db.session.scalar
        monkeypatch.setattr(db.session, "scalar", lambda *asked: None if "slug =" in str(asked[0]) else looked(*asked))
        with pytest.raises(Invalid):
            templates.save(other, LETTER | {"name": "One", "slug": "one"})
        monkeypatch.undo()
        assert templates.get(other.id).name == "Two"
