"""The command in processes of its own: a simulator in one, submissions in others."""

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
from tillpost import Outbox
from tillpost.simulator import Running, serve_in_thread
from tillpost_simulators.square import SquareSimulator
from waiting import AGES

ROOT = Path(__file__).parents[3]

MAIN = (sys.executable, "-c", "from tillpost_command import main; main()")


def tillpost(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*MAIN, *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=AGES,
        check=False,
    )


@contextmanager
def simulating(*arguments: str) -> Generator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """Run `tillpost simulate square --json`, and give the process and the JSON that it printed."""
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


def test_example_orders_reach_a_simulator_in_another_process() -> None:
    with simulating() as (process, printed):
        lunch = tillpost(
            "submit", str(EXAMPLES / "lunch-pickup.json"), "--connection", "square-simulator"
        )
        assert (lunch.returncode, lunch.stderr) == (0, "")
        (order,) = ledger(printed["url"])
        assert (order["total"], order["paid"]) == (2881, 2881)
        assert (order["shown"], order["settled"]) == (True, True)
        assert [len(line["modifiers"]) for line in order["lines"]] == [1, 0]
        assert [len(order[part]) for part in ("charges", "discounts")] == [1, 1]
        assert order["tip"] == 100
        delivery = tillpost("submit", str(EXAMPLES / "scheduled-delivery.json"), "--json")
        assert delivery.returncode == 0
        assert json.loads(delivery.stdout)["pos_order"]["total"] == 5050
        order = ledger(printed["url"])[1]
        assert (order["total"], order["paid"], order["shown"]) == (5050, 5050, True)
        assert "12/8 Wattle St, Ultimo NSW 2007, AU" in order["note"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=AGES) == 0


INTERRUPTING = """
import os, signal, sys
from importlib.abc import MetaPathFinder

class Interrupting(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == sys.argv[1]:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
"""
"""Presses Ctrl-C when the module is imported that the first argument names."""


@pytest.mark.parametrize("module", ["tillpost", "tillpost.models", "tillpost.cli.app", "typer"])
def test_ctrl_c_during_imports_shows_no_traceback(module: str) -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    package, function = pyproject["project"]["scripts"]["tillpost"].split(":")
    script = f"{INTERRUPTING}\nfrom {package} import {function}\n{function}()"
    command = [sys.executable, "-c", script, module]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "tillpost: interrupted\n")


def test_ctrl_c_stops_the_simulator_cleanly() -> None:
    with simulating() as (process, _):
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=AGES) == 0
        assert process.stderr
        assert process.stderr.read() == ""


def test_simulator_faults_follow_a_script_and_seed(folder: Path) -> None:
    rule = {
        "method": "POST",
        "path": "/v2/orders$",
        "fault": {"kind": "server_error", "status": 503},
    }
    (folder / "plan.json").write_text(json.dumps({"rules": [rule]}))
    with simulating("--script", "plan.json", "--seed", "7") as (_, printed):
        assert printed["seed"] == 7
        assert tillpost("submit", str(EXAMPLES / "lunch-pickup.json")).returncode == 0
        assert httpx.get(f"{printed['url']}/_simulator/faults").json()["count"] == 1


def test_simulator_prints_its_address_and_settings(folder: Path) -> None:
    command = [*MAIN, "simulate", "square", "--name", "my cafe", "--faults", "0.25", "--seed", "3"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        shown = ""
        while "Ctrl-C ends the simulator." not in shown:
            line = process.stdout.readline()
            assert line, shown
            shown += line
        process.send_signal(signal.SIGINT)
        ending = process.communicate(timeout=AGES)[0]
    assert "Square simulator at http://127.0.0.1:" in shown
    assert "/_simulator/ledger" in shown
    assert "25% of requests, seed 3" in shown
    snippet = shown[shown.index("[connections") : shown.index("Its OAuth application")]
    assert tomllib.loads(snippet)["connections"]["my cafe"]["location_id"] == "L-CAFE"
    assert (
        "for tillpost connect: client_id sq0idp-simulator, client_secret sq0csp-not-a-real-secret."
        in shown
    )
    assert "0 orders" in ending


def test_taken_port_is_one_line() -> None:
    with simulating() as (_, printed):
        port = printed["url"].rpartition(":")[2]
        result = tillpost("simulate", "square", "--port", port)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert f"can't listen at 127.0.0.1:{port}" in result.stderr


def test_hand_written_config_is_never_overwritten(folder: Path) -> None:
    mine = folder / "tillpost.toml"
    mine.write_text("[connections.cafe]\nplatform = 'square'\n")
    result = tillpost("simulate", "square", "--write-config", "tillpost.toml")
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert "tillpost.toml already exists" in result.stderr
    assert "connections.cafe" in mine.read_text()


@pytest.mark.slow
def test_resubmit_after_ctrl_c_makes_no_second_order(
    folder: Path,
) -> None:
    lunch = str(EXAMPLES / "lunch-pickup.json")
    rule = {
        "method": "POST",
        "path": "/v2/orders$",
        "fault": {"kind": "timeout", "when": "after", "hang_seconds": 600},
    }
    (folder / "plan.json").write_text(json.dumps({"rules": [rule]}))
    with simulating("--script", "plan.json") as (_, printed):
        with subprocess.Popen(
            [*MAIN, "submit", lunch], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as one:
            while not ledger(printed["url"]):
                assert one.poll() is None
                time.sleep(0.05)
            one.send_signal(signal.SIGINT)
            out, err = one.communicate(timeout=AGES)
        assert (one.returncode, out) == (130, "")
        assert err == "tillpost: interrupted; the order may exist. Submit it again to find out\n"
        assert tillpost("submit", lunch).returncode == 0
        (order,) = ledger(printed["url"])
        assert (order["paid"], order["shown"]) == (2881, True)


@pytest.fixture
def running() -> Iterator[Running[SquareSimulator]]:
    with serve_in_thread(SquareSimulator()) as served:
        yield served


def test_token_from_environment_is_never_printed(
    folder: Path, running: Running[SquareSimulator]
) -> None:
    token = running.settings["access_token"]
    (folder / "tillpost.toml").write_text(
        f'[connections.cafe]\nplatform = "square"\nbase_url = "{running.url}"\n'
        'location_id = "L-CAFE"\n'
        'access_token = "env:CAFE_TOKEN"\n'
    )
    lunch = str(EXAMPLES / "lunch-pickup.json")
    result = tillpost("submit", lunch, CAFE_TOKEN=token)
    assert result.returncode == 0
    running.simulator.revoke_token()
    for more in ((), ("--json",)):
        refused = tillpost("check", *more, CAFE_TOKEN=token)
        assert refused.returncode in (1, 14)
        assert token not in refused.stdout + refused.stderr + result.stdout
    missing = tillpost("submit", lunch, CAFE_TOKEN="")
    assert (missing.returncode, missing.stderr.count("\n")) == (2, 1)
    assert "CAFE_TOKEN isn't set" in missing.stderr


def slow(*values: object) -> Any:
    """Return the values of a parameter that the quick suite leaves out."""
    return pytest.param(*values, marks=pytest.mark.slow)


BLOCKING = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        return None
for name in {names}:
    sys.modules[name] = None
import importlib.util
real = importlib.util.find_spec
def find_spec(name, package=None):
    return None if name in {names} else real(name, package)
importlib.util.find_spec = find_spec
sys.argv = ["tillpost", *{arguments}]
from tillpost.cli import main
main()
"""


@pytest.mark.parametrize(
    ("missing", "arguments", "install"),
    [
        (["typer"], ["--version"], "pip install 'tillpost[cli]'"),
        slow(["rich"], ["--version"], "pip install 'tillpost[cli]'"),
        slow(["aiohttp"], ["demo"], "pip install 'tillpost[simulator]'"),
        (["aiohttp"], ["simulate", "square"], "pip install 'tillpost[simulator]'"),
        (["sqlalchemy"], ["worker"], "pip install 'tillpost[outbox]'"),
        slow(["alembic"], ["orders", "list"], "pip install 'tillpost[outbox]'"),
        slow(["sqlalchemy"], ["outbox", "add", "order.json"], "pip install 'tillpost[outbox]'"),
        slow(["sqlalchemy"], ["demo", "--outbox"], "pip install 'tillpost[outbox]'"),
    ],
)
def test_missing_extra_names_what_to_install(
    missing: list[str], arguments: list[str], install: str
) -> None:
    program = BLOCKING.format(names=missing, arguments=arguments)
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=AGES, check=False
    )
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert install in result.stderr


def test_import_loads_no_extras() -> None:
    program = """
import sys, httpx
before = set(sys.modules)
import tillpost, tillpost.config, tillpost.cli
print(*({"typer", "rich", "aiohttp", "sqlalchemy", "alembic"} & (set(sys.modules) - before)))
"""
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=AGES, check=True
    )
    assert result.stdout.strip() == ""


@pytest.mark.parametrize("typed", [b"\xff\xfe", slow("\N{BELL}".encode())])
def test_bytes_that_are_no_text_find_no_order(folder: Path, typed: bytes) -> None:
    Outbox("sqlite:///orders.db").prepare()
    for command in (("show", typed), ("list", "--search", typed)):
        ran = subprocess.run(
            [*MAIN, "orders", *command, "--db", "sqlite:///orders.db"],
            capture_output=True,
            timeout=AGES,
            check=False,
        )
        assert b"Traceback" not in ran.stderr
        assert ran.returncode == (2 if "show" in command else 0)


@pytest.mark.needs("/dev/full")
@pytest.mark.parametrize("option", [(), ("--json",)])
def test_full_disk_at_the_output_is_one_line(folder: Path, option: tuple[str, ...]) -> None:
    Outbox("sqlite:///orders.db").prepare()
    command = [*MAIN, "orders", "list", "--db", "sqlite:///orders.db", *option]
    with Path("/dev/full").open("wb") as full:
        ran = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=AGES, check=False
        )
    assert ran.returncode == 1
    assert ran.stderr.count("\n") == 1
    assert "No space left on device" in ran.stderr
