"""A create that is answered with an old order is read again before it is trusted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from adapters.in_process import InProcess
from adapters.square.shop_orders import TOASTIE, free_order, paid
from tillpost import Order, PosOrder, Till
from tillpost.adapter.exchange import Response
from tillpost.models.order import PosState
from tillpost_simulators.square import SquareSimulator
from tillpost_square.status import is_replayed
from tillpost_square.wire import CreatedOrder, Money

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def replayed(created: str, date: str) -> bool:
    made = CreatedOrder(id="o1", total_money=Money(amount=1), created_at=created)
    return is_replayed(made, Response(200, {"date": date} if date else {}, b""))


@pytest.mark.parametrize(
    ("age", "old"), [(0, False), (5, False), (60, True), (86_400, True), (-60, False)]
)
def test_an_order_older_than_its_answer_was_made_before(age: int, old: bool) -> None:
    created = (NOW - timedelta(seconds=age)).isoformat().replace("+00:00", "Z")
    assert replayed(created, format_datetime(NOW, usegmt=True)) is old


@pytest.mark.parametrize(
    ("created", "date"),
    [
        ("", "x"),
        ("", "Mon, 23 Nov 2026 12:00:00 GMT"),
        ("2026-11-23T12:00:00Z", ""),
        ("2026", "nonsense"),
        ("2026-11-23T12:00:00Z", "Fri, 27 Nov 2026 00:00:00 +99999999999999999"),
    ],
)
def test_without_both_times_it_counts_as_new(created: str, date: str) -> None:
    assert replayed(created, date) is False


def test_new_process_does_not_report_rejected_order_received() -> None:
    simulator = SquareSimulator()

    def dated(at: datetime) -> Callable[..., httpx.Response]:
        def date(
            _request: httpx.Request, _number: int, carry_out: Callable[[], httpx.Response]
        ) -> httpx.Response:
            answer = carry_out()
            answer.headers["date"] = format_datetime(at, usegmt=True)
            return answer

        return date

    settings: dict[str, Any] = dict(simulator.connection_settings("http://127.0.0.1"))
    now = datetime.now(UTC)
    with httpx.Client(transport=InProcess(simulator, dated(now))) as client:
        pos_order = Till.connect("square", http_client=client, **settings).submit(
            paid("ord_1", [TOASTIE])
        )
    simulator.staff_reject(pos_order.id)
    later = now + timedelta(hours=1)
    with httpx.Client(transport=InProcess(simulator, dated(later))) as client:
        again = Till.connect("square", http_client=client, **settings).submit(
            paid("ord_1", [TOASTIE])
        )
    assert (again.id, again.state) == (pos_order.id, PosState.REJECTED)


def submit_in_new_process(simulator: SquareSimulator, order: Order) -> PosOrder:
    """Submit an order by a Till that knows nothing of an earlier one."""
    settings: dict[str, Any] = dict(simulator.connection_settings("http://127.0.0.1"))
    with httpx.Client(transport=InProcess(simulator, later_by(timedelta(hours=1)))) as client:
        return Till.connect("square", http_client=client, **settings).submit(order)


def later_by(difference: timedelta) -> Callable[..., httpx.Response]:
    """Return a twist that dates each answer later than it is, so that a replay is recognised."""

    def date(
        _request: httpx.Request, _number: int, carry_out: Callable[[], httpx.Response]
    ) -> httpx.Response:
        answer = carry_out()
        answer.headers["date"] = format_datetime(datetime.now(UTC) + difference, usegmt=True)
        return answer

    return date


def placed_ago(order: Order, age: timedelta) -> Order:
    return order.model_copy(update={"placed_at": datetime.now(UTC).replace(microsecond=0) - age})


def test_old_order_is_found_after_square_has_forgotten_its_key() -> None:
    simulator = SquareSimulator()
    order = placed_ago(paid("ord_1", [TOASTIE]), timedelta(hours=25))
    first = submit_in_new_process(simulator, order)
    simulator.world.replays.clear()
    assert submit_in_new_process(simulator, order).id == first.id
    assert len(simulator.world.orders) == 1


@pytest.mark.parametrize("age", [timedelta(0), timedelta(hours=25)])
def test_free_order_that_staff_cancelled_is_not_made_again(age: timedelta) -> None:
    simulator = SquareSimulator()
    order = placed_ago(free_order("ord_1"), age)
    first = submit_in_new_process(simulator, order)
    simulator.world.orders[first.id].order.state = "CANCELED"
    again = submit_in_new_process(simulator, order)
    assert (again.id, again.state) == (first.id, PosState.CANCELLED)
    assert len(simulator.world.orders) == 1
