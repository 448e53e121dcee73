"""Settings: read once from the environment, checked, and then never looked up again."""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[2]
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


class BadSetting(Exception):
    """A setting that stops the start; its text is the one line shown to the operator."""


@dataclass(frozen=True)
class Settings:
    """What the environment says.

    port: TCP port of the web server. home: where the embedded database, uploads and keys live.
    database_url: the owner's address of an external PostgreSQL, or None for the embedded one.
    secret_key: signs sessions and tokens, and encrypts senders' credentials.
    base_url: public address without a trailing slash, used in every link that leaves the house.
    log_level: one of LOG_LEVELS. production: True logs one JSON line an event.
    api_rate_limit: calls of the API one token may make in a minute.
    """

    port: int
    home: Path
    database_url: str | None
    secret_key: str
    base_url: str
    log_level: str
    production: bool
    api_rate_limit: int = 600

    @classmethod
    def from_env(cls, env: dict[str, str] | None = None) -> "Settings":
        """Reads and checks the environment. Raises BadSetting with one clear line."""
        env = dict(os.environ if env is None else env)
        home = Path(env.get("CANVASS_HOME") or ROOT / "instance").expanduser().resolve()
        try:
            home.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadSetting(f"CANVASS_HOME: cannot use {home}: {error.strerror}") from error
        port = _port(env.get("PORT") or "8000")
        return cls(
            port=port,
            home=home,
            database_url=_database_url(env.get("DATABASE_URL")),
            secret_key=_secret_key(env.get("SECRET_KEY"), home),
            base_url=_base_url(env.get("BASE_URL") or f"http://127.0.0.1:{port}"),
            log_level=_log_level(env.get("LOG_LEVEL") or "INFO"),
            production=bool(env.get("DATABASE_URL")),
            api_rate_limit=_rate(env.get("API_RATE_LIMIT") or "600"),
        )


def _port(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        raise BadSetting(f"PORT must be a number from 1 to 65535, not {text!r}")
    return int(text)


def _rate(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 7 or int(text) < 1:
        raise BadSetting(f"API_RATE_LIMIT must be a number of calls a minute, 1 or more, not {text!r}")
    return int(text)


def _database_url(text: str | None) -> str | None:
    if not text:
        return None
    parts = urlsplit(text)
    if parts.scheme not in ("postgresql", "postgres") or not parts.path.strip("/"):
        raise BadSetting("DATABASE_URL must look like postgresql://user:password@host:5432/database")
    return text


def _secret_key(text: str | None, home: Path) -> str:
    if text:
        if len(text) < 32:
            raise BadSetting("SECRET_KEY must be at least 32 characters long")
        return text
    kept = home / "secret_key"
    try:
        # O_EXCL: two processes starting together must end up with one key.
        with os.fdopen(os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(48))
    except FileExistsError:
        pass
    return kept.read_text().strip()


def _base_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        raise BadSetting(f"BASE_URL must look like https://canvass.example.com, not {text!r}")
    return text.rstrip("/")


def _log_level(text: str) -> str:
    if text.upper() not in LOG_LEVELS:
        raise BadSetting(f"LOG_LEVEL must be one of {', '.join(LOG_LEVELS)}, not {text!r}")
    return text.upper()
