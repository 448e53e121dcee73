"""Campaigns: the list, the draft with its forecast, the running campaign with its batches and recipients, and why."""

# Each adds its views to the room.
from webapp.web.campaigns import adjusting, batches, drafting, recipients, routes, why  # noqa: F401
