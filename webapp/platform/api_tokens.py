"""Tokens for the API: JWTs whose `jti` stands in a table, so that one can be taken back."""

import secrets
from datetime import datetime, timedelta

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from sqlalchemy import Index, select
from sqlalchemy.orm import Mapped, mapped_column

from webapp.platform.clock import now
from webapp.platform.db import Base, Tenant, child_of, db, one, run
from webapp.platform.errors import Refused, TooMany
from webapp.platform.organizations import Organization
from webapp.platform.users import User

LIFETIME = 3600  # seconds


class ApiToken(Tenant, Base):
    __tablename__ = "api_tokens"
    user_id: Mapped[int]
    name: Mapped[str]
    jti: Mapped[str]
    scopes: Mapped[list[str]] = mapped_column(server_default="{}")
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    # The minute its calls are being counted in, and how many it has made in it.
    counted_from: Mapped[datetime | None]
    calls: Mapped[int] = mapped_column(server_default="0")
    __table_args__ = (child_of("users", "user_id"), Index(None, "org_id", "jti", unique=True))


class NotSignedIn(Refused):
    """No token, or one that does not count any more."""

    status = 401


def issue(user: User, secret: str, *, name: str = "api", lifetime: int = LIFETIME) -> str:
    """Returns a signed JWT for the user, valid for `lifetime` seconds."""
    jti, expires = secrets.token_urlsafe(16), now() + timedelta(seconds=lifetime)
    db.session.add(ApiToken(user_id=user.id, name=name, jti=jti, expires_at=expires))
    db.session.flush()
    claims = {"sub": str(user.id), "org": user.org_id, "jti": jti, "exp": int(expires.timestamp())}
    return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(secret))


def read(token: str, secret: str) -> tuple[int, str]:
    """Returns (org_id, jti) of a token whose signature and time hold. Raises NotSignedIn."""
    try:
        claims = jwt.decode(token, OctKey.import_key(secret), algorithms=["HS256"]).claims
        if claims["exp"] < now().timestamp():
            raise NotSignedIn("The access token has expired.")
        return int(claims["org"]), str(claims["jti"])
    except (JoseError, KeyError, ValueError, TypeError):
        raise NotSignedIn("The access token is not valid.") from None


def user_of(jti: str) -> User:
    """Returns the active user of a token in the scope it names. Raises NotSignedIn where it was taken back."""
    user = db.session.scalar(
        select(User)
        .join(ApiToken, (ApiToken.org_id == User.org_id) & (ApiToken.user_id == User.id))
        .join(Organization, Organization.id == User.org_id)
        .where(ApiToken.jti == jti, ApiToken.revoked_at.is_(None), User.is_active, Organization.is_active)
    )
    if user is None:
        raise NotSignedIn("The access token is not valid any more.")
    # Once a minute is enough to tell a living token from a forgotten one, and spares a write a call.
    run(
        "UPDATE api_tokens SET last_used_at = now() WHERE jti = :jti"
        " AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')",
        jti=jti,
    )
    return user


def count_call(jti: str, limit: int) -> None:
    """Counts a call of a token, across all processes. limit: calls in a minute, which begins with the first of them.
    Raises TooMany beyond it; what is refused is not counted."""
    # A count lost in a power cut is no loss: no call waits for the disk because of it.
    run("SET LOCAL synchronous_commit = off")
    over = "counted_from IS NULL OR counted_from <= now() - interval '1 minute'"
    counted = one(
        f"UPDATE api_tokens SET calls = CASE WHEN {over} THEN 1 ELSE calls + 1 END,"
        f" counted_from = CASE WHEN {over} THEN now() ELSE counted_from END WHERE jti = :jti"
        " RETURNING calls, ceil(extract(epoch FROM counted_from + interval '1 minute' - now())) AS seconds",
        jti=jti,
    )
    if counted and counted.calls > limit:
        wait = max(int(counted.seconds), 1)
        raise TooMany(f"This token has made its {limit:,} calls of this minute. Try again in {wait} seconds.", wait)
