"""Test orders: the cheapest line, marked TEST, followed to the register and withdrawn."""

from __future__ import annotations

import json
import time
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
from tillpost.support.test_order import build_test_order, run_test_order
from tillpost_simulators.square import SquareSimulator

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@given(menu=menus())
def test_order_fits_any_menu_without_faults(menu: Menu) -> None:
    assert setup_faults(menu) == ()
    try:
        order = build_test_order(menu, now=NOW, order_id="TEST-1")
    except MenuError:
        return
    assert check_order(order, menu, "refuse") == ()
    assert (order.code, order.customer and order.customer.name) == ("TEST", "TEST ORDER")
    assert "TEST" in order.note


def menu_of(*variations: Variation, included: bool = True) -> Menu:
    """Build a menu with one item for each variation, under a tax of 10 %."""
    tax = Tax(id="t", name="GST", rate=Decimal("0.1"), included=included)
    items = tuple(
        Item(id=f"i-{v.id}", name=v.id, variations=(v,), tax_ids=("t",)) for v in variations
    )
    return Menu(site="s", currency="AUD", imported_at=NOW, items=items, taxes=(tax,))


def test_order_has_the_cheapest_line_that_can_be_ordered() -> None:
    menu = menu_of(
        Variation(id="cake", price=900),
        Variation(id="tea", price=400),
        Variation(id="bun", price=100, sold_out=True),
        Variation(id="open price", price=None),
    )
    order = build_test_order(menu, now=NOW, order_id="TEST-1")
    assert [line.item_id for line in order.lines] == ["tea"]
    assert order.total == 400


def test_tax_not_included_in_prices_is_added() -> None:
    menu = menu_of(Variation(id="tea", price=405), included=False)
    order = build_test_order(menu, now=NOW, order_id="TEST-1")
    assert (order.tax, order.total) == (40, 445)


def test_menu_with_nothing_to_order_raises_menu_error() -> None:
    menu = menu_of(Variation(id="bun", price=1, sold_out=True))
    with pytest.raises(MenuError):
        build_test_order(menu, now=NOW, order_id="TEST-1")


class Clock:
    """A clock that moves only with `sleep`, so that no test depends on the machine."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def running() -> Iterator[Running[SquareSimulator]]:
    with serve_in_thread(SquareSimulator()) as running:
        yield running


def test_accepted_order_reaches_the_register_and_is_withdrawn(
    running: Running[SquareSimulator],
) -> None:
    def accept(_: float) -> None:
        latest = running.simulator.ledger().shown[-1]
        running.simulator.staff_accept(latest.order_id)

    progress: list[str] = []
    with Till.connect("square", **running.settings) as till:
        report = run_test_order(till, clock=Clock(), sleep=accept, say=progress.append)
    assert (report.reached, report.withdrawn) == ("register", True)
    assert report.pos_order.state is PosState.ACCEPTED
    assert len(progress) == 4


def test_unconfirmed_order_reaches_the_platform(
    running: Running[SquareSimulator],
) -> None:
    clock = Clock()
    with Till.connect("square", **running.settings) as till:
        report = run_test_order(till, clock=clock, sleep=clock.sleep)
    assert (report.reached, report.withdrawn) == ("platform", True)
    assert "TEST is on the register" in report.text


def test_refusal_is_raised(running: Running[SquareSimulator]) -> None:
    running.simulator.drop_scope("ORDERS_WRITE")
    with Till.connect("square", **running.settings) as till, pytest.raises(PermissionsError):
        run_test_order(till, seconds=0)


class FailingTill(Till):
    """A Till whose cancellations fail, and whose fetches fail with the errors in `failures`."""

    failures: list[Exception]

    def fetch(self, pos_order: PosOrder | str) -> PosOrder:
        if self.failures:
            raise self.failures.pop(0)
        return super().fetch(pos_order)

    def cancel(self, pos_order: PosOrder) -> PosOrder:
        raise OutageError("down")


@pytest.fixture
def failing_till(running: Running[SquareSimulator]) -> Iterator[FailingTill]:
    with FailingTill.connect("square", **running.settings) as till:
        yield till


def test_failed_cancellation_asks_staff_to_void_the_order(failing_till: FailingTill) -> None:
    clock = Clock()
    failing_till.failures = [OutageError("down")]
    report = run_test_order(failing_till, clock=clock, sleep=clock.sleep)
    assert not report.withdrawn
    assert "Void TEST at the register" in report.text


def test_permanent_error_while_waiting_is_raised(failing_till: FailingTill) -> None:
    clock = Clock()
    failing_till.failures = [PermissionsError("revoked")]
    with pytest.raises(PermissionsError):
        run_test_order(failing_till, clock=clock, sleep=clock.sleep)


def test_command_prints_the_hop_reached(
    running: Running[SquareSimulator], tmp_path_factory: pytest.TempPathFactory
) -> None:
    config = tmp_path_factory.mktemp("config") / "tillpost.toml"
    lines = [f'{name} = "{value}"' for name, value in running.settings.items()]
    config.write_text("\n".join(["[connections.cafe]", 'platform = "square"', *lines]))
    command = ["test-order", "--config", str(config), "--seconds", "0"]
    shown = CliRunner().invoke(build(), command)
    assert shown.exit_code == 0
    assert "2: received by the platform" in shown.stdout
    facts = json.loads(CliRunner().invoke(build(), [*command, "--json"]).stdout)
    assert (facts["ok"], facts["reached"], facts["withdrawn"]) == (True, "platform", True)
