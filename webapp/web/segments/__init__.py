"""Segments: the list, the rule builder with its live figures, members through time, planning."""

# Each adds its views to the room.
from webapp.web.segments import live, members, planning, routes  # noqa: F401
