"""`tillpost connect` with the simulators' defaults: redirect addresses and failures."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from core.cli.conftest import Command
from tillpost.cli.commands.connect_settings import REDIRECT
from tillpost.outbox.connections.encryption import new_key
from tillpost.simulator import serve_in_thread
from tillpost_simulators.kounta import KountaSettings
from tillpost_simulators.square import SquareSimulator, WorldSettings


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Return the arguments that connect a store with a redirect address elsewhere."""
    monkeypatch.setenv("TILLPOST_KEY", new_key())
    with serve_in_thread(SquareSimulator()) as running:
        app = running.simulator.application()
        monkeypatch.setenv("SQUARE_SECRET", app["client_secret"])
        named = [
            f"client_id={app['client_id']}",
            "client_secret=env:SQUARE_SECRET",
            f"base_url={running.url}",
        ]
        options = [part for one in named for part in ("--set", one)]
        back = ["--redirect-uri", "https://shop.example/back", "--no-browser"]
        yield ["connect", "square", "--name", "cafe-42", *options, *back]


def test_simulators_use_the_default_redirect_address() -> None:
    assert WorldSettings().redirect_url == KountaSettings().redirect_uri == REDIRECT


def test_refused_code_is_reported_without_an_order_outcome(
    connect: list[str], tillpost: Command
) -> None:
    result = tillpost(*connect, input="nonsense\n")
    assert result.code == 14
    assert "Authorization code not found" in result.out
    assert "not_created" not in result.out + result.err


def test_ctrl_c_at_a_prompt_exits_as_interrupted(connect: list[str]) -> None:
    command = [sys.executable, "-c", "from tillpost_command import main; main()", *connect]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as running:
        assert running.stderr
        shown = ""
        while "the code in it:" not in shown:
            shown += running.stderr.read(1)
            assert running.poll() is None, shown
        running.send_signal(signal.SIGINT)
        # The input stays open: its end could be seen before the signal.
        assert running.stderr.read().strip() == "tillpost: interrupted"
    assert running.returncode == 130
