"""Wrong usage and bad input: one line on standard error, and exit code 2."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from core.cli.conftest import Command, write_config
from tillpost.cli.app import build

SECRET = "canary-token-4711"
SETTINGS = {"base_url": "https://pos.invalid", "access_token": SECRET, "location_id": "L1"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("submit",), "Missing argument 'ORDER.JSON' (see tillpost submit --help)"),
        (("frobnicate",), "No such command 'frobnicate' (see tillpost --help)"),
        (("chek",), "Did you mean 'check'"),
        (("--frob",), "No such option: --frob (see tillpost --help)"),
        (("menu",), "Missing command (see tillpost menu --help)"),
        (("schema", "pasta"), "'pasta' is not one of 'order', 'menu'"),
        (("simulate", "square", "--port", "many"), "--port"),
        (("simulate", "square", "--faults", "2"), "--faults"),
        (("simulate", "square", "--port", "70000"), "--port"),
        (("simulate", "square", "--items", "-1"), "--items"),
        (
            ("simulate", "square", "--set", "currency"),
            "--set takes NAME=VALUE, such as currency=USD",
        ),
        (
            ("simulate", "square", "--set", "colour=red"),
            "the simulator of square has no setting 'colour'; it has: currency, tax_inclusive, ",
        ),
        (
            ("simulate", "square", "--set", "currency=usd"),
            "currency: must be a currency's three capital letters",
        ),
        (
            ("simulate", "generic", "--set", "tax_percentage=a lot"),
            "tax_percentage: must be a number",
        ),
        (("simulate", "kounta", "--set", "tax_rate=10%"), "tax_rate: must be a number"),
        (
            ("simulate", "square", "--set", "tax_inclusive=perhaps"),
            "tax_inclusive: must be true or false",
        ),
        (("simulate", "pasta"), "no adapter for 'pasta'; installed: "),
        (("simulate", "square", "--script", "nope.json"), "nope.json: No such file or directory"),
        (("simulate", "square", "--host", "192.0.2.1"), "can't listen at 192.0.2.1:0"),
        (("demo", "pasta"), "no adapter for 'pasta'; installed: "),
        (("check",), "tillpost.toml: No such file or directory"),
        (("check", "--config", "elsewhere.toml"), "elsewhere.toml: No such file or directory"),
    ],
)
def test_wrong_usage_is_one_line(arguments: tuple[str, ...], says: str, tillpost: Command) -> None:
    assert says in tillpost(*arguments).error_line


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "isn't JSON: "),
        (b"{", "isn't JSON: "),
        (b"\xff\xfe", "isn't JSON: "),
        (b"[" * 10_000, "isn't JSON: "),
        (b"null", "must be an object"),
        (b"{}", "isn't an order: id: is missing; code: is missing; placed_at: is missing; "),
        (b'{"id": "Mia Chen"}', "isn't an order: id: must be 1 to 40 "),
    ],
)
def test_unreadable_order_is_one_line(content: bytes, says: str, tillpost: Command) -> None:
    write_config(cafe=SETTINGS)
    Path("order.json").write_bytes(content)
    for line in (
        tillpost("submit", "order.json").error_line.removeprefix("order.json: "),
        tillpost("submit", "-", input=content).error_line.removeprefix("standard input: "),
    ):
        assert line.startswith(says)
        assert "Mia Chen" not in line


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"lines": []}, "lines: must not be empty"),
        ({"tip": 101}, "payments: they add up to 28.81 AUD, but the order's total is 28.82 AUD"),
        ({"colour": "red"}, "colour: isn't a field of it"),
        ({"placed_at": "2026-11-23T11:52:07"}, "placed_at: needs an offset"),
        ({"currency": "dollars"}, "currency: "),
    ],
)
def test_invalid_order_is_one_line_that_names_the_field(
    change: dict[str, Any], says: str, tillpost: Command, lunch: str
) -> None:
    write_config(cafe=SETTINGS)
    Path("order.json").write_text(json.dumps(json.loads(Path(lunch).read_text()) | change))
    assert f"order.json: {says}" in tillpost("submit", "order.json").error_line


def test_missing_order_file_is_one_line(tillpost: Command) -> None:
    write_config(cafe=SETTINGS)
    assert tillpost("submit", "nope.json").error_line == "nope.json: No such file or directory"
    assert "directory" in tillpost("submit", ".").error_line


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (SETTINGS | {"platform": "pasta"}, "no adapter for 'pasta'; installed: "),
        (SETTINGS | {"location": "L1"}, "square: location: isn't a field of it"),
        (SETTINGS | {"base_url": "http://pos.invalid"}, "square: base_url: must be https"),
        (
            SETTINGS | {"access_token": "env:NO_SUCH_VARIABLE"},
            "access_token is read from the environment, but NO_SUCH",
        ),
        ({"access_token": SECRET}, "square: location_id: is missing"),
    ],
)
def test_wrong_setting_is_one_line_that_names_connection(
    settings: dict[str, object], says: str, tillpost: Command, lunch: str
) -> None:
    write_config(cafe=settings)
    line = tillpost("submit", lunch).error_line
    assert line.startswith("tillpost.toml: [connections.cafe] ")
    assert line.count("tillpost.toml") == 1
    assert says in line
    assert SECRET not in line


def test_invalid_toml_is_one_line(tillpost: Command) -> None:
    Path("tillpost.toml").write_text("[connections.cafe\n")
    assert tillpost("check").error_line.startswith("tillpost.toml: not TOML: ")


def test_unknown_connection_lists_known_connections(tillpost: Command) -> None:
    write_config(cafe=SETTINGS, kiosk=SETTINGS)
    assert (
        tillpost("check", "-c", "bar").error_line
        == "no connection 'bar'; tillpost.toml has: cafe, kiosk"
    )


def test_ambiguous_connection_lists_known_connections(tillpost: Command) -> None:
    write_config(cafe=SETTINGS, kiosk=SETTINGS)
    line = tillpost("check").error_line
    assert line == "which connection? Name one with --connection; tillpost.toml has: cafe, kiosk"


def options() -> Iterator[tuple[str, str]]:
    """Yield the command and the name of each option that takes a number."""
    apps = [("", build())]
    while apps:
        path, app = apps.pop()
        for group in app.registered_groups:
            assert group.typer_instance
            apps.append((f"{path} {group.typer_instance.info.name}", group.typer_instance))
        for command in app.registered_commands:
            for hint in get_type_hints(command.callback, include_extras=True).values():
                if get_args(hint)[:1] == (float,):
                    info = get_args(hint)[1]
                    names = (info.default, *(info.param_decls or ()))
                    yield f"{path} {command.name}".strip(), names[0]


def test_options_that_take_a_number_are_found() -> None:
    assert ("outbox erase", "--days") in set(options())
    assert len(set(options())) >= 5


@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
@pytest.mark.parametrize(("command", "option"), list(options()))
def test_option_that_is_no_number_is_bad_input(
    tillpost: Command, command: str, option: str, number: str
) -> None:
    result = tillpost(*command.split(), f"{option}={number}")
    assert option in result.error_line
