"""The real command, in processes of its own: a simulator in one, submissions in others, and how they end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.cli.conftest import EXAMPLES
from tillpost.simulator import Running, serve_in_thread
from tillpost_simulators.square import SquareSimulator

MAIN = (sys.executable, "-c", "from tillpost.cli import main; main()")


def tillpost(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*MAIN, *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextmanager
def simulating(*arguments: str) -> Generator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """`tillpost simulate square --json` in a process of its own, and what it printed once it listened."""
    command = [*MAIN, "simulate", "square", "--json", "--write-config", "tillpost.toml", *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout
            printed = ""
            while not printed.endswith("\n}\n"):
                line = process.stdout.readline()
                assert line, f"the simulator ended: {process.communicate()[1]}"
                printed += line
            yield process, json.loads(printed)
        finally:
            process.kill()


def ledger(url: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = httpx.get(f"{url}/_simulator/ledger").json()["entries"]
    return entries


def test_two_processes_bring_the_example_orders_onto_the_register_of_a_third() -> None:
    with simulating() as (process, said):
        lunch = tillpost(
            "submit", str(EXAMPLES / "lunch-pickup.json"), "--connection", "square-simulator"
        )
        assert (lunch.returncode, lunch.stderr) == (0, "")
        (order,) = ledger(said["url"])
        assert (order["total"], order["paid"], order["shown"], order["settled"]) == (
            2881,
            2881,
            True,
            True,
        )
        assert [len(line["modifiers"]) for line in order["lines"]] == [1, 0]
        assert [len(order[part]) for part in ("charges", "discounts")] == [1, 1]
        assert order["tip"] == 100
        delivery = tillpost("submit", str(EXAMPLES / "scheduled-delivery.json"), "--json")
        assert delivery.returncode == 0
        assert json.loads(delivery.stdout)["pos_order"]["total"] == 5050
        order = ledger(said["url"])[1]
        assert (order["total"], order["paid"], order["shown"]) == (5050, 5050, True)
        assert "12/8 Wattle St, Ultimo NSW 2007, AU" in order["note"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0


def test_ctrl_c_ends_the_simulator_cleanly() -> None:
    with simulating() as (process, _):
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 0
        assert process.stderr
        assert process.stderr.read() == ""


def test_the_simulators_faults_come_by_seed_or_by_script(folder: Path) -> None:
    rule = {
        "method": "POST",
        "path": "/v2/orders$",
        "fault": {"kind": "server_error", "status": 503},
    }
    (folder / "plan.json").write_text(json.dumps({"rules": [rule]}))
    with simulating("--script", "plan.json", "--seed", "7") as (_, said):
        assert said["seed"] == 7
        assert tillpost("submit", str(EXAMPLES / "lunch-pickup.json")).returncode == 0
        assert httpx.get(f"{said['url']}/_simulator/faults").json()["count"] == 1


def test_a_person_is_told_where_the_simulator_is_and_how_to_connect(folder: Path) -> None:
    command = [*MAIN, "simulate", "square", "--name", "my cafe", "--faults", "0.25", "--seed", "3"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        told = ""
        while "Ctrl-C ends the simulator." not in told:
            told += process.stdout.readline()
        process.send_signal(signal.SIGINT)
        ending = process.communicate(timeout=10)[0]
    assert "Square simulator at http://127.0.0.1:" in told
    assert "/_simulator/ledger" in told
    assert "25% of requests, seed 3" in told
    snippet = told[told.index("[connections") : told.index("Its OAuth application")]
    assert tomllib.loads(snippet)["connections"]["my cafe"]["location_id"] == "L-CAFE"
    assert (
        "for tillpost connect: client_id sq0idp-simulator, client_secret sq0csp-not-a-real-secret."
        in told
    )
    assert "0 orders" in ending


def test_a_port_that_is_taken_is_one_line() -> None:
    with simulating() as (_, said):
        port = said["url"].rpartition(":")[2]
        ended = tillpost("simulate", "square", "--port", port)
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert f"can't listen at 127.0.0.1:{port}" in ended.stderr


def test_a_config_file_written_by_hand_is_never_overwritten(folder: Path) -> None:
    mine = folder / "tillpost.toml"
    mine.write_text("[connections.cafe]\nplatform = 'square'\n")
    ended = tillpost("simulate", "square", "--write-config", "tillpost.toml")
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert "tillpost.toml is there already" in ended.stderr
    assert "connections.cafe" in mine.read_text()


def test_ctrl_c_while_submitting_is_one_line_and_the_next_submission_finds_out(
    folder: Path,
) -> None:
    lunch = str(EXAMPLES / "lunch-pickup.json")
    rule = {
        "method": "POST",
        "path": "/v2/orders$",
        "fault": {"kind": "timeout", "when": "after", "hang_seconds": 20},
    }
    (folder / "plan.json").write_text(json.dumps({"rules": [rule]}))
    with simulating("--script", "plan.json") as (_, said):
        with subprocess.Popen(
            [*MAIN, "submit", lunch], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as one:
            for _ in range(200):
                if ledger(said["url"]):
                    break
                time.sleep(0.05)
            one.send_signal(signal.SIGINT)
            out, err = one.communicate(timeout=15)
        assert (one.returncode, out) == (130, "")
        assert err == "tillpost: interrupted; the order may be there: submit it again to find out\n"
        assert tillpost("submit", lunch).returncode == 0
        (order,) = ledger(said["url"])
        assert (order["paid"], order["shown"]) == (2881, True)


@pytest.fixture
def running() -> Iterator[Running[SquareSimulator]]:
    with serve_in_thread(SquareSimulator()) as served:
        yield served


def test_a_token_from_the_environment_is_used_and_never_printed(
    folder: Path, running: Running[SquareSimulator]
) -> None:
    token = running.settings["access_token"]
    (folder / "tillpost.toml").write_text(
        f'[connections.cafe]\nplatform = "square"\nbase_url = "{running.url}"\nlocation_id = "L-CAFE"\n'
        'access_token = "env:CAFE_TOKEN"\n'
    )
    lunch = str(EXAMPLES / "lunch-pickup.json")
    ended = tillpost("submit", lunch, CAFE_TOKEN=token)
    assert ended.returncode == 0
    running.simulator.revoke_token()
    for more in ((), ("--json",)):
        refused = tillpost("check", *more, CAFE_TOKEN=token)
        assert refused.returncode in (1, 14)
        assert token not in refused.stdout + refused.stderr + ended.stdout
    missing = tillpost("submit", lunch, CAFE_TOKEN="")
    assert (missing.returncode, missing.stderr.count("\n")) == (2, 1)
    assert "CAFE_TOKEN isn't set" in missing.stderr


BLOCKING = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        return None
for name in {names}:
    sys.modules[name] = None
import importlib.util
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name in {names} else real(name, package)
sys.argv = ["tillpost", *{arguments}]
from tillpost.cli import main
main()
"""


@pytest.mark.parametrize(
    ("missing", "arguments", "install"),
    [
        (["typer"], ["--version"], "pip install 'tillpost[cli]'"),
        (["rich"], ["--version"], "pip install 'tillpost[cli]'"),
        (["aiohttp"], ["demo"], "pip install 'tillpost[simulator]'"),
        (["aiohttp"], ["simulate", "square"], "pip install 'tillpost[simulator]'"),
        (["sqlalchemy"], ["worker"], "pip install 'tillpost[outbox]'"),
        (["alembic"], ["orders", "list"], "pip install 'tillpost[outbox]'"),
        (["sqlalchemy"], ["outbox", "add", "order.json"], "pip install 'tillpost[outbox]'"),
        (["sqlalchemy"], ["demo", "--outbox"], "pip install 'tillpost[outbox]'"),
    ],
)
def test_a_missing_extra_is_one_line_that_says_what_to_install(
    missing: list[str], arguments: list[str], install: str
) -> None:
    program = BLOCKING.format(names=missing, arguments=arguments)
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1
    assert install in ended.stderr


def test_importing_tillpost_loads_nothing_of_the_extras_that_httpx_doesnt_load_itself() -> None:
    program = """
import sys, httpx
before = set(sys.modules)
import tillpost, tillpost.config, tillpost.cli
print(*({"typer", "rich", "aiohttp", "sqlalchemy", "alembic"} & (set(sys.modules) - before)))
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert ended.stdout.strip() == ""
