"""How the organisation sends: hours, caps, the limits at which sending is held, holidays, and WhatsApp portfolios."""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, request
from flask_wtf import FlaskForm

from webapp.messaging import holidays, policy, portfolios
from webapp.messaging.portfolios import Portfolio
from webapp.platform import clock, organizations
from webapp.platform.errors import Invalid
from webapp.web import filters
from webapp.web.opened import Opened
from webapp.web.sending.forms import CalendarForm, CapForm, HolidayForm, HoursForm, PolicyForm, PortfolioForm
from webapp.web.shell import go, needs, render, say, show_errors

sending_pages = Blueprint("sending", __name__, url_prefix="/sending")
CHANNEL_WORDS = (
    ("email", "E-mail", "mail"), ("sms", "SMS", "message-2"), ("whatsapp", "WhatsApp", "brand-whatsapp"), ("call", "Calls", "phone"),
)  # fmt: skip


@sending_pages.get("")
@needs("senders.view")
def page() -> Any:
    return _page()


def _page(status: int = 200, **forms: FlaskForm) -> Any:
    """The page; forms that were refused stand in it as they were typed."""
    organization = organizations.current()
    today = clock.local(clock.now(), filters.zone()).date()
    fresh = {
        "hours": lambda: HoursForm(organization.quiet_hours, organization.updated_at),
        "cap": lambda: CapForm(data=organization.frequency_cap),
        "limits": lambda: PolicyForm(policy.of(organization)),
        "holiday": lambda: HolidayForm(formdata=None, data={"country": organization.country}),
        "calendar": lambda: CalendarForm(formdata=None, data={"country": organization.country, "year": today.year}),
    }
    shown = {name: forms.get(name) or make() for name, make in fresh.items()}
    return render(
        "sending/page.html", status=status, forms=shown, channels=CHANNEL_WORDS, holidays=holidays.upcoming(),
        countries=holidays.COUNTRIES, portfolios=portfolios.every(), numbers=portfolios.numbers(),
        people=portfolios.used(),
    )  # fmt: skip


def _save(name: str, form: FlaskForm, verb: Callable[[], Any], words: str, rename: Callable[[str], str] = str) -> Any:
    """Does what a form asks for; where it is refused the page comes back with the form as it was typed.
    Raises Invalid for an empty request, which would empty what is kept."""
    if not any(field.raw_data for field in form if field.name not in ("csrf_token", "version")):
        raise Invalid({}, "The form came without its fields. Nothing was changed.")
    is_stale = isinstance(form, Opened) and form.is_stale(organizations.current().updated_at)
    if not is_stale and form.validate():
        try:
            done = verb()
            say(words if isinstance(words, str) and "{}" not in words else words.format(done))
            return go("sending.page", _anchor=name)
        except Invalid as problem:
            problem.errors = {rename(field): told for field, told in problem.errors.items()}
            show_errors(form, problem)
    return _page(422, **{name: form})


@sending_pages.post("/hours")
@needs("delivery.settings")
def hours() -> Any:
    form = HoursForm()
    verb = lambda: organizations.set_quiet_hours(form.values())  # noqa: E731
    return _save("hours", form, verb, "Saved. What waits is planned again.", lambda field: field.replace(".", "_"))


@sending_pages.post("/cap")
@needs("delivery.settings")
def cap() -> Any:
    form = CapForm()
    return _save("cap", form, lambda: organizations.set_frequency_cap(form.sends.data, form.days.data), "Saved.")


@sending_pages.post("/limits")
@needs("delivery.settings")
def limits() -> Any:
    organization = organizations.current()
    form = PolicyForm(policy.of(organization))
    return _save("limits", form, lambda: policy.save(organization, form.values()), "Saved.")


@sending_pages.post("/holidays")
@needs("delivery.settings")
def add_holiday() -> Any:
    form = HolidayForm()
    verb = lambda: holidays.add(form.country.data, form.on_date.data, form.name.data)  # noqa: E731
    return _save("holiday", form, verb, "Added. Nobody there is written to on that day.")


@sending_pages.post("/holidays/public")
@needs("delivery.settings")
def add_public() -> Any:
    form = CalendarForm()
    verb = lambda: holidays.add_public(form.country.data, form.year.data)  # noqa: E731
    return _save("calendar", form, verb, "{} public holidays came.")


@sending_pages.post("/holidays/<int:holiday_id>/remove")
@needs("delivery.settings")
def remove_holiday(holiday_id: int) -> Any:
    say(f"{holidays.remove(holiday_id).name} is an ordinary day again.")
    return go("sending.page", _anchor="holiday")


@sending_pages.route("/portfolios/new", methods=["GET", "POST"])
@needs("delivery.settings")
def new_portfolio() -> Any:
    return _portfolio(None)


@sending_pages.route("/portfolios/<int:portfolio_id>", methods=["GET", "POST"])
@needs("delivery.settings")
def portfolio(portfolio_id: int) -> Any:
    return _portfolio(portfolios.get(portfolio_id))


def _portfolio(known: Portfolio | None) -> Any:
    form = PortfolioForm(known)
    if request.method == "POST" and form.validate():
        try:
            saved = portfolios.save(known, form.name.data, form.external_id.data)
            portfolios.set_tier(saved.id, form.people, "hand")
            say("Saved. What waits is planned again.")
            return go("sending.page", _anchor="portfolios")
        except Invalid as problem:
            show_errors(form, problem)
    return render(
        "sending/portfolio.html", status=422 if request.method == "POST" else 200, form=form, portfolio=known,
        numbers=portfolios.numbers().get(known.id, []) if known else [],
    )  # fmt: skip


@sending_pages.post("/portfolios/<int:portfolio_id>/remove")
@needs("delivery.settings")
def remove_portfolio(portfolio_id: int) -> Any:
    try:
        portfolios.remove(portfolios.get(portfolio_id))
        say("The portfolio is gone.")
    except Invalid as problem:
        say(problem.errors["portfolio"], "danger")
    return go("sending.page", _anchor="portfolios")
