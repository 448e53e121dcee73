"""Real bounces, read out of the source distribution of flufl.bounce as a package brings it: none is copied into the
project. `python -m tests.corpus` fetches it (the Makefile does); without it the tests fail and say so."""

import ast
import re
import subprocess
import sys
import tarfile
from functools import cache
from pathlib import Path

FOLDER = Path(sys.prefix) / "corpus"
REQUIREMENTS = Path(__file__).parent.parent / "requirements.txt"
MISSING = "The corpus of bounces is not in {}: run `make prepare-test` with a network (or python -m tests.corpus)."


def version() -> str:
    return re.search(r"^flufl\.bounce==(\S+)", REQUIREMENTS.read_text(), re.M)[1]


def archive() -> Path:
    """Returns where the source distribution is. Raises FileNotFoundError where it has not been fetched."""
    path = FOLDER / f"flufl_bounce-{version()}.tar.gz"
    if not path.is_file():
        raise FileNotFoundError(MISSING.format(FOLDER))
    return path


@cache
def _files() -> dict[str, bytes]:
    with tarfile.open(archive()) as packed:
        return {m.name.partition("/")[2]: packed.extractfile(m).read() for m in packed.getmembers() if m.isfile()}


def bounces() -> dict[str, bytes]:
    """Returns each message of the corpus by its name."""
    return {Path(n).name: data for n, data in _files().items() if n.startswith("tests/data/") and n.endswith(".txt")}


def table() -> dict[str, str]:
    """Returns what the package's own tests say of each message: "temporary", "permanent" or "nothing"."""
    tree = ast.parse(_files()["tests/test_detectors.py"])
    (found,) = (
        node.value for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "DETECTORS"
    )  # fmt: skip
    said: dict[str, str] = {}
    for _, name, addresses, temporary in ast.literal_eval(found):
        word = ("temporary" if temporary else "permanent") if addresses else "nothing"
        said[name] = word if said.get(name, "nothing") == "nothing" else said[name]
    return said


def fetch() -> None:
    """Fetches the source distribution unless it is there."""
    try:
        archive()
    except FileNotFoundError:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
                   "--no-binary", ":all:", "--dest", str(FOLDER), f"flufl.bounce=={version()}"]  # fmt: skip
        subprocess.run(command, check=True)
        archive()


if __name__ == "__main__":
    fetch()
