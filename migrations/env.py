"""Migrations run as the owner of the tables, never as the app's role."""

from alembic import context
from flask import current_app
from sqlalchemy import create_engine, make_url, pool

from webapp.tables import metadata

LOCK = 0x63616E76  # two processes starting together must not migrate together


url = make_url(current_app.config["OWNER_URL"]).set(drivername="postgresql+psycopg")
with create_engine(url, poolclass=pool.NullPool).connect() as connection:
    connection.exec_driver_sql(f"SELECT pg_advisory_lock({LOCK})")
    connection.commit()
    context.configure(connection=connection, target_metadata=metadata, compare_type=True)
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
