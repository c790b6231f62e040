"""Fixtures that run the command in this process, against a simulator over real HTTP."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from recent import PLACED_AT
from tillpost.cli.app import build
from tillpost.simulator import Running, serve_in_thread
from tillpost_simulators.square import SquareSimulator

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples" / "orders"


@dataclass(frozen=True)
class Result:
    """The result of one run of the command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """Standard output as JSON."""
        document: dict[str, Any] = json.loads(self.out)
        return document

    @property
    def error_line(self) -> str:
        """The one line on standard error after bad input, without the program's name."""
        (line,) = self.error_lines
        return line

    @property
    def error_lines(self) -> list[str]:
        """The lines on standard error after bad input, without the program's name."""
        assert self.code == 2
        assert self.out == ""
        lines = self.err.splitlines()
        assert all(line.startswith("tillpost: ") for line in lines), self.err
        return [line.removeprefix("tillpost: ") for line in lines]


Command = Callable[..., Result]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the test a working directory of its own, without a configuration."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TILLPOST_CONFIG", raising=False)
    monkeypatch.delenv("TILLPOST_DB", raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    return tmp_path


@pytest.fixture(scope="session")
def built_command() -> Any:
    """Return the command as Typer builds it from `build()`.

    `CliRunner.invoke` would build it anew for each run, which takes longer than most runs.
    """
    return typer.main.get_command(build())


@pytest.fixture
def tillpost(built_command: Any) -> Command:
    """Return a function that runs the command: `tillpost("submit", "order.json")`."""

    def run(*arguments: str, input: str | bytes | None = None) -> Result:  # noqa: A002
        with CliRunner().isolation(input=input) as streams:
            with pytest.raises(SystemExit) as ended:
                built_command.main(args=arguments, prog_name="tillpost")
            sys.stdout.flush()
            sys.stderr.flush()
            out, err = (stream.getvalue().decode() for stream in streams[:2])
        code = ended.value.code
        assert isinstance(code, int)
        return Result(code, out, err)

    return run


@pytest.fixture
def lunch(tmp_path: Path) -> str:
    """Return the path of an order for pick-up with a total of 28.81 AUD, placed just now."""
    order = json.loads((EXAMPLES / "lunch-pickup.json").read_text())
    path = tmp_path / "lunch.json"
    path.write_text(json.dumps(order | {"placed_at": PLACED_AT}, ensure_ascii=False))
    return str(path)


@pytest.fixture
def store() -> Iterator[Running[SquareSimulator]]:
    """Serve a simulated store, and write a TOML file with the connection "cafe" to it."""
    with serve_in_thread(SquareSimulator()) as running:
        write_config(cafe=running.settings)
        yield running


def write_config(**connections: Mapping[str, object]) -> None:
    """Write the TOML file of the working directory, with connections that never retry."""
    lines: list[str] = []
    for name, settings in connections.items():
        lines.append(f"[connections.{name}]")
        for key, value in {"platform": "square", **settings}.items():
            lines.append(f"{key} = {json.dumps(value)}")
        lines.append(f"[connections.{name}.policy]")
        lines.append("retries = 0")
    Path("tillpost.toml").write_text("\n".join(lines) + "\n")
