"""What orders say of their connection: an outage is told once, permissions pause it, and all goes on in due order."""

from __future__ import annotations

import json
import socket
import time
from datetime import UTC, datetime, timedelta
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
    Connected,
    FromFile,
    OrderState,
    Outbox,
    OutboxSettings,
    Processor,
    WaitsFor,
)
from tillpost.outbox.db import schema as t
from tillpost.outbox.worker.maintenance import Maintenance
from tillpost.outbox.worker.processor import AFTER_A_BUG
from tillpost.simulator import serve_in_thread
from tillpost_simulators.square import SquareSimulator


def add(outbox: Outbox, count: int, *, first: int = 0, connection: str = "cafe") -> None:
    for number in range(first, first + count):
        outbox.add(toy_order(f"{connection}-{number}"), connection=connection)


def stands(outbox: Outbox) -> dict[str, tuple[OrderState, WaitsFor]]:
    return {stored.id: (stored.state, stored.waits_for) for stored in outbox.orders()}


RECEIVED = (OrderState.RECEIVED, WaitsFor.NOTHING)


# ---------------------------------------------------------------------- retries


def test_the_first_retry_comes_after_a_second_and_each_wait_is_twice_as_long_up_to_a_minute() -> (
    None
):
    policy = OutboxSettings().policy(Policy())
    for retry, longest in enumerate((1, 2, 4, 8, 16, 32, 60, 60, 60), start=1):
        waits = [policy.wait_before(retry, f"ord-{number}") for number in range(200)]
        assert longest / 2 <= min(waits) <= longest * 0.55, "spread from the half of it on"
        assert longest * 0.95 <= max(waits) <= longest


def test_an_order_is_due_again_when_its_retry_is_and_not_before(
    outbox: Outbox, server: ToyServer
) -> None:
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
    assert stands(outbox) == {"cafe-0": RECEIVED}
    assert len(server.made("cafe-0")) == 1


def test_a_handling_that_breaks_down_leaves_the_order_due_again(
    outbox: Outbox, server: ToyServer
) -> None:
    class Broken(Toy):
        def transcript(self, request: object, answer: object) -> Transcript:
            raise ZeroDivisionError

    add(outbox, 1)
    with processing(outbox, server, cafe=Connected(Broken(server.settings()))) as processor:
        work_off(processor)
    stored = outbox.get("cafe-0")
    assert stored
    assert stored.due_at is not None
    assert (stored.state, stored.crash_count) == (OrderState.DUE, 1)
    assert stored.due_at == pytest.approx(time.time() + AFTER_A_BUG, abs=5)


# ---------------------------------------------------------------------- outages


def test_an_outage_and_its_end_are_told_once_each_over_all_workers_with_the_evidence(
    open_outbox: Opening, server: ToyServer
) -> None:
    outboxes, clock, heard = (
        [open_outbox(outage_after=3) for _ in range(2)],
        Clock(),
        [Heard(), Heard()],
    )
    server.on("POST /orders", *[answer(503, {}, x_request_id=f"r-{n}") for n in range(9)])
    add(outboxes[0], 6)
    with (
        processing(outboxes[0], server, clock=clock, heard=heard[0]) as one,
        processing(outboxes[1], server, clock=clock, heard=heard[1]) as other,
    ):
        for _ in range(40):
            for processor in (one, other):
                for claim in processor.claim(1):
                    processor.handle(claim)
            clock.ahead += 5
    assert set(stands(outboxes[0]).values()) == {RECEIVED}
    assert all(len(server.made(f"cafe-{n}")) == 1 for n in range(6))
    (began,) = heard[0].named("outage_began") + heard[1].named("outage_began")
    (ended,) = heard[0].named("outage_ended") + heard[1].named("outage_ended")
    assert began["outage"].whose is Whose.PLATFORM
    assert [sample.status_code for sample in began["outage"].evidence] == [503] * 3
    assert began["outage"].ended_at is None
    assert ended["outage"].began_at == began["outage"].began_at < ended["outage"].ended_at
    assert len(ended["outage"].evidence) == 9


def test_when_no_platform_can_be_connected_to_our_own_network_is_at_fault(
    open_outbox: Opening,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}"
    settings = ToySettings.model_validate({"base_url": nobody, "access_token": TOKEN})
    outbox, heard, clock = open_outbox(outage_after=2, concurrency=1), Heard(), Clock()
    add(outbox, 2)
    add(outbox, 2, connection="bar")
    with ToyServer() as server:
        known = {"cafe": Connected(Toy(settings)), "bar": Connected(KeylessToy(settings))}
        with processing(outbox, server, heard=heard, clock=clock, **known) as processor:
            for _ in range(4):
                work_off(processor)
                clock.ahead += 2
    whose = [facts["outage"].whose for facts in heard.named("outage_began")]
    assert whose[0] in (Whose.UNKNOWN, Whose.OURS)
    assert whose[1] is Whose.OURS
    assert set(stands(outbox).values()) == {(OrderState.DUE, WaitsFor.RETRY)}


def test_nobody_is_accused_because_another_platform_answered_before_our_network_failed(
    open_outbox: Opening,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}"
    settings = ToySettings.model_validate({"base_url": nobody, "access_token": TOKEN})
    outbox, heard, clock = open_outbox(outage_after=2), Heard(), Clock()
    add(outbox, 1)
    with ToyServer() as server, processing(outbox, server, heard=heard, clock=clock) as processor:
        work_off(processor)  # cafe answers, and then nothing does
    add(outbox, 2, connection="bar")
    with (
        ToyServer() as server,
        processing(
            outbox, server, heard=heard, clock=clock, bar=Connected(KeylessToy(settings))
        ) as processor,
    ):
        for _ in range(2):
            work_off(processor)
            clock.ahead += 2
    assert [facts["outage"].whose for facts in heard.named("outage_began")] == [Whose.UNKNOWN]


def test_orders_that_an_outage_holds_up_too_long_become_a_persons(
    open_outbox: Opening, server: ToyServer
) -> None:
    outbox, clock, heard = open_outbox(outage_after=2, give_up_after=600), Clock(), Heard()
    server.always("POST /orders", answer(503))
    server.always("GET /orders", answer(503))
    add(outbox, 4)
    with processing(outbox, server, clock=clock, heard=heard) as processor:
        for _ in range(60):
            work_off(processor)
            clock.ahead += 20
    assert {state for state, _ in stands(outbox).values()} == {OrderState.ERROR}
    assert len(heard.named("order_failed")) == 4
    assert all(stored.remedy for stored in outbox.orders())


def test_a_platform_that_asks_for_patience_gets_it_from_all_orders_of_the_connection(
    outbox: Outbox, server: ToyServer
) -> None:
    clock = Clock()
    server.on("POST /orders", answer(429, retry_after="30"))
    add(outbox, 3)
    with processing(outbox, server, clock=clock) as processor:
        assert work_off(processor, most=1) == ["cafe-0"]
        clock.ahead += 25
        assert work_off(processor) == []
        clock.ahead += 10
        assert sorted(work_off(processor)) == ["cafe-0", "cafe-1", "cafe-2"]
    assert set(stands(outbox).values()) == {RECEIVED}


# ---------------------------------------------------------------------- permissions


def coffee(name: str) -> Order:
    """An order that fits the Square simulator's menu."""
    return toy_order(name, item="7302", sku="FW-R", name="Flat white, regular", price=550)


def test_refused_permissions_pause_the_connection_are_told_once_and_new_ones_let_its_orders_go_on_in_due_order(
    outbox: Outbox, tmp_path: Path
) -> None:
    file, heard = tmp_path / "tillpost.toml", Heard()
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
        with Processor(outbox, connections=FromFile(file), hooks=(heard,)) as processor:
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
    assert set(stands(outbox).values()) == {RECEIVED}
    (told,) = heard.named("reauthorisation_needed")
    assert told["connection"] == "cafe"
    assert heard.named("connection_restored") == [{"connection": "cafe"}]


def test_resume_says_whether_there_was_a_pause(outbox: Outbox) -> None:
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


def test_a_closed_store_is_tried_again_until_the_order_is_due(
    open_outbox: Opening, server: ToyServer
) -> None:
    outbox, clock = open_outbox(lead=1800), Clock()
    outbox.add(scheduled(1200), connection="cafe")
    server.on("POST /orders", refuse("CLOSED"), refuse("CLOSED"))
    with processing(outbox, server, clock=clock) as processor:
        work_off(processor)
        assert stands(outbox) == {"ord-1": (OrderState.DUE, WaitsFor.OPENING)}
        clock.ahead += 301
        assert work_off(processor) == ["ord-1"]
        assert stands(outbox) == {"ord-1": (OrderState.DUE, WaitsFor.OPENING)}
        clock.ahead += 301
        assert work_off(processor) == ["ord-1"]
    assert stands(outbox) == {"ord-1": RECEIVED}


def test_a_store_that_is_still_closed_when_the_order_is_due_becomes_a_persons(
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


def test_a_connection_that_nobody_knows_is_a_persons_at_once(
    outbox: Outbox, server: ToyServer
) -> None:
    add(outbox, 1, connection="nowhere")
    heard = Heard()
    with processing(outbox, server, heard=heard) as processor:
        work_off(processor)
    stored = outbox.get("nowhere-0")
    assert stored
    assert stored.error
    assert (stored.state, stored.error.kind) == (OrderState.ERROR, "SetupError")
    assert "no connection 'nowhere'" in stored.error.detail
    assert len(heard.named("order_failed")) == 1
    with outbox.database.reading() as db:
        assert db.scalar(sa.select(sa.func.count()).select_from(t.orders)) == 1
