"""Adding an order wakes the engine once, on either database."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Connection

from adapters.square.shop_orders import TOASTIE, paid
from tillpost.outbox import Outbox
from tillpost.outbox.engine import Embedded


class RecordingEngine(Embedded):
    """An engine that records the orders that it is woken for."""

    def __init__(self) -> None:
        self.woken: list[str] = []

    def wake(self, db: Connection, order_id: str, at: float) -> None:
        self.woken.append(order_id)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'o.db'}"
    return str(request.getfixturevalue("postgres_url"))


def test_adding_an_order_twice_wakes_the_engine_once(url: str) -> None:
    engine = RecordingEngine()
    with Outbox(url) as outbox:
        outbox.engine = engine
        for _ in range(2):
            outbox.add(paid("A-1", [TOASTIE]), connection="cafe")

    assert engine.woken == ["A-1"]
