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
    "quiet_hours": "The hours in which they may be written to",
    "holiday": "The end of a holiday where they live",
    "frequency": "They had as many messages lately as one may get",
    "switched": "Over another channel it would have come too late",
}


def wait_words(reason: str | None) -> str:
    """Returns what a message waits for as said on screen; "" for nothing."""
    plain = (reason or "").replace("_", " ")
    return WAITS.get(reason or "", plain[:1].upper() + plain[1:])
