"""A browser without a screen, in process: cookies, and the CSRF token of the page it saw last."""

import re
from html.parser import HTMLParser
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from tests.api.client import alone
from tests.conftest import PASSWORD

TOKEN = re.compile(r'name="csrf-token" content="([^"]+)"')


class Visitor:
    """Somebody with a browser; nobody in particular before `sign_in`."""

    def __init__(self, app: Flask):
        self.app, self.client, self.token = app, app.test_client(), ""

    def open(self, path: str, **more: Any) -> TestResponse:
        """Asks for an address; reads the answer whole, as a browser does."""
        response = alone(self.client.open, path, buffered=True, **more)
        seen = TOKEN.search(response.text) if response.mimetype == "text/html" else None
        self.token = seen[1] if seen else self.token
        return response

    def get(self, path: str, **more: Any) -> TestResponse:
        return self.open(path, method="GET", **more)

    def post(self, path: str, data: Any = None, **more: Any) -> TestResponse:
        """Posts a form as a page of ours would, with its token."""
        if not self.token:
            self.get("/account")
            self.get("/sign-in")
        headers = {"X-CSRFToken": self.token} | more.pop("headers", {})
        return self.open(path, method="POST", data=data or {}, headers=headers, **more)

    def sign_in(self, email: str, password: str = PASSWORD, path: str = "/sign-in") -> TestResponse:
        """Signs in through the form."""
        self.get(path)
        response = self.post(path, {"email": email, "password": password})
        self.token = ""  # the session is a new one
        return response

    @property
    def is_in(self) -> bool:
        """True while the session is somebody's."""
        return self.get("/account").status_code == 200


def htmx(**more: str) -> dict[str, str]:
    """Returns the headers of a request for a part of a page."""
    return {"HX-Request": "true"} | more


class _Form(HTMLParser):
    def __init__(self):
        super().__init__()
        self.values: dict[str, str] = {}
        self.errors: dict[str, str] = {}
        self.described: dict[str, str] = {}
        self._reading: tuple[dict[str, str], str] | None = None
        self._select = ""

    def handle_starttag(self, tag: str, given: list) -> None:
        a = dict(given)
        name = a.get("name") or ""
        if "aria-describedby" in a:
            self.described[a["aria-describedby"]] = name
        if tag == "input" and (a.get("type") not in ("radio", "checkbox") or "checked" in a):
            self.values[name] = a.get("value") or ""
        elif tag == "select":
            self._select = name
        elif tag == "option" and ("selected" in a or self._select not in self.values):
            # Of a select where none is chosen a browser sends the first.
            self.values[self._select] = a.get("value") or ""
            self._reading = (self.values, self._select) if "value" not in a else None
        elif tag == "textarea":
            self.values[name], self._reading = "", (self.values, name)
        elif "field-error" in (a.get("class") or "").split():
            key = a.get("id") or f"error {len(self.errors)}"
            self.errors[key], self._reading = "", (self.errors, key)

    def handle_data(self, data: str) -> None:
        if self._reading:
            kept, name = self._reading
            # The line break right after <textarea> is not part of what stands in it.
            kept[name] += data if kept[name] else data.removeprefix("\r").removeprefix("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("textarea", "div", "option"):
            self._reading = None


def form_of(response: TestResponse) -> tuple[dict[str, str], dict[str, str]]:
    """Returns what stands in the fields of a page, and the messages by the name of the field they stand at."""
    form = _Form()
    form.feed(response.text)
    at_field = {form.described.get(key, key): " ".join(text.split()) for key, text in form.errors.items()}
    return form.values, at_field
