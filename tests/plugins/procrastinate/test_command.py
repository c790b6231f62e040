"""`tillpost worker` runs this engine when it is configured, and refuses SQLite in one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from adapters.square.shop_orders import TOASTIE, paid
from tillpost import Outbox
from tillpost.simulator import Running
from tillpost_simulators.square import SquareSimulator

pytestmark = pytest.mark.slow


@pytest.fixture
def config(tmp_path: Path, square: Running[SquareSimulator]) -> Path:
    """A TOML file with one connection, whose outbox uses Procrastinate."""
    settings = "\n".join(f'{name} = "{value}"' for name, value in square.settings.items())
    file = tmp_path / "tillpost.toml"
    file.write_text(
        '[outbox]\nengine = "procrastinate"\n\n'
        f'[connections.cafe]\nplatform = "square"\n{settings}\n'
    )
    return file


def worker(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-c",
        "from tillpost_command import main; main()",
        "worker",
        *arguments,
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_command_uses_the_engine_of_the_file(
    config: Path, square: Running[SquareSimulator], postgres_url: str
) -> None:
    with Outbox.from_config(config, url=postgres_url) as outbox:
        outbox.add(paid("A-1", [TOASTIE]), connection="cafe")

        process = worker("--config", str(config), "--db", postgres_url, "--until-idle")

        assert process.returncode == 0, process.stderr
        assert "procrastinate" in process.stdout
        assert [stored.state for stored in outbox.orders()] == ["received"]
    assert len(square.simulator.ledger().shown) == 1


def test_command_refuses_sqlite_in_one_line(config: Path, tmp_path: Path) -> None:
    process = worker(
        "--config", str(config), "--db", f"sqlite:///{tmp_path / 'orders.db'}", "--until-idle"
    )

    assert process.returncode != 0
    assert "the engine procrastinate needs a PostgreSQL database" in process.stderr
    assert "Traceback" not in process.stderr
    assert len(process.stderr.strip().splitlines()) == 1
