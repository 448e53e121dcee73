"""Turns: which organisation a process serves next. Each gets a short slice in its turn, whatever the others have waiting, so
that a small campaign of one is not behind a large one of another. Only this process's own order: who may send what is
decided by rows."""

import time
from collections import Counter, deque
from collections.abc import Callable
from threading import Lock

REFRESH_SECONDS = 0.5
NEW_SECONDS = 5  # whoever had no turn for so long is new, and goes first


class Turns:
    """due: asks which organisations have work due. most: how many threads one may hold while others wait, so that a server
    that says nothing holds up its own house only. tend_seconds: how often each is tended to (see `take`)."""

    def __init__(self, due: Callable[[], list[int]], most: int = 3, tend_seconds: float = 1.0):
        self._due, self._most, self._tend_seconds = due, most, tend_seconds
        self._in_hand: Counter[int] = Counter()
        self._waiting: deque[int] = deque()
        self._new: deque[int] = deque()
        self._turns = 0
        self._tended: dict[int, float] = {}
        self._asked = 0.0
        self._lock = Lock()
        self._asking = Lock()

    def take(self) -> tuple[int, bool] | None:
        """Returns (organisation whose turn it is, whether this is the moment to tend to it), or None when nobody has
        anything due."""
        self._refresh()
        with self._lock:
            if not self._waiting and not self._new:
                return None
            org_id = self._next()
            self._waiting.append(org_id)
            self._in_hand[org_id] += 1
            due_for_tending = time.monotonic() - self._tended.get(org_id, 0.0) >= self._tend_seconds
            if due_for_tending:
                self._tended[org_id] = time.monotonic()
            return org_id, due_for_tending

    def _next(self) -> int:
        """Takes out whose turn it is. Every other turn is one of those who are there all the time, however many are new."""
        self._turns += 1
        if self._new and (self._turns % 2 or not self._waiting):
            return self._new.popleft()
        free = next((org_id for org_id in self._waiting if self._in_hand[org_id] < self._most), self._waiting[0])
        org_id = free if len(self._waiting) > 1 else self._waiting[0]
        self._waiting.remove(org_id)
        return org_id

    @property
    def is_busy(self) -> bool:
        """True while somebody has a turn."""
        with self._lock:
            return any(self._in_hand.values())

    def give_back(self, org_id: int, had_work: bool) -> None:
        """Ends a turn. Who had nothing to do in it is left out until there is work due again; who had is looked at once
        more, also where another thread had found nothing meanwhile: somebody has to see that it is done."""
        with self._lock:
            self._in_hand[org_id] -= 1
            queued = [line for line in (self._waiting, self._new) if org_id in line]
            if not had_work:
                for line in queued:
                    line.remove(org_id)
            elif not queued:
                self._waiting.append(org_id)

    def _refresh(self) -> None:
        # Whoever comes meanwhile waits for the answer: to them an empty queue would mean that nobody has anything due.
        with self._asking:
            if time.monotonic() - self._asked < REFRESH_SECONDS:
                return
            found = self._due()
            with self._lock:
                self._take_in(found)
            self._asked = time.monotonic()

    def _take_in(self, found: list[int]) -> None:
        since, first = time.monotonic() - NEW_SECONDS, not self._waiting
        for org_id in found:
            if org_id not in self._waiting and org_id not in self._new:
                is_new = not first and self._tended.get(org_id, 0.0) < since
                (self._new if is_new else self._waiting).append(org_id)
