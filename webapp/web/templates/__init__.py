"""Templates: the list, the editors of the kinds of message, and their previews as a chosen lead."""

# Each adds its views to the room.
from webapp.web.templates import previews, routes  # noqa: F401
