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
    StoredOrder,
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
WAITS_FOR_RETRY = (OrderState.DUE, WaitsFor.RETRY)
WAITS_FOR_OPENING = (OrderState.DUE, WaitsFor.OPENING)
REVOKED = refuse("REVOKED", status=401)
CLOSED = refuse("CLOSED")


def all_states(outbox: Outbox) -> set[tuple[OrderState, WaitsFor]]:
    return set(states(outbox).values())


def find(outbox: Outbox, name: str) -> StoredOrder:
    stored = outbox.get(name)
    assert stored
    return stored


def unused_address() -> str:
    """Return an address at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    return f"http://127.0.0.1:{port}"


def unreachable() -> ToySettings:
    """Return the settings of a store whose platform can't be reached."""
    return ToySettings.model_validate({"base_url": unused_address(), "access_token": TOKEN})


# ---------------------------------------------------------------------- retries


def test_retry_waits_double_from_a_second_to_a_minute() -> None:
    policy = OutboxSettings().policy_of(Policy())
    for retry, longest in enumerate((1, 2, 4, 8, 16, 32, 60, 60, 60), start=1):
        waits = [policy.wait_before(retry, f"ord-{number}") for number in range(200)]
        assert longest / 2 <= min(waits) <= longest * 0.55, "jitter begins at half the wait"
        assert longest * 0.95 <= max(waits) <= longest


def test_order_is_due_again_at_its_retry(outbox: Outbox, server: ToyServer) -> None:
    clock = Clock()
    three_failures = [answer(503)] * 3
    server.on("POST /orders", *three_failures)
    add(outbox, 1)
    with processing(outbox, server, clock=clock) as processor:
        for longest in (1, 2, 4):
            assert work_off(processor) == ["cafe-0"]
            assert work_off(processor) == []
            stored = find(outbox, "cafe-0")
            assert stored.due_at is not None
            wait = stored.due_at - clock()
            assert longest / 2 - 0.2 <= wait <= longest
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
    stored = find(outbox, "cafe-0")
    assert stored.state is OrderState.DUE
    assert stored.crash_count == 1
    retry_at = time.time() + FAILURE_RETRY
    assert stored.due_at == pytest.approx(retry_at, abs=5)


# ---------------------------------------------------------------------- outages


def test_outage_and_its_end_are_announced_once_over_all_workers(
    open_outbox: Opening, server: ToyServer
) -> None:
    one = open_outbox(outage_after=3)
    other = open_outbox(outage_after=3)
    heard = Heard()
    clock = Clock()
    nine_failures = [answer(503, {}, x_request_id=f"r-{number}") for number in range(9)]
    server.on("POST /orders", *nine_failures)
    add(one, 6)
    with (
        processing(one, server, clock=clock, heard=heard) as one_processor,
        processing(other, server, clock=clock, heard=heard) as other_processor,
    ):
        for _ in range(40):
            for processor in (one_processor, other_processor):
                for claim in processor.claim(1):
                    processor.handle(claim)
            clock.ahead += 5
    assert all_states(one) == {RECEIVED}
    for number in range(6):
        assert len(server.made(f"cafe-{number}")) == 1

    (began,) = [facts["outage"] for facts in heard.named("outage_began")]
    assert began.whose is Whose.PLATFORM
    codes = [sample.status_code for sample in began.evidence]
    assert codes == [503, 503, 503]
    assert began.ended_at is None

    (ended,) = [facts["outage"] for facts in heard.named("outage_ended")]
    assert ended.began_at == began.began_at
    assert ended.ended_at > ended.began_at
    assert len(ended.evidence) == 9


def test_unreachable_platforms_blame_our_own_network(open_outbox: Opening) -> None:
    settings = unreachable()
    outbox = open_outbox(outage_after=2, concurrency=1)
    hooks = Heard()
    clock = Clock()
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
    assert all_states(outbox) == {WAITS_FOR_RETRY}


def test_answer_before_the_failure_blames_no_platform(open_outbox: Opening) -> None:
    bar = OutboxConnection(KeylessToy(unreachable()))
    outbox = open_outbox(outage_after=2)
    hooks = Heard()
    clock = Clock()
    add(outbox, 1)
    with ToyServer() as server, processing(outbox, server, heard=hooks, clock=clock) as processor:
        work_off(processor)  # the cafe answers before the network fails
    add(outbox, 2, connection="bar")
    with (
        ToyServer() as server,
        processing(outbox, server, heard=hooks, clock=clock, bar=bar) as processor,
    ):
        for _ in range(2):
            work_off(processor)
            clock.ahead += 2
    (began,) = hooks.named("outage_began")
    assert began["outage"].whose is Whose.UNKNOWN


def test_orders_delayed_too_long_by_an_outage_end_in_error(
    open_outbox: Opening, server: ToyServer
) -> None:
    outbox = open_outbox(outage_after=2, give_up_after=600)
    clock = Clock()
    hooks = Heard()
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
    assert all_states(outbox) == {RECEIVED}


# ---------------------------------------------------------------------- permissions


def coffee(name: str) -> Order:
    """An order that fits the Square simulator's menu."""
    return toy_order(
        name,
        item="7302",
        sku="FW-R",
        name="Flat white, regular",
        price=550,
    )


def test_refused_access_pauses_until_new_credentials(outbox: Outbox, tmp_path: Path) -> None:
    file = tmp_path / "tillpost.toml"
    hooks = Heard()
    names = [f"cafe-{number}" for number in range(5)]
    for name in names:
        outbox.add(coffee(name), connection="cafe")
    with serve_in_thread(SquareSimulator()) as square:

        def write(token: str) -> None:
            table = {
                "platform": "square",
                **square.settings,
                "access_token": token,
            }
            lines = ["[connections.cafe]"]
            for key, value in table.items():
                lines.append(f"{key} = {json.dumps(value)}")
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
            assert work_off(processor) == names
        entries = square.simulator.ledger().entries
        assert len(entries) == 5
    assert all_states(outbox) == {RECEIVED}
    (asked,) = hooks.named("reauthorisation_needed")
    assert asked["connection"] == "cafe"
    assert hooks.named("connection_restored") == [{"connection": "cafe"}]


def test_resume_returns_whether_the_connection_was_paused(outbox: Outbox) -> None:
    assert not outbox.resume("cafe")
    add(outbox, 1)
    with outbox.database.writing() as db:
        rows = outbox.connection_rows
        rows.lock(db, "cafe")
        rows.update(db, "cafe", {"paused": "authorisation", "paused_at": 1.0})
    assert outbox.resume("cafe")
    assert not outbox.resume("cafe")


# ---------------------------------------------------------------------- a closed store


def scheduled(ahead: float) -> Order:
    due = datetime.now(UTC) + timedelta(seconds=ahead)
    return toy_order().model_copy(update={"fulfilment": Pickup(due_at=due)})


def test_closed_store_is_retried_until_the_order_is_due(
    open_outbox: Opening, server: ToyServer
) -> None:
    outbox = open_outbox(lead=1800)
    clock = Clock()
    outbox.add(scheduled(1200), connection="cafe")
    server.on("POST /orders", CLOSED, CLOSED)
    with processing(outbox, server, clock=clock) as processor:
        work_off(processor)
        assert states(outbox) == {"ord-1": WAITS_FOR_OPENING}
        clock.ahead += 301
        assert work_off(processor) == ["ord-1"]
        assert states(outbox) == {"ord-1": WAITS_FOR_OPENING}
        clock.ahead += 301
        assert work_off(processor) == ["ord-1"]
    assert states(outbox) == {"ord-1": RECEIVED}


def test_store_still_closed_at_the_due_time_ends_in_error(
    open_outbox: Opening, server: ToyServer
) -> None:
    outbox = open_outbox(lead=1800)
    clock = Clock()
    outbox.add(scheduled(400), connection="cafe")
    server.always("POST /orders", CLOSED)
    with processing(outbox, server, clock=clock) as processor:
        for _ in range(6):
            work_off(processor)
            clock.ahead += 100
    stored = find(outbox, "ord-1")
    assert stored.state is OrderState.ERROR
    assert isinstance(stored.error, ErrorRecord)
    assert stored.error.kind == "StoreClosedError"


def test_unknown_connection_ends_in_error_at_once(outbox: Outbox, server: ToyServer) -> None:
    add(outbox, 1, connection="nowhere")
    hooks = Heard()
    with processing(outbox, server, heard=hooks) as processor:
        work_off(processor)
    stored = find(outbox, "nowhere-0")
    assert stored.state is OrderState.ERROR
    assert stored.error
    assert stored.error.kind == "SetupError"
    assert "no connection 'nowhere'" in stored.error.detail
    assert len(hooks.named("order_failed")) == 1
    count = sa.select(sa.func.count()).select_from(t.orders)
    with outbox.database.reading() as db:
        assert db.scalar(count) == 1


# ---------------------------------------------------------------------- refused access


def test_answer_of_a_proxy_pauses_no_connection(outbox: Outbox, server: ToyServer) -> None:
    """One HTML 403 is an outage of one order, and the next answer brings it to the register."""
    heard = Heard()
    clock = Clock()
    server.on("POST /orders", answer(403, b"<html>Access Denied</html>"))
    add(outbox, 1)
    with processing(outbox, server, clock=clock, heard=heard) as processor:
        work_off(processor)
        stored = find(outbox, "cafe-0")
        assert stored.waits_for in (WaitsFor.RETRY, WaitsFor.LOOK)
        assert stored.error
        assert stored.error.kind == "OutageError"
        assert stored.error.reason == "intercepted"
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
    heard = Heard()
    clock = Clock()
    server.always("POST /orders", REVOKED)
    add(outbox, 3)
    with processing(outbox, server, clock=clock, heard=heard) as processor:
        work_off(processor)
        assert paused(outbox)
        sent = server.count("POST /orders")
        for _ in range(8):
            clock.ahead += 400
            assert len(work_off(processor)) <= 1
        probes = server.count("POST /orders") - sent
        assert 2 <= probes <= 8
        server.forget("POST /orders")
        clock.ahead += 1000
        work_off(processor)
    assert all_states(outbox) == {RECEIVED}
    assert len(heard.named("reauthorisation_needed")) == 1
    assert len(heard.named("order_failed")) == 1
    assert len(heard.named("connection_restored")) == 1
    for number in range(3):
        assert len(server.made(f"cafe-{number}")) == 1


def test_outage_of_a_probe_leaves_connection_paused(outbox: Outbox, server: ToyServer) -> None:
    heard = Heard()
    clock = Clock()
    server.on("POST /orders", REVOKED, answer(503, {}))
    add(outbox, 1)
    with processing(outbox, server, clock=clock, heard=heard) as processor:
        work_off(processor)
        clock.ahead += 20_000
        work_off(processor)
        assert paused(outbox)
        assert states(outbox)["cafe-0"] == WAITS_FOR_RETRY
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
    heard = Heard()
    clock = Clock()
    server.on("GET /status", REVOKED, REVOKED)
    with processing(outbox, server, clock=clock, heard=heard) as processor:
        monitor = StoreMonitor(processor)
        monitor.check("cafe")
        assert paused(outbox)
        monitor.probe_paused()
        for probes in (2, 3):
            clock.ahead += 1000
            is_probed = partial(probed, monitor, server, probes)
            eventually(is_probed)
        eventually(lambda: not paused(outbox))
        eventually(lambda: heard.all[-1][0] == "connection_restored")
        monitor.close()
    assert len(heard.named("connection_restored")) == 1
