"""One application process as `python wsgi.py` starts it, with shorter waits: `python -m tests.proof.process`.

CANVASS_PROOF_WAITS names them: "LEASE_SECONDS=8 TALK_SECONDS=3" sets them in every module of webapp.messaging that has
them, and in the database's. One that is nowhere ends the process: a proof must not believe in a wait that does not exist any more.
"""

import os
import sys

from webapp import demo
from webapp.serve import build, serve


def shorten(waits: str) -> None:
    """Sets waits (see above). Raises SystemExit for one that does not exist."""
    modules = [
        module
        for name, module in list(sys.modules.items())
        if name.startswith(("webapp.messaging", "webapp.platform.db"))
    ]
    for name, seconds in (word.split("=") for word in waits.split()):
        having = [module for module in modules if hasattr(module, name)]
        if not having:
            sys.exit(f"Neither webapp.messaging nor the database has {name} any more.")
        for module in having:
            numbers = tuple(int(part) for part in seconds.split(","))
            setattr(module, name, numbers if len(numbers) > 1 else numbers[0])


if __name__ == "__main__":
    shorten(os.environ.get("CANVASS_PROOF_WAITS", ""))
    # Two years of somebody else's history have no part in a proof.
    demo.seed = lambda: False
    serve(build())
