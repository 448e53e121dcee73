"""Hours: when somebody may be written to."""

from datetime import date

from sqlalchemy import Index
from sqlalchemy.orm import Mapped

from webapp.platform.db import Base, Tenant, of_organization


class Holiday(Tenant, Base):
    """A day on which nobody of a country (two capital letters) is written to."""

    __tablename__ = "holidays"
    country: Mapped[str]
    on_date: Mapped[date]
    name: Mapped[str]
    __table_args__ = (of_organization(), Index(None, "org_id", "country", "on_date", unique=True))
