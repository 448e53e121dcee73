"""Links of messages: stored once under an id, so that a click's redirect never takes its address from the click."""

import re
from typing import Any

from minijinja import TemplateError
from sqlalchemy import Index, select
from sqlalchemy.orm import Mapped

from webapp.messaging import tokens
from webapp.platform.db import Base, Tenant, child_of, db, value
from webapp.platform.errors import NotFound

CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")  # nothing of it may stand in an address, or in a header


class Link(Tenant, Base):
    """url: as written in the template, tokens and all; they are filled in at the click."""

    __tablename__ = "links"
    campaign_id: Mapped[int]
    url: Mapped[str]
    __table_args__ = (
        child_of("campaigns", "campaign_id"),
        Index(None, "org_id", "campaign_id", "url", unique=True),
    )


def store(campaign_id: int, url: str) -> int:
    """Returns the id of a link of a campaign, added if it is new. Two processes asking at once get the same one."""
    asked = {"campaign": campaign_id, "url": url}
    found = value("SELECT id FROM links WHERE campaign_id = :campaign AND url = :url", **asked)
    return found or value(
        "INSERT INTO links (campaign_id, url) VALUES (:campaign, :url)"
        " ON CONFLICT (org_id, campaign_id, url) DO UPDATE SET url = EXCLUDED.url RETURNING id", **asked,
    )  # fmt: skip


def get(link_id: int) -> Link:
    """Returns a link of the organisation in scope. Raises NotFound."""
    link = db.session.scalar(select(Link).where(Link.id == link_id))
    if link is None:
        raise NotFound("This link leads nowhere any more.")
    return link


def filled(url: str, values: dict[str, Any]) -> str:
    """Returns an address with its tokens filled in, each value percent-encoded. Raises NotFound where it cannot be."""
    if "{{" in url or "{%" in url:
        try:
            url = tokens.environment(in_address=True).render_str(url, "link.txt", **values)
        except (TemplateError, ValueError):
            raise NotFound("This link leads nowhere any more.") from None
    return CONTROLS.sub("", url)
