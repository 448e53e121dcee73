"""Who may be the same person twice."""

from sqlalchemy import func, or_, select, union

from webapp.audience.leads import ALIVE, Lead
from webapp.platform.db import db


def likely(lead: Lead, limit: int = 3) -> list[Lead]:
    """Returns other leads who are probably this person: the same name and the same city or birth date, or an e-mail
    address that differs only in a +word. At most `limit`."""
    alike = []
    if lead.name_key.strip():
        near = [getattr(Lead, field) == given for field in ("city", "date_of_birth") if (given := getattr(lead, field))]
        alike += [(Lead.name_key == lead.name_key) & or_(*near)] if near else []
    account, at, domain = (lead.email_key or "").rpartition("@")
    if at:
        account = account.partition("+")[0]
        # A range that the index serves: what stands between "name+" and "name,", the next character.
        tagged = (Lead.email_key >= f"{account}+") & (Lead.email_key < f"{account},")
        tagged &= func.right(Lead.email_key, len(domain) + 1) == f"@{domain}"
        alike += [Lead.email_key == f"{account}@{domain}", tagged]
    if not alike:
        return []
    wanted = union(*(select(Lead.id).where(Lead.id != lead.id, ALIVE, one_way).limit(limit) for one_way in alike))
    return list(db.session.scalars(select(Lead).where(Lead.id.in_(wanted)).order_by(Lead.id).limit(limit)))
