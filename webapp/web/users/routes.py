"""Users: who may sign in, as what."""

from typing import Any

from flask import Blueprint, current_app, render_template, request, url_for
from sqlalchemy import select

from webapp.platform import users
from webapp.platform.db import db
from webapp.platform.errors import Invalid
from webapp.platform.roles import ROLES
from webapp.platform.users import User
from webapp.web.shell import go, needs, render, say, show_errors
from webapp.web.users.forms import InviteForm

user_pages = Blueprint("users", __name__, url_prefix="/users")


def _page(form: InviteForm, status: int = 200, link: str | None = None) -> Any:
    everyone = db.session.scalars(select(User).order_by(User.is_active.desc(), User.name)).all()
    return render("users/page.html", status=status, form=form, users=everyone, roles=ROLES, link=link)


def _invitation(user: User) -> str:
    return f"{current_app.config['BASE_URL']}{url_for('account.welcome', token=users.link_token(user, 'invite'))}"


@user_pages.route("", methods=["GET", "POST"])
@needs("users.manage")
def page() -> Any:
    form = InviteForm()
    if request.method != "POST":
        return _page(form)
    if form.validate():
        try:
            user = users.add(form.email.data, form.name.data, form.role.data)
            return _page(InviteForm(formdata=None), link=_invitation(user))
        except Invalid as problem:
            show_errors(form, problem)
    return _page(form, 422)


@user_pages.post("/<int:user_id>/link")
@needs("users.manage")
def link(user_id: int) -> Any:
    """A fresh invitation for somebody who lost theirs, or their password. It is shown once and ends their sessions."""
    user = users.get(user_id)
    users.sign_out_everywhere(user)
    return _page(InviteForm(formdata=None), link=_invitation(user))


@user_pages.post("/<int:user_id>/change")
@needs("users.manage")
def change(user_id: int) -> Any:
    user = users.get(user_id)
    active = request.form.get("active")
    users.change(user, role=request.form.get("role"), is_active=None if active is None else active == "yes")
    say(f"{user.name} is {user.role}{'' if user.is_active else ', and cannot sign in'} now.")
    return go("users.page")


@user_pages.get("/<int:user_id>/change")
@needs("users.manage")
def change_form(user_id: int) -> Any:
    return render_template("users/_change.html", user=users.get(user_id), roles=ROLES)
