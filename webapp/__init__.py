"""Canvass: the marketing desk of an insurance business."""

from flask import Flask
from flask_migrate import Migrate

from webapp import api, cli, tables
from webapp.campaigns import personal as of_campaigns
from webapp.messaging import advice
from webapp.messaging import personal as of_messages
from webapp.messaging.providers.twilio import errors as twilio_errors
from webapp.messaging.providers.whatsapp_cloud import errors as whatsapp_errors
from webapp.platform import db as database
from webapp.platform import logs, secrets, signing
from webapp.platform.config import ROOT, Settings
from webapp.web import face

UPLOAD_LIMIT = 100 * 1024 * 1024  # bytes


def _version_static(endpoint: str, values: dict) -> None:
    """Names a static file's version in its address, so that browsers may keep it for a year."""
    if endpoint == "static" and "filename" in values:
        path = ROOT / "static" / values["filename"]
        values["v"] = int(path.stat().st_mtime) if path.exists() else 0


def create_app(settings: Settings, owner_url: str, *, pool_size: int = 12) -> Flask:
    """Returns the application over a database whose owner's address is given; it connects as the app's role."""
    app = Flask("webapp", root_path=str(ROOT), template_folder="templates", static_folder="static")
    app.config.update(
        SECRET_KEY=settings.secret_key,
        BASE_URL=settings.base_url,
        OWNER_URL=owner_url,
        SETTINGS=settings,
        MAX_CONTENT_LENGTH=UPLOAD_LIMIT,
        MAX_FORM_MEMORY_SIZE=5 * 1024 * 1024,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.base_url.startswith("https://"),
        SEND_FILE_MAX_AGE_DEFAULT=31536000,
    )
    logs.configure(settings.log_level, settings.production)
    signing.configure(settings.secret_key)
    secrets.configure(settings.secret_key)
    database.init_app(app, owner_url, pool_size)
    Migrate(app, database.db, directory=str(ROOT / "migrations"), compare_type=True)
    assert tables.metadata is database.Base.metadata
    for kept in (of_messages, of_campaigns):
        kept.register()
    for channel, provider in (("sms", twilio_errors), ("whatsapp", whatsapp_errors)):
        advice.register(channel, provider.classify)
    app.url_defaults(_version_static)
    face.init_app(app)
    api.init_app(app)
    cli.init_app(app)
    return app
