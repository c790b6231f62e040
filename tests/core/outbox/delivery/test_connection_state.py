"""What runs show of their connection: outages, retry-after, refused access, a closed store."""

from __future__ import annotations

import json
import socket
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.outbox.stores import Clock, Heard, Opening, processing, work_off
from core.toy import TOKEN, KeylessToy, Toy, ToySettings, toy_order
from core.toy_server import ToyServer, answer, refuse
from tillpost import Order, Policy
from tillpost.errors import ErrorRecord, Transcript
from tillpost.models.order import Pickup
from tillpost.models.outage import Whose
from tillpost.outbox import (
    FromFile,
    OrderState,
    Outbox,
    OutboxConnection,
    OutboxSettings,
    Processor,
    WaitsFor,
)
from tillpost.outbox.db import schema as t
from tillpost.outbox.worker.maintenance import Maintenance
from tillpost.outbox.worker.processor import FAILURE_RETRY
from tillpost.outbox.worker.store_monitor import StoreMonitor
from tillpost.simulator import serve_in_thread
from tillpost_simulators.square import SquareSimulator
from waiting import eventually


def add(outbox: Outbox, count: int, *, first: int = 0, connection: str = "cafe") -> None:
    for number in range(first, first + count):
        outbox.add(toy_order(f"{connection}-{number}"), connection=connection)


def states(outbox: Outbox) -> dict[str, tuple[OrderState, WaitsFor]]:
    return {stored.id: (stored.state, stored.waits_for) for stored in outbox.orders()}


RECEIVED = (OrderState.RECEIVED, WaitsFor.NOTHING)


# ---------------------------------------------------------------------- retries


def test_retry_waits_double_from_a_second_to_a_minute() -> None:
    policy = OutboxSettings().policy_of(Policy())
    for retry, longest in enumerate((1, 2, 4, 8, 16, 32, 60, 60, 60), start=1):
        waits = [policy.wait_before(retry, f"ord-{number}") for number in range(200)]
        assert longest / 2 <= min(waits) <= longest * 0.55, "jitter begins at half the wait"
        assert longest * 0.95 <= max(waits) <= longest


def test_order_is_due_again_at_its_retry(outbox: Outbox, server: ToyServer) -> None:
    clock = Clock()
    server.on("POST /orders", *[answer(503)] * 3)
    add(outbox, 1)
    with processing(outbox, server, clock=clock) as processor:
        for longest in (1, 2, 4):
            assert work_off(processor) == ["cafe-0"]
            assert work_off(processor) == []
            stored = outbox.get("cafe-0")
            assert stored
            assert stored.due_at is not None
            assert longest / 2 - 0.2 <= stored.due_at - clock() <= longest
            clock.ahead += longest
        assert work_off(processor) == ["cafe-0"]
    assert states(outbox) == {"cafe-0": RECEIVED}
    assert len(server.made("cafe-0")) == 1


def test_order_is_due_again_after_an_unexpected_exception(
    outbox: Outbox, server: ToyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Transcript:
        raise ZeroDivisionError

    monkeypatch.setattr("tillpost.outbox.delivery.runner.transcript", broken)
    add(outbox, 1)
    with processing(outbox, server) as processor:
        work_off(processor)
    stored = outbox.get("cafe-0")
    assert stored
    assert stored.due_at is not None
    assert (stored.state, stored.crash_count) == (OrderState.DUE, 1)
    assert stored.due_at == pytest.approx(time.time() + FAILURE_RETRY, abs=5)


# ---------------------------------------------------------------------- outages


def test_outage_and_its_end_are_announced_once_over_all_workers(
    open_outbox: Opening, server: ToyServer
) -> None:
    outboxes = [open_outbox(outage_after=3) for _ in range(2)]
    hooks = [Heard(), Heard()]
    clock = Clock()
    server.on("POST /orders", *[answer(503, {}, x_request_id=f"r-{n}") for n in range(9)])
    add(outboxes[0], 6)
    with (
        processing(outboxes[0], server, clock=clock, heard=hooks[0]) as one,
        processing(outboxes[1], server, clock=clock, heard=hooks[1]) as other,
    ):
        for _ in range(40):
            for processor in (one, other):
                for claim in processor.claim(1):
                    processor.handle(claim)
            clock.ahead += 5
    assert set(states(outboxes[0]).values()) == {RECEIVED}
    assert all(len(server.made(f"cafe-{n}")) == 1 for n in range(6))
    (began,) = hooks[0].named("outage_began") + hooks[1].named("outage_began")
    (ended,) = hooks[0].named("outage_ended") + hooks[1].named("outage_ended")
    assert began["outage"].whose is Whose.PLATFORM
    assert [sample.status_code for sample in began["outage"].evidence] == [503] * 3
    assert began["outage"].ended_at is None
    assert ended["outage"].began_at == began["outage"].began_at < ended["outage"].ended_at
    assert len(ended["outage"].evidence) == 9


def test_unreachable_platforms_blame_our_own_network(
    open_outbox: Opening,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        unused_address = f"http://127.0.0.1:{taken.getsockname()[1]}"
    settings = ToySettings.model_validate({"base_url": unused_address, "access_token": TOKEN})
    outbox, hooks, clock = open_outbox(outage_after=2, concurrency=1), Heard(), Clock()
    add(outbox, 2)
    add(outbox, 2, connection="bar")
    with ToyServer() as server:
        known = {
            "cafe": OutboxConnection(Toy(settings)),
            "bar": OutboxConnection(KeylessToy(settings)),
        }
        with processing(outbox, server, heard=hooks, clock=clock, **known) as processor:
            for _ in range(4):
                work_off(processor)
                clock.ahead += 2
    whose = [facts["outage"].whose for facts in hooks.named("outage_began")]
    assert whose[0] in (Whose.UNKNOWN, Whose.OURS)
    assert whose[1] is Whose.OURS
    assert set(states(outbox).values()) == {(OrderState.DUE, WaitsFor.RETRY)}


def test_answer_before_the_failure_blames_no_platform(
    open_outbox: Opening,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        unused_address = f"http://127.0.0.1:{taken.getsockname()[1]}"
    settings = ToySettings.model_validate({"base_url": unused_address, "access_token": TOKEN})
    outbox, hooks, clock = open_outbox(outage_after=2), Heard(), Clock()
    add(outbox, 1)
    with ToyServer() as server, processing(outbox, server, heard=hooks, clock=clock) as processor:
        work_off(processor)  # the cafe answers before the network fails
    add(outbox, 2, connection="bar")
    with (
        ToyServer() as server,
        processing(
            outbox, server, heard=hooks, clock=clock, bar=OutboxConnection(KeylessToy(settings))
        ) as processor,
    ):
        for _ in range(2):
            work_off(processor)
            clock.ahead += 2
    assert [facts["outage"].whose for facts in hooks.named("outage_began")] == [Whose.UNKNOWN]


def test_orders_delayed_too_long_by_an_outage_end_in_error(
    open_outbox: Opening, server: ToyServer
) -> None:
    outbox, clock, hooks = open_outbox(outage_after=2, give_up_after=600), Clock(), Heard()
    server.always("POST /orders", answer(503))
    server.always("GET /orders", answer(503))
    add(outbox, 4)
    with processing(outbox, server, clock=clock, heard=hooks) as processor:
        for _ in range(60):
            work_off(processor)
            clock.ahead += 20
    assert {state for state, _ in states(outbox).values()} == {OrderState.ERROR}
    assert len(hooks.named("order_failed")) == 4
    assert all(stored.remedy for stored in outbox.orders())


def test_retry_after_holds_all_orders_of_the_connection(outbox: Outbox, server: ToyServer) -> None:
    clock = Clock()
    server.on("POST /orders", answer(429, retry_after="30"))
    add(outbox, 3)
    with processing(outbox, server, clock=clock) as processor:
        assert work_off(processor, most=1) == ["cafe-0"]
        clock.ahead += 25
        assert work_off(processor) == []
        clock.ahead += 10
        assert sorted(work_off(processor)) == ["cafe-0", "cafe-1", "cafe-2"]
    assert set(states(outbox).values()) == {RECEIVED}


# ---------------------------------------------------------------------- permissions


def coffee(name: str) -> Order:
    """An order that fits the Square simulator's menu."""
    return toy_order(name, item="7302", sku="FW-R", name="Flat white, regular", price=550)


def test_refused_access_pauses_until_new_credentials(outbox: Outbox, tmp_path: Path) -> None:
    file, hooks = tmp_path / "tillpost.toml", Heard()
    for number in range(5):
        outbox.add(coffee(f"cafe-{number}"), connection="cafe")
    with serve_in_thread(SquareSimulator()) as square:

        def write(token: str) -> None:
            table = {**square.settings, "access_token": token}
            lines = (
                "[connections.cafe]",
                'platform = "square"',
                *(f"{k} = {json.dumps(v)}" for k, v in table.items()),
            )
            file.write_text("\n".join(lines))

        write("a-token-that-was-revoked")
        with Processor(outbox, connections=FromFile(file), hooks=(hooks,)) as processor:
            for claim in reversed(processor.claim(3)):
                processor.handle(claim)
            assert work_off(processor) == []
            Maintenance(processor).tend()
            assert work_off(processor) == [], "the credentials are still those that were refused"
            assert Maintenance(processor).idle(), "a person has to act"

            write(square.settings["access_token"])
            Maintenance(processor).tend()
            assert work_off(processor) == [f"cafe-{n}" for n in range(5)]
        assert len(square.simulator.ledger().entries) == 5
    assert set(states(outbox).values()) == {RECEIVED}
    (asked,) = hooks.named("reauthorisation_needed")
    assert asked["connection"] == "cafe"
    assert hooks.named("connection_restored") == [{"connection": "cafe"}]


def test_resume_returns_whether_the_connection_was_paused(outbox: Outbox) -> None:
    assert not outbox.resume("cafe")
    add(outbox, 1)
    with outbox.database.writing() as db:
        outbox.connection_rows.lock(db, "cafe")
        outbox.connection_rows.update(db, "cafe", {"paused": "authorisation", "paused_at": 1.0})
    assert outbox.resume("cafe")
    assert not outbox.resume("cafe")


# ---------------------------------------------------------------------- a closed store


def scheduled(ahead: float) -> Order:
    due = datetime.now(UTC) + timedelta(seconds=ahead)
    return toy_order().model_copy(update={"fulfilment": Pickup(due_at=due)})


def test_closed_store_is_retried_until_the_order_is_due(
    open_outbox: Opening, server: ToyServer
) -> None:
    outbox, clock = open_outbox(lead=1800), Clock()
    outbox.add(scheduled(1200), connection="cafe")
    server.on("POST /orders", refuse("CLOSED"), refuse("CLOSED"))
    with processing(outbox, server, clock=clock) as processor:
        work_off(processor)
        assert states(outbox) == {"ord-1": (OrderState.DUE, WaitsFor.OPENING)}
        clock.ahead += 301
        assert work_off(processor) == ["ord-1"]
        assert states(outbox) == {"ord-1": (OrderState.DUE, WaitsFor.OPENING)}
        clock.ahead += 301
        assert work_off(processor) == ["ord-1"]
    assert states(outbox) == {"ord-1": RECEIVED}


def test_store_still_closed_at_the_due_time_ends_in_error(
    open_outbox: Opening, server: ToyServer
) -> None:
    outbox, clock = open_outbox(lead=1800), Clock()
    outbox.add(scheduled(400), connection="cafe")
    server.always("POST /orders", refuse("CLOSED"))
    with processing(outbox, server, clock=clock) as processor:
        for _ in range(6):
            work_off(processor)
            clock.ahead += 100
    stored = outbox.get("ord-1")
    assert stored
    assert isinstance(stored.error, ErrorRecord)
    assert (stored.state, stored.error.kind) == (OrderState.ERROR, "StoreClosedError")


def test_unknown_connection_ends_in_error_at_once(outbox: Outbox, server: ToyServer) -> None:
    add(outbox, 1, connection="nowhere")
    hooks = Heard()
    with processing(outbox, server, heard=hooks) as processor:
        work_off(processor)
    stored = outbox.get("nowhere-0")
    assert stored
    assert stored.error
    assert (stored.state, stored.error.kind) == (OrderState.ERROR, "SetupError")
    assert "no connection 'nowhere'" in stored.error.detail
    assert len(hooks.named("order_failed")) == 1
    with outbox.database.reading() as db:
        assert db.scalar(sa.select(sa.func.count()).select_from(t.orders)) == 1


# ---------------------------------------------------------------------- refused access


def test_answer_of_a_proxy_pauses_no_connection(outbox: Outbox, server: ToyServer) -> None:
    """One HTML 403 is an outage of one order, and the next answer brings it to the register."""
    heard, clock = Heard(), Clock()
    server.on("POST /orders", answer(403, b"<html>Access Denied</html>"))
    add(outbox, 1)
    with processing(outbox, server, clock=clock, heard=heard) as processor:
        work_off(processor)
        stored = outbox.get("cafe-0")
        assert stored
        assert stored.waits_for in (WaitsFor.RETRY, WaitsFor.LOOK)
        assert stored.error
        assert (stored.error.kind, stored.error.reason) == ("OutageError", "intercepted")
        assert not paused(outbox)
        for _ in range(4):
            clock.ahead += 30
            work_off(processor)
    assert states(outbox) == {"cafe-0": RECEIVED}
    assert len(server.made("cafe-0")) == 1
    assert heard.all == []


def paused(outbox: Outbox) -> bool:
    with outbox.database.reading() as db:
        return bool(db.scalar(sa.select(t.connections.c.paused)))


def test_platform_that_refused_by_mistake_resumes(open_outbox: Opening, server: ToyServer) -> None:
    """One order is sent every few minutes; once it is let in, all others follow."""
    outbox = open_outbox(concurrency=1, give_up_after=600.0)
    heard, clock = Heard(), Clock()
    server.always("POST /orders", refuse("REVOKED", status=401))
    add(outbox, 3)
    with processing(outbox, server, clock=clock, heard=heard) as processor:
        work_off(processor)
        assert paused(outbox)
        sent = server.count("POST /orders")
        for _ in range(8):
            clock.ahead += 400
            assert len(work_off(processor)) <= 1
        assert 2 <= server.count("POST /orders") - sent <= 8
        server.forget("POST /orders")
        clock.ahead += 1000
        work_off(processor)
    assert set(states(outbox).values()) == {RECEIVED}
    assert len(heard.named("reauthorisation_needed")) == 1
    assert len(heard.named("order_failed")) == 1
    assert len(heard.named("connection_restored")) == 1
    assert all(len(server.made(f"cafe-{n}")) == 1 for n in range(3))


def test_outage_of_a_probe_leaves_connection_paused(outbox: Outbox, server: ToyServer) -> None:
    heard, clock = Heard(), Clock()
    server.on("POST /orders", refuse("REVOKED", status=401), answer(503, {}))
    add(outbox, 1)
    with processing(outbox, server, clock=clock, heard=heard) as processor:
        work_off(processor)
        clock.ahead += 20_000
        work_off(processor)
        assert paused(outbox)
        assert states(outbox)["cafe-0"] == (OrderState.DUE, WaitsFor.RETRY)
        clock.ahead += 1000
        work_off(processor)
    assert states(outbox) == {"cafe-0": RECEIVED}
    assert len(heard.named("connection_restored")) == 1


def probed(monitor: StoreMonitor, server: ToyServer, checks: int) -> bool:
    monitor.probe_paused()
    return server.count("GET /status") == checks


def test_paused_connection_without_order_is_probed_by_a_check(
    outbox: Outbox, server: ToyServer
) -> None:
    heard, clock = Heard(), Clock()
    server.on("GET /status", *[refuse("REVOKED", status=401)] * 2)
    with processing(outbox, server, clock=clock, heard=heard) as processor:
        monitor = StoreMonitor(processor)
        monitor.check("cafe")
        assert paused(outbox)
        monitor.probe_paused()
        for probes in (2, 3):
            clock.ahead += 1000
            eventually(partial(probed, monitor, server, probes))
        eventually(lambda: not paused(outbox))
        eventually(lambda: heard.all[-1][0] == "connection_restored")
        monitor.close()
    assert len(heard.named("connection_restored")) == 1
