"""`tillpost check`, `adapters` and `schema`; and what plugins, sound and broken, do to the command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.cli.conftest import Command
from tillpost.models.order import Order
from tillpost.simulator import Running
from tillpost_simulators.square import SquareSimulator

Store = Running[SquareSimulator]


def test_a_store_that_is_ready_is_said_to_be(tillpost: Command, store: Store) -> None:
    assert "Ready for orders" in tillpost("check").out
    program = tillpost("check", "--json")
    assert (program.code, program.json["ok"]) == (0, True)
    assert {"what", "ok", "text", "actor", "reason"} == set(program.json["findings"][0])


def test_a_store_that_isnt_ready_is_told_whose_move_it_is(tillpost: Command, store: Store) -> None:
    store.simulator.activate_location(False)
    people, program = tillpost("check"), tillpost("check", "--json")
    assert people.code == program.code == 1
    assert "Not ready for orders" in people.out
    assert "the store" in people.out
    assert program.json["ok"] is False


def test_a_store_on_whose_menu_every_item_is_under_two_taxes_isnt_ready(
    tillpost: Command, store: Store
) -> None:
    store.simulator.add_tax("Weekend surcharge", "10")
    assert tillpost("check").code == 0  # which looks at no menu
    people, program = (
        tillpost("check", "--import-menu"),
        tillpost("check", "--import-menu", "--json"),
    )
    assert people.code == program.code == 1
    assert "Not ready for orders" in people.out
    (menu,) = (finding for finding in program.json["findings"] if finding["what"] == "menu")
    assert (menu["ok"], menu["actor"]) == (False, "store")
    assert menu["text"].startswith(
        "Nothing on the menu can be ordered; faults in its setup: GST, Weekend surcharge"
    )


def test_a_platform_that_is_down_is_told_too(tillpost: Command, store: Store) -> None:
    store.simulator.set_outage()
    ended = tillpost("check")
    assert ended.code == 1
    assert "operations, who tell the provider" in ended.out


def test_adapters_are_listed_with_their_package_version_and_capabilities(tillpost: Command) -> None:
    assert "import_menu" in tillpost("adapters").out
    (square,) = (
        one
        for one in tillpost("adapters", "--json").json["adapters"]
        if one["platform"] == "square"
    )
    assert (square["title"], square["package"]) == ("Square", "tillpost")
    assert {"submit", "finish", "find"} <= set(square["capabilities"])
    assert square["simulator"]
    assert square["demo"]
    assert square["version"]


def test_the_schema_is_that_of_the_model(tillpost: Command) -> None:
    assert tillpost("schema", "order").json == Order.model_json_schema()
    assert tillpost("schema", "menu").json["title"] == "Menu"


PLUGIN = """
import tillpost

@tillpost.hookimpl
def register_commands(cli):
    @cli.command()
    def greet(name: str) -> None:
        "Greet somebody."
        print(f"Hello {name}")
"""
RAISES = """
import tillpost

@tillpost.hookimpl
def register_commands(cli):
    raise RuntimeError("no")
"""
BAD_COMMAND = """
import tillpost

@tillpost.hookimpl
def register_commands(cli):
    @cli.command()
    def odd(thing: "no such type") -> None:
        "Can't be built."
"""


def with_plugin(folder: Path, source: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command where a plugin `extra` with this source is installed."""
    (folder / "extra_plugin.py").write_text(source)
    information = folder / "extra_plugin-1.2.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: extra-plugin\nVersion: 1.2\n"
    )
    (information / "entry_points.txt").write_text("[tillpost]\nextra = extra_plugin\n")
    path = os.pathsep.join(part for part in (str(folder), os.environ.get("PYTHONPATH")) if part)
    command = [sys.executable, "-c", "from tillpost.cli import main; main()", *arguments]
    return subprocess.run(
        command,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_plugin_adds_a_command_of_its_own(folder: Path) -> None:
    assert with_plugin(folder, PLUGIN, "greet", "Mia").stdout == "Hello Mia\n"


def test_a_plugin_that_cant_be_loaded_is_reported_by_name_and_stops_nothing(folder: Path) -> None:
    ended = with_plugin(folder, "import no_such_module", "adapters")
    assert ended.returncode == 0
    assert "square" in ended.stdout
    assert "Broken: the plugin extra can't be loaded: ModuleNotFoundError" in ended.stdout
    assert ended.stderr.count("\n") == 1
    assert "'extra' (extra-plugin)" in ended.stderr


@pytest.mark.parametrize("source", [RAISES, BAD_COMMAND])
def test_a_plugin_whose_commands_fail_costs_one_line_and_no_other_command(
    source: str, folder: Path
) -> None:
    ended = with_plugin(folder, source, "--version")
    assert ended.returncode == 0
    assert ended.stdout.startswith("tillpost 0.")
    assert ended.stderr.count("\n") == 1
    assert "Traceback" not in ended.stderr
