"""Courtesy: work behind the pages waits a moment beside one, one piece after the other, and never for longer."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from webapp.platform import courtesy


@contextmanager
def a_page():
    courtesy.begin()
    try:
        yield
    finally:
        courtesy.end()


def most_at_once() -> int:
    """Returns how many of four threads did their piece of work at the same time."""
    inside, most, guard = 0, 0, threading.Lock()

    def piece(_: int) -> None:
        nonlocal inside, most
        with courtesy.in_line():
            with guard:
                inside += 1
                most = max(most, inside)
            time.sleep(0.1)
            with guard:
                inside -= 1

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(piece, range(4)))
    return most


def test_beside_a_page_one_piece_of_work_is_done_after_the_other():
    with a_page():
        assert most_at_once() == 1
    assert most_at_once() > 1


def test_nobody_waits_in_line_for_ever(monkeypatch):
    monkeypatch.setattr(courtesy, "LINE_SECONDS", 0.01)
    with a_page():
        assert most_at_once() > 1
        with pytest.raises(ZeroDivisionError), courtesy.in_line():
            1 / 0  # noqa: B018
        assert courtesy._pieces.acquire(timeout=1), "whoever failed has left the line"
        courtesy._pieces.release()


def test_a_message_waits_until_the_page_is_made(monkeypatch):
    monkeypatch.setattr(courtesy, "GIVE_WAY_SECONDS", 60)
    with a_page():
        waiting = threading.Thread(target=courtesy.give_way)
        waiting.start()
        waiting.join(0.2)
        assert waiting.is_alive()
    waiting.join(20)
    assert not waiting.is_alive()


def test_and_no_longer_than_a_moment():
    with a_page():
        courtesy.give_way()
    courtesy.give_way()


def test_a_page_counts_while_it_is_made_however_it_ends(app):
    client = app.test_client()
    before = courtesy._serving
    for path in ("/sign-in", "/no-such-page", "/leads"):
        client.get(path)
    assert courtesy._serving == before
