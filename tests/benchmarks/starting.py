"""Rows: what it takes to begin: importing, connecting, and the command's help."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from benchmarks.frame import NoMoreThan, in_turn, row, seconds
from benchmarks.orders import LOCATION, TOKEN
from tillpost import Till

_SETTINGS: dict[str, Any] = {
    "base_url": "https://pos.example",
    "access_token": TOKEN,
    "location_id": LOCATION,
}

_OWN = "('tillpost', '_', 'encodings')"


@contextmanager
def compiled() -> Generator[dict[str, str]]:
    """Yield an environment in which imported modules are compiled once.

    pip compiles what it installs, and nobody has compiled what runs from its source.
    """
    with tempfile.TemporaryDirectory() as folder:
        yield os.environ | {
            "PYTHONDONTWRITEBYTECODE": "",
            "PYTHONPYCACHEPREFIX": folder,
            "PYTHONPATH": os.pathsep.join(sys.path),
        }


def _childrens_time() -> float:
    """Return the processor time of child processes so far, in seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def running(code: str, environment: dict[str, str]) -> Callable[[], float]:
    """Return what runs Python code in a process, and returns its processor time."""

    def run() -> float:
        began = _childrens_time()
        subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            env=environment,
            stdout=subprocess.DEVNULL,
        )
        return _childrens_time() - began

    return run


def dependencies_of(module: str, environment: dict[str, str]) -> str:
    """Return an import statement of all that a module loads, but for our own modules."""
    others = f"(module for module in sys.modules if not module.startswith({_OWN}))"
    listing = f"import sys, {module}; print(*{others}, sep=', ')"
    listed = subprocess.run(
        [sys.executable, "-c", listing],
        check=True,
        env=environment,
        capture_output=True,
        text=True,
    )
    return f"import {listed.stdout}"


@row("import", "import tillpost / import its dependencies", NoMoreThan(1.15))
def _import() -> Iterator[float]:
    with compiled() as environment:
        floor = dependencies_of("tillpost", environment)
        ours = running("import tillpost", environment)
        yield from in_turn(ours, running(floor, environment), rounds=31)


@row("help", "tillpost --help / import tillpost")
def _help() -> Iterator[float]:
    shown = (
        "import sys, tillpost_command; sys.argv = ['tillpost', '--help']; tillpost_command.main()"
    )
    with compiled() as environment:
        floor = running("import tillpost", environment)
        yield from in_turn(running(shown, environment), floor, rounds=15)


@row("connect", "Till.connect after the first / making an httpx.Client")
def _connect() -> Iterator[float]:
    yield from in_turn(_connecting, lambda: seconds(lambda: httpx.Client().close()), rounds=31)


@row("connect-time", "Till.connect after the first, by processor time", NoMoreThan(5), unit="ms")
def _connect_time() -> Iterator[float]:
    _connecting()
    for _ in range(31):
        began = time.process_time()
        _connecting()
        yield (time.process_time() - began) * 1000


def _connecting() -> float:
    return seconds(lambda: Till.connect("square", **_SETTINGS).close())
