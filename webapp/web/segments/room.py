"""The room of the segments; its views are in the modules beside this one."""

from flask import Blueprint

segment_pages = Blueprint("segments", __name__, url_prefix="/segments")
