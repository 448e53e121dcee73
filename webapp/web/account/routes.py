"""Signing in and out, one's own account, and for superusers the choice of organisation."""

from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, abort, current_app, redirect, render_template, request, session, url_for
from flask_login import UserMixin, current_user, login_required, login_user, logout_user
from sqlalchemy import select

from webapp.audience import scores, stakeholders
from webapp.messaging import senders
from webapp.platform import audit, organizations, tenancy, users
from webapp.platform.clock import ZONES
from webapp.platform.db import db, transaction
from webapp.platform.errors import Invalid, NotFound, Refused
from webapp.platform.organizations import Organization
from webapp.platform.users import User
from webapp.web.account.forms import OrganizationForm, PasswordForm, SignInForm, WelcomeForm
from webapp.web.shell import go, render, say, show_errors

account = Blueprint("account", __name__)


class SignedIn(UserMixin):
    """The user of a session. home_org: where the account lives; org_id: where they are (superusers may visit)."""

    def __init__(self, user: User, org_id: int):
        self.id, self.home_org, self.org_id, self.version = user.id, user.org_id, org_id, user.session_version
        self.name, self.email, self.role, self.initials = user.name, user.email, user.role, user.initials
        self.is_superuser, self.theme = user.is_superuser, user.theme

    def get_id(self) -> str:
        return f"{self.home_org}:{self.id}:{self.version}"

    @property
    def local_id(self) -> int | None:
        """The user's id for rows of the organisation they are in; None while they visit another."""
        return self.id if self.org_id == self.home_org else None


def load_user(identity: str) -> SignedIn | None:
    """Returns the session's user and enters their organisation, or None where the session ended."""
    try:
        home_org, user_id, version = (int(part) for part in identity.split(":"))
    except ValueError:
        return None
    with transaction(home_org):
        user = db.session.scalar(select(User).where(User.id == user_id))
        if user is None or not user.is_active or user.session_version != version:
            return None
        if not organizations.current().is_active and not user.is_superuser:
            return None
        visited = session.get("visiting")
        signed_in = SignedIn(user, visited if visited and user.is_superuser else home_org)
    tenancy.enter(signed_in.org_id)
    audit.context.set((audit.context.get() or {}) | {"actor_id": user_id})
    return signed_in


def _enter(user: User) -> None:
    # A new session at every sign-in: one prepared by somebody else must not become a signed-in one.
    session.clear()
    users.signed_in(user)
    login_user(SignedIn(user, user.org_id))
    session.permanent = False


@account.route("/sign-in", methods=["GET", "POST"])
def sign_in() -> Any:
    if current_user.is_authenticated:
        return redirect(url_for("home.page"))
    form = SignInForm()
    if not form.validate_on_submit():
        return render("account/sign_in.html", status=422 if request.method == "POST" else 200, form=form)
    with transaction():
        found = users.find_everywhere(form.email.data)
    for org_id, user_id in found:
        # Its own transaction, because a failure has to be counted although the request is answered with an error.
        with transaction(org_id):
            user = users.get(user_id)
            try:
                right = users.authenticate(user, form.password.data)
            except Refused as problem:
                form.form_errors.append(problem.message)
                return render("account/sign_in.html", status=429, form=form)
            if right:
                _enter(user)
                return redirect(_wanted_page(), 303)
    if not found:
        users.spend_time_of_a_check()
    form.form_errors.append("That e-mail address and password do not belong together.")
    return render("account/sign_in.html", status=422, form=form)


def _wanted_page() -> str:
    wanted = request.args.get("next", "")
    try:
        inside = wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and not urlsplit(wanted).netloc
    except ValueError:
        inside = False
    return wanted if inside else url_for("home.page")


@account.route("/sign-in/<token>", methods=["GET", "POST"])
def sign_in_link(token: str) -> Any:
    """The one-time link: opening it only asks, because mail and chat programs follow links by themselves."""
    org_id, user_id, version = users.open_link("sign-in", token)
    if request.method != "POST":
        return render_template("account/sign_in_link.html")
    with transaction(org_id):
        _enter(users.follow_link(user_id, version))
    return redirect(url_for("home.page"), 303)


@account.route("/welcome/<token>", methods=["GET", "POST"])
def welcome(token: str) -> Any:
    """The invitation: its reader chooses a password and is in."""
    org_id, user_id, version = users.open_link("invite", token)
    form = WelcomeForm()
    if form.validate_on_submit():
        try:
            with transaction(org_id):
                user = users.follow_link(user_id, version)
                users.set_password(user, form.password.data)
                _enter(user)
            return redirect(url_for("home.page"), 303)
        except Invalid as problem:
            show_errors(form, problem)
    return render("account/welcome.html", status=422 if request.method == "POST" else 200, form=form)


@account.post("/sign-out")
@login_required
def sign_out() -> Any:
    logout_user()
    session.clear()
    return redirect(url_for("account.sign_in"), 303)


@account.route("/account", methods=["GET", "POST"])
@login_required
def page() -> Any:
    form = PasswordForm()
    if not form.validate_on_submit():
        return render("account/page.html", status=422 if request.method == "POST" else 200, form=form)
    try:
        with transaction(current_user.home_org):
            user = users.get(current_user.id)
            users.change_password(user, form.old_password.data or "", form.password.data)
            _enter(user)
    except Invalid as problem:
        show_errors(form, problem)
        return render("account/page.html", status=422, form=form)
    say("Password changed. Every other session has been signed out.")
    return go("account.page")


@account.post("/account/sign-out-everywhere")
@login_required
def sign_out_everywhere() -> Any:
    with transaction(current_user.home_org):
        users.sign_out_everywhere(users.get(current_user.id))
    logout_user()
    session.clear()
    say("Signed out everywhere.")
    return redirect(url_for("account.sign_in"), 303)


@account.post("/account/theme")
@login_required
def theme() -> Any:
    wanted = request.form.get("theme")
    if wanted in ("auto", "light", "dark"):
        with transaction(current_user.home_org):
            users.get(current_user.id).theme = wanted
    path = urlsplit(request.referrer or "").path
    return redirect(url_for("home.page") if not path or path.startswith("//") else path, 303)


def _superuser() -> None:
    if not current_user.is_superuser:
        raise NotFound()


@account.route("/organizations", methods=["GET", "POST"])
@login_required
def organizations_page() -> Any:
    _superuser()
    form = OrganizationForm()
    form.timezone.choices = ZONES
    status = 200
    if request.method == "POST":
        status = 422
        if form.validate_on_submit():
            try:
                made = organizations.create(form.name.data, timezone=form.timezone.data).id
                db.session.commit()
                _open(made)
                say("Organisation made. Invite its first admin on the users page.")
                return go("account.organizations_page")
            except Invalid as problem:
                show_errors(form, problem)
    every = db.session.scalars(select(Organization).order_by(Organization.name)).all()
    return render("account/organizations.html", status=status, form=form, organizations=every)


def _open(org_id: int) -> None:
    with transaction(org_id):
        host = urlsplit(current_app.config["BASE_URL"]).hostname or "localhost"
        name = organizations.current().name
        senders.ensure_local(name, f"hello@{host if '.' in host and not host[-1].isdigit() else 'canvass.example'}")
        scores.ensure_defaults()
        stakeholders.ensure()
        audit.record("organization.created", "organization", org_id)


@account.post("/organizations/<int:org_id>/enter")
@login_required
def enter(org_id: int) -> Any:
    _superuser()
    if db.session.get(Organization, org_id) is None:
        abort(404)
    session["visiting"] = org_id
    with transaction(org_id):
        audit.record("organization.entered", "organization", org_id, after={"superuser": current_user.email})
    say("You are in that organisation now; everything you do there is on its audit log.")
    return go("home.page")
