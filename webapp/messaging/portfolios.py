"""WhatsApp business portfolios: how many different people all numbers of one may write to in a moving 24 hours, and the
ledger of who they were."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, func, select
from sqlalchemy.orm import Mapped, mapped_column

from webapp.audience.leads import one_of
from webapp.platform import audit, clock, tenancy, work
from webapp.platform.db import Base, Changing, Tenant, add_unique, child_of, db, of_organization, rows
from webapp.platform.errors import Invalid, NotFound
from webapp.platform.organizations import PLANS

BIGGEST = 1_000_000_000
TIERS = (250, 2_000, 10_000, 100_000)  # people in a moving 24 hours; beyond the last there is no limit


class Portfolio(Tenant, Changing, Base):
    """daily_people: people in a moving 24 hours, NULL for no limit. tier_source: who said so last."""

    __tablename__ = "portfolios"
    name: Mapped[str]
    external_id: Mapped[str | None]
    daily_people: Mapped[int | None] = mapped_column(server_default="250")
    tier_source: Mapped[str] = mapped_column(server_default="hand")
    tier_changed_at: Mapped[datetime | None]
    __table_args__ = (
        of_organization(),
        one_of("tier_source", ("hand", "webhook")),
        CheckConstraint("daily_people > 0", name="daily_people"),
        Index(None, "org_id", "external_id", unique=True),
    )


class PortfolioPerson(Tenant, Base):
    """One person written to outside a service window. last_at: the latest claim; before_at: the one before, put back
    where that claim's message provably did not go out (claim_token says which claim)."""

    __tablename__ = "portfolio_people"
    portfolio_id: Mapped[int]
    address: Mapped[str]
    last_at: Mapped[datetime]
    before_at: Mapped[datetime | None]
    claim_token: Mapped[str | None]
    __table_args__ = (
        child_of("portfolios", "portfolio_id"),
        Index(None, "org_id", "portfolio_id", "address", unique=True),
        Index(None, "org_id", "portfolio_id", "last_at"),
    )


def get(portfolio_id: int) -> Portfolio:
    """Returns a portfolio of the organisation in scope. Raises NotFound."""
    found = db.session.scalar(select(Portfolio).where(Portfolio.id == portfolio_id))
    if found is None:
        raise NotFound("That portfolio does not exist any more.")
    return found


def every() -> list[Portfolio]:
    """Returns the portfolios of the organisation in scope, by name."""
    return list(db.session.scalars(select(Portfolio).order_by(func.lower(Portfolio.name), Portfolio.id)))


def save(portfolio: Portfolio | None, name: str, external_id: str | None) -> Portfolio:
    """Adds or renames a portfolio. external_id: the provider's own id of it. Raises Invalid."""
    name, external_id = " ".join((name or "").split()), (external_id or "").strip() or None
    errors = {}
    if not name or len(name) > 120:
        errors["name"] = "Give a name of at most 120 characters."
    if external_id and not (external_id.isascii() and external_id.isdecimal() and len(external_id) <= 30):
        errors["external_id"] = "The id of a business portfolio is a number."
    if errors:
        raise Invalid(errors)
    fresh, portfolio = portfolio is None, portfolio or Portfolio()
    clash = Invalid({"external_id": "Another portfolio has this id."})
    add_unique(portfolio, clash, {"name": name, "external_id": external_id})
    after = {"name": name, "external_id": external_id}
    audit.record("portfolio.made" if fresh else "portfolio.saved", "portfolio", portfolio.id, after=after)
    return portfolio


def of_one_number(name: str) -> Portfolio:
    """Returns a new portfolio for a number of which nobody said which one it belongs to: without any it had no limit."""
    portfolio = Portfolio(name=name[:120], daily_people=TIERS[0])
    db.session.add(portfolio)
    db.session.flush()
    return portfolio


def used() -> dict[int, int]:
    """Returns how many different people each portfolio wrote to in the last 24 hours, by its id."""
    found = rows(
        "SELECT portfolio_id AS id, count(*)::int AS n FROM portfolio_people WHERE org_id = :org"
        " AND last_at > now() - interval '24 hours' GROUP BY 1",
        org=tenancy.current_org(),
    )
    return {row.id: row.n for row in found}


def set_tier(portfolio_id: int, people: int | None, source: str = "hand", at: datetime | None = None) -> bool:
    """Says how many different people a portfolio may write to in a moving 24 hours, None for no limit. at: since when
    (UTC), now if not given. Returns False where it was so already, or something later is known. Raises NotFound or
    Invalid."""
    if people is not None and (isinstance(people, bool) or not isinstance(people, int) or not 1 <= people <= BIGGEST):
        raise Invalid({"daily_people": "Give a number of people, or nothing for no limit."})
    portfolio = get(portfolio_id)
    before, at = portfolio.daily_people, at or clock.now()
    if before == people or portfolio.tier_changed_at and at < portfolio.tier_changed_at:
        return False
    portfolio.daily_people, portfolio.tier_source, portfolio.tier_changed_at = people, source, at
    db.session.flush()
    audit.record(
        "portfolio.tier", "portfolio", portfolio_id, before={"daily_people": before},
        after={"daily_people": people, "source": source},
    )  # fmt: skip
    work.announce(PLANS)
    return True


def numbers() -> dict[int, list[Any]]:
    """Returns the numbers (id, name, address) that share each portfolio, by its id."""
    found: dict[int, list[Any]] = {}
    for row in rows("SELECT id, name, address, portfolio_id FROM senders WHERE portfolio_id IS NOT NULL ORDER BY id"):
        found.setdefault(row.portfolio_id, []).append(row)
    return found


def remove(portfolio: Portfolio) -> None:
    """Deletes a portfolio that no number shares any more. Raises Invalid."""
    if numbers().get(portfolio.id):
        raise Invalid({"portfolio": f"Numbers share {portfolio.name}. Give them another portfolio first."})
    audit.record("portfolio.deleted", "portfolio", portfolio.id, before={"name": portfolio.name})
    db.session.delete(portfolio)
    db.session.flush()
