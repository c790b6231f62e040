"""Exit codes: each error class has its own, and the help lists all of them."""

from __future__ import annotations

import pytest

from core.cli.conftest import Command, write_config
from tillpost import PosError, Till, errors
from tillpost.cli.exit_codes import CODES, code_for

SETTINGS = {"access_token": "t", "location_id": "L1"}

KINDS = {
    "MenuError": 10,
    "OutageError": 11,
    "RateLimitError": 12,
    "RegisterOfflineError": 13,
    "PermissionsError": 14,
    "TaxError": 15,
    "StoreClosedError": 16,
    "OrderError": 17,
    "SetupError": 18,
    "UnknownPosError": 19,
    "DoubtError": 20,
    "UnsupportedError": 21,
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_error_class_has_its_own_exit_code(
    kind: str, tillpost: Command, lunch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise errors.error_named(kind)("because [bold]so[/]\x1b[31m")

    monkeypatch.setattr(Till, "submit", refuse)
    write_config(cafe=SETTINGS)
    result = tillpost("submit", lunch)
    assert (result.code, result.err) == (KINDS[kind], "")
    assert "because [bold]so[/]" in result.out  # never read as markup
    assert "\x1b" not in result.out
    program = tillpost("submit", lunch, "--json")
    assert program.code == program.json["exit_code"] == KINDS[kind]
    assert program.json["error"]["kind"] == kind


def test_every_public_error_class_has_a_code() -> None:
    public = {
        name
        for name in errors.__all__
        if isinstance(kind := getattr(errors, name), type) and issubclass(kind, PosError)
    }
    assert public - {"PosError", "KeyRetiredError"} == set(KINDS)
    assert len(set(KINDS.values())) == len(KINDS)


def test_unknown_error_class_has_the_code_of_its_base() -> None:
    class OvenError(errors.RegisterOfflineError):
        pass

    class OddError(PosError):
        pass

    assert (code_for(OvenError()), code_for(OddError())) == (13, 19)


def test_help_lists_exit_codes_and_examples(tillpost: Command) -> None:
    top = tillpost("--help")
    assert top.code == 0
    for code, meaning in CODES.items():
        assert f"{code}: {meaning[:40]}" in top.out
    for command in (
        "submit",
        "menu import",
        "menu check",
        "check",
        "demo",
        "simulate",
        "adapters",
        "schema",
    ):
        shown = tillpost(*command.split(), "--help")
        assert shown.code == 0
        assert f"Example: tillpost {command}" in shown.out


def test_no_command_prints_help_and_exits_with_wrong_usage(
    tillpost: Command,
) -> None:
    result = tillpost()
    assert result.code == 2
    assert "Usage: tillpost" in result.out


def test_version_option_prints_the_version(tillpost: Command) -> None:
    assert tillpost("--version").out.startswith("tillpost 0.")


def test_letters_that_the_terminal_lacks_are_harmless(
    tillpost: Command, lunch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise errors.MenuError("Crème brûlée\nis gone", subjects=["Crème brûlée (line 1)"])

    monkeypatch.setattr(Till, "submit", refuse)
    write_config(cafe=SETTINGS)
    assert "Crème brûlée is gone" in tillpost("submit", lunch).out
    assert tillpost("submit", lunch, "--json").out.isascii()
