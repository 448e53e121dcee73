"""The same form sent twice at the same moment: one is taken, the other is told why not, nobody sees an error page."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from webapp.audience import segments
from webapp.campaigns import campaigns
from webapp.messaging import templates
from webapp.platform import users
from webapp.platform.db import transaction, value
from webapp.platform.errors import Invalid

BODIES = {"subject_line": "Hi", "html_content": "<p>Hi</p>"}
SAVES = {
    "segments": lambda: segments.save(None, {"name": "Twice"}),
    "templates": lambda: templates.save(None, {"name": "Twice", **BODIES}),
    "campaigns": lambda: campaigns.save(None, {"name": "Twice"}),
    "users": lambda: users.add("twice@example.com", "Twice", "viewer"),
}


@pytest.mark.parametrize("table", SAVES)
def test_saving_at_the_same_moment(app, cast, table):
    gate = threading.Barrier(4)

    def save(_: int) -> str:
        with app.app_context():
            try:
                with transaction(cast.org):
                    gate.wait()
                    SAVES[table]()
                return "saved"
            except Invalid:
                return "told"

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(save, range(4)))
    assert set(answers) <= {"saved", "told"}
    with transaction(cast.org):
        name = "name = 'Twice'"
        assert value(f"SELECT count(*) FROM {table} WHERE {name}") == answers.count("saved") >= 1
        if table != "campaigns":  # campaigns may share a name
            assert answers.count("saved") == 1
