"""Courtesy: whoever works behind the pages gives way while a page is being made in the same process, so that the desk stays
quick while it sends."""

import time
from threading import Lock

GIVE_WAY_SECONDS = 0.005  # for one message, at most: sending goes on beside pages, only slower
STEP_SECONDS = 0.001
_serving = 0
_guard = Lock()


def begin() -> None:
    """Notes that a request is being answered."""
    global _serving
    with _guard:
        _serving += 1


def end() -> None:
    """Notes that a request has been answered."""
    global _serving
    with _guard:
        _serving = max(_serving - 1, 0)


def give_way() -> None:
    """Waits a moment while requests are being answered."""
    left = GIVE_WAY_SECONDS
    while _serving and left > 0:
        time.sleep(STEP_SECONDS)
        left -= STEP_SECONDS
