"""Imports in four steps: upload, columns, preview, run. Each step has its address, so one can leave and come back."""

from typing import Any

from flask import Blueprint, request, url_for
from flask_login import current_user
from phonenumbers import SUPPORTED_REGIONS
from sqlalchemy import func, select

from webapp.audience import segments
from webapp.audience.consents import CHANNELS
from webapp.audience.imports import columns, imports, options
from webapp.audience.imports.kinds import KINDS
from webapp.audience.imports.tables import STATUSES, Import
from webapp.platform.errors import Invalid
from webapp.platform.roles import can
from webapp.web import filters
from webapp.web.shell import go, needs, render, say, stream_csv
from webapp.web.table import Column, Filter, Table

import_pages = Blueprint("imports", __name__, url_prefix="/imports")


@import_pages.get("")
@needs("imports.view")
def page() -> Any:
    table = Table(
        name="imports",
        noun=("import", "imports"),
        query=select(Import),
        key=Import.id,
        columns=(
            Column("file", "File", lambda i: i.file_name, func.lower(Import.file_name)),
            Column("kind", "Rows", lambda i: filters.words(i.kind), wide=True),
            Column("status", "Status", lambda i: filters.status(i.status)),
            Column("created", "New", lambda i: filters.number(i.created), numeric=True),
            Column("updated", "Updated", lambda i: filters.number(i.updated), numeric=True, wide=True),
            Column("skipped", "Skipped", lambda i: filters.number(i.skipped), numeric=True, wide=True),
            Column("failed", "Refused", lambda i: filters.number(i.failed), numeric=True),
            Column("when", "When", lambda i: filters.moment(i.created_at), Import.created_at, wide=True),
        ),
        default_sort="-when",
        empty="Nothing was imported yet. Bring a CSV or an Excel file as it comes out of your system.",
        url_of=lambda i: url_for("imports.detail", import_id=i.id),
        search=lambda term: func.strpos(func.lower(Import.file_name), term.lower()) > 0,
        search_label="File name",
        filters=(
            Filter("status", "Status", tuple((s, filters.words(s)) for s in STATUSES), lambda s: Import.status == s),
        ),
    )
    action = ("Import a file", url_for("imports.new")) if can(current_user, "imports.run") else None
    return table.respond("list.html", title="Imports", action=action)


@import_pages.route("/new", methods=["GET", "POST"])
@needs("imports.run")
def new() -> Any:
    error = None
    if request.method == "POST":
        upload = request.files.get("file")
        try:
            if upload is None or not upload.filename:
                raise Invalid({"file": "Choose a file first."})
            started = imports.start(upload.filename, upload.read(), current_user.local_id, kind=None)
            return go("imports.detail", import_id=started.id)
        except Invalid as problem:
            error = next(iter(problem.errors.values()))
    return render("imports/upload.html", status=422 if error else 200, error=error)


@import_pages.route("/<int:import_id>", methods=["GET", "POST"])
@needs("imports.view")
def detail(import_id: int) -> Any:
    """The columns of a file that waits, the progress of one that runs, the outcome of one that ran."""
    found = imports.get(import_id)
    if request.method == "POST":
        return _configure(found)
    if found.status == "uploaded":
        return _columns(found, found.mapping, found.options, {})
    return render("imports/progress.html", "imports/_progress.html", **_outcome(found))


@import_pages.post("/<int:import_id>/kind")
@needs("imports.run")
def kind(import_id: int) -> Any:
    """The rows are something else than was guessed."""
    imports.choose_kind(imports.get(import_id), request.form.get("kind", ""))
    return go("imports.detail", import_id=import_id)


@needs("imports.run")
def _configure(found: Import) -> Any:
    mapping = {str(n): request.form.get(f"column-{n}", "") for n in range(len(found.header))}
    chosen = {
        "duplicates": request.form.get("duplicates"),
        "shared_phone": request.form.get("shared_phone"),
        "segment_id": request.form.get("segment_id") or None,
        "country": request.form.get("country"),
        "consent": request.form.getlist("consent"),
        "consent_source": request.form.get("consent_source", ""),
        "new_leads": found.kind == "leads" or request.form.get("new_leads") == "yes",
    }
    try:
        imports.configure(found, mapping, chosen)
    except Invalid as problem:
        return _columns(found, mapping, chosen, problem.errors)
    return go("imports.preview", import_id=found.id)


def _columns(found: Import, mapping: dict[str, str], chosen: dict[str, Any], errors: dict[str, str]) -> Any:
    shown = imports.preview(found, limit=3)
    return render(
        "imports/columns.html",
        status=422 if errors else 200,
        found=found,
        mapping=mapping,
        chosen=chosen,
        errors=errors,
        examples=_examples(found),
        targets=KINDS[found.kind].targets,
        attribute=lambda n: columns.guess([found.header[n]], [["x"]], (), KINDS[found.kind]).get("0", ""),
        duplicates=options.DUPLICATES,
        shared_phones=options.SHARED_PHONES,
        static_segments=segments.every(static_only=True),
        countries=sorted(SUPPORTED_REGIONS),
        channels=CHANNELS,
        total=shown.total,
    )


def _examples(found: Import) -> dict[int, str]:
    """Returns what stands in each column in the first rows, whatever it is mapped to."""
    shown: dict[int, list[str]] = {}
    for cells in imports.first_rows(found, 5):
        for n, cell in enumerate(cells[: len(found.header)]):
            if cell.strip() and len(shown.setdefault(n, [])) < 2:
                shown[n].append(cell.strip()[:40])
    return {n: ", ".join(cells) for n, cells in shown.items()}


@import_pages.get("/<int:import_id>/preview")
@needs("imports.run")
def preview(import_id: int) -> Any:
    found = imports.get(import_id)
    if found.status != "uploaded":
        return go("imports.detail", import_id=import_id)
    return render("imports/preview.html", found=found, shown=imports.preview(found), targets=KINDS[found.kind].targets)


@import_pages.post("/<int:import_id>/run")
@needs("imports.run")
def run(import_id: int) -> Any:
    imports.queue(imports.get(import_id))
    return go("imports.detail", import_id=import_id)


@import_pages.post("/<int:import_id>/cancel")
@needs("imports.run")
def cancel(import_id: int) -> Any:
    imports.cancel(imports.get(import_id))
    say("Cancelled. Nothing was changed.")
    return go("imports.detail", import_id=import_id)


@import_pages.post("/<int:import_id>/undo")
@needs("imports.run")
def undo(import_id: int) -> Any:
    taken_back = imports.undo(imports.get(import_id))
    say(str(taken_back))
    return go("imports.detail", import_id=import_id)


@import_pages.get("/<int:import_id>/refused.csv")
@needs("imports.view")
def refused(import_id: int) -> Any:
    found = imports.get(import_id)
    return stream_csv(f"refused-{found.id}.csv", lambda: imports.refused_csv(imports.get(import_id)))


@import_pages.get("/<int:import_id>/problems.csv")
@needs("imports.view")
def problems(import_id: int) -> Any:
    found = imports.get(import_id)
    return stream_csv(f"problems-{found.id}.csv", lambda: imports.problems_csv(imports.get(import_id)))


def _outcome(found: Import) -> dict[str, Any]:
    finished = found.status in ("done", "undone", "failed", "cancelled")
    problems = imports.problems(found, limit=50) if finished else []
    made = imports.leads_made(found) if found.kind == "policies" else None
    return {"found": found, "problems": problems, "finished": finished, "leads_made": made}
