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
