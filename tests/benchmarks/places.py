"""Where the rows of the outbox run: databases of either kind, and a simulator of Square.

Each is there during a block, and nothing of it is left, even after an interruption.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeAlias

from databases import postgres_server

__all__ = ["DATABASES", "Database", "databases", "simulated_square"]

Database: TypeAlias = Literal["sqlite", "postgresql"]

DATABASES: tuple[Database, ...] = ("sqlite", "postgresql")

_SIMULATOR = """
import asyncio, json
from tillpost.simulator import serve
from tillpost_simulators.square import SquareSimulator
simulator = SquareSimulator()
def ready(url):
    print(json.dumps(simulator.connection_settings(url)), flush=True)
asyncio.run(serve(simulator, ready=ready))
"""


@contextmanager
def databases(kind: Database) -> Generator[Callable[[], str]]:
    """Yield what makes an empty database, and returns its URL."""
    if kind == "postgresql":
        with postgres_server() as server:
            yield lambda: server.url(server.create_database())
        return
    numbers = itertools.count()
    with tempfile.TemporaryDirectory(prefix="tillpost-benchmark-") as folder:
        yield lambda: f"sqlite:///{Path(folder, f'{next(numbers)}.db')}"


@contextmanager
def simulated_square() -> Generator[dict[str, Any]]:
    """Run a Square simulator in a process of its own; yield the settings to connect with."""
    command = [sys.executable, "-c", _SIMULATOR]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield json.loads(process.stdout.readline())
        finally:
            process.kill()
