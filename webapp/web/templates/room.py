"""The room of the templates; its views are in the modules beside this one."""

from flask import Blueprint

template_pages = Blueprint("templates", __name__, url_prefix="/templates")
