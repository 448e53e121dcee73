"""Rows imported per second (file to leads, consents and timeline), against a bare COPY of the same file."""

import csv
import io
import time

import psycopg

from tests.bench.desk import house
from webapp.audience.imports import imports
from webapp.platform import tenancy
from webapp.platform.db import one, transaction

HEADER = [
    "First Name",
    "Last Name",
    "Email",
    "Phone",
    "State",
    "City",
    "Insurance Type",
    "Value",
    "Created",
    "Opt-in Email",
]


def file_of(n: int) -> bytes:
    """A clean export of n leads."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(HEADER)
    types, states = ("auto", "home", "life", "health"), ("TX", "CA", "NY", "FL", "WA")
    for k in range(n):
        writer.writerow([f"First{k % 5000}", f"Last{k % 9000}", f"person{k}@example.com", f"+1415{2000000 + k}", states[k % 5],
                         f"City {k % 900}", types[k % 4], f"{k % 9000}.50", f"2025-{k % 12 + 1:02}-{k % 28 + 1:02}", "yes"])  # fmt: skip
    return out.getvalue().encode()


def copy_seconds(url: str, content: bytes, columns: str, like: str | None = None) -> float:
    """Seconds of a COPY of the file into a plain table, or into one with the columns, keys and indexes of another."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS bare")
        if like:
            connection.execute(f"CREATE TABLE bare (LIKE {like} INCLUDING ALL)")
            connection.execute("ALTER TABLE bare ALTER org_id SET DEFAULT 1")
        else:
            connection.execute("CREATE TABLE bare (" + ", ".join(f"c{n} text" for n in range(len(HEADER))) + ")")
        started = time.perf_counter()
        with connection.cursor().copy(f"COPY bare {columns} FROM STDIN WITH (FORMAT csv, HEADER true)") as copy:
            for at in range(0, len(content), 1 << 16):
                copy.write(content[at : at + (1 << 16)])
        return time.perf_counter() - started


def main(n: int = 200_000) -> None:
    content = file_of(n)
    leads_columns = (
        "(first_name, last_name, email, phone, state, city, insurance_type, value_estimate, created_at, language)"
    )
    with house() as (app, org):
        url = app.config["OWNER_URL"]
        plain = copy_seconds(url, content, "")
        indexed = copy_seconds(url, content, leads_columns, "leads")
        with transaction(org):
            import_id = imports.start("leads.csv", content).id
        with transaction(org):
            imports.queue(imports.get(import_id))
        started = time.perf_counter()
        with tenancy.scope(org):
            imports.run_next("bench")
        taken = time.perf_counter() - started
        with transaction(org):
            row = one("SELECT status, created FROM imports WHERE id = :id", id=import_id)
        assert (row.status, row.created) == ("done", n), row
    print(f"import: {n / taken:,.0f} rows/s; bare COPY into a table with leads' columns, keys and indexes {n / indexed:,.0f}"
          f" rows/s, ratio {indexed / taken:.2f} (target 0.25); into a table of plain text {n / plain:,.0f}, ratio"
          f" {plain / taken:.3f}")  # fmt: skip


if __name__ == "__main__":
    main()
