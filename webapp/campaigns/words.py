"""The words of campaigns: kinds, states and the moves between them."""

STATUSES = ("draft", "scheduled", "active", "paused", "completed", "cancelled", "archived")
TYPES = ("email", "sms", "whatsapp", "multi_channel", "drip")
CATEGORIES = ("acquisition", "retention", "upselling", "behavioral")
GOALS = ("lead_generation", "policy_sales", "renewal_rate", "engagement")
SCHEDULES = ("immediate", "scheduled", "automated")
LATE_ACTIONS = ("skip", "switch", "send")
DEADLINES = ("renews_on", "next_due_on")

# from -> verbs' targets. Everything else is refused.
MOVES: dict[str, tuple[str, ...]] = {
    "draft": ("scheduled", "cancelled"),
    "scheduled": ("active", "draft", "cancelled"),
    "active": ("paused", "completed", "cancelled"),
    "paused": ("active", "completed", "cancelled"),
    "completed": ("archived",),
    "cancelled": ("archived",),
    "archived": (),
}

# What a message waits for while it is pending.
WAITS: dict[str, str] = {
    "campaign_cap": "The campaign's daily limit is reached",
    "sender_cap": "The sender's daily limit is reached",
    "portfolio_cap": "The people WhatsApp allows in 24 hours are reached",
    "rate": "The sender's rate per second",
    "frequency_cap": "They had as many messages lately as one may get",
    "quiet_hours": "Too early or too late where they are",
    "window": "Outside the campaign's sending window",
    "holiday": "A holiday where they are",
    "callbacks": "Our agents have as many calls as they can take",
    "sender_held": "The sender is held",
    "template_held": "The template is held",
    "sender_resting": "The sender is resting",
    "planned": "Planned for a later day",
}


def wait_words(reason: str | None) -> str:
    """Returns what a message waits for as said on screen; "" for nothing."""
    plain = (reason or "").replace("_", " ")
    return WAITS.get(reason or "", plain[:1].upper() + plain[1:])
