"""The command, run in this process against a simulator over real HTTP, each test in a folder of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tillpost.cli.app import build
from tillpost.simulator import Running, serve_in_thread
from tillpost_simulators.square import SquareSimulator

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples" / "orders"


@dataclass(frozen=True)
class Ended:
    """How a run of the command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """What it printed for programs."""
        found: dict[str, Any] = json.loads(self.out)
        return found

    @property
    def complaint(self) -> str:
        """The one line on standard error that goes with bad input, and with it nothing else."""
        assert self.code == 2
        assert self.out == ""
        assert self.err.count("\n") == 1, self.err
        assert self.err.startswith("tillpost: ")
        return self.err.removeprefix("tillpost: ").rstrip("\n")


Command = Callable[..., Ended]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory of its own, with the database in it that a command makes there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TILLPOST_CONFIG", raising=False)
    monkeypatch.delenv("TILLPOST_DB", raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    return tmp_path


@pytest.fixture
def tillpost() -> Command:
    """Runs the command: `tillpost("submit", "order.json", input=None)`."""

    def run(*arguments: str, input: str | bytes | None = None) -> Ended:  # noqa: A002
        result = CliRunner().invoke(
            build(), arguments, input=input, prog_name="tillpost", catch_exceptions=False
        )
        return Ended(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def lunch() -> str:
    """The path of an order that is picked up: 28.81 AUD."""
    return str(EXAMPLES / "lunch-pickup.json")


@pytest.fixture
def store() -> Iterator[Running[SquareSimulator]]:
    """A simulated store, and a connections file with one connection to it, "cafe", that doesn't retry."""
    with serve_in_thread(SquareSimulator()) as running:
        write_config(cafe=running.settings)
        yield running


def write_config(**connections: Mapping[str, object]) -> None:
    """Write the connections file of the working directory, all of them without retries."""
    Path("tillpost.toml").write_text(
        "\n".join(
            f"[connections.{name}]\n"
            + "".join(
                f"{key} = {json.dumps(value)}\n"
                for key, value in {"platform": "square", **settings}.items()
            )
            + f"[connections.{name}.policy]\nretries = 0\n"
            for name, settings in connections.items()
        )
    )
