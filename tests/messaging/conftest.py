"""Tests that need a mail server of their own."""

import os
import shutil

import pytest

POSTFIX = shutil.which("postfix", path=f"{os.environ.get('PATH', '')}:/usr/sbin") if os.geteuid() == 0 else None


def pytest_collection_modifyitems(items) -> None:
    if POSTFIX is None:
        for item in items:
            if item.get_closest_marker("postfix"):
                item.add_marker(
                    pytest.mark.skip(reason="NOT RUN: no Postfix on this machine, or not allowed to start one")
                )
