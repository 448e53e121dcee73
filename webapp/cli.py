"""The command line: `flask --app wsgi ...`."""

import sys

import click
from flask import Flask, current_app
from flask.cli import AppGroup

from webapp import demo
from webapp.audience import scores
from webapp.messaging import mail_pipe
from webapp.platform import api_tokens, jobs, organizations, users
from webapp.platform.db import db, rows, transaction
from webapp.platform.errors import Invalid, Refused
from webapp.platform.roles import ROLES

user_commands = AppGroup("user", help="People who sign in.")
scheduler_commands = AppGroup("scheduler", help="The timers.")


@click.command("seed")
def seed() -> None:
    """Makes the demo organisation, unless it is there."""
    click.echo("Made the demo organisation." if demo.seed() else "The demo organisation is there already.")


def _fail(problem: Refused) -> None:
    words = "; ".join(f"{field}: {text}" for field, text in getattr(problem, "errors", {}).items())
    raise click.ClickException(words or problem.message)


@user_commands.command("add")
@click.argument("email")
@click.option("--name", prompt=True)
@click.option("--role", type=click.Choice(ROLES), default="marketer", show_default=True)
@click.option("--organization", prompt=True, help="Its name; made if it does not exist.")
@click.option("--superuser", is_flag=True, help="May enter every organisation (each entry is audited).")
@click.password_option()
def add_user(email: str, name: str, role: str, organization: str, superuser: bool, password: str) -> None:
    """Adds a user, and the organisation with them if it is new."""
    try:
        with transaction():
            slug = organizations.slugify(organization)
            found = rows("SELECT id FROM organizations WHERE slug = :slug", slug=slug)
            org_id = found[0].id if found else organizations.create(organization).id
        with transaction(org_id):
            users.add(email, name, role, password=password, is_superuser=superuser)
            if not found:
                scores.ensure_defaults()
    except Invalid as problem:
        _fail(problem)
    click.echo(f"Added {email} as {role} of {organization}.")


@click.command("token")
@click.argument("email")
@click.option("--hours", default=24, show_default=True)
def token(email: str, hours: int) -> None:
    """Prints an API token of a user, for scripts."""
    with transaction():
        found = users.find_everywhere(email)
    if not found:
        raise click.ClickException(f"Nobody signs in as {email}.")
    with transaction(found[0][0]):
        user = users.get(found[0][1])
        secret = current_app.config["SECRET_KEY"]
        printed = api_tokens.issue(user, secret, name="command line", lifetime=hours * 3600)
    click.echo(printed)


@click.command("bounce")
@click.argument("recipient", default="")
def bounce(recipient: str) -> None:
    """Takes a bounce, complaint or answer from standard input, for a mail server's pipe. RECIPIENT: whom it was for."""
    sys.exit(mail_pipe.take(sys.stdin.buffer.read(), recipient))


@scheduler_commands.command("status")
def scheduler_status() -> None:
    """Shows which process leads and how each job last went."""
    with transaction():
        leader, nodes, last = jobs.leader(), jobs.nodes(), jobs.last_runs()
    click.echo(f"Leader: {leader.node if leader else 'none'}")
    for node in nodes:
        click.echo(f"  {node.node}  seen {node.seen_at:%H:%M:%S} UTC{'  leads' if node.leads else ''}")
    for name, run in last.items():
        click.echo(f"{name:12} {run.tick_at:%Y-%m-%d %H:%M:%S}  {run.outcome or 'running'}  {run.error or ''}")
    db.session.remove()


def init_app(app: Flask) -> None:
    """Adds the commands."""
    for command in (seed, token, bounce, user_commands, scheduler_commands):
        app.cli.add_command(command)
