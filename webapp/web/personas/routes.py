"""Personas: the list, one with its attributes and the people it may be, and the decision who is one."""

from typing import Any

from flask import Blueprint, request, url_for
from flask_login import current_user
from sqlalchemy import and_, func, select

from webapp.audience import leads, persona_scores, personas
from webapp.audience.leads import ALIVE, Lead
from webapp.audience.persona_scores import APPROVALS, LEVELS, PersonaScore
from webapp.audience.personas import Persona
from webapp.audience.segments import Segment
from webapp.platform.db import db
from webapp.platform.errors import Invalid
from webapp.platform.roles import can
from webapp.web import filters
from webapp.web.personas.forms import AttributeForm, PersonaForm
from webapp.web.shell import go, needs, render, row_id, say, show_errors
from webapp.web.table import Column, Filter, Table

persona_pages = Blueprint("personas", __name__, url_prefix="/personas")
DECIDED = {"approved": True, "refused": False, "open": None}


@persona_pages.get("")
@needs("personas.view")
def page() -> Any:
    counted = persona_scores.counts()
    table = Table(
        name="personas",
        noun=("persona", "personas"),
        query=select(Persona),
        key=Persona.id,
        columns=(
            Column("name", "Name", lambda p: p.name, func.lower(Persona.name)),
            Column("type", "Type", lambda p: p.persona_type, Persona.persona_type, wide=True),
            Column("place", "Place", lambda p: _place(p) or "–", wide=True, export=_place),
            Column("tags", "Segment tags", lambda p: ", ".join(p.segment_tags) or "–", wide=True),
            Column("people", "May be", lambda p: filters.number(counted.get(p.id, (0, 0))[0]), numeric=True),
            Column("approved", "Approved", lambda p: filters.number(counted.get(p.id, (0, 0))[1]), numeric=True),
        ),
        default_sort="name",
        empty="No personas yet. Describe the first kind of person you are looking for.",
        url_of=lambda p: url_for("personas.detail", persona_id=p.id),
        search=lambda term: func.strpos(func.lower(Persona.name), term.lower()) > 0,
        search_label="Name of the persona",
        can_export=can(current_user, "leads.export"),
    )
    action = ("New persona", url_for("personas.new")) if can(current_user, "personas.edit") else None
    return table.respond("list.html", title="Personas", action=action)


def _place(persona: Persona) -> str:
    return ", ".join(filter(None, (persona.state, persona.region)))


@persona_pages.route("/new", methods=["GET", "POST"])
@needs("personas.edit")
def new() -> Any:
    form = PersonaForm()
    if request.method == "POST" and form.validate():
        try:
            persona = personas.create(form.values())
            say(f"{persona.name} added.")
            return go("personas.detail", persona_id=persona.id)
        except Invalid as problem:
            show_errors(form, problem)
    return render("personas/form.html", status=_status(), form=form, persona=None)


def _status() -> int:
    return 422 if request.method == "POST" else 200


@persona_pages.route("/<int:persona_id>/edit", methods=["GET", "POST"])
@needs("personas.edit")
def edit(persona_id: int) -> Any:
    persona = personas.get(persona_id, lock=request.method == "POST")
    form = PersonaForm(persona)
    if request.method == "POST" and form.validate():
        try:
            changed = personas.update(persona, form.values())
            say("Saved." if changed else "Nothing was changed.")
            return go("personas.detail", persona_id=persona.id)
        except Invalid as problem:
            show_errors(form, problem)
    return render("personas/form.html", status=_status(), form=form, persona=persona)


@persona_pages.post("/<int:persona_id>/delete")
@needs("personas.edit")
def delete(persona_id: int) -> Any:
    persona = personas.get(persona_id, lock=True)
    name = persona.name
    personas.remove(persona)
    say(f"{name} deleted. Nobody is that persona any more.")
    return go("personas.page")


@persona_pages.get("/<int:persona_id>")
@needs("personas.view")
def detail(persona_id: int) -> Any:
    return _detail(personas.get(persona_id), AttributeForm())


def _detail(persona: Persona, form: AttributeForm, status: int = 200) -> Any:
    segment = persona.primary_segment_id and db.session.scalar(
        select(Segment).where(Segment.id == persona.primary_segment_id)
    )
    said = {"persona": persona, "segment": segment, "attributes": personas.attributes_of(persona), "form": form}
    said |= {"place": _place(persona), "people": _people(persona)}
    if status != 200:
        return render("personas/detail.html", status=status, table=said["people"], **said)
    return said["people"].respond("personas/detail.html", **said)


def _people(persona: Persona) -> Table:
    joined = and_(Lead.org_id == PersonaScore.org_id, Lead.id == PersonaScore.lead_id)
    bulk = (
        ("Approve", url_for("personas.approve", persona_id=persona.id), "check", ""),
        ("Refuse", url_for("personas.refuse", persona_id=persona.id), "x", ""),
    )
    return Table(
        name="people",
        noun=("lead", "leads"),
        query=select(PersonaScore, Lead).join(Lead, joined).where(PersonaScore.persona_id == persona.id, ALIVE),
        key=PersonaScore.id,
        columns=(
            Column("name", "Lead", lambda row: row.Lead.name),
            Column("confidence", "Confidence", lambda row: f"{row.PersonaScore.confidence_score.normalize():f} %",
                   PersonaScore.confidence_score, lambda row: row.PersonaScore.confidence_score, numeric=True),
            Column("level", "Level", lambda row: filters.words(row.PersonaScore.confidence_level),
                   export=lambda row: row.PersonaScore.confidence_level),
            Column("groups", "Groups", lambda row: _of(row.PersonaScore), numeric=True, wide=True),
            Column("decision", "Decision", lambda row: filters.status(_decision(row.PersonaScore)),
                   export=lambda row: _decision(row.PersonaScore)),
        ),
        default_sort="-confidence",
        empty="Nobody yet. It finds people through the WhatsApp groups that carry one of its segment tags.",
        url_of=lambda row: url_for("leads.detail", lead_id=row.Lead.id),
        search=leads.search,
        search_label="Name, e-mail or phone",
        filters=(
            Filter("level", "Level", tuple((v, filters.words(v)) for v in reversed(LEVELS)),
                   lambda v: PersonaScore.confidence_level == v),
            Filter("decision", "Decision", tuple((v, filters.words(v)) for v in APPROVALS),
                   lambda v: PersonaScore.is_approved.is_(DECIDED[v])),
        ),
        bulk=bulk if can(current_user, "personas.approve") else (),
        id_of=lambda row: row.PersonaScore.id,
        can_export=can(current_user, "leads.export"),
    )  # fmt: skip


def _of(score: PersonaScore) -> str:
    return f"{score.matching_groups_count} of {score.total_groups_count}"


def _decision(score: PersonaScore) -> str:
    return {True: "approved", False: "refused", None: "open"}[score.is_approved]


@persona_pages.post("/<int:persona_id>/approve")
@needs("personas.approve")
def approve(persona_id: int) -> Any:
    return _decide(persona_id, True)


@persona_pages.post("/<int:persona_id>/refuse")
@needs("personas.approve")
def refuse(persona_id: int) -> Any:
    return _decide(persona_id, False)


def _decide(persona_id: int, approved: bool) -> Any:
    persona = personas.get(persona_id)
    ids = request.form.getlist("ids", type=row_id)
    wanted = select(PersonaScore.id).where(PersonaScore.persona_id == persona.id, PersonaScore.id.in_(ids))
    n = persona_scores.decide(list(db.session.scalars(wanted)), approved, current_user.local_id)
    say(f"{n:,} {'lead' if n == 1 else 'leads'} {'approved' if approved else 'refused'} as {persona.name}.")
    # From a lead's page one goes back to the lead.
    lead_id = request.args.get("lead_id", type=int) or 0
    if 0 < lead_id < 2**63:
        return go("leads.detail", lead_id=leads.get(lead_id).id)
    return go("personas.detail", persona_id=persona.id)


@persona_pages.post("/<int:persona_id>/attributes")
@needs("personas.edit")
def add_attribute(persona_id: int) -> Any:
    persona, form = personas.get(persona_id), AttributeForm()
    if form.validate():
        try:
            personas.add_attribute(persona, form.values())
            say("Noted.")
            return go("personas.detail", persona_id=persona.id)
        except Invalid as problem:
            show_errors(form, problem)
    return _detail(persona, form, 422)


@persona_pages.post("/<int:persona_id>/attributes/<int:attribute_id>/delete")
@needs("personas.edit")
def remove_attribute(persona_id: int, attribute_id: int) -> Any:
    personas.remove_attribute(personas.get(persona_id), attribute_id)
    say("Removed.")
    return go("personas.detail", persona_id=persona_id)
