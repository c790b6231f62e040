"""`tillpost demo`: every order goes as expected, and the exit code says whether it did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

import tillpost_simulators.generic.demo
import tillpost_simulators.kounta.demo
import tillpost_simulators.square.demo
from core.cli.conftest import Command
from tillpost import MenuError, Outcome, PosError, RegisterOfflineError
from tillpost.demo.run import hop_of
from tillpost.demo.scenarios import Scenario
from tillpost_simulators.square import SquareSimulator

scenarios = tillpost_simulators.square.demo.scenarios

ERRORS: Mapping[str, Sequence[str]] = {
    "square": ("MenuError", "MenuError", "TaxError", "PermissionsError"),
    "kounta": (
        "MenuError",
        "TaxError",
        "RegisterOfflineError",
        "StoreClosedError",
        "PermissionsError",
    ),
    "generic": (*["MenuError"] * 3, "StoreClosedError", "RegisterOfflineError", "PermissionsError"),
}
SHOWN = {"square": 6, "kounta": 6, "generic": 3}
"""The number of orders on the register at the end."""


def test_demo_shows_every_platform(tillpost: Command) -> None:
    ended = tillpost("demo")
    assert (ended.code, ended.err) == (0, "")
    tables = (
        scenarios,
        tillpost_simulators.kounta.demo.scenarios,
        tillpost_simulators.generic.demo.scenarios,
    )
    orders = sum(len(table()) for table in tables)
    for platform in ("Square", "Kounta", "Generic POS"):
        assert f"{platform} simulator at http://127.0.0.1:" in ended.out
    for part in ("Provoked", "What happened", "Which hop", "Who must act"):
        assert ended.out.count(part) == orders
    assert ended.out.count("(as expected)") == orders
    assert ended.out.count("twice: none; half done: none") == len(ERRORS)


@pytest.mark.parametrize("platform", ERRORS)
def test_demo_json_has_orders_and_ledger(tillpost: Command, platform: str) -> None:
    facts = tillpost("demo", platform, "--json").json
    (report,) = facts["demos"]
    assert facts["ok"] is report["ok"] is True
    assert report["ledger"]["twice"] == report["ledger"]["half_done"] == []
    orders: list[dict[str, Any]] = report["orders"]
    assert tuple(order["error"] for order in orders if order["error"]) == ERRORS[platform]
    assert all(bool(order["remedy"]) == bool(order["error"]) for order in orders)
    assert report["ledger"]["shown"] == SHOWN[platform]


def test_demo_says_who_must_act_without_an_error(tillpost: Command) -> None:
    orders: list[dict[str, Any]] = tillpost("demo", "kounta", "--json").json["demos"][0]["orders"]
    acting = {
        order["name"]: order["acts"]
        for order in orders
        if not order["error"] and order["acts"] != "nobody"
    }
    assert list(acting) == ["Staff reject the order", "A device that has stopped syncing"]
    assert {order["name"]: order["hop"]["number"] for order in orders}[
        "A device that has stopped syncing"
    ] == 3


def test_unexpected_result_fails_the_demo(
    tillpost: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    healthy = scenarios()[0]
    wrong = (healthy, replace(healthy, name="Wrongly expected", error=MenuError))

    def table() -> Sequence[Scenario[SquareSimulator]]:
        return wrong

    monkeypatch.setattr(tillpost_simulators.square.demo, "scenarios", table)
    ended = tillpost("demo", "square")
    assert ended.code == 1
    assert "Wrongly expected (NOT AS EXPECTED)" in ended.out
    assert "Something went WRONG" in ended.out


def test_half_done_order_fails_the_demo(tillpost: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    class Leaking(SquareSimulator):
        def ledger(self) -> Any:
            found = super().ledger()
            entries = tuple(entry.model_copy(update={"settled": False}) for entry in found.entries)
            return found.model_copy(update={"entries": entries})

    def table() -> Sequence[Scenario[SquareSimulator]]:
        return scenarios()[:1]

    monkeypatch.setattr("tillpost_simulators.square.SquareSimulator", Leaking)
    monkeypatch.setattr(tillpost_simulators.square.demo, "scenarios", table)
    ended = tillpost("demo", "square")
    assert ended.code == 1
    assert "half done: demo-1" in ended.out


def test_hop_matches_the_runbook() -> None:
    assert hop_of(None, shown=True).number is None
    assert hop_of(None, shown=False).number == 3
    assert hop_of(RegisterOfflineError(), shown=False).number == 3
    assert hop_of(MenuError(), shown=False).number == 2
    unsent, unsure = MenuError(), PosError()
    unsent.operation, unsure.outcome = "precheck", Outcome.UNKNOWN
    texts = {hop_of(error, shown=False).text for error in (unsent, unsure, PosError())}
    assert len(texts) == 3
