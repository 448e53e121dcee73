"""Templates: messages written once and filled for each lead. Every save is a version; what was sent names its own."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Index, and_, any_, func, literal, or_, select, update
from sqlalchemy.orm import Mapped, mapped_column

from webapp.audience.consents import CHANNEL_WORDS
from webapp.audience.lead_values import storable
from webapp.audience.leads import one_of
from webapp.messaging import bodies
from webapp.messaging.bodies import BODIES
from webapp.platform import audit
from webapp.platform.db import Base, Changing, Tenant, add_unique, child_of, db, of_organization, rows, run
from webapp.platform.errors import Invalid, NotFound, Refused
from webapp.platform.organizations import slugify

CATEGORIES = ("acquisition", "retention", "upselling", "behavioral", "transactional", "notification")
TYPES = ("email", "sms", "whatsapp", "multi_channel", "drip")


class Template(Tenant, Changing, Base):
    __tablename__ = "templates"
    name: Mapped[str]
    slug: Mapped[str]
    description: Mapped[str | None]
    category: Mapped[str] = mapped_column(server_default="acquisition")
    template_type: Mapped[str] = mapped_column(server_default="email")
    subject_line: Mapped[str | None]
    preview_text: Mapped[str | None]
    html_content: Mapped[str | None]
    text_content: Mapped[str | None]
    text_is_derived: Mapped[bool] = mapped_column(server_default="false")
    available_tokens: Mapped[list[Any]] = mapped_column(server_default="[]")
    suggested_channels: Mapped[list[str]] = mapped_column(server_default="{}")
    thumbnail_url: Mapped[str | None]
    # name, language, category, status (APPROVED, PENDING, ...), body with {{1}}, parameters: what stands for {{1}}, ...
    whatsapp: Mapped[dict[str, Any] | None]
    # The provider does not take it any more: nothing is sent with it until a person has looked.
    hold_reason: Mapped[str | None]
    # When its provider last said how it stands: what it said before that and tells again does not count.
    told_at: Mapped[datetime | None]
    usage_count: Mapped[int] = mapped_column(server_default="0")
    average_roi: Mapped[Decimal | None]
    is_system: Mapped[bool] = mapped_column(server_default="false")
    is_active: Mapped[bool] = mapped_column(server_default="true")
    created_by: Mapped[int | None]
    __table_args__ = (
        of_organization(),
        child_of("users", "created_by", "SET NULL"),
        one_of("category", CATEGORIES),
        one_of("template_type", TYPES),
        Index(None, "org_id", "slug", unique=True),
        Index(None, "org_id", "created_at", "id"),
    )


class TemplateVersion(Tenant, Base):
    __tablename__ = "template_versions"
    template_id: Mapped[int | None]
    number: Mapped[int]
    subject_line: Mapped[str | None]
    preview_text: Mapped[str | None]
    html_content: Mapped[str | None]
    text_content: Mapped[str | None]
    whatsapp: Mapped[dict[str, Any] | None]
    author_id: Mapped[int | None]
    note: Mapped[str | None]
    __table_args__ = (
        of_organization(),
        # What was sent must stay readable after its template is gone.
        child_of("templates", "template_id", "SET NULL"),
        child_of("users", "author_id", "SET NULL"),
        Index(None, "org_id", "template_id", "number", unique=True),
    )


def get(template_id: int) -> Template:
    """Returns a template of the organisation in scope. Raises NotFound."""
    template = db.session.scalar(select(Template).where(Template.id == template_id))
    if template is None:
        raise NotFound("That template does not exist any more.")
    return template


def speaks(channel: str) -> Any:
    """Returns the condition that a template has a message for a channel."""
    several = and_(Template.template_type == "multi_channel", literal(channel) == any_(Template.suggested_channels))
    return or_(Template.template_type == channel, several)


def usable(channel: str = "email") -> list[Template]:
    """Returns the active templates with a message for a channel, by name; also those held or not approved yet (see
    `hindrance`). The house's own are not for campaigns."""
    wanted = select(Template).where(Template.is_active, speaks(channel), ~Template.is_system)
    return list(db.session.scalars(wanted.order_by(func.lower(Template.name))))


def channels_of(template: Template) -> list[str]:
    """Returns the channels a template has a message for."""
    if template.template_type == "multi_channel":
        return list(template.suggested_channels)
    return ["email" if template.template_type == "drip" else template.template_type]


def hindrance(template: Template, channels: list[str]) -> str | None:
    """Returns why a template cannot be sent over channels now, in words; None if it can."""
    if not template.is_active:
        return "This template is not active."
    for channel in channels:
        if channel not in channels_of(template):
            return f"This template has no message for {CHANNEL_WORDS.get(channel, channel)}."
    if template.hold_reason:
        return f"This template is held: {template.hold_reason}"
    status = (template.whatsapp or {}).get("status")
    if "whatsapp" in channels and status not in bodies.SENDABLE:
        return f"WhatsApp has not approved this template ({(status or 'no state known').lower()})."
    return None


def check(values: dict[str, Any], *, system: bool = False, kind: str = "email") -> dict[str, str]:
    """Returns what is wrong with the bodies: field -> message. Empty if they can be saved (see `bodies.problems`)."""
    return bodies.problems(kind, values, system=system)


def save(
    template: Template | None, values: dict[str, Any], author_id: int | None = None, *, system: bool = False
) -> Template:
    """Adds or changes a template and keeps the bodies as a new version. Plain text is made from the HTML if absent.

    values: name, category, description, template_type (of a new one; an e-mail if not given), whatsapp and the bodies.
    system: a new one is the house's own; its category stays as it is and it is always active. Raises Invalid, also for
    tokens that do not exist.
    """
    system = template.is_system if template else system
    values = storable(values)
    kind = template.template_type if template else values.get("template_type") or "email"
    errors = _problems(template, values, kind, system)
    if errors:
        raise Invalid(errors)
    wanted = {"name": values["name"].strip(), "slug": _slug(template, values)} | bodies.kept(kind, values)
    wanted |= {plain: values[plain] for plain in ("category", "description") if plain in values}
    if values.get("is_active") is not None:
        wanted["is_active"] = values["is_active"]
    if system:
        wanted |= {"is_system": True, "is_active": True, "category": "transactional"}
    template = template or Template(created_by=author_id, template_type=kind)
    add_unique(template, Invalid({"name": "There is a template of that name already."}), wanted)
    _keep_version(template, author_id)
    audit.record("template.saved", "template", template.id, after={"name": template.name})
    return template


def _problems(template: Template | None, values: dict[str, Any], kind: str, system: bool) -> dict[str, str]:
    if kind not in bodies.OF_KIND or template is None and kind not in bodies.KINDS:
        return {"template_type": f"Choose one of {', '.join(bodies.KINDS)}."}
    errors = bodies.problems(kind, values, system=system)
    if template is not None and values.get("template_type", kind) != kind:
        errors["template_type"] = "A template stays what it was made as. Make another one."
    name = (values.get("name") or "").strip()
    if not name or len(name) > 120:
        errors["name"] = "Give the template a name of at most 120 characters."
    if values.get("category", "acquisition") not in CATEGORIES:
        errors["category"] = f"Choose one of {', '.join(CATEGORIES)}."
    html = (values.get("html_content") or "").strip() if "html_content" in bodies.OF_KIND[kind] else ""
    has_text = (values.get("text_content") or "").strip()
    if not errors and html and not has_text and not bodies.derivable(html, system=system):
        errors["text_content"] = "No plain text can be made from this HTML. Write it here."
    taken = select(Template.id).where(
        Template.slug == _slug(template, values), Template.id != (template.id if template else 0)
    )
    if "name" not in errors and db.session.scalar(taken):
        errors["slug" if values.get("slug") else "name"] = "There is a template of that name already."
    return errors


def _slug(template: Template | None, values: dict[str, Any]) -> str:
    return slugify(values.get("slug") or (template.slug if template else (values.get("name") or "").strip()))


def let_go_on(template_id: int) -> bool:
    """Lets a held template be sent again. Returns False where it was not held."""
    template = get(template_id)
    freed = bool(run(
        "UPDATE templates SET hold_reason = NULL, updated_at = now() WHERE id = :id AND hold_reason IS NOT NULL",
        id=template_id,
    ))  # fmt: skip
    if freed:
        audit.record("template.released", "template", template_id, before={"hold_reason": template.hold_reason})
        db.session.refresh(template)
    return freed


def latest_version(template: Template) -> TemplateVersion:
    """Returns the version a template stands at."""
    wanted = select(TemplateVersion).where(TemplateVersion.template_id == template.id)
    return db.session.scalars(wanted.order_by(TemplateVersion.number.desc()).limit(1)).one()


def version(version_id: int) -> TemplateVersion:
    """Returns one version. Raises NotFound."""
    found = db.session.scalar(select(TemplateVersion).where(TemplateVersion.id == version_id))
    if found is None:
        raise NotFound()
    return found


def _keep_version(template: Template, author_id: int | None) -> None:
    said = {field: getattr(template, field) for field in (*BODIES, "whatsapp")}
    last = db.session.scalar(select(func.max(TemplateVersion.number)).where(TemplateVersion.template_id == template.id))
    if last:
        latest = latest_version(template)
        if _words({field: getattr(latest, field) for field in said}) == _words(said):
            return
    kept = TemplateVersion(template_id=template.id, number=(last or 0) + 1, author_id=author_id, **said)
    db.session.add(kept)
    db.session.flush()


def _words(said: dict[str, Any]) -> dict[str, Any]:
    # Whether its provider approved a message changes none of its words.
    message = {part: value for part, value in (said["whatsapp"] or {}).items() if part != "status"}
    return said | {"whatsapp": message}


def count_use(template_id: int | None) -> None:
    """Notes that a campaign began to send a template."""
    db.session.execute(update(Template).where(Template.id == template_id).values(usage_count=Template.usage_count + 1))


def remove(template: Template) -> None:
    """Deletes a template. Campaigns that used it stay, and so do the versions they sent. Raises Refused for one of the
    house's own, and while a campaign under way sends it."""
    if template.is_system:
        raise Refused("Canvass sends this message by itself, so it stays. You can change its words.")
    under_way = rows(
        "SELECT name FROM campaigns WHERE template_id = :id AND status IN ('scheduled', 'active', 'paused') ORDER BY name",
        id=template.id,
    )
    if under_way:
        shown = ", ".join(row.name for row in under_way[:3])
        more = f" and {len(under_way) - 3} more" if len(under_way) > 3 else ""
        raise Refused(f"{template.name} is being sent by {shown}{more}. Wait until that is done, or cancel it first.")
    audit.record("template.deleted", "template", template.id, before={"name": template.name})
    db.session.delete(template)
    db.session.flush()
