"""Courtesy: whoever works behind the pages gives way while a page is being made in the same process, so that the desk stays
quick while it sends."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Lock

GIVE_WAY_SECONDS = 0.005  # for one message, at most: sending goes on beside pages, only slower
LINE_SECONDS = 2  # for one batch, at most
_serving = 0
_guard = Lock()
_idle = Event()
_idle.set()
_steps = Lock()
_pieces = Lock()


def begin() -> None:
    """Notes that a request is being answered."""
    global _serving
    with _guard:
        _serving += 1
        _idle.clear()


def end() -> None:
    """Notes that a request has been answered."""
    global _serving
    with _guard:
        _serving = max(_serving - 1, 0)
        if not _serving:
            _idle.set()


def give_way() -> None:
    """Waits a moment while requests are being answered, one thread behind the other."""
    if not _idle.is_set():
        with _steps:
            _idle.wait(GIVE_WAY_SECONDS)


@contextmanager
def in_line() -> Iterator[None]:
    """Around a piece of work: beside a page, the threads of a process do theirs one after the other, so that however many
    send, the page has to share the processor with one of them."""
    held = not _idle.is_set() and _pieces.acquire(timeout=LINE_SECONDS)
    try:
        yield
    finally:
        if held:
            _pieces.release()
