"""Starting: a database that goes away meanwhile is waited for, one that was never there is not."""

from types import SimpleNamespace

import pytest
from sqlalchemy.exc import OperationalError

from webapp import serve


def lost(*, was_there: bool) -> OperationalError:
    return OperationalError("SELECT 1", {}, Exception("terminating connection"), connection_invalidated=was_there)


@pytest.fixture
def clock(monkeypatch):
    made = SimpleNamespace(now=0.0, monotonic=lambda: made.now, sleep=lambda s: setattr(made, "now", made.now + s))
    monkeypatch.setattr(serve, "time", made)
    monkeypatch.setattr(serve, "sign_in_link", lambda _app: "link")
    return made


def test_a_database_that_is_started_anew_is_waited_for(monkeypatch, clock):
    answers = [lost(was_there=True), lost(was_there=False), lost(was_there=False), None]

    def prepare(_app) -> None:
        if problem := answers.pop(0):
            raise problem

    monkeypatch.setattr(serve, "prepare", prepare)
    assert serve._ready(None) == "link" and answers == [] and clock.now == 3


@pytest.mark.parametrize(("was_there", "waited"), [(False, 0), (True, serve.COMES_BACK_SECONDS)])
def test_one_that_does_not_come_back_is_said(monkeypatch, clock, was_there, waited):
    def prepare(_app) -> None:
        raise lost(was_there=was_there and clock.now == 0)

    monkeypatch.setattr(serve, "prepare", prepare)
    with pytest.raises(OperationalError):
        serve._ready(None)
    assert waited <= clock.now <= waited + 1
