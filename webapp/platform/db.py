"""The database: one engine, one session a context, one place that opens and closes transactions."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from decimal import Decimal
from typing import Any

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from psycopg.errors import IdleInTransactionSessionTimeout, UniqueViolation
from sqlalchemy import (
    BigInteger,
    ForeignKeyConstraint,
    Identity,
    MetaData,
    Numeric,
    Text,
    event,
    func,
    make_url,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP
from sqlalchemy.engine import Engine, ExceptionContext
from sqlalchemy.exc import IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, registry

from webapp.platform import tenancy

APP_ROLE = "canvass_app"
AWAY = (OperationalError, InterfaceError, NoConnection)  # what a statement raises while the database is away
# How long `transaction` may ask nothing before the database ends it: a process that was stopped in the middle of one must
# not hold others up for longer than their leases last. What a browser asks for has no such end: it may be slow to send.
SILENT_SECONDS = 20
_ends_silent: ContextVar[bool] = ContextVar("ends_silent", default=False)
NAMES = {
    "pk": "pk_%(table_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
}


class Base(DeclarativeBase):
    registry = registry(
        metadata=MetaData(naming_convention=NAMES),
        type_annotation_map={
            datetime: TIMESTAMP(timezone=True),
            str: Text(),
            int: BigInteger(),
            dict[str, Any]: JSONB(none_as_null=True),
            list[Any]: JSONB(none_as_null=True),
            list[str]: ARRAY(Text()),
            Decimal: Numeric(12, 2),
        },
    )


db = SQLAlchemy(model_class=Base, disable_autonaming=True)
ORG_IN_SCOPE = "NULLIF(current_setting('app.org_id', true), '')::bigint"


class Tenant:
    """Mixin of every table that belongs to an organisation: primary key (org_id, id), org_id from the scope."""

    org_id: Mapped[int] = mapped_column(
        BigInteger, primary_key=True, autoincrement=False, server_default=text(ORG_IN_SCOPE), sort_order=-20
    )
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True, autoincrement=True, sort_order=-19)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now(), sort_order=90)


class Changing:
    """Mixin of tables whose rows change after they are written."""

    updated_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now(), sort_order=91)


def child_of(table: str, column: str, ondelete: str = "CASCADE") -> ForeignKeyConstraint:
    """Returns the foreign key (org_id, column) -> table. With ondelete "SET NULL" only `column` is emptied."""
    rule = f"SET NULL ({column})" if ondelete == "SET NULL" else ondelete
    return ForeignKeyConstraint(["org_id", column], [f"{table}.org_id", f"{table}.id"], ondelete=rule)


def of_organization() -> ForeignKeyConstraint:
    """Returns the foreign key of org_id to its organisation, for tables without a parent that has it already: each key
    is a look-up for each row written."""
    return ForeignKeyConstraint(["org_id"], ["organizations.id"], ondelete="CASCADE")


def app_engine_options(url: str, pool_size: int = 12) -> tuple[str, dict[str, Any]]:
    """Returns SQLAlchemy's address and engine options for connecting as the app's role.

    The owner's address comes in. Where the owner is the embedded server's superuser the app logs in as its own
    role; on an external server one login serves both, and the session starts in the app's role.
    """
    parsed = make_url(url).set(drivername="postgresql+psycopg")
    options = {"pool_pre_ping": True, "pool_size": pool_size, "max_overflow": 10, "pool_recycle": 1800}
    if parsed.query.get("host"):
        parsed = parsed.set(username=APP_ROLE)
        settings = "-c timezone=UTC"
    else:
        settings = f"-c timezone=UTC -c role={APP_ROLE}"
    options["connect_args"] = {"options": settings, "application_name": "canvass"}
    return parsed.render_as_string(hide_password=False), options


def init_app(app: Flask, owner_url: str, pool_size: int = 12) -> None:
    """Binds the session to the database as the app's role."""
    address, options = app_engine_options(owner_url, pool_size)
    app.config["SQLALCHEMY_DATABASE_URI"] = address
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = options
    db.init_app(app)


@event.listens_for(Session, "after_begin")
def _tell_scope(session: Session, _transaction: Any, connection: Any) -> None:
    """Tells PostgreSQL the scope; local to the transaction, because a pooled connection outlives it."""
    connection.execute(
        text(
            "SELECT set_config('app.org_id', :org, true), set_config('app.runner', :runner, true),"
            " set_config('idle_in_transaction_session_timeout', :silent, true)"
        ),
        {
            "org": str(tenancy.current_org() or ""),
            "runner": "on" if tenancy.is_runner() else "",
            "silent": f"{SILENT_SECONDS if _ends_silent.get() else 0}s",
        },
    )


@event.listens_for(Engine, "handle_error")
def _ended_idle(context: ExceptionContext) -> OperationalError | None:
    """Counts a transaction the database ended because nothing was asked in it as what it is: a connection that is gone."""
    if not isinstance(context.original_exception, IdleInTransactionSessionTimeout):
        return None
    return OperationalError(
        context.statement, context.parameters, context.original_exception, connection_invalidated=True
    )


@contextmanager
def _ending_silent() -> Iterator[None]:
    before = _ends_silent.set(True)
    try:
        yield
    finally:
        _ends_silent.reset(before)


@contextmanager
def transaction(org_id: int | None = None) -> Iterator[Session]:
    """Runs the block as one transaction of one organisation: commits at its end, rolls back if it raises. Nothing in it
    may wait for anybody but the database (see `take_time`).

    Any transaction open in this context is ended first, so that the scope told to PostgreSQL is this one.
    """
    session = db.session
    try:
        session.rollback()
    except AWAY:
        session.remove()
    with tenancy.scope(org_id if org_id is not None else tenancy.current_org()), _ending_silent():
        try:
            yield session
            session.commit()
        except BaseException:
            session.rollback()
            raise


def rows(sql: str, **params: Any) -> list[Any]:
    """Runs one SQL statement with named parameters in the session and returns its rows."""
    return db.session.execute(text(sql), params).all()


def run(sql: str, **params: Any) -> int:
    """Runs one SQL statement with named parameters and returns the number of rows it touched."""
    return db.session.execute(text(sql), params).rowcount


def one(sql: str, **params: Any) -> Any:
    """Runs one SQL statement and returns its first row, or None."""
    return db.session.execute(text(sql), params).first()


def value(sql: str, **params: Any) -> Any:
    """Runs one SQL statement and returns the first column of its first row, or None."""
    return db.session.execute(text(sql), params).scalar()


def add_unique(row: Any, clash: Exception, values: dict[str, Any] | None = None) -> None:
    """Sets values of a row, new or known, and writes it. Raises `clash` where another row has the same key, also one
    somebody else wrote at this very moment; the transaction goes on as it was."""
    try:
        # Set inside: what was set before a savepoint is written before it, and would take the transaction down.
        with db.session.begin_nested():
            for name, value in (values or {}).items():
                setattr(row, name, value)
            db.session.add(row)
            db.session.flush()
    except IntegrityError as problem:
        if not isinstance(problem.orig, UniqueViolation):
            raise
        raise clash from None


def refresh_statistics(*tables: str) -> None:
    """Lets PostgreSQL look at tables again after a bulk write, each in a transaction of its own.

    Until it has, it plans as if they were empty, and every look-up in them reads them whole.
    """
    for table in tables:
        with transaction():
            db.session.execute(text("SELECT refresh_statistics(:name)"), {"name": table})


def take_time() -> None:
    """Lets this transaction wait for as long as it takes, such as for somebody who reads what it has found. For those that
    hold nothing anybody else waits for."""
    run("SET LOCAL idle_in_transaction_session_timeout = 0")


def driver_connection() -> Any:
    """Returns the psycopg connection of the session's transaction, for COPY."""
    return db.session.connection().connection.driver_connection
