"""Values made to break things, put into every field of every form: refused or kept, never a 500, and every page can
still be read afterwards."""

from urllib.parse import quote

import pytest

from tests.conftest import PASSWORD
from tests.web.test_permissions import things
from tests.web.visitor import Visitor, form_of
from webapp.platform import users
from webapp.platform.db import run, transaction, value

VALUES = (
    "", "a\0b", "²", "-1", "0", str(10**30), "1e-999999999", "sNaN", "0001-01-01T00:00", "9999-12-31T23:59", "x" * 600,
    "{{ first_name|date }}", "{{ first_name|money }}", "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    '<a href="http://[">x</a>{{ attributes.a.b }}', "ö@ö.example", "'\";--",
)  # fmt: skip
FORMS = (
    "/leads/new", "/segments/{segment_id}", "/templates/{template_id}", "/campaigns/new", "/senders/new",
    "/senders/new?kind=twilio-sms", "/senders/new?kind=whatsapp_cloud-whatsapp", "/sending/portfolios/new",
    "/imports/{import_id}", "/users", "/organizations",
)  # fmt: skip
ALSO = {"/templates/{template_id}": "/templates/preview", "/segments/{segment_id}": "/segments/live"}
SMALL = (
    ("/leads/{lead_id}/consents/email/withdraw", {"evidence": "yes"}),
    ("/leads/{lead_id}/field/city", {"city": "Austin", "opened": ""}),
    ("/leads/actions", {"action": "assign", "owner_id": "", "ids": "1", "all": "", "match": "q=x"}),
    ("/users/{user_id}/change", {"role": "marketer", "active": "yes"}),
    ("/account/theme", {"theme": "dark"}),
    ("/account", {"old_password": "x", "password": "y"}),
    ("/leads/delete", {"ids": "0"}),
)
PAGES = (
    "/",
    "/leads",
    "/segments",
    "/templates",
    "/campaigns",
    "/delivery",
    "/delivery/failures",
    "/senders",
    "/users",
    "/imports",
    "/audit",
    "/organizations",
)
OPEN = ("/", "/leads/", "/sign-in/", "/welcome/", "/u/", "/t/c/", "/t/o/", "/v/")


@pytest.fixture
def root(app, cast) -> Visitor:
    """A superuser, to whom every form opens."""
    email = f"root-{cast.org}@example.com"
    with transaction(cast.org):
        users.add(email, "Root", "admin", password=PASSWORD, is_superuser=True)
    visitor = Visitor(app)
    visitor.sign_in(email)
    return visitor


@pytest.fixture
def ids(cast) -> dict:
    return things(cast.org, cast.marketer, "ada@example.com")


def attack(root: Visitor, path: str, form: dict[str, str]) -> None:
    for field in form:
        for bad in VALUES:
            assert root.post(path, form | {field: bad}).status_code < 500, (path, field, bad[:60])


@pytest.mark.parametrize("path", FORMS)
def test_no_value_in_any_field_breaks_a_form(root, ids, path):
    form, _ = form_of(root.get(path.format(**ids)))
    del form["csrf_token"]
    for target in (path, ALSO.get(path)):
        if target:
            attack(root, target.format(**ids), form)
    for page in (*PAGES, f"/leads/{ids['lead_id']}", f"/campaigns/{ids['campaign_id']}"):
        assert root.get(page).status_code == 200, page


@pytest.mark.parametrize(("path", "form"), SMALL)
def test_nor_does_it_break_a_button(root, ids, path, form):
    attack(root, path.format(**ids), form)


@pytest.mark.parametrize("path", OPEN)
def test_no_address_breaks_what_anybody_may_open(app, path):
    anybody = Visitor(app)
    for bad in VALUES:
        assert anybody.get(path + quote(bad)).status_code < 500, bad
        assert anybody.get(path, query_string={"next": bad, "q": bad}).status_code < 500, bad


def test_what_cannot_be_filled_in_is_said_in_the_preview(root, ids, cast):
    form = {"subject_line": "Hi", "html_content": "<p>{{ first_name|date }}</p>", "as_lead": ids["lead_id"]}
    answer = root.post("/templates/preview", form)
    assert answer.status_code == 200
    assert "cannot be" in answer.text
    with transaction(cast.org):
        run("UPDATE templates SET html_content = :html", html=form["html_content"])
    assert root.get(f"/campaigns/{ids['campaign_id']}/message").status_code == 200


def test_nul_is_taken_out_of_what_is_typed(root, cast, ids):
    form = form_of(root.get("/leads/new"))[0] | {"first_name": "Zo\0e", "city": "\0"}
    assert root.post("/leads/new", form).status_code == 303
    with transaction(cast.org):
        assert value("SELECT count(*) FROM leads WHERE first_name = 'Zoe' AND city IS NULL") == 1
