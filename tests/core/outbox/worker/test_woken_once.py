"""An order that comes in wakes the engine, once, on either database; the same order added again doesn't."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Connection

from adapters.square.shop_orders import TOASTIE, paid
from tillpost.outbox import Outbox
from tillpost.outbox.engine import Embedded


class Listening(Embedded):
    """An engine that keeps whom it was to wake for."""

    def __init__(self) -> None:
        self.woken: list[str] = []

    def wake(self, db: Connection, order_id: str, at: float) -> None:
        self.woken.append(order_id)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_an_order_that_comes_in_wakes_the_engine_once(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = (
        f"sqlite:///{tmp_path / 'o.db'}"
        if kind == "sqlite"
        else str(request.getfixturevalue("postgres_url"))
    )
    engine = Listening()
    with Outbox(url) as outbox:
        outbox.engine = engine
        for _ in range(2):
            outbox.add(paid("A-1", [TOASTIE]), connection="cafe")

    assert engine.woken == ["A-1"]
