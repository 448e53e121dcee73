"""Calling the API in process, as a script would."""

from contextvars import Context
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from tests.conftest import PASSWORD

PREFIX = "/api/v1"


def alone(function: Any, *args: Any, **kwargs: Any) -> Any:
    """Runs a call in an empty context, as a server's thread does: it sees nothing of what the test has open."""
    return Context().run(function, *args, **kwargs)


class Caller:
    """Calls /api/v1 with a token (or without one)."""

    def __init__(self, app: Flask, token: str | None = None):
        self.app, self.token = app, token

    def __call__(
        self, method: str, path: str, json: Any = None, headers: dict | None = None, **more: Any
    ) -> TestResponse:
        sent = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        options = {"json": json} if json is not None else {}
        client = self.app.test_client(use_cookies=False)
        address = path if path.startswith("/api") else PREFIX + path
        return alone(client.open, address, method=method, headers=sent | (headers or {}), **options, **more)

    def get(self, path: str, **more: Any) -> TestResponse:
        return self("GET", path, **more)

    def post(self, path: str, json: Any = None, **more: Any) -> TestResponse:
        return self("POST", path, json, **more)

    def put(self, path: str, json: Any = None, **more: Any) -> TestResponse:
        return self("PUT", path, json, **more)

    def delete(self, path: str, **more: Any) -> TestResponse:
        return self("DELETE", path, **more)


def token_of(app: Flask, email: str, password: str = PASSWORD) -> TestResponse:
    """Answers the exchange of an address and a password for a token."""
    return Caller(app).post("/auth/token", {"email": email, "password": password})


def data(response: TestResponse, status: int = 200) -> Any:
    """Returns what a success carries."""
    assert response.status_code == status, response.text
    assert response.json["success"] is True
    return response.json["data"]


def problem(response: TestResponse, status: int) -> dict[str, str]:
    """Checks the shape of a problem document and returns its messages by field."""
    assert response.status_code == status, response.text
    assert response.mimetype == "application/problem+json"
    body = response.json
    assert set(body) - {"errors"} == {"type", "title", "status", "detail", "instance"}
    assert body["status"] == status
    assert body["title"] and body["detail"] and body["instance"].startswith("urn:request:")
    errors = body.get("errors", [])
    assert all(set(entry) == {"field", "message"} for entry in errors)
    fields = [entry["field"] for entry in errors]
    assert len(fields) == len(set(fields)), "one entry a field"
    return {entry["field"]: entry["message"] for entry in errors}
