"""Telling: the webhooks by which the stand-ins say what became of a message and what people answer, signed as the true
ones are."""

import base64
import hashlib
import heapq
import hmac
import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

import urllib3
from sqlalchemy import event
from sqlalchemy.orm import Session

from webapp.platform.db import db
from webapp.platform.logs import log

LIMIT = 10_000  # tidings that wait; what comes when it is full is never told, as happens in life
PAUSES = (0.5, 2, 10, 30)  # seconds before each further try
TIMEOUT = urllib3.Timeout(connect=3, read=10)
logger = log(__name__)


@dataclass(frozen=True)
class Telling:
    """One POST to a webhook. heard: takes the answer to it."""

    url: str
    headers: dict[str, str]
    body: bytes
    tries: int = 0
    heard: Callable[[bytes], None] | None = None


def of_twilio(url: str, form: dict[str, str], auth_token: str, heard: Callable[[bytes], None] | None = None) -> Telling:
    """Returns a form as Twilio posts it: signed over the full address and the fields in order."""
    signed = url + "".join(f"{name}{form[name]}" for name in sorted(form))
    mac = hmac.digest(auth_token.encode(), signed.encode(), "sha1")
    headers = {
        "X-Twilio-Signature": base64.b64encode(mac).decode(),
        "Content-Type": "application/x-www-form-urlencoded",
    }
    return Telling(url, headers, urlencode(form).encode(), heard=heard)


def of_whatsapp(url: str, body: bytes, app_secret: str) -> Telling:
    """Returns JSON as Meta posts it: signed over the very bytes."""
    mac = hmac.new(app_secret.encode(), body, hashlib.sha256).hexdigest()
    return Telling(url, {"X-Hub-Signature-256": f"sha256={mac}", "Content-Type": "application/json"}, body)


class Teller:
    """Posts tidings one after the other in a thread of its own; what nobody took is tried again, a few times."""

    def __init__(self) -> None:
        self._waiting: list[tuple[float, int, Telling]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._busy = False
        self._thread: threading.Thread | None = None
        self._http = urllib3.PoolManager(maxsize=2, retries=False, timeout=TIMEOUT)

    def put(self, tellings: list[Telling], pause: float = 0) -> None:
        """Takes tidings to be told after some seconds."""
        with self._changed:
            for telling in tellings:
                if len(self._waiting) >= LIMIT:
                    logger.warning("too many tidings of the built-in phones", dropped=telling.url)
                    continue
                heapq.heappush(self._waiting, (time.monotonic() + pause, next(self._numbers), telling))
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="built-in phones", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def settle(self, seconds: float = 10) -> bool:
        """Waits until everything is told. Returns False where some is left by then."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._busy, seconds)

    def _run(self) -> None:
        while True:
            telling = self._next()
            if not self._tell(telling):
                self._again(telling)
            with self._changed:
                self._busy = False
                self._changed.notify_all()

    def _next(self) -> Telling:
        with self._changed:
            while True:
                pause = self._waiting[0][0] - time.monotonic() if self._waiting else None
                if pause is not None and pause <= 0:
                    self._busy = True
                    return heapq.heappop(self._waiting)[2]
                self._changed.wait(pause)

    def _tell(self, telling: Telling) -> bool:
        try:
            answer = self._http.request(
                "POST", telling.url, body=telling.body, headers=telling.headers, redirect=False, preload_content=True
            )
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as problem:
            logger.info("a webhook did not answer", url=telling.url, problem=str(problem))
            return False
        if telling.heard is not None and 200 <= answer.status < 300:
            try:
                telling.heard(answer.data)
            except Exception:  # it was taken all the same, and is not told again
                logger.exception("an answer to a built-in phone was lost", url=telling.url)
        return 200 <= answer.status < 300

    def _again(self, telling: Telling) -> None:
        if telling.tries < len(PAUSES):
            self.put([replace(telling, tries=telling.tries + 1)], PAUSES[telling.tries])
        else:
            logger.warning("tidings of the built-in phones were never taken", url=telling.url)


teller = Teller()


def tell(tellings: list[Telling]) -> None:
    """Tells something once the transaction commits."""
    if tellings:
        db.session().info.setdefault("tellings", []).extend(tellings)


@event.listens_for(Session, "after_commit")
def _tell_now(session: Session) -> None:
    # Savepoints end here too: tidings wait for the transaction around them.
    if not session.in_nested_transaction() and (tellings := session.info.pop("tellings", None)):
        teller.put(tellings)


@event.listens_for(Session, "after_rollback")
def _tell_nothing(session: Session) -> None:
    if not session.in_nested_transaction():
        session.info.pop("tellings", None)


def moment() -> str:
    """Returns the time as a webhook says it: seconds since 1970, as text."""
    return str(int(time.time()))


def plain(values: dict[str, Any]) -> dict[str, str]:
    """Returns the fields of a form that have a value, as text."""
    return {name: str(value) for name, value in values.items() if value is not None}
