"""`tillpost check`, `adapters` and `schema`, and plugins that add commands or are broken."""

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


def test_ready_store_is_reported_ready(tillpost: Command, store: Store) -> None:
    assert "Ready for orders" in tillpost("check").out
    program = tillpost("check", "--json")
    assert (program.code, program.json["ok"]) == (0, True)
    assert {"what", "ok", "text", "actor", "reason"} == set(program.json["findings"][0])


def test_store_that_is_not_ready_names_who_must_act(tillpost: Command, store: Store) -> None:
    store.simulator.activate_location(False)
    people, program = tillpost("check"), tillpost("check", "--json")
    assert people.code == program.code == 1
    assert "Not ready for orders" in people.out
    assert "the store" in people.out
    assert program.json["ok"] is False


def test_menu_with_tax_on_top_of_tax_is_not_ready(tillpost: Command, store: Store) -> None:
    store.simulator.add_tax("Weekend surcharge", "10")
    assert tillpost("check").code == 0  # it doesn't check the menu
    people, program = (
        tillpost("check", "--import-menu"),
        tillpost("check", "--import-menu", "--json"),
    )
    assert people.code == program.code == 1
    assert "Not ready for orders" in people.out
    (menu,) = (finding for finding in program.json["findings"] if finding["what"] == "menu")
    assert (menu["ok"], menu["actor"]) == (False, "store")
    assert menu["text"].startswith(
        "Nothing on the menu can be ordered; faults in its setup: Weekend surcharge is added"
    )


def test_outage_names_the_operations_team(tillpost: Command, store: Store) -> None:
    store.simulator.set_outage()
    result = tillpost("check")
    assert result.code == 1
    assert "the operations team" in result.out


def test_adapters_lists_packages_and_capabilities(tillpost: Command) -> None:
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


def test_schema_is_the_models_schema(tillpost: Command) -> None:
    shown = tillpost("schema", "order").json
    assert shown.pop("$id") == "urn:tillpost:order:1"
    assert shown.pop("$schema").startswith("https://json-schema.org/")
    assert shown == Order.model_json_schema()
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
    """Run the command with a plugin `extra` that has this source."""
    (folder / "extra_plugin.py").write_text(source)
    information = folder / "extra_plugin-1.2.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: extra-plugin\nVersion: 1.2\n"
    )
    (information / "entry_points.txt").write_text("[tillpost]\nextra = extra_plugin\n")
    path = os.pathsep.join(part for part in (str(folder), os.environ.get("PYTHONPATH")) if part)
    command = [sys.executable, "-c", "from tillpost_command import main; main()", *arguments]
    return subprocess.run(
        command,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_plugin_adds_a_command(folder: Path) -> None:
    assert with_plugin(folder, PLUGIN, "greet", "Mia").stdout == "Hello Mia\n"


def test_broken_plugin_is_reported_and_stops_nothing(folder: Path) -> None:
    result = with_plugin(folder, "import no_such_module", "adapters")
    assert result.returncode == 0
    assert "square" in result.stdout
    assert "The plugin extra can't be loaded: ModuleNotFoundError" in result.stdout
    assert result.stderr.count("\n") == 1
    assert "'extra' (extra-plugin)" in result.stderr


@pytest.mark.parametrize("source", [RAISES, BAD_COMMAND])
def test_plugin_with_failing_commands_loses_only_them(source: str, folder: Path) -> None:
    result = with_plugin(folder, source, "--version")
    assert result.returncode == 0
    assert result.stdout.startswith("tillpost 0.")
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.stderr
