"""What every answer says to the browser: nothing inline runs, nothing is guessed, nothing of ours is framed elsewhere;
and a message somebody wrote is shown where it can do nothing."""

import re

import pytest

from tests.conftest import settings
from tests.web.test_permissions import OPEN_TO_ALL, filled, routes, things
from tests.web.visitor import Visitor, htmx
from webapp import UPLOAD_LIMIT, create_app
from webapp.platform.db import run, transaction

HTML = "<script>alert(1)</script><p onclick='x()'>Hello {{ first_name }}</p>"
INLINE = re.compile(
    r"""<script(?![^>]*\bsrc=)[^>]*>\s*[^\s<]|<[^>]+\son[a-z]+\s*=|<[^>]+\sstyle\s*=|javascript:""", re.I
)
SANDBOXED = {"campaigns.message", "mailbox.html"}


@pytest.fixture
def admin(app, cast) -> Visitor:
    visitor = Visitor(app)
    visitor.sign_in(cast.emails["admin"])
    return visitor


@pytest.fixture
def ids(cast) -> dict:
    return things(cast.org, cast.marketer, "ada@example.com")


def policy(response) -> dict[str, list[str]]:
    (header,) = response.headers.getlist("Content-Security-Policy")
    return {words[0]: words[1:] for part in header.split(";") if (words := part.split())}


def check(response) -> None:
    """Checks an answer of ours."""
    said = policy(response)
    assert "unsafe-inline" not in str(said)
    assert "unsafe-eval" not in str(said)
    assert said["default-src"] == said["script-src"] == said["style-src"] == ["'self'"]
    assert said["object-src"] == said["base-uri"] == ["'none'"]
    assert said["frame-ancestors"] == said["form-action"] == ["'self'"]
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "same-origin"
    assert response.headers["Cache-Control"] == "no-store"
    assert "HX-Request" in response.headers["Vary"]
    assert response.mimetype != "text/html" or INLINE.findall(response.text) == []


def test_every_page_forbids_what_is_inline_and_has_nothing_of_it(app, admin, ids):
    for method, endpoint, rule in routes(app):
        if method == "GET" and endpoint not in OPEN_TO_ALL | SANDBOXED:
            check(admin.get(filled(rule, ids)))
            check(admin.get(filled(rule, ids), headers=htmx()))


def test_so_does_what_anybody_may_open(app, ids):
    anybody = Visitor(app)
    for path in ("/sign-in", f"/u/{ids['token']}", "/healthz", "/readyz", "/api/openapi.json", "/t/o/x.gif"):
        check(anybody.get(path))


def test_so_does_whatever_goes_wrong(admin, ids, cast):
    campaign, large = f"/campaigns/{ids['campaign_id']}", {"CONTENT_LENGTH": str(UPLOAD_LIMIT + 1)}
    conflict = admin.post(f"{campaign}/resume")
    with transaction(cast.org):
        run("UPDATE campaigns SET scheduled_at = 'infinity'")  # which Python's calendar does not have
    for status, answer in (
        (409, conflict),
        (404, admin.get("/nothing")),
        (405, admin.post("/leads/1")),
        (422, admin.post("/leads/new")),
        (500, admin.get(campaign)),
        (413, admin.open("/leads/new", method="POST", environ_overrides=large)),
        (400, admin.open("/leads/new", method="POST")),
    ):
        assert answer.status_code == status
        check(answer)
        assert "Traceback" not in answer.text
        assert "psycopg" not in answer.text


def test_nobody_elses_words_run_on_our_pages(admin, ids):
    nasty = "<img src=x onerror=alert(1)>"
    with_them = {"first_name": nasty, "city": nasty, "tags": nasty, "status": "new", "priority": "low"}
    made = admin.post(
        "/leads/new", with_them | {"insurance_type": "", "owner_id": "", "timezone": "", "customer_tier": ""}
    )
    assert made.status_code == 303
    for path in (made.location, f"{made.location}/edit", "/leads", f"/leads?q={nasty}", "/audit", "/"):
        assert "<img src=x" not in admin.get(path).text, path


def sandboxed(response) -> None:
    said = policy(response)
    assert said["default-src"] == ["'none'"]
    assert "script-src" not in said
    assert not {"allow-scripts", "allow-same-origin", "allow-forms", "allow-top-navigation"} & set(said["sandbox"])
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_a_message_is_shown_where_it_can_do_nothing(app, admin, ids):
    for show in ("html", "text"):
        form = {"subject_line": "Hi", "html_content": HTML, "as_lead": ids["lead_id"], "show": show}
        sandboxed(admin.post("/templates/preview", form))
    sandboxed(admin.post("/templates/preview", {"subject_line": "{{ nobody }}", "html_content": HTML}))
    sandboxed(admin.get(f"/campaigns/{ids['campaign_id']}/message"))
    sandboxed(admin.get(f"/mailbox/{ids['message_id']}/html"))


@pytest.mark.parametrize(
    "page",
    ["/templates/{template_id}", "/campaigns/{campaign_id}", "/mailbox/{message_id}"],
    ids=lambda p: p.split("/")[1],
)
def test_its_frame_gives_it_no_rights(admin, ids, page):
    frames = re.findall(r"<iframe[^>]*>", admin.get(page.format(**ids)).text)
    assert frames
    for frame in frames:
        given = re.search(r'sandbox="([^"]*)"', frame)[1].split()
        assert not {"allow-scripts", "allow-same-origin", "allow-forms", "allow-top-navigation"} & set(given)


def test_a_preview_escapes_what_it_fills_in(admin, ids, cast):
    with transaction(cast.org):
        run("UPDATE leads SET first_name = '<script>alert(1)</script>'")
    form = {"subject_line": "{{ first_name }}", "html_content": "<p>{{ first_name }}</p>", "as_lead": ids["lead_id"]}
    assert "<script>alert(1)" not in admin.post("/templates/preview", form).text


@pytest.mark.parametrize(
    ("address", "secure"), [("https://canvass.example.com", True), ("http://127.0.0.1:8000", False)]
)
def test_over_https_the_cookie_goes_nowhere_else(database_url, tmp_path, address, secure):
    made = create_app(settings(tmp_path, BASE_URL=address), database_url)
    (header,) = Visitor(made).get("/sign-in").headers.getlist("Set-Cookie")
    assert ("Secure" in header) == secure
