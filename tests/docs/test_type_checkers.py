"""A type checker, as a site runs it, finds a name that Tillpost doesn't have."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .pages import ROOT

CORE = ROOT / "core"

RIGHT = """\
from tillpost import Order, Outbox, Till


def add(order: Order) -> None:
    Outbox("sqlite:///orders.db").add(order, connection="cafe-42")


def submit(order: Order) -> str:
    with Till.connect("square", location_id="L1", access_token="t") as till:
        return till.submit(order).id
"""
WRONG = "from tillpost import Ordr\n\n\ndef total(order: Ordr) -> int:\n    return order.total\n"

PAGES = {"right.py": RIGHT, "wrong.py": WRONG}


def checked(folder: Path, *command: str) -> str:
    """Return what a type checker prints of the pages."""
    for name, source in PAGES.items():
        (folder / name).write_text(source)
    (folder / "pyrightconfig.json").write_text(
        json.dumps({"typeCheckingMode": "strict", "extraPaths": [str(CORE)]})
    )
    run = subprocess.run(
        [sys.executable, "-m", *command, *PAGES],
        cwd=folder,
        env={**os.environ, "MYPYPATH": str(CORE)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert run.returncode == 1, run.stdout + run.stderr
    return run.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "error"),
    [
        (("mypy", "--strict"), 'Module "tillpost" has no attribute "Ordr"'),
        (("pyright", "--pythonpath", sys.executable), '"Ordr" is unknown import symbol'),
    ],
)
def test_type_checker_finds_a_name_that_is_not_there(
    tmp_path: Path, command: tuple[str, ...], error: str
) -> None:
    printed = checked(tmp_path, *command)
    assert error in printed
    assert "right.py" not in printed
