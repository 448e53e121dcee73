"""What is kept about an import: the file, what was decided, what was refused and what it changed."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, LargeBinary
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from webapp.audience.leads import one_of
from webapp.platform.db import Base, Changing, Tenant, child_of, of_organization

KINDS = ("leads", "policies")
STATUSES = ("uploaded", "queued", "running", "done", "failed", "cancelled", "undone")


class Import(Tenant, Changing, Base):
    """status: uploaded (being mapped) -> queued -> running -> done | failed | cancelled; done -> undone."""

    __tablename__ = "imports"
    file_name: Mapped[str]
    kind: Mapped[str] = mapped_column(server_default="leads")
    status: Mapped[str] = mapped_column(server_default="uploaded")
    dialect: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    header: Mapped[list[Any]] = mapped_column(server_default="[]")
    header_key: Mapped[str] = mapped_column(server_default="")
    mapping: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    options: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    total: Mapped[int] = mapped_column(server_default="0")
    progress: Mapped[int] = mapped_column(server_default="0")
    created: Mapped[int] = mapped_column(server_default="0")
    updated: Mapped[int] = mapped_column(server_default="0")
    skipped: Mapped[int] = mapped_column(server_default="0")
    failed: Mapped[int] = mapped_column(server_default="0")
    # The leads it made. A list and not a row for each in import_changes: there is nothing else to say about them, and
    # the keys of a hundred thousand rows would cost a sixth of the import.
    created_ids: Mapped[list[int]] = mapped_column(ARRAY(BigInteger), server_default="{}", deferred=True)
    message: Mapped[str | None]
    created_by: Mapped[int | None]
    # Claims so far, so that a file that kills its process does not do so for ever.
    attempts: Mapped[int] = mapped_column(server_default="0")
    claim_token: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    __table_args__ = (
        of_organization(),
        child_of("users", "created_by", "SET NULL"),
        one_of("kind", KINDS),
        one_of("status", STATUSES),
        Index(None, "org_id", "status"),
        Index(None, "org_id", "created_at", "id"),
    )


class ImportFile(Tenant, Base):
    """The uploaded bytes, in the database and not on a disk, so that any process may do the work."""

    __tablename__ = "import_files"
    import_id: Mapped[int]
    content: Mapped[bytes] = mapped_column(LargeBinary)
    __table_args__ = (
        child_of("imports", "import_id"),
        Index(None, "org_id", "import_id", unique=True),
    )


class ImportProblem(Tenant, Base):
    """A cell dropped (the lead went in without it) or a row refused (refused is True; raw holds its cells)."""

    __tablename__ = "import_errors"
    import_id: Mapped[int]
    row: Mapped[int]
    column: Mapped[str | None]
    value: Mapped[str | None]
    message: Mapped[str]
    refused: Mapped[bool] = mapped_column(server_default="false")
    raw: Mapped[list[Any] | None]
    __table_args__ = (child_of("imports", "import_id"), Index(None, "org_id", "import_id", "row"))


class ImportChange(Tenant, Base):
    """What an import did to a lead that was there before: before and after hold only the columns it changed."""

    __tablename__ = "import_changes"
    import_id: Mapped[int]
    lead_id: Mapped[int]
    before: Mapped[dict[str, Any]]
    after: Mapped[dict[str, Any]]
    consent_added: Mapped[bool] = mapped_column(server_default="false")
    __table_args__ = (
        child_of("imports", "import_id"),
        child_of("leads", "lead_id"),
        Index(None, "org_id", "import_id", "lead_id", unique=True),
    )


class ImportPolicyChange(Tenant, Base):
    """What an import did to a policy: before is empty where it made it, else both hold only the columns it changed."""

    __tablename__ = "import_policy_changes"
    import_id: Mapped[int]
    policy_id: Mapped[int]
    before: Mapped[dict[str, Any] | None]
    after: Mapped[dict[str, Any]]
    __table_args__ = (
        child_of("imports", "import_id"),
        child_of("policies", "policy_id"),
        Index(None, "org_id", "import_id", "policy_id", unique=True),
        Index(None, "org_id", "policy_id"),
    )
