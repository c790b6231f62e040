from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

import pytest

from adapters.menu_shops import PLATFORMS, shop_of
from tillpost.cli import simulators
from tillpost.cli.exit_codes import CliError
from tillpost.cli.simulators import make_simulator
from tillpost.plugins.manager import adapter_named
from tillpost.simulator import FaultPlan, Simulator
from tillpost_simulators.square import SquareSimulator


@pytest.mark.parametrize("platform", PLATFORMS)
def test_items_are_on_the_menu_beside_the_usual_ones(platform: str) -> None:
    usual = shop_of(platform, simulator=make_simulator(adapter_named(platform))).menu
    larger = shop_of(platform, simulator=make_simulator(adapter_named(platform), items=3)).menu
    added = {item.name for item in larger.items} - {item.name for item in usual.items}
    assert {name for name in added if name.startswith("Dish")} == {
        "Dish no. 1",
        "Dish no. 2",
        "Dish no. 3",
    }


def test_simulator_without_a_size_refuses_items(monkeypatch: pytest.MonkeyPatch) -> None:
    def make(faults: FaultPlan | None = None) -> Simulator:
        return SquareSimulator(faults=faults)

    def only_this(_: str) -> Mapping[str, Callable[..., object]]:
        return {"square": make}

    monkeypatch.setattr(simulators, "factories", only_this)
    assert isinstance(make_simulator(adapter_named("square")), SquareSimulator)
    with pytest.raises(CliError, match="leave --items"):
        make_simulator(adapter_named("square"), items=3)
    with pytest.raises(CliError, match="leave --set"):
        make_simulator(adapter_named("square"), settings={"currency": "USD"})


TAXES = {
    "generic": {"tax_percentage": "8.875", "tax_inclusive": "false"},
    "kounta": {"tax_rate": "0.08875"},
    "square": {"tax_percentage": "8.875", "tax_inclusive": "false"},
}


@pytest.mark.parametrize("platform", PLATFORMS)
def test_simulator_has_the_currency_and_the_taxes_that_are_set(platform: str) -> None:
    settings = {"currency": "USD", **TAXES[platform]}
    simulator = make_simulator(adapter_named(platform), settings=settings)
    menu = shop_of(platform, simulator=simulator).menu
    assert menu.currency == "USD"
    assert Decimal("0.08875") in {tax.rate for tax in menu.taxes}
    if platform != "kounta":
        assert not any(tax.included for tax in menu.taxes)
