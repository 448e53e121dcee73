"""Users: the people who sign in, their passwords and their links."""

from datetime import datetime, timedelta

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from email_validator import EmailNotValidError, validate_email
from sqlalchemy import CheckConstraint, Computed, Index, func, select, text
from sqlalchemy.orm import Mapped, mapped_column

from webapp.platform import audit
from webapp.platform.clock import now
from webapp.platform.db import Base, Changing, Tenant, add_unique, db, of_organization, run, value
from webapp.platform.errors import Invalid, NotFound, Refused, TooMany
from webapp.platform.roles import ROLES
from webapp.platform.signing import signer

PASSWORD_MIN = 10
FAILURES_BEFORE_LOCK = 5
LOCK_MINUTES = 15
INVITE_SECONDS = 7 * 86400
LINK_SECONDS = 86400
hasher = PasswordHasher()


class User(Tenant, Changing, Base):
    __tablename__ = "users"
    email: Mapped[str]
    email_key: Mapped[str] = mapped_column(Computed("lower(email)", persisted=True))
    name: Mapped[str]
    password_hash: Mapped[str | None]
    role: Mapped[str]
    is_superuser: Mapped[bool] = mapped_column(server_default="false")
    is_active: Mapped[bool] = mapped_column(server_default="true")
    session_version: Mapped[int] = mapped_column(server_default="1")
    last_login_at: Mapped[datetime | None]
    failed_sign_ins: Mapped[int] = mapped_column(server_default="0")
    locked_until: Mapped[datetime | None]
    agent_status: Mapped[str] = mapped_column(server_default="away")
    skills: Mapped[list[str]] = mapped_column(server_default="{}")
    theme: Mapped[str] = mapped_column(server_default="auto")
    __table_args__ = (
        of_organization(),
        CheckConstraint("role IN ('admin', 'marketer', 'agent', 'viewer')", name="role"),
        CheckConstraint("agent_status IN ('available', 'busy', 'away')", name="agent_status"),
        CheckConstraint("theme IN ('auto', 'light', 'dark')", name="theme"),
        Index(None, "org_id", "email_key", unique=True),
    )

    @property
    def initials(self) -> str:
        return "".join(word[0] for word in self.name.split()[:2]).upper() or "?"


def clean_email(address: str) -> str:
    """Returns the address in its usual form. Raises Invalid at `email`."""
    try:
        return validate_email(address.strip(), check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError:
        raise Invalid({"email": "This does not look like an e-mail address."}) from None


def clean_password(password: str) -> str:
    """Returns the password if it is long enough. Raises Invalid at `password`."""
    if len(password) < PASSWORD_MIN:
        raise Invalid({"password": f"Use at least {PASSWORD_MIN} characters."})
    if len(password) > 200:
        raise Invalid({"password": "Use at most 200 characters."})
    return password


def find_everywhere(email: str) -> list[tuple[int, int]]:
    """Returns (org_id, id) of the users with this address in any organisation: what signing in has to know."""
    db.session.execute(text("SELECT set_config('app.sign_in_email', :email, true)"), {"email": email.strip().lower()})
    found = db.session.execute(
        select(User.org_id, User.id).where(User.email_key == email.strip().lower()).order_by(User.id)
    )
    result = [(row.org_id, row.id) for row in found]
    db.session.execute(text("SELECT set_config('app.sign_in_email', '', true)"))
    return result


def add(email: str, name: str, role: str, *, password: str | None = None, is_superuser: bool = False) -> User:
    """Adds a user to the organisation in scope. Raises Invalid at the field that cannot be taken."""
    email = clean_email(email)
    if role not in ROLES:
        raise Invalid({"role": f"Choose one of {', '.join(ROLES)}."})
    if not name.strip():
        raise Invalid({"name": "A user needs a name."})
    if find_everywhere(email):
        raise Invalid({"email": "Somebody with this address has an account already."})
    hashed = hasher.hash(clean_password(password)) if password else None
    user = User(email=email, name=name.strip(), role=role, password_hash=hashed, is_superuser=is_superuser)
    add_unique(user, Invalid({"email": "Somebody with this address has an account already."}))
    audit.record("user.added", "user", user.id, after={"email": email, "role": role})
    return user


def get(user_id: int) -> User:
    """Returns a user of the organisation in scope. Raises NotFound."""
    user = db.session.scalar(select(User).where(User.id == user_id))
    if user is None:
        raise NotFound()
    return user


def name_of(user_id: int | None) -> str:
    """Returns what to call a user on screen, also one who is not there any more."""
    return db.session.scalar(select(User.name).where(User.id == user_id)) or "Somebody"


def authenticate(user: User, password: str) -> bool:
    """Checks a password and keeps the count of failures; the caller commits either way.

    Five failures in a row lock the account for a quarter of an hour. Raises TooMany while it is locked.
    """
    if user.locked_until and user.locked_until > now():
        wait = int((user.locked_until - now()).total_seconds()) + 1
        raise TooMany(f"Too many wrong passwords. Try again in {wait // 60 + 1} minutes.", wait)
    if _verified(user.password_hash, password) and user.is_active:
        return True
    # Counted in the database: many wrong guesses at once are as many failures.
    failed = value(
        "UPDATE users SET failed_sign_ins = failed_sign_ins + 1 WHERE id = :id RETURNING failed_sign_ins", id=user.id
    )
    if failed >= FAILURES_BEFORE_LOCK:
        user.failed_sign_ins, user.locked_until = 0, now() + timedelta(minutes=LOCK_MINUTES)
        audit.record("user.locked", "user", user.id)
    return False


def spend_time_of_a_check() -> None:
    """Costs what a password check costs, so that an unknown address answers no faster than a known one."""
    _verified(None, "no such user")


# A real hash, so that checking against it costs the same as against anyone's.
_NOBODY = hasher.hash("nobody's password")


def _verified(hashed: str | None, password: str) -> bool:
    try:
        return hasher.verify(hashed or _NOBODY, password[:200]) and hashed is not None
    except VerificationError:
        return False


def signed_in(user: User) -> None:
    """Notes a successful sign-in."""
    user.failed_sign_ins, user.locked_until, user.last_login_at = 0, None, now()
    audit.record("user.signed_in", "user", user.id)


def change_password(user: User, old: str, new: str) -> None:
    """Sets a new password and ends every other session. Raises Invalid where the old one is wrong."""
    if user.password_hash and not _verified(user.password_hash, old):
        raise Invalid({"old_password": "This is not your present password."})
    set_password(user, new)


def set_password(user: User, new: str) -> None:
    """Sets a password (from an invitation or a change) and ends every session. Raises Invalid at `password`."""
    user.password_hash = hasher.hash(clean_password(new))
    sign_out_everywhere(user)
    audit.record("user.password_set", "user", user.id)


def sign_out_everywhere(user: User) -> None:
    """Ends every session and link of the user, which carry the session version they were made under, and every token."""
    _end_sessions(user)
    run("UPDATE api_tokens SET revoked_at = now() WHERE user_id = :id AND revoked_at IS NULL", id=user.id)


def _end_sessions(user: User) -> None:
    user.session_version += 1
    db.session.flush()


def link_token(user: User, purpose: str) -> str:
    """Returns a token for a one-time link; purpose: "sign-in" or "invite". Using it ends its validity."""
    return signer().dumps(purpose, {"o": user.org_id, "u": user.id, "v": user.session_version})


def open_link(purpose: str, token: str) -> tuple[int, int, int]:
    """Reads a one-time link. Returns (org_id, user id, session version). Raises NotFound."""
    data = signer().loads(purpose, token, INVITE_SECONDS if purpose == "invite" else LINK_SECONDS)
    return data["o"], data["u"], data["v"]


def follow_link(user_id: int, version: int) -> User:
    """Spends a one-time link inside the scope it names and returns its user. Raises NotFound if it was used before."""
    # A conditional update: of two clicks at once, one finds the version already moved on.
    spent = run(
        "UPDATE users SET session_version = session_version + 1 WHERE id = :id AND session_version = :v AND is_active",
        id=user_id,
        v=version,
    )
    if spent != 1:
        raise NotFound("This link was used already or has been replaced. Ask for a new one.")
    user = get(user_id)
    db.session.refresh(user)
    return user


def change(user: User, *, role: str | None = None, is_active: bool | None = None) -> None:
    """Changes role or activity. Raises Refused where the organisation would be left without an active admin."""
    # One at a time: two admins who demote each other must not both find the other still there.
    db.session.scalars(select(User.id).where(User.role == "admin").order_by(User.id).with_for_update()).all()
    db.session.refresh(user)
    before = {"role": user.role, "is_active": user.is_active}
    if role is not None:
        if role not in ROLES:
            raise Invalid({"role": f"Choose one of {', '.join(ROLES)}."})
        user.role = role
    if is_active is not None:
        user.is_active = is_active
    db.session.flush()
    admins = select(func.count()).select_from(User).where(User.role == "admin", User.is_active)
    if not db.session.scalar(admins):
        raise Refused("Somebody has to stay admin: make another user admin first.")
    _end_sessions(user)
    audit.record("user.changed", "user", user.id, before=before, after={"role": user.role, "is_active": user.is_active})
