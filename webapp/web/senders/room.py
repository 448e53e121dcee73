"""The room of senders."""

from flask import Blueprint

sender_pages = Blueprint("senders", __name__, url_prefix="/senders")
