"""Resting: a sender that cannot be reached, or is told to slow down, rests a while and longer each time; and how large a
batch it gets, so that no slow server holds a thread of ours for long."""

from threading import Lock

from webapp.platform.db import run

REST_SECONDS = 20
LONGEST_REST_SECONDS = 600
FIRST_BATCH = 20  # until we know how quick a sender is
BATCH_SECONDS = 0.5  # a turn is short, whatever the server: others wait for it

# What this process has seen lately. Only hints: another process learns the same for itself.
_rests: dict[int, int] = {}
_paces: dict[int, float] = {}
_guard = Lock()


def rest(sender_id: int, reason: str) -> None:
    """Lets a sender rest; its waiting messages lose no attempt. reason: shown to the operator."""
    times = _rests.get(sender_id, 0) + 1
    rests = run(
        "UPDATE senders SET rate_limited_until = now() + :rest * interval '1 second', last_error = :reason"
        " WHERE id = :id AND (rate_limited_until IS NULL OR rate_limited_until < now())",
        id=sender_id, rest=min(REST_SECONDS * 2 ** min(times - 1, 8), LONGEST_REST_SECONDS), reason=reason[:1000],
    )  # fmt: skip
    if rests:
        # One outage is one, however many threads met it.
        with _guard:
            _rests[sender_id] = times


def up_again(sender_id: int) -> None:
    """Notes that a sender took a message."""
    if _rests.get(sender_id):
        with _guard:
            _rests.pop(sender_id, None)
        run("UPDATE senders SET last_error = NULL, last_connected_at = now() WHERE id = :id", id=sender_id)


def note(sender_id: int, messages: int, seconds: float) -> None:
    """Notes how quick a sender was with its last batch."""
    if messages:
        with _guard:
            _paces[sender_id] = messages / max(seconds, 0.01)


def batch_of(sender_id: int, most: int) -> int:
    """Returns how many messages a sender is given at once: what it does in BATCH_SECONDS, at most `most`."""
    pace = _paces.get(sender_id)
    return min(most, FIRST_BATCH if pace is None else max(int(pace * BATCH_SECONDS), 1))
