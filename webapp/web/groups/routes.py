"""WhatsApp groups: the list, one with its members, and how leads come into it."""

from typing import Any

from flask import Blueprint, request, url_for
from flask_login import current_user
from sqlalchemy import and_, func, select

from webapp.audience import groups, leads
from webapp.audience.groups import OPEN, ROLES, GroupMember, WhatsAppGroup
from webapp.audience.leads import ALIVE, Lead
from webapp.platform.db import db
from webapp.platform.errors import Invalid
from webapp.platform.roles import can
from webapp.web import filters
from webapp.web.groups.forms import GroupForm, MemberForm, NumbersForm
from webapp.web.shell import go, needs, render, row_id, say, show_errors
from webapp.web.table import Column, Filter, Table

group_pages = Blueprint("groups", __name__, url_prefix="/groups")
FOUND = 12


def _place(group: WhatsAppGroup) -> str:
    return ", ".join(filter(None, (group.district, group.state, group.region)))


@group_pages.get("")
@needs("groups.view")
def page() -> Any:
    table = Table(
        name="groups",
        noun=("group", "groups"),
        query=select(WhatsAppGroup),
        key=WhatsAppGroup.id,
        columns=(
            Column("name", "Name", lambda g: g.name, func.lower(WhatsAppGroup.name)),
            Column("place", "Place", lambda g: _place(g) or "–", wide=True, export=_place),
            Column("tags", "Segment tags", lambda g: ", ".join(g.segment_tags) or "–", wide=True,
                   export=lambda g: ", ".join(g.segment_tags)),
            Column("members", "Members", lambda g: filters.number(g.member_count), WhatsAppGroup.member_count,
                   lambda g: g.member_count, numeric=True),
            Column("status", "Status", lambda g: filters.status("active" if g.is_active else "inactive"),
                   export=lambda g: "active" if g.is_active else "inactive"),
        ),
        default_sort="name",
        empty="No groups yet. Add the first WhatsApp group your leads meet in.",
        url_of=lambda g: url_for("groups.detail", group_id=g.id),
        search=lambda term: func.strpos(func.lower(WhatsAppGroup.name), term.lower()) > 0,
        search_label="Name of the group",
        filters=(Filter("status", "Status", (("active", "Active"), ("inactive", "Inactive")),
                        lambda v: WhatsAppGroup.is_active.is_(v == "active")),),
        can_export=can(current_user, "leads.export"),
    )  # fmt: skip
    action = ("New group", url_for("groups.new")) if can(current_user, "groups.edit") else None
    return table.respond("list.html", title="WhatsApp groups", action=action)


@group_pages.route("/new", methods=["GET", "POST"])
@needs("groups.edit")
def new() -> Any:
    form = GroupForm()
    if request.method == "POST" and form.validate():
        try:
            group = groups.create(form.values())
            say(f"{group.name} added.")
            return go("groups.detail", group_id=group.id)
        except Invalid as problem:
            show_errors(form, problem)
    return render("groups/form.html", status=_status(), form=form, group=None)


def _status() -> int:
    return 422 if request.method == "POST" else 200


@group_pages.route("/<int:group_id>/edit", methods=["GET", "POST"])
@needs("groups.edit")
def edit(group_id: int) -> Any:
    group = groups.get(group_id, lock=request.method == "POST")
    form = GroupForm(group)
    if request.method == "POST" and form.validate():
        try:
            changed = groups.update(group, form.values())
            say("Saved." if changed else "Nothing was changed.")
            return go("groups.detail", group_id=group.id)
        except Invalid as problem:
            show_errors(form, problem)
    return render("groups/form.html", status=_status(), form=form, group=group)


@group_pages.post("/<int:group_id>/delete")
@needs("groups.edit")
def delete(group_id: int) -> Any:
    group = groups.get(group_id, lock=True)
    name = group.name
    groups.remove(group)
    say(f"{name} deleted. Its members stay leads.")
    return go("groups.page")


@group_pages.get("/<int:group_id>")
@needs("groups.view")
def detail(group_id: int) -> Any:
    group = groups.get(group_id)
    joined = and_(Lead.org_id == GroupMember.org_id, Lead.id == GroupMember.lead_id)
    editor = can(current_user, "groups.edit")
    table = Table(
        name="members",
        noun=("member", "members"),
        query=select(GroupMember, Lead).join(Lead, joined).where(GroupMember.group_id == group.id, OPEN, ALIVE),
        key=GroupMember.id,
        columns=(
            Column("name", "Name", lambda row: row.Lead.name, Lead.name_key),
            Column("phone", "Phone", lambda row: row.Lead.phone or "–", wide=True, export=lambda row: row.Lead.phone),
            Column("role", "Role", lambda row: filters.words(row.GroupMember.role)),
            Column("weight", "Weight", lambda row: _weight(row.GroupMember), None, numeric=True,
                   export=lambda row: row.GroupMember.persona_weight),
            Column("since", "Member since", lambda row: filters.day(row.GroupMember.joined_at), GroupMember.joined_at,
                   lambda row: row.GroupMember.joined_at.date(), wide=True),
        ),
        default_sort="name",
        empty="Nobody is in it yet. Add leads by name, or paste the phone numbers of the group.",
        url_of=lambda row: url_for("groups.member", group_id=group.id, member_id=row.GroupMember.id)
        if editor else url_for("leads.detail", lead_id=row.Lead.id),
        search=leads.search,
        search_label="Name, e-mail or phone",
        filters=(Filter("role", "Role", tuple((r, filters.words(r)) for r in ROLES), lambda v: GroupMember.role == v),),
        can_export=can(current_user, "leads.export"),
    )  # fmt: skip
    return table.respond("groups/detail.html", group=group, place=_place(group))


def _weight(member: GroupMember) -> str:
    return f"{member.persona_weight:.2f}" if member.contributes_to_persona else "does not count"


@group_pages.get("/<int:group_id>/add")
@needs("groups.edit")
def add(group_id: int) -> Any:
    """Leads by name, and a box for the numbers of many."""
    return _add_page(groups.get(group_id), NumbersForm())


def _add_page(group: WhatsAppGroup, form: NumbersForm, status: int = 200) -> Any:
    term = request.args.get("q", "").strip()[:200]
    inside = select(GroupMember.lead_id).where(GroupMember.group_id == group.id, OPEN)
    wanted = select(Lead).where(ALIVE, leads.search(term), Lead.id.not_in(inside)).order_by(Lead.name_key, Lead.id)
    found = db.session.scalars(wanted.limit(FOUND)).all() if term else []
    return render("groups/add.html", "groups/_found.html", status, group=group, form=form, term=term, found=found)


@group_pages.post("/<int:group_id>/members")
@needs("groups.edit")
def put_in(group_id: int) -> Any:
    group = groups.get(group_id, lock=True)
    added = groups.add_members(group, request.form.getlist("ids", type=row_id))
    say(_said(added, group))
    return go("groups.add", group_id=group.id)


@group_pages.post("/<int:group_id>/numbers")
@needs("groups.edit")
def put_in_numbers(group_id: int) -> Any:
    group, form = groups.get(group_id, lock=True), NumbersForm()
    if form.validate():
        try:
            added = groups.add_numbers(group, form.numbers.data or "", form.values(), form.unknown.data)
            say(_said(added, group))
            return go("groups.detail", group_id=group.id)
        except Invalid as problem:
            show_errors(form, problem)
    return _add_page(group, form, 422)


def _said(added: groups.Added, group: WhatsAppGroup) -> str:
    said = [f"{added.added:,} added to {group.name}."]
    if added.created:
        said.append(f"{added.created:,} of them are new leads.")
    if added.known:
        said.append(f"{added.known:,} in it already.")
    if added.left_out:
        said.append(f"{added.left_out:,} left out: no lead has the number.")
    return " ".join(said)


@group_pages.route("/<int:group_id>/members/<int:member_id>", methods=["GET", "POST"])
@needs("groups.edit")
def member(group_id: int, member_id: int) -> Any:
    group = groups.get(group_id)
    found = groups.member(group, member_id, lock=request.method == "POST")
    form = MemberForm(obj=found)
    if request.method == "POST" and form.validate():
        try:
            groups.set_member(found, form.values())
            say("Saved.")
            return go("groups.detail", group_id=group.id)
        except Invalid as problem:
            show_errors(form, problem)
    lead = leads.get(found.lead_id)
    return render("groups/member.html", status=_status(), group=group, member=found, lead=lead, form=form)


@group_pages.post("/<int:group_id>/members/<int:member_id>/leave")
@needs("groups.edit")
def leave(group_id: int, member_id: int) -> Any:
    group = groups.get(group_id, lock=True)
    found = groups.member(group, member_id, lock=True)
    name = leads.get(found.lead_id).name
    groups.leave(found)
    say(f"{name} is not in {group.name} any more.")
    return go("groups.detail", group_id=group.id)
