"""What a recipient decides: unsubscribing, confirming a consent, choosing channels. Reading such a page changes nothing,
because scanners follow links; only a POST does."""

from typing import Any

from flask import render_template, request

from webapp.audience import consents, leads
from webapp.audience.consents import CHANNEL_WORDS
from webapp.audience.leads import Lead
from webapp.audience.suppressions import veiled
from webapp.messaging import confirmations, receipts
from webapp.platform import organizations
from webapp.platform.clock import now
from webapp.platform.db import one, rows, transaction
from webapp.platform.errors import NotFound
from webapp.platform.signing import signer
from webapp.web.public.blueprint import public, seen

OWN_WORD = ("unsubscribe", "stop")  # bars that their own yes lifts


def _recipient(token: str, purpose: str = "unsubscribe") -> tuple[int, int, dict[str, Any]]:
    """Returns (org_id, send_id, what the page shows) of a send's token. Raises NotFound."""
    org_id, send_id = signer().unpack(purpose, token)
    with transaction(org_id):
        send = one("SELECT lead_id, recipient_address FROM sends WHERE id = :id", id=send_id)
        if send is None or not send.recipient_address:
            raise NotFound("This message is not known any more.")
        # The link may have been forwarded.
        shown = {"address": veiled(send.recipient_address), "company": organizations.current().name}
        if send.lead_id:
            shown["preferences"] = f"/p/{signer().pack('preferences', org_id, send.lead_id)}"
        return org_id, send_id, shown


@public.get("/u/<token>")
def unsubscribe(token: str) -> Any:
    """The page asks and changes nothing."""
    *_, shown = _recipient(token)
    return render_template("public/unsubscribe.html", state="asking", **shown)


@public.post("/u/<token>")
def unsubscribe_post(token: str) -> Any:
    """RFC 8058: a POST without cookies, answered 200 and with no redirect. The page's own buttons come here too."""
    org_id, send_id, shown = _recipient(token)
    back = request.form.get("do") == "resubscribe"
    with transaction(org_id):
        if back:
            receipts.resubscribed(send_id, seen())
        else:
            one_click = request.form.get("List-Unsubscribe") == "One-Click"
            receipts.unsubscribed(send_id, seen(), source="one-click" if one_click else "page")
    return render_template("public/unsubscribe.html", state="back" if back else "gone", **shown)


@public.get("/confirm/<token>")
def confirm(token: str) -> Any:
    """The page asks and changes nothing."""
    org_id, send_id, shown = _recipient(token, "confirm")
    with transaction(org_id):
        state = confirmations.standing(send_id)
    return _confirmed(state, shown)


@public.post("/confirm/<token>")
def confirm_post(token: str) -> Any:
    org_id, send_id, shown = _recipient(token, "confirm")
    with transaction(org_id):
        state = confirmations.confirm(send_id, seen())
    return _confirmed(state, shown)


def _confirmed(state: str, shown: dict[str, Any]) -> Any:
    return render_template("public/confirm.html", state=state, days=confirmations.VALID_DAYS, **shown)


@public.get("/p/<token>")
def preferences(token: str) -> Any:
    """Which channels a lead is written to over."""
    org_id, lead_id = signer().unpack("preferences", token)
    with transaction(org_id):
        shown = _choices(_lead(lead_id))
    return render_template("public/preferences.html", saved=False, **shown)


@public.post("/p/<token>")
def preferences_post(token: str) -> Any:
    org_id, lead_id = signer().unpack("preferences", token)
    with transaction(org_id):
        lead = _lead(lead_id)
        said = {
            channel: request.form.get(channel) for channel in consents.CHANNELS if consents.address_of(lead, channel)
        }
        evidence = f"chosen on {now():%Y-%m-%d at %H:%M} UTC from {request.remote_addr or 'an unknown address'}"
        consents.prefer(
            lead, {channel: word == "yes" for channel, word in said.items() if word in ("yes", "no")}, evidence
        )
    with transaction(org_id):
        shown = _choices(_lead(lead_id))
    return render_template("public/preferences.html", saved=True, **shown)


def _lead(lead_id: int) -> Lead:
    try:
        lead = leads.get(lead_id)
    except NotFound:
        lead = None
    if lead is None or lead.anonymized_at:
        raise NotFound("We do not keep anything about you any more, so there is nothing to choose.")
    return lead


def _choices(lead: Lead) -> dict[str, Any]:
    stands = consents.of_lead(lead.id)
    barred = rows(
        "SELECT s.channel FROM suppressions s JOIN leads l ON l.org_id = s.org_id AND l.id = :lead AND s.address ="
        " CASE WHEN s.channel = 'email' THEN l.email_key ELSE l.phone END WHERE s.reason <> ALL(:own)",
        lead=lead.id, own=list(OWN_WORD),
    )  # fmt: skip
    choices = [
        {
            "channel": channel,
            "words": CHANNEL_WORDS[channel],
            "address": veiled(address),
            "wanted": channel in stands and stands[channel].status == "subscribed",
            "barred": channel in {row.channel for row in barred},
        }
        for channel in consents.CHANNELS
        if (address := consents.address_of(lead, channel))
    ]
    return {"choices": choices, "company": organizations.current().name}
