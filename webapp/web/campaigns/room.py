"""The room of the campaigns; its views are in the modules beside this one."""

from flask import Blueprint

campaign_pages = Blueprint("campaigns", __name__, url_prefix="/campaigns")
