"""A test order: the cheapest thing that can be ordered, marked TEST, followed to the register and withdrawn."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from typer.testing import CliRunner

from strategies import menus
from tillpost import MenuError, OutageError, PermissionsError, PosOrder, Till
from tillpost.cli.app import build
from tillpost.menus.lint import setup_faults
from tillpost.menus.validation import check_order
from tillpost.models.menu import Item, Menu, Tax, Variation
from tillpost.models.order import PosState
from tillpost.simulator import Running, serve_in_thread
from tillpost.support.test_order import run_trial, trial_order
from tillpost_simulators.square import SquareSimulator

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@given(menu=menus())
def test_on_any_menu_without_a_fault_it_fits_the_menu_that_it_was_made_of(menu: Menu) -> None:
    assert setup_faults(menu) == ()
    try:
        order = trial_order(menu, now=NOW, order_id="TEST-1")
    except MenuError:
        return
    assert check_order(order, menu, "refuse") == ()
    assert (order.code, order.customer and order.customer.name) == ("TEST", "TEST ORDER")
    assert "TEST" in order.note


def menu_of(*variations: Variation, included: bool = True) -> Menu:
    tax = Tax(id="t", name="GST", rate=Decimal("0.1"), included=included)
    items = tuple(
        Item(id=f"i-{v.id}", name=v.id, variations=(v,), tax_ids=("t",)) for v in variations
    )
    return Menu(site="s", currency="AUD", imported_at=NOW, items=items, taxes=(tax,))


def test_it_is_the_cheapest_thing_that_isnt_sold_out_and_has_a_price() -> None:
    cheap, dear = Variation(id="tea", price=400), Variation(id="cake", price=900)
    gone, keyed_in = Variation(id="bun", price=100, sold_out=True), Variation(id="open", price=None)
    order = trial_order(menu_of(dear, cheap, gone, keyed_in), now=NOW, order_id="TEST-1")
    assert [line.item_id for line in order.lines] == ["tea"]
    assert order.total == 400


def test_tax_that_prices_leave_out_is_added() -> None:
    order = trial_order(
        menu_of(Variation(id="tea", price=405), included=False), now=NOW, order_id="TEST-1"
    )
    assert (order.tax, order.total) == (40, 445)


def test_a_menu_with_nothing_to_order_is_a_menu_error() -> None:
    with pytest.raises(MenuError):
        trial_order(
            menu_of(Variation(id="bun", price=1, sold_out=True)), now=NOW, order_id="TEST-1"
        )


@pytest.fixture
def running() -> Iterator[Running[SquareSimulator]]:
    with serve_in_thread(SquareSimulator()) as running:
        yield running


def test_it_reaches_the_register_when_staff_accept_it_and_is_withdrawn(
    running: Running[SquareSimulator],
) -> None:
    def accept(_: float) -> None:
        running.simulator.staff_accept(running.simulator.ledger().shown[-1].order_id)

    told: list[str] = []
    with Till.connect("square", **running.settings) as till:
        report = run_trial(till, seconds=5, every=1, sleep=accept, say=told.append)
    assert (report.reached, report.withdrawn) == ("register", True)
    assert report.pos_order.state is PosState.ACCEPTED
    assert len(told) == 4


def test_without_a_sign_of_the_register_it_has_reached_the_platform(
    running: Running[SquareSimulator],
) -> None:
    with Till.connect("square", **running.settings) as till:
        report = run_trial(till, seconds=0.02, every=0.01)
    assert (report.reached, report.withdrawn) == ("platform", True)
    assert "TEST is on the register" in report.text


def test_a_store_that_refuses_it_raises_the_refusal(running: Running[SquareSimulator]) -> None:
    running.simulator.drop_scope("ORDERS_WRITE")
    with Till.connect("square", **running.settings) as till, pytest.raises(PermissionsError):
        run_trial(till, seconds=0)


class Unlucky(Till):
    """A Till whose looks and cancellations fail as told."""

    looks: list[Exception]

    def fetch(self, pos_order: PosOrder | str) -> PosOrder:
        if self.looks:
            raise self.looks.pop(0)
        return super().fetch(pos_order)

    def cancel(self, pos_order: PosOrder) -> PosOrder:
        raise OutageError("down")


def test_a_look_that_fails_in_passing_doesnt_end_it_and_what_cant_be_withdrawn_is_told(
    running: Running[SquareSimulator],
) -> None:
    with Unlucky.connect("square", **running.settings) as till:
        till.looks = [OutageError("down")]
        report = run_trial(till, seconds=0.05, every=0.01)
        assert not report.withdrawn
        assert "void TEST at the register" in report.text
        till.looks = [PermissionsError("revoked")]
        with pytest.raises(PermissionsError):
            run_trial(till, seconds=0.05, every=0.01)


def test_the_command_tells_which_hop_it_reached(
    running: Running[SquareSimulator], tmp_path_factory: pytest.TempPathFactory
) -> None:
    config = tmp_path_factory.mktemp("config") / "tillpost.toml"
    lines = [f'{name} = "{value}"' for name, value in running.settings.items()]
    config.write_text("\n".join(["[connections.cafe]", 'platform = "square"', *lines]))
    command = ["test-order", "--config", str(config), "--seconds", "0"]
    shown = CliRunner().invoke(build(), command)
    assert (shown.exit_code, "2: the platform has it" in shown.stdout) == (0, True)
    facts = json.loads(CliRunner().invoke(build(), [*command, "--json"]).stdout)
    assert (facts["ok"], facts["reached"], facts["withdrawn"]) == (True, "platform", True)
