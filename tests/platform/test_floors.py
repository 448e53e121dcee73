"""The house keeps its own rules: imports go down the floors, none hides in a function, files stay small."""

import ast
import subprocess
import sys
from pathlib import Path

from webapp.platform.config import ROOT

WEBAPP = sorted((ROOT / "webapp").rglob("*.py"))


def test_imports_only_go_down():
    lint = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_no_import_hides_in_a_function():
    for path in WEBAPP:
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                hidden = [n for n in ast.walk(function) if isinstance(n, ast.Import | ast.ImportFrom)]
                assert not hidden, f"{path}:{function.name}"


def test_no_catch_all_modules():
    names = {path.stem for path in WEBAPP}
    assert not names & {"utils", "helpers", "common", "services", "models", "misc"}


def test_files_stay_small():
    long = {str(path.relative_to(ROOT)): n for path in WEBAPP if (n := len(path.read_text().splitlines())) > 300}
    assert not long


def test_nothing_names_a_place_outside():
    """No file of the project needs the folders beside it, and none names a package registry."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    words = ("../" + "shared", "registry." + "npmjs", "files." + "pythonhosted", "pypi" + ".org")
    for name in tracked:
        path = ROOT / name
        if path.suffix in (".png", ".woff2") or not path.is_file():
            continue
        text = path.read_text(errors="ignore")
        assert not [word for word in words if word in text], name
