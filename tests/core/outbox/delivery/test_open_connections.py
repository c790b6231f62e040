"""A worker opens a connection with its own clock, unless the connection has one."""

from __future__ import annotations

import time
from typing import Any

import pytest

from core.outbox.asking import Asking
from core.outbox.hooked import Generic, stored
from core.toy_server import ToyServer
from tillpost.outbox import OrderState, Outbox, OutboxConnection, OutboxSettings
from tillpost.outbox.delivery.open_connections import OpenConnections


def workers_clock() -> float:
    return 1.0


def own_clock() -> float:
    return 2.0


@pytest.mark.parametrize(("given", "shown"), [({}, 1.0), ({"clock": own_clock}, 2.0)])
def test_connection_without_a_clock_has_the_workers(given: dict[str, Any], shown: float) -> None:
    with ToyServer() as server:
        adapter = server.adapter()
        connections = OpenConnections(
            Asking(lambda _: OutboxConnection(adapter, **given)),
            OutboxSettings(),
            workers_clock,
        )
        assert connections["cafe"].connection.clock() == shown
        connections.close()


def test_platform_that_checks_times_trusts_a_wrong_machine(
    generic: Generic, prepared_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It refuses signatures and webhooks that differ by more than 5 minutes."""
    true_time = time.time
    with Outbox(prepared_postgres_url) as outbox:
        with monkeypatch.context() as wrong:
            wrong.setattr(time, "time", lambda: true_time() + 1200)
            pos_id = generic.bring(outbox)
        generic.simulator.staff_accept("ord-1")
        webhook = generic.notification(pos_id)
        with monkeypatch.context() as wrong:
            wrong.setattr(time, "time", lambda: true_time() - 1200)
            generic.receiver(outbox).receive("cafe", *webhook)

        assert stored(outbox).state is OrderState.ACCEPTED
