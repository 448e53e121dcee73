"""Templates: messages written once and filled for each lead. Every save is a version; what was sent names its own."""

from decimal import Decimal
from typing import Any

from sqlalchemy import Index, func, select, update
from sqlalchemy.orm import Mapped, mapped_column

from webapp.audience.leads import one_of
from webapp.messaging import tokens
from webapp.messaging.html_to_text import html_to_text
from webapp.platform import audit
from webapp.platform.db import Base, Changing, Tenant, add_unique, child_of, db, of_organization
from webapp.platform.errors import Invalid, NotFound, Refused
from webapp.platform.organizations import slugify

CATEGORIES = ("acquisition", "retention", "upselling", "behavioral", "transactional", "notification")
TYPES = ("email", "sms", "whatsapp", "multi_channel", "drip")
SIZE_LIMIT = 500_000  # characters of HTML: mail programs cut messages off long before


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


BODIES = ("subject_line", "preview_text", "html_content", "text_content")


def get(template_id: int) -> Template:
    """Returns a template of the organisation in scope. Raises NotFound."""
    template = db.session.scalar(select(Template).where(Template.id == template_id))
    if template is None:
        raise NotFound("That template does not exist any more.")
    return template


def usable() -> list[Template]:
    """Returns the active e-mail templates by name; the house's own are not for campaigns."""
    wanted = select(Template).where(Template.is_active, Template.template_type == "email", ~Template.is_system)
    return list(db.session.scalars(wanted.order_by(func.lower(Template.name))))


def check(values: dict[str, Any], *, system: bool = False) -> dict[str, str]:
    """Returns what is wrong with the bodies: field -> message. Empty if they can be saved. system: they are one of the
    house's own messages, which must keep the link it is sent for."""
    errors: dict[str, str] = {}
    if not (values.get("subject_line") or "").strip():
        errors["subject_line"] = "Write a subject."
    if not (values.get("html_content") or "").strip():
        errors["html_content"] = "Write the message."
    for field in BODIES:
        body = values.get(field) or ""
        if len(body) > (SIZE_LIMIT if field in ("html_content", "text_content") else 500):
            errors[field] = "This is too long."
        elif problem := tokens.problem(body, system=system):
            errors[field] = problem
        elif system and body.strip() and field in ("html_content", "text_content") and not _has_link(body):
            errors[field] = "This message needs the link {{ confirm_url }}."
    return errors


def _has_link(body: str) -> bool:
    return bool(tokens.used(body) & tokens.SYSTEM_TOKENS.keys())


def save(
    template: Template | None, values: dict[str, Any], author_id: int | None = None, *, system: bool = False
) -> Template:
    """Adds or changes a template and keeps the bodies as a new version. Plain text is made from the HTML if absent.

    values: name, category, description and the bodies. system: a new one is the house's own; its category stays as it
    is and it is always active. Raises Invalid, also for tokens that do not exist.
    """
    system = template.is_system if template else system
    values = {k: v.replace("\0", "") if isinstance(v, str) else v for k, v in values.items()}
    name = (values.get("name") or "").strip()
    errors = check(values, system=system)
    if not name or len(name) > 120:
        errors["name"] = "Give the template a name of at most 120 characters."
    if values.get("category", "acquisition") not in CATEGORIES:
        errors["category"] = f"Choose one of {', '.join(CATEGORIES)}."
    derived = "" if errors else html_to_text(values["html_content"].strip())
    if not errors and not (values.get("text_content") or "").strip() and tokens.problem(derived, system=system):
        errors["text_content"] = "No plain text can be made from this HTML. Write it here."
    slug = slugify(values.get("slug") or (template.slug if template else name))
    taken = select(Template.id).where(Template.slug == slug, Template.id != (template.id if template else 0))
    if "name" not in errors and db.session.scalar(taken):
        errors["slug" if values.get("slug") else "name"] = "There is a template of that name already."
    if errors:
        raise Invalid(errors)
    bodies = {field: (values.get(field) or "").strip() for field in BODIES}
    is_derived = not bodies["text_content"]
    wanted = {"name": name, "slug": slug} | bodies | {
        "text_content": derived if is_derived else bodies["text_content"],
        "text_is_derived": is_derived,
        "available_tokens": sorted(tokens.used(*bodies.values())),
        "suggested_channels": ["email"],
    }  # fmt: skip
    wanted |= {plain: values[plain] for plain in ("category", "description") if plain in values}
    if values.get("is_active") is not None:
        wanted["is_active"] = values["is_active"]
    if system:
        wanted |= {"is_system": True, "is_active": True, "category": "transactional"}
    template = template or Template(created_by=author_id)
    add_unique(template, Invalid({"name": "There is a template of that name already."}), wanted)
    _keep_version(template, author_id)
    audit.record("template.saved", "template", template.id, after={"name": name})
    return template


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
    bodies = {field: getattr(template, field) for field in BODIES}
    last = db.session.scalar(select(func.max(TemplateVersion.number)).where(TemplateVersion.template_id == template.id))
    if last and all(getattr(latest_version(template), field) == body for field, body in bodies.items()):
        return
    kept = TemplateVersion(template_id=template.id, number=(last or 0) + 1, author_id=author_id, **bodies)
    db.session.add(kept)
    db.session.flush()


def hold(version_id: int, reason: str) -> None:
    """Lets nothing more go out with the template of a version, until a person has looked."""
    db.session.execute(
        update(Template)
        .where(Template.id.in_(select(TemplateVersion.template_id).where(TemplateVersion.id == version_id)))
        .where(Template.hold_reason.is_(None))
        .values(hold_reason=reason[:1000])
    )


def count_use(template_id: int | None) -> None:
    """Notes that a campaign began to send a template."""
    db.session.execute(update(Template).where(Template.id == template_id).values(usage_count=Template.usage_count + 1))


def remove(template: Template) -> None:
    """Deletes a template. Campaigns that used it stay, and so do the versions they sent. Raises Refused for one of the
    house's own."""
    if template.is_system:
        raise Refused("Canvass sends this message by itself, so it stays. You can change its words.")
    audit.record("template.deleted", "template", template.id, before={"name": template.name})
    db.session.delete(template)
    db.session.flush()
