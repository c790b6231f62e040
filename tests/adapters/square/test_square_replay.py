"""A create that is answered with an old order is read again before it is trusted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from adapters.in_process import InProcess
from adapters.square.shop_orders import TOASTIE, paid
from tillpost import Till
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
    ("created", "date"), [("", "x"), ("2026-11-23T12:00:00Z", ""), ("2026", "nonsense")]
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
        there = Till.connect("square", http_client=client, **settings).submit(
            paid("ord_1", [TOASTIE])
        )
    simulator.staff_reject(there.id)
    later = now + timedelta(hours=1)
    with httpx.Client(transport=InProcess(simulator, dated(later))) as client:
        again = Till.connect("square", http_client=client, **settings).submit(
            paid("ord_1", [TOASTIE])
        )
    assert (again.id, again.state) == (there.id, PosState.REJECTED)
