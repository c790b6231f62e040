"""Store checks: each change of availability is reported once, and a checkout can ask for it."""

from __future__ import annotations

import itertools
import json
import socket
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from core.outbox.stores import Clock, Heard, Opening, in_thread, processing, work_off
from core.toy import TOKEN, KeylessToy, Toy, ToySettings, toy_order
from core.toy_server import ToyServer, answer, refuse
from tillpost.client.base import adapter_for
from tillpost.models.availability import Availability, Reason
from tillpost.models.outage import Whose
from tillpost.outbox import FromFile, Outbox, OutboxConnection, Processor, Worker, from_mapping
from tillpost.outbox.connections.availability import OVERDUE, availability_of, read_row
from tillpost.outbox.db import schema as t
from tillpost.outbox.request_budget import (
    BURST,
    RECHECK,
    SHARES,
    RequestBudget,
    check_gap,
    check_interval,
)
from tillpost.outbox.request_budget import CHECK as CHECKS
from tillpost.outbox.worker import store_monitor
from tillpost.outbox.worker.store_monitor import RECHECK_IN, StoreMonitor
from tillpost.simulator import Simulator, serve_in_thread
from tillpost_simulators.generic import GenericSimulator
from tillpost_simulators.kounta import KountaSimulator
from tillpost_simulators.square import SquareSimulator
from waiting import eventually

CHECK = "GET /status"


def reported(heard: Heard) -> list[tuple[bool, Reason]]:
    """The reported changes of availability, in order."""
    changes: list[Availability] = [
        facts["availability"] for facts in heard.named("store_availability_changed")
    ]
    return [(change.takes_orders, change.reason) for change in changes]


def check(processor: Processor, *names: str) -> None:
    """Check stores, and report changes."""
    monitor = StoreMonitor(processor)
    for name in names or ("cafe",):
        monitor.check(name)
    monitor.report_changes()


def set_row(outbox: Outbox, name: str = "cafe", **values: Any) -> None:
    outbox.prepare()
    with outbox.database.writing() as db:
        outbox.connection_rows.lock(db, name)
        outbox.connection_rows.update(db, name, values)


def row_of(outbox: Outbox, name: str = "cafe") -> sa.Row[Any]:
    with outbox.database.reading() as db:
        return db.execute(sa.select(t.connections).where(t.connections.c.name == name)).one()


# ---------------------------------------------------------------------- the platforms


@contextmanager
def at_platform(
    outbox: Outbox, simulator: Simulator, platform: str, **changes: object
) -> Generator[Any]:
    """Run a worker whose `cafe` is the simulated store; yield both, and the hooks called."""
    heard = Heard()
    with serve_in_thread(simulator) as running:
        known = {"cafe": OutboxConnection(adapter_for(platform, {**running.settings, **changes}))}
        with Processor(outbox, connections=from_mapping(known), hooks=(heard,)) as processor:
            yield processor, running.simulator, heard


CAUSES: Sequence[tuple[str, type[Any], Callable[[Any], None], Callable[[Any], None], Reason]] = [
    (
        "square",
        SquareSimulator,
        lambda s: s.activate_location(False),
        lambda s: s.activate_location(),
        Reason.CLOSED,
    ),
    (
        "square",
        SquareSimulator,
        lambda s: s.set_outage(),
        lambda s: s.set_outage(False),
        Reason.OUTAGE,
    ),
    (
        "kounta",
        KountaSimulator,
        lambda s: s.switch_site(False),
        lambda s: s.switch_site(True),
        Reason.REGISTER_OFFLINE,
    ),
    (
        "kounta",
        KountaSimulator,
        lambda s: s.switch_ordering(False),
        lambda s: s.switch_ordering(True),
        Reason.CLOSED,
    ),
    (
        "kounta",
        KountaSimulator,
        lambda s: s.set_outage(),
        lambda s: s.set_outage(False),
        Reason.OUTAGE,
    ),
    (
        "generic",
        GenericSimulator,
        lambda s: s.open_store(False),
        lambda s: s.open_store(),
        Reason.CLOSED,
    ),
    (
        "generic",
        GenericSimulator,
        lambda s: s.connect_register(False),
        lambda s: s.connect_register(),
        Reason.REGISTER_OFFLINE,
    ),
    (
        "generic",
        GenericSimulator,
        lambda s: s.set_outage(),
        lambda s: s.set_outage(False),
        Reason.OUTAGE,
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("platform", "simulator", "close", "reopen", "reason"),
    CAUSES,
    ids=[f"{c[0]}-{c[4]}" for c in CAUSES],
)
def test_closing_and_reopening_are_reported_once_each(
    tmp_path: Path,
    platform: str,
    simulator: type[Any],
    close: Callable[[Any], None],
    reopen: Callable[[Any], None],
    reason: Reason,
) -> None:
    with (
        Outbox(f"sqlite:///{tmp_path / 'orders.db'}") as outbox,
        at_platform(outbox, simulator(), platform) as (processor, store, heard),
    ):
        check(processor)
        first = outbox.availability("cafe")
        assert (first.takes_orders, first.text) == (True, "")
        assert reported(heard) == [], "it was assumed to be open"
        close(store)
        for _ in range(2):
            check(processor)
        closed = outbox.availability("cafe")
        assert (closed.takes_orders, closed.reason) == (False, reason)
        assert closed.text
        reopen(store)
        for _ in range(2):
            check(processor)
        assert outbox.availability("cafe").takes_orders
    assert reported(heard) == [(False, reason), (True, Reason.OPEN)]


@pytest.mark.parametrize(
    ("platform", "simulator"),
    [("square", SquareSimulator), ("kounta", KountaSimulator)],
    ids=["square", "kounta"],
)
def test_check_with_rejected_access_pauses_the_connection(
    outbox: Outbox, platform: str, simulator: type[Any]
) -> None:
    with at_platform(outbox, simulator(), platform) as (processor, store, heard):
        store.revoke_authorisation()
        for _ in range(2):
            check(processor)
        closed = outbox.availability("cafe")
        assert (closed.takes_orders, closed.reason) == (False, Reason.UNAUTHORISED)
        assert closed.since
        assert closed.until is None
        assert row_of(outbox).paused == "authorisation"
        assert [facts["error"].operation for facts in heard.named("reauthorisation_needed")] == [
            "check"
        ]
        assert reported(heard) == [(False, Reason.UNAUTHORISED)]
        assert StoreMonitor(processor).claim_due(9) == [], "a paused connection isn't checked"


def test_square_scope_missing_for_checks_only_stops_no_orders(
    outbox: Outbox,
) -> None:
    with at_platform(outbox, SquareSimulator(), "square") as (processor, store, heard):
        store.drop_scope("MERCHANT_PROFILE_READ")
        check(processor)
        assert outbox.availability("cafe").takes_orders
        store.drop_scope("ORDERS_WRITE")
        check(processor)
        assert outbox.availability("cafe").reason is Reason.UNAUTHORISED
    assert reported(heard) == [(False, Reason.UNAUTHORISED)]


def test_kounta_printer_counts_only_if_dockets_are_printed(
    outbox: Outbox,
) -> None:
    for prints, reason in ((False, Reason.OPEN), (True, Reason.REGISTER_OFFLINE)):
        with at_platform(outbox, KountaSimulator(), "kounta", pass_thru_printing=prints) as (
            processor,
            store,
            _,
        ):
            store.switch_register(False)
            check(processor)
            assert outbox.availability("cafe").reason is reason


# ---------------------------------------------------------------------- outages


def test_outage_and_its_end_are_reported_as_changes(
    open_outbox: Opening, server: ToyServer
) -> None:
    outbox = open_outbox(outage_after=2)
    clock = Clock()
    heard = Heard()
    server.on("POST /orders", *[answer(503)] * 2)
    for number in range(2):
        outbox.add(toy_order(f"cafe-{number}"), connection="cafe")
    with processing(outbox, server, clock=clock, heard=heard) as processor:
        work_off(processor)
        check(processor)
        closed = outbox.availability("cafe")
        assert (closed.takes_orders, closed.reason) == (False, Reason.OUTAGE), (
            "although the check was answered"
        )
        clock.ahead += 60
        work_off(processor)
        StoreMonitor(processor).report_changes()
    assert reported(heard) == [(False, Reason.OUTAGE), (True, Reason.OPEN)]
    assert [len(heard.named(hook)) for hook in ("outage_began", "outage_ended")] == [1, 1]


def test_answered_check_ends_an_outage_if_no_order_is_due(
    outbox: Outbox, server: ToyServer
) -> None:
    heard = Heard()
    began = time.time() - 900
    set_row(
        outbox,
        opened_at=began,
        outage_cause=Whose.PLATFORM.value,
        takes_orders=False,
        takes_orders_since=began,
    )
    server.on(CHECK, *[answer(503)] * 3)
    with processing(outbox, server, heard=heard) as processor:
        check(processor)
        assert outbox.availability("cafe").reason is Reason.OUTAGE
        assert heard.all == []
        check(processor)
    assert outbox.availability("cafe").takes_orders
    assert [facts["outage"].began_at for facts in heard.named("outage_ended")] == [
        pytest.approx(began)
    ]
    assert reported(heard) == [(True, Reason.OPEN)]


def test_answered_check_leaves_an_outage_to_a_due_order(outbox: Outbox, server: ToyServer) -> None:
    heard = Heard()
    outbox.add(toy_order(), connection="cafe")
    set_row(
        outbox,
        opened_at=time.time(),
        probe_at=time.time() + 60,
        outage_cause=Whose.PLATFORM.value,
        failures=5,
    )
    with processing(outbox, server, heard=heard) as processor:
        check(processor)
    assert outbox.availability("cafe").reason is Reason.OUTAGE
    assert heard.named("outage_ended") == []
    assert row_of(outbox).failures == 5, "a check doesn't reset the count of failed orders"


@pytest.mark.slow
def test_platform_is_not_blamed_while_our_network_may_fail(
    outbox: Outbox, server: ToyServer
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}"
    away = ToySettings.model_validate({"base_url": nobody, "access_token": TOKEN})
    known = {"cafe": OutboxConnection(Toy(away)), "bar": OutboxConnection(KeylessToy(away))}
    heard = Heard()
    clock = Clock()
    with processing(
        outbox, server, heard=heard, clock=clock, **known, pub=OutboxConnection(server.adapter())
    ) as processor:
        check(processor, "pub")
        clock.ahead += 5
        check(processor, "cafe", "bar")
        assert {outbox.availability(name).reason for name in known} == {Reason.UNREACHED}
        assert row_of(outbox).unreachable_at > row_of(outbox, "pub").reached_at
        clock.ahead += 20
        check(processor, "pub")
        check(processor, "cafe")
    closed = outbox.availability("cafe")
    assert (closed.reason, outbox.availability("bar").reason) == (Reason.OUTAGE, Reason.UNREACHED)
    assert reported(heard) == [(False, Reason.UNREACHED)] * 2, (
        "another reason is no change of availability"
    )


# ---------------------------------------------------------------------- schedule


def due(processor: Processor) -> list[str]:
    return list(StoreMonitor(processor).claim_due(9))


def test_each_store_is_checked_regularly_by_one_worker(
    open_outbox: Opening, server: ToyServer
) -> None:
    outboxes = [open_outbox(check_every=60) for _ in range(2)]
    clock = Clock()
    with (
        processing(outboxes[0], server, clock=clock) as one,
        processing(outboxes[1], server, clock=clock) as other,
    ):
        StoreMonitor(one).add_connections()
        StoreMonitor(other).add_connections()
        assert due(one) == due(other) == []
        assert "yet" in outboxes[0].availability("cafe").text
        for _ in range(3):
            clock.ahead += 61
            assert sorted([*due(one), *due(other)]) == ["cafe"]


def availability_at(outbox: Outbox, now: float) -> Availability:
    """Return whether the store takes orders, by a clock that the test moves."""
    with outbox.database.reading() as db:
        return availability_of("cafe", read_row(db, "cafe"), now)


def all_at(connection: OutboxConnection, names: Sequence[str]) -> dict[str, Any]:
    """Return stores that share a connection, by their names."""
    return dict.fromkeys(names, connection)


MANY = [f"store-{number:04}" for number in range(2_000)]


def test_first_checks_of_many_stores_are_spread(outbox: Outbox, server: ToyServer) -> None:
    cafe = OutboxConnection(server.adapter())
    clock = Clock()
    with processing(outbox, server, clock=clock, **all_at(cafe, MANY)) as processor:
        StoreMonitor(processor).add_connections()
    with outbox.database.reading() as db:
        planned = list(db.scalars(sa.select(t.connections.c.check_at).order_by("check_at")))
    assert len(planned) == len(MANY) + 1
    assert planned[0] == pytest.approx(clock() + 60, abs=1)
    gaps = [later - earlier for earlier, later in itertools.pairwise(planned)]
    assert min(gaps) == pytest.approx(check_gap(outbox.settings), abs=0.001)


def test_many_stores_are_checked_less_often_and_none_is_assumed_open(
    outbox: Outbox, server: ToyServer
) -> None:
    """However far apart its checks are, a store that was checked in time counts as checked."""
    cafe = OutboxConnection(server.adapter())
    clock = Clock()
    server.always(CHECK, answer(200, {"open": False}))
    with processing(outbox, server, clock=clock, **all_at(cafe, MANY)) as processor:
        monitor = StoreMonitor(processor)
        monitor.add_connections()
        clock.ahead = 62
        assert "cafe" in monitor.claim_due(9)
        monitor.check("cafe")
        interval = check_interval(outbox.settings, len(MANY) + 1)
        assert interval > 4 * OVERDUE
        assert row_of(outbox).check_at == pytest.approx(clock() + interval, abs=1)
        for ahead in (0.3, 0.6, 1.0):
            clock.ahead = 62 + ahead * interval
            assert availability_at(outbox, clock()).reason is Reason.CLOSED
        clock.ahead += OVERDUE + 1
        assert "for a while" in availability_at(outbox, clock()).text


def test_outage_of_many_stores_leaves_the_checks_in_time(outbox: Outbox, server: ToyServer) -> None:
    """Only as many failing stores are checked sooner as the budget has room for."""
    cafe = OutboxConnection(server.adapter())
    server.always(CHECK, answer(503))
    budget = RequestBudget(5.0, lambda: 0.0)
    assert SHARES[RECHECK].part * 5.0 * BURST < SHARES[RECHECK].requests
    with processing(outbox, server, bar=cafe) as processor:
        monitor = StoreMonitor(processor, budget=budget)
        monitor.add_connections()
        for name in ("cafe", "bar"):
            monitor.check(name)
    soon = time.time() + RECHECK_IN
    assert row_of(outbox, "cafe").check_at <= soon < row_of(outbox, "bar").check_at


def test_store_that_answers_an_order_is_checked_later(outbox: Outbox, server: ToyServer) -> None:
    """But the last check counts for twice the interval at most."""
    clock = Clock()
    with processing(outbox, server, clock=clock) as processor:
        monitor = StoreMonitor(processor)
        monitor.add_connections()
        clock.ahead = 61
        assert monitor.claim_due(9) == ["cafe"]
        monitor.check("cafe")
        checked_at = clock()
        for number, seconds in enumerate((30, 55, 58)):
            clock.ahead = 61 + seconds
            outbox.add(toy_order(f"ord-{number}"), connection="cafe")
            work_off(processor)
            answered_at = row_of(outbox).reached_at
            assert row_of(outbox).check_at == pytest.approx(answered_at + 60, abs=0.1)
        clock.ahead = 61 + 110
        outbox.add(toy_order("ord-last"), connection="cafe")
        work_off(processor)
        assert row_of(outbox).check_at == pytest.approx(checked_at + 120, abs=0.1)
        clock.ahead = 61 + 121
        assert monitor.claim_due(9) == ["cafe"]


def test_store_that_hangs_keeps_no_other_from_its_check(
    outbox: Outbox, server: ToyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows of a host without budget come first, and fill more than a page."""
    monkeypatch.setattr(store_monitor, "PAGE", 5)
    hanging = ToySettings.model_validate({"base_url": "http://127.0.0.1:1", "access_token": TOKEN})
    away = OutboxConnection(Toy(hanging))
    names = MANY[:23]
    outbox.prepare()
    for number, name in enumerate([*names, "cafe"]):
        set_row(outbox, name, check_at=float(number + 1))
    with processing(outbox, server, **all_at(away, names)) as processor:
        budget = RequestBudget(1.0, lambda: 0.0)
        budget.spend(CHECKS, "127.0.0.1:1", 100)
        monitor = StoreMonitor(processor, budget=budget)
        found = [name for _ in range(12) for name in monitor.claim_due(9)]
    assert found == ["cafe"]


def test_failing_platform_is_checked_again_sooner(outbox: Outbox, server: ToyServer) -> None:
    server.on(CHECK, *[answer(503)] * 3)
    with processing(outbox, server) as processor:
        check(processor)
        assert row_of(outbox).check_at == pytest.approx(time.time() + RECHECK_IN, abs=5)


def test_refusal_by_closed_store_triggers_one_check(outbox: Outbox, server: ToyServer) -> None:
    server.on("POST /orders", refuse("CLOSED"), refuse("CLOSED"))
    set_row(outbox, check_at=time.time() + 60)
    with processing(outbox, server) as processor:
        outbox.add(toy_order("ord-1"), connection="cafe")
        work_off(processor)
        assert due(processor) == ["cafe"]
        set_row(outbox, takes_orders=False)
        outbox.add(toy_order("ord-2"), connection="cafe")
        work_off(processor)
        assert due(processor) == []


def test_platform_that_asked_to_wait_is_not_checked(outbox: Outbox, server: ToyServer) -> None:
    clock = Clock()
    set_row(outbox, check_at=1.0, not_before=time.time() + 50)
    with processing(outbox, server, clock=clock) as processor:
        assert due(processor) == []
        clock.ahead += 51
        assert due(processor) == ["cafe"]


def test_check_put_off_by_wrong_clock_is_made(outbox: Outbox, server: ToyServer) -> None:
    set_row(outbox, check_at=time.time() + 1e6)
    with processing(outbox, server) as processor:
        assert due(processor) == ["cafe"]


def test_connection_that_cannot_be_opened_takes_no_orders(
    outbox: Outbox, server: ToyServer
) -> None:
    heard = Heard()
    with processing(outbox, server, heard=heard) as processor:
        check(processor, "nowhere")
    closed = outbox.availability("nowhere")
    assert (closed.takes_orders, closed.reason) == (False, Reason.UNCONNECTED)
    assert "no connection 'nowhere'" in closed.text
    assert reported(heard) == [(False, Reason.UNCONNECTED)]


def test_reconnected_store_is_checked_at_once(outbox: Outbox, server: ToyServer) -> None:
    set_row(outbox, paused="authorisation", paused_at=1.0, check_at=time.time() + 60)
    assert outbox.resume("cafe")
    with processing(outbox, server) as processor:
        assert due(processor) == ["cafe"]


# ---------------------------------------------------------------------- several workers


def test_concurrent_workers_report_each_change_once(
    open_outbox: Opening, server: ToyServer
) -> None:
    outboxes = [open_outbox() for _ in range(4)]
    heard = Heard()
    barrier = threading.Barrier(4)

    def report(outbox: Outbox) -> None:
        with processing(outbox, server, heard=heard) as processor:
            for _ in range(6):
                barrier.wait()
                StoreMonitor(processor).report_changes()
                barrier.wait()

    threads = [threading.Thread(target=report, args=(outbox,)) for outbox in outboxes[1:]]
    for thread in threads:
        thread.start()
    for turn in range(6):
        paused = "" if turn % 2 else "authorisation"
        set_row(
            outboxes[0],
            paused=paused,
            paused_at=time.time(),
            readiness='{"findings":[],"at":1e12,"since":1.0}',
        )
        barrier.wait()
        barrier.wait()
    for thread in threads:
        thread.join()
    assert reported(heard) == [(False, Reason.UNAUTHORISED), (True, Reason.OPEN)] * 3


@pytest.mark.slow
def test_hanging_platform_delays_neither_checks_nor_orders(
    open_outbox: Opening, server: ToyServer
) -> None:
    outbox = open_outbox(check_every=0.3)
    heard = Heard()
    gone_on = threading.Event()

    class Hanging(Toy):
        def check(self) -> Any:
            gone_on.wait(600)
            return super().check()

    slow = Hanging(server.settings())
    set_row(outbox, "slow", check_at=1.0)
    with (
        processing(outbox, server, heard=heard, slow=OutboxConnection(slow)) as processor,
        in_thread(Worker(processor)),
    ):
        try:
            eventually(lambda: outbox.availability("cafe").text == "")
            server.always(CHECK, answer(200, {"open": False}))
            eventually(lambda: reported(heard) == [(False, Reason.CLOSED)])
            outbox.add(
                toy_order(
                    "ord-1",
                ),
                connection="slow",
            )
            eventually(lambda: len(server.made("ord-1")) == 1)
        finally:
            gone_on.set()


# ---------------------------------------------------------------------- Outbox.availability


def test_availability_reads_one_row_and_sends_nothing(outbox: Outbox, server: ToyServer) -> None:
    with processing(outbox, server) as processor:
        check(processor)
    sent = len(server.seen)
    statements: list[str] = []

    def record(*facts: Any) -> None:
        statements.append(facts[2])

    event.listen(outbox.database.engine, "before_cursor_execute", record)
    for _ in range(3):
        assert outbox.availability("cafe").takes_orders
    assert len(server.seen) == sent
    assert len(statements) == 3
    assert all("FROM tillpost_connections" in statement for statement in statements)


def test_old_check_result_has_expired(outbox: Outbox, server: ToyServer) -> None:
    server.on(CHECK, answer(200, {"open": False}))
    with processing(outbox, server) as processor:
        check(processor)
    assert not outbox.availability("cafe").takes_orders
    long_ago = time.time() - 2 * OVERDUE
    kept = {**json.loads(row_of(outbox).readiness), "at": long_ago}
    set_row(outbox, check_at=long_ago, readiness=json.dumps(kept))
    known = outbox.availability("cafe")
    assert known.takes_orders
    assert "for a while" in known.text


def test_only_outbox_from_config_knows_that_a_name_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    url = f"sqlite:///{tmp_path / 'orders.db'}"
    file = tmp_path / "tillpost.toml"
    with Outbox(url) as by_url:
        assert by_url.availability("nowhere").takes_orders
    with Outbox.from_config(url=url) as without_any:
        assert without_any.availability("nowhere").takes_orders, "connections may be made in code"
    file.write_text(f'[connections.cafe]\nplatform = "square"\nlocation_id = {json.dumps("L1")}\n')
    with Outbox.from_config(url=url) as outbox:
        assert outbox.availability("cafe").takes_orders
        unknown = outbox.availability("nowhere")
        assert (unknown.takes_orders, unknown.reason) == (False, Reason.UNCONNECTED)
        file.write_text("not TOML")
        assert outbox.availability("nowhere").takes_orders, "the file can't be read"


def test_connections_of_the_file_are_checked_before_any_order(
    tmp_path: Path, server: ToyServer
) -> None:
    file = tmp_path / "tillpost.toml"
    file.write_text(
        '[connections.cafe]\nplatform = "square"\n[connections.bar]\nplatform = "kounta"\n'
    )
    with (
        Outbox(f"sqlite:///{tmp_path / 'orders.db'}") as outbox,
        Processor(outbox, connections=FromFile(file)) as processor,
    ):
        StoreMonitor(processor).add_connections()
        assert row_of(outbox, "bar").check_at == pytest.approx(time.time() + 60, abs=5)
        file.write_text("not TOML")
        StoreMonitor(processor).add_connections()
