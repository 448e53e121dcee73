"""The API face."""


def init_app(app):
    """."""
