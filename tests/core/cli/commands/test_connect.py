"""`tillpost connect` against a simulator as it is: where the admin is sent, and what is said when it goes wrong."""

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
    """The arguments that connect a store whose admin's browser ends at an address elsewhere."""
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


def test_the_simulators_send_the_admin_to_where_connect_waits_by_itself() -> None:
    assert WorldSettings().redirect_url == KountaSettings().redirect_uri == REDIRECT


def test_a_code_that_the_provider_refuses_is_told_without_a_word_of_an_order(
    connect: list[str], tillpost: Command
) -> None:
    ran = tillpost(*connect, input="nonsense\n")
    assert ran.code == 14
    assert "Authorization code not found" in ran.out
    assert "not_created" not in ran.out + ran.err


def test_ctrl_c_at_a_question_is_an_interruption(connect: list[str]) -> None:
    command = [sys.executable, "-c", "from tillpost.cli import main; main()", *connect]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as running:
        assert running.stderr
        told = ""
        while "the code in it:" not in told:
            told += running.stderr.read(1)
            assert running.poll() is None, told
        running.send_signal(signal.SIGINT)
        assert running.communicate(timeout=10)[1].strip() == "tillpost: interrupted"
    assert running.returncode == 130
