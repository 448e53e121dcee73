"""Opened: a form that knows how old what it shows is, so that of two people who change the same thing the second one looks
first and undoes nothing by accident."""

from datetime import datetime

from wtforms import HiddenField

STALE = "This was changed while you had the page open. Look at how it stands now, then send this again."


class Opened:
    """Mixin of a form. version: when what it shows last changed; empty where it shows nothing yet."""

    version = HiddenField()

    def note(self, changed_at: datetime | None) -> None:
        """Notes when what a form that is opened now shows last changed."""
        if not self.is_submitted():
            self.version.data = changed_at.isoformat() if changed_at else ""

    def is_stale(self, changed_at: datetime | None) -> bool:
        """True if somebody changed it since the form was opened; says so in the form, once."""
        if not self.version.data or changed_at is None or self.version.data == changed_at.isoformat():
            return False
        self.version.data = changed_at.isoformat()
        self.form_errors.append(STALE)
        return True
