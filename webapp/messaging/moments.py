"""The moments at which claimed messages may leave, one after the other at their sender's rate a second."""

import time

from webapp.messaging import caps
from webapp.messaging.outbox import Claim
from webapp.platform.db import AWAY, transaction
from webapp.platform.logs import log

STALLED_SECONDS = 0.25  # later than this, a moment belongs to somebody else by now
logger = log(__name__)


class Moments:
    """Of one claim, from when it was made. Whoever is late does not catch up, or a second would have more messages than the
    rate says: new moments are booked for what is left."""

    def __init__(self, claimed: Claim):
        self.claimed = claimed
        self.first = time.monotonic() + claimed.starts_in  # when place 0 leaves, or would have to be where it is now
        self.last = self.first - claimed.gap

    def wait(self, place: int) -> bool:
        """Waits for the moment of the message at a place. Returns False where it has none: what is left is claimed anew."""
        gap = self.claimed.gap
        if not gap:
            return True
        moment = self._moment(place)
        if moment - self.first - place * gap > STALLED_SECONDS:
            if not self._book(place):
                return False
            moment = self._moment(place)
        time.sleep(max(moment - time.monotonic(), 0))
        self.last = moment
        return True

    def _moment(self, place: int) -> float:
        return max(self.first + place * self.claimed.gap, self.last + self.claimed.gap, time.monotonic())

    def _book(self, place: int) -> bool:
        try:
            with transaction():
                starts_in = caps.book(self.claimed.sender_id, self.claimed.gap, len(self.claimed.rows) - place)
        except AWAY:
            logger.warning("no moments can be booked", sender=self.claimed.sender_id)
            return False
        if starts_in is None:
            return False
        self.first = time.monotonic() + starts_in - place * self.claimed.gap
        return True
