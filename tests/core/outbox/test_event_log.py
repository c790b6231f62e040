"""The log holds one line an event, without personal data; hooks report parked orders."""

from __future__ import annotations

import json
import logging

import pytest

from core.outbox.corner_shop import QUICK, connected, lunch, work_off
from tillpost import Order, PermissionsError, PosError, hookimpl
from tillpost.outbox import Outbox
from tillpost.simulator import Fault, FaultKind, FaultPlan, FaultRule, Running
from tillpost_simulators.square import SquareSimulator

Shop = Running[SquareSimulator]


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if hasattr(record, "outbox_event")]


@pytest.fixture(autouse=True)
def at_info(caplog: pytest.LogCaptureFixture) -> None:
    """Record the log at the level INFO."""
    caplog.set_level(logging.INFO, "tillpost.outbox")


def test_submitted_order_logs_one_line(
    shop: Shop, shop_outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    shop_outbox.add(lunch(), connection="cafe")
    work_off(shop_outbox, {"cafe": connected(shop)})
    (line,) = lines(caplog)
    stored = shop_outbox.get("ord-1")
    assert stored
    assert stored.pos_order
    pos_id = stored.pos_order.id
    assert line == f"order_processed id=ord-1 connection=cafe state=received pos_order={pos_id}"


def test_outage_logs_one_begin_and_one_end(
    shop: Shop, shop_outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    down = Fault(kind=FaultKind.SERVER_ERROR, status=503)
    creates = FaultRule(
        fault=down, method="POST", path="^/v2/orders$", times=QUICK.outage_after + 1
    )
    shop.simulator.set_faults(FaultPlan(rules=(creates,)))
    for number in range(4):
        shop_outbox.add(lunch(f"ord-{number}"), connection="the corner cafe")
    work_off(shop_outbox, {"the corner cafe": connected(shop)})
    logged = lines(caplog)
    assert logged.count('outage_began connection="the corner cafe"') == 1
    assert logged.count('outage_ended connection="the corner cafe"') == 1
    assert any(
        "state=due waits_for=retry due_in=" in line and "error=OutageError" in line
        for line in logged
    )


def test_log_holds_no_customer_data(
    shop: Shop, shop_outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    order = lunch()
    shop.simulator.remove_variation("5312")
    shop_outbox.add(order, connection="cafe")
    work_off(shop_outbox, {"cafe": connected(shop)})
    logged = "\n".join(lines(caplog)) + json.dumps(
        [getattr(record, "outbox_event", None) for record in caplog.records]
    )
    assert "error=MenuError" in logged
    assert "menu_imported connection=cafe" in logged
    customer = order.customer
    assert customer
    for secret in (customer.name, order.code, "toastie"):
        assert secret not in logged


class RecordingPlugin:
    """A plugin that records parked orders and restored connections."""

    def __init__(self) -> None:
        self.parked: list[tuple[str, str, PosError]] = []
        self.restored: list[str] = []

    @hookimpl
    def order_parked(self, connection: str, order: Order, error: PosError) -> None:
        self.parked.append((connection, order.id, error))

    @hookimpl
    def connection_restored(self, connection: str) -> None:
        self.restored.append(connection)


def test_paused_connection_reports_parked_then_restored(
    shop: Shop, shop_outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    plugin = RecordingPlugin()
    shop_outbox.add(lunch(), connection="cafe")
    work_off(shop_outbox, {"cafe": connected(shop, access_token="revoked-long-ago")}, plugin)
    ((connection, order_id, error),) = plugin.parked
    assert (connection, order_id, type(error)) == ("cafe", "ord-1", PermissionsError)
    assert lines(caplog)[0] == "reauthorisation_needed connection=cafe"
    work_off(shop_outbox, {"cafe": connected(shop)}, plugin)
    assert plugin.restored == ["cafe"]
    assert "connection_restored connection=cafe" in lines(caplog)
    assert len(shop.simulator.ledger().shown) == 1


def test_order_set_aside_after_crashes_is_parked(shop: Shop, shop_outbox: Outbox) -> None:
    plugin = RecordingPlugin()
    shop_outbox.add(lunch(), connection="cafe")
    for _ in range(5):
        worker = shop_outbox.workers.enlist(0.0)
        (claim,) = shop_outbox.claims.claim(
            "cafe", worker, 9e9, limit=1, most=1, isolated=shop_outbox.claims.is_isolated_due(9e9)
        )
        assert claim.order.id == "ord-1"
        assert shop_outbox.workers.reap(worker, 0, 0.0) == 1
    work_off(shop_outbox, {"cafe": connected(shop)}, plugin)
    ((_, order_id, error),) = plugin.parked
    assert order_id == "ord-1"
    assert "5 workers in a row died" in error.detail
