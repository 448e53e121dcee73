"""What every view uses: page or fragment, permissions, toasts, redirects."""

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

from flask import Response, current_app, flash, make_response, redirect, render_template, request, url_for
from flask_login import current_user, login_required
from flask_wtf import FlaskForm

from webapp.platform import roles, tenancy
from webapp.platform.db import take_time, transaction
from webapp.platform.errors import Invalid


def wants_fragment() -> bool:
    """True if htmx asked, for a part of a page."""
    return request.headers.get("HX-Request") == "true" and request.headers.get("HX-History-Restore-Request") != "true"


def needs(permission: str) -> Callable:
    """Decorates a view: signed in, and a role that holds the permission."""
    assert permission in roles.PERMISSIONS, permission

    def decorate(view: Callable) -> Callable:
        @wraps(view)
        @login_required
        def checked(*args: Any, **kwargs: Any) -> Any:
            roles.require(current_user, permission)
            return view(*args, **kwargs)

        checked.permission = permission
        return checked

    return decorate


def render(page: str, fragment: str | None = None, status: int = 200, **values: Any) -> Response:
    """Returns the page, or to htmx the fragment that the page includes."""
    chosen = fragment if fragment and wants_fragment() else page
    return make_response(render_template(chosen, **values), status)


def go(endpoint: str, **values: Any) -> Response:
    """Answers a write: see other, over there. To htmx, which follows redirects unseen, in its own way."""
    address = url_for(endpoint, **values)
    if wants_fragment():
        response = make_response("", 204)
        response.headers["HX-Redirect"] = address
        return response
    return redirect(address, 303)


def row_id(text: Any) -> int:
    """Reads the id of a row as a form names it. Raises ValueError for what cannot be one."""
    number = int(text)
    if not 0 < number < 2**63:
        raise ValueError(text)
    return number


def say(message: str, kind: str = "success", undo: str | None = None) -> None:
    """Shows a toast on the next page. undo: address that a POST takes the act back at."""
    flash({"text": message, "undo": undo}, kind)


def show_errors(form: FlaskForm, problem: Invalid) -> None:
    """Puts a verb's messages at the fields of a form; those without a field go to its top."""
    for name, message in problem.errors.items():
        if name in form:
            form[name].errors = [*form[name].errors, message]
        else:
            form.form_errors.append(message)


def stream_csv(name: str, lines: Callable[[], Iterator[str]]) -> Response:
    """Returns a CSV download written line by line. It is read after the request has ended, so it gets a transaction
    of its own in the same scope."""
    app, org_id = current_app._get_current_object(), tenancy.current_org()

    def written() -> Iterator[str]:
        with app.app_context(), transaction(org_id):
            take_time()
            yield from lines()

    response = Response(written(), mimetype="text/csv")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def error_page(status: int, message: str) -> Response:
    """Returns a page (to htmx: a toast and no swap) that says what went wrong."""
    if wants_fragment():
        response = make_response(render_template("_toast_oob.html", text=message, kind="danger"), status)
        response.headers["HX-Reswap"] = "none"
        return response
    return make_response(render_template("error.html", status=status, message=message), status)
