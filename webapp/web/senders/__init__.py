"""Senders: the identities messages go out under; how they are doing, and what can be done with them."""

# Each adds its views to the room.
from webapp.web.senders import records, routes  # noqa: F401
