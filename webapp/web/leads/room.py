"""The room of the leads; its views are in the modules beside this one."""

from flask import Blueprint

lead_pages = Blueprint("leads", __name__, url_prefix="/leads")
