"""The steps of `.ci/run` and the sessions of `noxfile.py` run the same commands.

The script runs in a folder whose programs only write down how they were called; so does a session.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple, cast

import nox
import pytest
from nox import registry

from .pages import ROOT

PROGRAMS = (
    "bandit",
    "codespell",
    "lint-imports",
    "mypy",
    "pip",
    "pyright",
    "pytest",
    "python",
    "ruff",
    "sphinx-build",
)

# Pytest's last line is searched for at the end of the run.
PROGRAM = """#!/bin/sh
printf '%s\\t' "$MYPYPATH" "${0##*/}" "$@" >> "$CALLS"
echo >> "$CALLS"
echo "=== 1 passed ==="
"""

# What prepares a step. Nox has its own way.
PREPARATIONS = {("pip", "install"), ("python3", "-m"), ("python", "docs/pictures.py", "--browser")}


class Command(NamedTuple):
    """A program with its arguments, and where mypy finds modules."""

    words: tuple[str, ...]
    mypy_path: str = ""


class RecordingSession:
    """A session of nox that runs nothing."""

    def __init__(self) -> None:
        self.posargs: Sequence[str] = ()
        self.virtualenv = SimpleNamespace(bin="bin")
        self.commands: list[Command] = []

    def run(self, *words: str, env: Mapping[str, str] | None = None) -> None:
        """Write the command down. Pyright is told which environment it runs in: leave that out."""
        mypy_path = (env or {}).get("MYPYPATH", "")
        interpreter = ("--pythonpath", "bin/python")
        kept = tuple(word for word in words if word not in interpreter)
        self.commands.append(Command(kept, mypy_path))

    def install(self, *_words: str) -> None:
        """Install nothing."""

    def chdir(self, _folder: str) -> None:
        """Stay here."""


@pytest.fixture
def vendor_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of vendors' documents, so that their step isn't left out."""
    folder = tmp_path / "documents"
    folder.mkdir()
    monkeypatch.setenv("TILLPOST_VENDOR_DOCUMENTS", str(folder))
    return folder


def commands_of_ci(folder: Path) -> set[Command]:
    """Run `.ci/run` where every program only writes its call down; return the calls."""
    programs = folder / "tree" / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in (*PROGRAMS, "python3"):
        (programs / name).write_text(PROGRAM, encoding="utf-8")
        (programs / name).chmod(0o755)
    for name in ("README.md", "docs"):
        (folder / "tree" / name).symlink_to(ROOT / name)
    for name in (".ci", "tests"):
        (folder / "tree" / name).mkdir()
    script = shutil.copy(ROOT / ".ci" / "run", folder / "tree" / ".ci")
    calls = folder / "calls"
    environment = {
        **os.environ,
        "CALLS": str(calls),
        "LC_ALL": "C",
        "MYPYPATH": "",
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
    }
    done = subprocess.run(
        ["bash", script], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: set[Command] = set()
    for call in calls.read_text(encoding="utf-8").splitlines():
        mypy_path, *words = call.removesuffix("\t").split("\t")
        if not any(tuple(words[: len(start)]) == start for start in PREPARATIONS):
            found.add(Command(tuple(words), mypy_path))
    return found


def commands_of_nox() -> set[Command]:
    """Return what all sessions of the noxfile run."""
    load_noxfile()
    session = RecordingSession()
    for name, run in registry.get().items():
        before = len(session.commands)
        run(cast("nox.Session", session))
        assert len(session.commands) > before, f"the session {name} runs nothing"
    return set(session.commands)


def load_noxfile() -> None:
    """Run `noxfile.py`, which registers its sessions."""
    spec = importlib.util.spec_from_file_location("noxfile", ROOT / "noxfile.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


@pytest.mark.usefixtures("vendor_documents")
def test_nox_and_ci_run_the_same_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that only one of them has is missed by whoever runs the other."""
    monkeypatch.chdir(ROOT)
    in_ci = commands_of_ci(tmp_path)
    in_nox = commands_of_nox()
    assert len(in_ci) > 15
    assert in_ci - in_nox == set(), "nox lacks these"
    assert in_nox - in_ci == set(), ".ci/run lacks these"
