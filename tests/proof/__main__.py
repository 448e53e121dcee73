"""Runs the proofs, one after the other, and prints their counts: `python -m tests.proof [--quick] [--seed N] [name ...]`."""

import argparse
import importlib
import random
import sys
import time
import traceback

NAMES = ("claims", "stopped", "pauses", "hours", "fair", "desk", "caps", "kills")


def main() -> int:
    """Returns the number of proofs that failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof")
    parser.add_argument("--quick", action="store_true", help="the short form")
    parser.add_argument("--seed", type=int, help="for all of them; by default one by chance")
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(NAMES)}; all of them by default")
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(NAMES):
        parser.error(f"There is no proof named {', '.join(sorted(unknown))}.")
    seed = asked.seed if asked.seed is not None else random.SystemRandom().randrange(10**6)
    print(f"proof: seed {seed}, {'short' if asked.quick else 'full'} form", flush=True)
    failed = []
    for name in asked.names or NAMES:
        began = time.monotonic()
        try:
            importlib.import_module(f"tests.proof.{name}").run(seed, "quick" if asked.quick else "full")
            print(f"proof {name}: holds ({time.monotonic() - began:.0f} s)", flush=True)
        except Exception:  # noqa: BLE001 - the others are run nevertheless
            traceback.print_exc()
            print(f"proof {name}: FAILED with seed {seed} ({time.monotonic() - began:.0f} s)", flush=True)
            failed.append(name)
    print(f"proof: {'all hold' if not failed else 'FAILED: ' + ', '.join(failed)}, seed {seed}", flush=True)
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
