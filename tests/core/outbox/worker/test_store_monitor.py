"""Stop selling into a closed kitchen: stores are checked, a checkout can ask, and each change is told once."""

from __future__ import annotations

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

from core.outbox.stores import Clock, Heard, Opening, processing, work_off
from core.toy import TOKEN, KeylessToy, Toy, ToySettings, toy_order
from core.toy_server import ToyServer, answer, refuse
from tillpost.client.base import adapter_for
from tillpost.models.availability import Availability, Reason
from tillpost.models.outage import Whose
from tillpost.outbox import Connected, FromFile, Outbox, Processor, Worker, from_mapping
from tillpost.outbox.connections.availability import OVERDUE
from tillpost.outbox.db import schema as t
from tillpost.outbox.worker.store_monitor import SOONER, Checks
from tillpost.simulator import Simulator, serve_in_thread
from tillpost_simulators.generic import GenericSimulator
from tillpost_simulators.kounta import KountaSimulator
from tillpost_simulators.square import SquareSimulator

CHECK = "GET /status"


def told(heard: Heard) -> list[tuple[bool, Reason]]:
    """What was told of the stores' availability, in turn."""
    changes: list[Availability] = [
        facts["availability"] for facts in heard.named("store_availability_changed")
    ]
    return [(change.takes_orders, change.reason) for change in changes]


def look(processor: Processor, *names: str) -> None:
    """Check stores, and tell what has changed."""
    checks = Checks(processor)
    for name in names or ("cafe",):
        checks.look(name)
    checks.tell()


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
    """A worker whose `cafe` is the simulated store. Gives it with the simulator and what it hears."""
    heard = Heard()
    with serve_in_thread(simulator) as running:
        known = {"cafe": Connected(adapter_for(platform, {**running.settings, **changes}))}
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


@pytest.mark.parametrize(
    ("platform", "simulator", "close", "reopen", "reason"),
    CAUSES,
    ids=[f"{c[0]}-{c[4]}" for c in CAUSES],
)
def test_a_store_that_closes_and_opens_is_told_once_each(
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
        look(processor)
        first = outbox.availability("cafe")
        assert (first.takes_orders, first.text) == (True, "")
        assert told(heard) == [], "it is as everybody took it to be"
        close(store)
        for _ in range(2):
            look(processor)
        shut = outbox.availability("cafe")
        assert (shut.takes_orders, shut.reason) == (False, reason)
        assert shut.text
        reopen(store)
        for _ in range(2):
            look(processor)
        assert outbox.availability("cafe").takes_orders
    assert told(heard) == [(False, reason), (True, Reason.OPEN)]


@pytest.mark.parametrize(
    ("platform", "simulator"),
    [("square", SquareSimulator), ("kounta", KountaSimulator)],
    ids=["square", "kounta"],
)
def test_a_check_that_isnt_let_in_pauses_the_connection_and_calls_for_help_once(
    outbox: Outbox, platform: str, simulator: type[Any]
) -> None:
    with at_platform(outbox, simulator(), platform) as (processor, store, heard):
        store.revoke_authorisation()
        for _ in range(2):
            look(processor)
        shut = outbox.availability("cafe")
        assert (shut.takes_orders, shut.reason) == (False, Reason.UNAUTHORISED)
        assert shut.since
        assert shut.until is None
        assert row_of(outbox).paused == "authorisation"
        assert [facts["error"].operation for facts in heard.named("reauthorisation_needed")] == [
            "check"
        ]
        assert told(heard) == [(False, Reason.UNAUTHORISED)]
        assert Checks(processor).due(9) == [], "nobody is let in, so nobody asks"


def test_square_locations_that_cant_be_read_for_want_of_a_scope_still_take_orders(
    outbox: Outbox,
) -> None:
    with at_platform(outbox, SquareSimulator(), "square") as (processor, store, heard):
        store.drop_scope("MERCHANT_PROFILE_READ")
        look(processor)
        assert outbox.availability("cafe").takes_orders
        store.drop_scope("ORDERS_WRITE")
        look(processor)
        assert outbox.availability("cafe").reason is Reason.UNAUTHORISED
    assert told(heard) == [(False, Reason.UNAUTHORISED)]


def test_kountas_printing_register_counts_only_where_dockets_are_printed_on_it(
    outbox: Outbox,
) -> None:
    for prints, reason in ((False, Reason.OPEN), (True, Reason.REGISTER_OFFLINE)):
        with at_platform(outbox, KountaSimulator(), "kounta", pass_thru_printing=prints) as (
            processor,
            store,
            _,
        ):
            store.switch_register(False)
            look(processor)
            assert outbox.availability("cafe").reason is reason


# ---------------------------------------------------------------------- outages


def test_an_outage_of_orders_and_its_end_are_told_as_changes(
    open_outbox: Opening, server: ToyServer
) -> None:
    outbox, clock, heard = open_outbox(outage_after=2), Clock(), Heard()
    server.on("POST /orders", *[answer(503)] * 2)
    for number in range(2):
        outbox.add(toy_order(f"cafe-{number}"), connection="cafe")
    with processing(outbox, server, clock=clock, heard=heard) as processor:
        work_off(processor)
        look(processor)
        shut = outbox.availability("cafe")
        assert (shut.takes_orders, shut.reason) == (False, Reason.OUTAGE), (
            "though the check was answered"
        )
        clock.ahead += 60
        work_off(processor)
        Checks(processor).tell()
    assert told(heard) == [(False, Reason.OUTAGE), (True, Reason.OPEN)]
    assert [len(heard.named(hook)) for hook in ("outage_began", "outage_ended")] == [1, 1]


def test_an_answered_check_ends_an_outage_that_no_order_is_left_to_try(
    outbox: Outbox, server: ToyServer
) -> None:
    heard, began = Heard(), time.time() - 900
    set_row(
        outbox,
        opened_at=began,
        outage_cause=Whose.PLATFORM.value,
        takes_orders=False,
        takes_orders_since=began,
    )
    server.on(CHECK, *[answer(503)] * 3)
    with processing(outbox, server, heard=heard) as processor:
        look(processor)
        assert outbox.availability("cafe").reason is Reason.OUTAGE
        assert heard.all == []
        look(processor)
    assert outbox.availability("cafe").takes_orders
    assert [facts["outage"].began_at for facts in heard.named("outage_ended")] == [
        pytest.approx(began)
    ]
    assert told(heard) == [(True, Reason.OPEN)]


def test_an_answered_check_leaves_an_outage_to_the_orders_that_will_try(
    outbox: Outbox, server: ToyServer
) -> None:
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
        look(processor)
    assert outbox.availability("cafe").reason is Reason.OUTAGE
    assert heard.named("outage_ended") == []
    assert row_of(outbox).failures == 5, "a check is no order: it doesn't end a row of failures"


def test_when_our_own_network_fails_no_provider_is_accused(
    outbox: Outbox, server: ToyServer
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}"
    away = ToySettings.model_validate({"base_url": nobody, "access_token": TOKEN})
    known = {"cafe": Connected(Toy(away)), "bar": Connected(KeylessToy(away))}
    heard, clock = Heard(), Clock()
    with processing(
        outbox, server, heard=heard, clock=clock, **known, pub=Connected(server.adapter())
    ) as processor:
        look(processor, "pub")
        clock.ahead += 5
        look(processor, "cafe", "bar")
        assert {outbox.availability(name).reason for name in known} == {Reason.UNREACHED}
        assert row_of(outbox).unreachable_at > row_of(outbox, "pub").reached_at
        clock.ahead += 20
        look(processor, "pub")
        look(processor, "cafe")
    shut = outbox.availability("cafe")
    assert (shut.reason, outbox.availability("bar").reason) == (Reason.OUTAGE, Reason.UNREACHED)
    assert told(heard) == [(False, Reason.UNREACHED)] * 2, (
        "another reason is no change of whether it takes orders"
    )


# ---------------------------------------------------------------------- when checks are made


def due(processor: Processor) -> list[str]:
    return list(Checks(processor).due(9))


def test_a_store_is_first_checked_a_while_after_it_is_known_then_every_so_often_and_by_one_worker(
    open_outbox: Opening, server: ToyServer
) -> None:
    outboxes, clock = [open_outbox(check_every=60) for _ in range(2)], Clock()
    with (
        processing(outboxes[0], server, clock=clock) as one,
        processing(outboxes[1], server, clock=clock) as other,
    ):
        Checks(one).meet()
        Checks(other).meet()
        assert due(one) == due(other) == []
        assert "yet" in outboxes[0].availability("cafe").text
        for _ in range(3):
            clock.ahead += 61
            assert sorted([*due(one), *due(other)]) == ["cafe"]


def test_a_platform_that_fails_is_looked_at_again_sooner(outbox: Outbox, server: ToyServer) -> None:
    server.on(CHECK, *[answer(503)] * 3)
    with processing(outbox, server) as processor:
        look(processor)
        assert row_of(outbox).check_at == pytest.approx(time.time() + SOONER, abs=5)


def test_an_order_that_a_closed_store_refuses_has_the_store_checked_at_once_but_once_it_is_known(
    outbox: Outbox, server: ToyServer
) -> None:
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


def test_a_platform_that_asked_for_patience_isnt_checked_meanwhile(
    outbox: Outbox, server: ToyServer
) -> None:
    clock = Clock()
    set_row(outbox, check_at=1.0, not_before=time.time() + 50)
    with processing(outbox, server, clock=clock) as processor:
        assert due(processor) == []
        clock.ahead += 51
        assert due(processor) == ["cafe"]


def test_a_check_that_a_clock_put_off_for_ever_is_made_all_the_same(
    outbox: Outbox, server: ToyServer
) -> None:
    set_row(outbox, check_at=time.time() + 1e6)
    with processing(outbox, server) as processor:
        assert due(processor) == ["cafe"]


def test_a_connection_that_cant_be_made_takes_no_orders(outbox: Outbox, server: ToyServer) -> None:
    heard = Heard()
    with processing(outbox, server, heard=heard) as processor:
        look(processor, "nowhere")
    shut = outbox.availability("nowhere")
    assert (shut.takes_orders, shut.reason) == (False, Reason.UNCONNECTED)
    assert "no connection 'nowhere'" in shut.text
    assert told(heard) == [(False, Reason.UNCONNECTED)]


def test_a_reconnected_store_is_checked_at_once(outbox: Outbox, server: ToyServer) -> None:
    set_row(outbox, paused="authorisation", paused_at=1.0, check_at=time.time() + 60)
    assert outbox.resume("cafe")
    with processing(outbox, server) as processor:
        assert due(processor) == ["cafe"]


# ---------------------------------------------------------------------- told once


def test_each_change_is_told_once_by_many_workers_that_see_it_at_the_same_time(
    open_outbox: Opening, server: ToyServer
) -> None:
    outboxes, heard = [open_outbox() for _ in range(4)], Heard()
    barrier = threading.Barrier(4)

    def tell(outbox: Outbox) -> None:
        with processing(outbox, server, heard=heard) as processor:
            for _ in range(6):
                barrier.wait()
                Checks(processor).tell()
                barrier.wait()

    threads = [threading.Thread(target=tell, args=(outbox,)) for outbox in outboxes[1:]]
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
    assert told(heard) == [(False, Reason.UNAUTHORISED), (True, Reason.OPEN)] * 3


@pytest.mark.slow
def test_workers_check_by_themselves_and_a_platform_that_hangs_holds_up_no_orders(
    open_outbox: Opening, server: ToyServer
) -> None:
    outbox, heard, gone_on = open_outbox(check_every=0.3), Heard(), threading.Event()

    class Hanging(Toy):
        def check(self) -> Any:
            gone_on.wait(20)
            return super().check()

    slow = Hanging(server.settings())
    set_row(outbox, "slow", check_at=1.0)
    with processing(outbox, server, heard=heard, slow=Connected(slow)) as processor:
        worker = Worker(processor)
        running = threading.Thread(target=worker.run)
        running.start()
        try:
            until(lambda: outbox.availability("cafe").text == "")
            server.always(CHECK, answer(200, {"open": False}))
            until(lambda: told(heard) == [(False, Reason.CLOSED)])
            outbox.add(
                toy_order(
                    "ord-1",
                ),
                connection="slow",
            )
            until(lambda: len(server.made("ord-1")) == 1)
        finally:
            gone_on.set()
            worker.stop()
            running.join()


def until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    give_up_at = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < give_up_at
        time.sleep(0.02)


# ---------------------------------------------------------------------- asking


def test_asking_reads_one_row_and_sends_nothing(outbox: Outbox, server: ToyServer) -> None:
    with processing(outbox, server) as processor:
        look(processor)
    sent, statements = len(server.seen), list[str]()

    def note(*facts: Any) -> None:
        statements.append(facts[2])

    event.listen(outbox.database.engine, "before_cursor_execute", note)
    for _ in range(3):
        assert outbox.availability("cafe").takes_orders
    assert len(server.seen) == sent
    assert len(statements) == 3
    assert all("FROM tillpost_connections" in statement for statement in statements)


def test_what_was_seen_long_ago_isnt_passed_off_as_known(outbox: Outbox, server: ToyServer) -> None:
    server.on(CHECK, answer(200, {"open": False}))
    with processing(outbox, server) as processor:
        look(processor)
    assert not outbox.availability("cafe").takes_orders
    long_ago = time.time() - 2 * OVERDUE
    kept = {**json.loads(row_of(outbox).readiness), "at": long_ago}
    set_row(outbox, check_at=long_ago, readiness=json.dumps(kept))
    known = outbox.availability("cafe")
    assert known.takes_orders
    assert "for a while" in known.text


def test_only_an_outbox_that_knows_the_file_says_that_a_name_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    url, file = f"sqlite:///{tmp_path / 'orders.db'}", tmp_path / "tillpost.toml"
    with Outbox(url) as by_url:
        assert by_url.availability("nowhere").takes_orders
    with Outbox.from_config(url=url) as without_any:
        assert without_any.availability("nowhere").takes_orders, "they may be made in code"
    file.write_text(f'[connections.cafe]\nplatform = "square"\nlocation_id = {json.dumps("L1")}\n')
    with Outbox.from_config(url=url) as outbox:
        assert outbox.availability("cafe").takes_orders
        unknown = outbox.availability("nowhere")
        assert (unknown.takes_orders, unknown.reason) == (False, Reason.UNCONNECTED)
        file.write_text("not TOML")
        assert outbox.availability("nowhere").takes_orders, "nobody can know"


def test_connections_of_the_file_are_met_before_any_order(
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
        Checks(processor).meet()
        assert row_of(outbox, "bar").check_at == pytest.approx(time.time() + 60, abs=5)
        file.write_text("not TOML")
        Checks(processor).meet()
