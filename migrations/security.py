"""What every table gets: the app role's rights and, where it belongs to an organisation, forced row-level security."""

from alembic import op

APP_ROLE = "canvass_app"
# In a subquery, so that it is looked up once a statement and not once a row. After a transaction the setting reads
# as '' and not as NULL.
IN_SCOPE = "org_id = (SELECT NULLIF(current_setting('app.org_id', true), '')::bigint)"


def ensure_role():
    """Makes the app's role where it is missing (roles belong to the server and not to the database)."""
    op.execute(
        f"DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{APP_ROLE}') THEN"
        f" CREATE ROLE {APP_ROLE} NOLOGIN NOSUPERUSER NOBYPASSRLS; END IF; END $$"
    )
    # Whoever makes a role may give it away, yet from PostgreSQL 16 on may not become it before they gave it to themselves.
    op.execute(f"DO $$ BEGIN EXECUTE format('GRANT {APP_ROLE} TO %I', current_user); END $$")
    op.execute(f"GRANT USAGE ON SCHEMA public TO {APP_ROLE}")


def drop_role_grants():
    """Takes the schema back from the app's role; the role itself may serve other databases."""
    op.execute(f"REVOKE USAGE ON SCHEMA public FROM {APP_ROLE}")


def grant(table, rights="SELECT, INSERT, UPDATE, DELETE"):
    """Lets the app's role work with a table."""
    op.execute(f"GRANT {rights} ON {table} TO {APP_ROLE}")


def secure(table):
    """Shows a table's rows only inside the scope of their organisation, to its owner too."""
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY {table}_scope ON {table} USING ({IN_SCOPE}) WITH CHECK ({IN_SCOPE})")
