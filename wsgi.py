"""The application for any WSGI server and for `flask --app wsgi`; run directly, it serves the house by itself."""

import sys

from webapp.platform.config import BadSetting
from webapp.serve import build, serve

try:
    app = build()
except BadSetting as problem:
    sys.exit(f"Canvass cannot start. {problem}")

if __name__ == "__main__":
    serve(app)
