"""Users under races: locks count every failure, an organisation keeps an admin, tokens end with their sessions."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from webapp.platform import api_tokens, users
from webapp.platform.api_tokens import NotSignedIn
from webapp.platform.db import run, transaction, value
from webapp.platform.errors import Refused, TooMany

SECRET = "a secret of the tests, long enough"


def together(app, n: int, act) -> list:
    gate = threading.Barrier(n)

    def one(k: int):
        with app.app_context():
            gate.wait()
            return act(k)

    with ThreadPoolExecutor(n) as pool:
        return list(pool.map(one, range(n)))


def test_ten_wrong_guesses_at_once_lock_the_account(app, cast):
    def guess(_: int) -> None:
        try:
            with transaction(cast.org):
                users.authenticate(users.get(cast.agent), "wrong")
        except TooMany:
            pass

    together(app, 10, guess)
    with transaction(cast.org):
        assert value("SELECT locked_until > now() FROM users WHERE id = :id", id=cast.agent)


@pytest.mark.parametrize("_turn", range(5))
def test_two_admins_cannot_demote_each_other(app, cast, _turn):
    with transaction(cast.org):
        users.change(users.get(cast.marketer), role="admin")
    pair = (cast.admin, cast.marketer)

    def demote(k: int) -> str:
        try:
            with transaction(cast.org):
                users.change(users.get(pair[k]), role="viewer")
            return "done"
        except Refused:
            return "refused"

    assert sorted(together(app, 2, demote)) == ["done", "refused"]
    with transaction(cast.org):
        assert value("SELECT count(*) FROM users WHERE role = 'admin' AND is_active") == 1


def test_tokens_end_with_the_sessions(cast):
    with transaction(cast.org):
        _, jti = api_tokens.read(api_tokens.issue(users.get(cast.agent), SECRET), SECRET)
        assert api_tokens.user_of(jti).id == cast.agent
        users.set_password(users.get(cast.agent), "another long password")
        with pytest.raises(NotSignedIn):
            api_tokens.user_of(jti)


def test_nobody_works_in_an_organisation_that_is_closed(cast):
    with transaction(cast.org):
        _, jti = api_tokens.read(api_tokens.issue(users.get(cast.agent), SECRET), SECRET)
        run("UPDATE organizations SET is_active = false WHERE id = :id", id=cast.org)
        with pytest.raises(NotSignedIn):
            api_tokens.user_of(jti)
