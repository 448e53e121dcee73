"""Leads: the list, one lead with everything known about them, and what is done with one or with many."""

# Each adds its views to the room.
from webapp.web.leads import actions, detail, fields, merging, routes  # noqa: F401
