"""`Till` and `AsyncTill` over a real HTTP server: what they share, and that they agree."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping
from operator import attrgetter
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.both import BlockingTill, Kind
from core.conftest import QUICK, Opening
from core.toy import TOKEN, Toy, ToyItem, lost_order, toy_menu, toy_order
from core.toy_server import Act, ToyServer, answer, hang, passing, redirect, refuse
from tillpost import (
    AsyncTill,
    MenuError,
    OrderError,
    OutageError,
    Outcome,
    PermissionsError,
    Policy,
    PosError,
    PosOrder,
    Till,
)
from tillpost.adapter.order_features import OrderFeature
from tillpost.submission.context import Connection
from tillpost.submission.journal import Intended, MemoryJournal, Settled
from tillpost.testing.order_parts import PARTS, order_with
from waiting import AGES

# The operations


def test_paid_order_reaches_the_platform_once(opening: Opening, server: ToyServer) -> None:
    till = opening(server.adapter())
    first = till.submit(toy_order())
    assert till.submit(toy_order()) == first
    assert [order.total for order in server.made("ord-1")] == [1000]
    assert server.count("POST /orders") == 1


def test_order_of_another_type_is_refused_by_name(opening: Opening, server: ToyServer) -> None:
    till = opening(server.adapter())
    content: Any = toy_order().model_dump()
    with pytest.raises(TypeError, match=r"Order\.model_validate"):
        till.submit(content)
    assert server.count("POST /orders") == 0


def test_fetch_takes_an_order_or_its_id(opening: Opening, server: ToyServer) -> None:
    till = opening(server.adapter())
    made = till.submit(toy_order())
    assert till.fetch(made) == till.fetch("o1") == made


def test_cancelled_order_is_not_submitted_again(opening: Opening, server: ToyServer) -> None:
    till = opening(server.adapter())
    made = till.submit(toy_order())
    assert till.cancel(made).status == "CANCELLED"
    with pytest.raises(OrderError, match="the order was cancelled"):
        till.submit(toy_order())
    assert server.count("POST /orders") == 1


def test_quote_is_the_platforms_price_for_the_current_menu(
    opening: Opening, server: ToyServer
) -> None:
    till = opening(server.adapter())
    assert till.quote(toy_order(quantity=3)) == 3000
    server.items[0] = ToyItem(id="i2", sku="S1", name="Toast", price=1000)
    till.import_menu()
    assert till.quote(toy_order(quantity=2)) == 2000
    assert not server.orders


@pytest.mark.parametrize("feature", OrderFeature)
def test_uncarried_part_is_refused_before_sending_by_field(
    opening: Opening, server: ToyServer, feature: OrderFeature
) -> None:
    order = order_with(toy_order(), feature)
    till = opening(server.adapter())
    for operation in (till.submit, till.quote):
        with pytest.raises(OrderError) as caught:
            operation(order)
        error = caught.value
        assert error.detail == f"{PARTS[feature].path}: Toy doesn't take {feature.words}"
        assert error.outcome is Outcome.NOT_CREATED
        assert feature.words in error.remedy.manager
        assert error.lines == ((int(error.detail[6]),) if "lines" in feature else ())
    assert not server.seen


@pytest.mark.parametrize("feature", OrderFeature)
def test_carried_part_is_sent_and_named_among_capabilities(
    opening: Opening, server: ToyServer, feature: OrderFeature
) -> None:
    class Carrying(Toy):
        carries = frozenset({feature})

    server.items.append(ToyItem(id="", sku="", name="Corkage", price=300))
    order = order_with(toy_order(), feature)
    till = opening(Carrying(server.adapter().config))
    till.submit(order)
    assert server.count("POST /orders") == 1
    assert feature in till.till.capabilities


def test_check_reports_whether_the_store_takes_orders(opening: Opening, server: ToyServer) -> None:
    till = opening(server.adapter())
    assert till.check().ready
    server.open = False
    assert not till.check().ready


def test_till_has_platform_capabilities_and_a_safe_repr(
    opening: Opening, server: ToyServer, kind: Kind
) -> None:
    till = opening(server.adapter(), name="cafe-42").till
    assert till.platform == "toy"
    assert till.capabilities == server.adapter().capabilities()
    assert repr(till) == ("<Till cafe-42>" if kind == "sync" else "<AsyncTill cafe-42>")


def test_stored_menu_can_be_set_and_removed(opening: Opening, server: ToyServer) -> None:
    till = opening(server.adapter()).till
    assert till.menu is None
    till.menu = toy_menu(server.items)
    assert till.menu == toy_menu(server.items)
    till.menu = None
    assert till.menu is None


def test_import_that_removes_too_much_is_held_until_accepted(
    opening: Opening, server: ToyServer
) -> None:
    server.items += [
        ToyItem(id=f"i{n}", sku=f"S{n}", name=f"Dish {n}", price=100 * n) for n in range(2, 6)
    ]
    till = opening(server.adapter())
    whole = till.import_menu().menu
    del server.items[1:]
    held = till.import_menu()
    assert held.held
    assert till.till.menu == whole
    assert till.till.held_menu == toy_menu(server.items)
    assert not till.import_menu(accept=True).held
    assert till.till.menu == toy_menu(server.items)
    assert till.till.held_menu is None


def test_errors_end_with_the_support_contact(opening: Opening, server: ToyServer) -> None:
    server.on("GET /status", refuse("REVOKED", status=401))
    till = opening(server.adapter(), policy=QUICK, support_contact="Call Kim.")
    with pytest.raises(PermissionsError) as caught:
        till.check()
    assert caught.value.remedy.manager.endswith("Call Kim.")


@pytest.mark.parametrize("stranger", ["GET /menu", "GET /status"])
def test_redirect_is_an_error_and_gets_no_token(
    opening: Opening, server: ToyServer, stranger: str
) -> None:
    till = opening(server.adapter())
    with ToyServer() as elsewhere:
        server.on(stranger, redirect(elsewhere.url))
        with pytest.raises(PosError) as caught:
            till.do(lambda t: t.import_menu() if stranger == "GET /menu" else t.check())
        assert caught.value.status_code == 307
        assert not elsewhere.seen


# The HTTP client


def test_connections_are_pooled_and_closed_with_the_till(server: ToyServer, kind: Kind) -> None:
    adapter = server.adapter()
    if kind == "sync":
        with Till(Connection(adapter)) as till:
            till.check()
            till.check()
        with pytest.raises(RuntimeError, match="closed"):
            vars(till)["_client"].get(server.url)
        return

    async def the_same() -> None:
        async with AsyncTill(Connection(adapter)) as till:
            await till.check()
            await till.check()
        with pytest.raises(RuntimeError, match="closed"):
            await vars(till)["_client"].get(server.url)

    asyncio.run(the_same())


def test_callers_client_is_used_and_stays_open(server: ToyServer, kind: Kind) -> None:
    headers = {"X-Trace": "t1"}
    if kind == "sync":
        with httpx.Client(headers=headers) as client:
            with Till(Connection(server.adapter()), http_client=client) as till:
                till.check()
            assert client.get(f"{server.url}/status").is_success
    else:

        async def the_same() -> None:
            async with httpx.AsyncClient(headers=headers) as client:
                async with AsyncTill(Connection(server.adapter()), http_client=client) as till:
                    await till.check()
                assert (await client.get(f"{server.url}/status")).is_success

        asyncio.run(the_same())
    assert [seen.headers["x-trace"] for seen in server.seen] == ["t1", "t1"]
    assert "authorization" not in server.seen[1].headers


# At the same time


def test_concurrent_submits_of_one_order_make_one_order(
    opening: Opening, server: ToyServer
) -> None:
    server.on("POST /orders", passing(delay=0.05))
    till = opening(server.adapter(keyed=False))
    results = till.together(lambda t: t.submit(toy_order(), is_new=True), 8)
    assert [result.id for result in results] == ["o1"] * 8
    assert server.count("POST /orders") == 1


def test_different_orders_are_submitted_concurrently(opening: Opening, server: ToyServer) -> None:
    server.gather("POST /orders", 4)
    numbers = iter(range(4))
    results = opening(server.adapter()).together(
        lambda t: t.submit(toy_order(f"ord-{next(numbers)}")), 4
    )
    assert sorted(result.id for result in results) == ["o1", "o2", "o3", "o4"]


def import_once_all_wait(till: BlockingTill, waiting: int, then: Act) -> Act:
    """Act on a request for the menu once so many callers want the import that it is for."""
    users: Mapping[str, int] = attrgetter("_executor._import_lock._users")(till.till)

    async def act(*request: Any) -> bool:
        async with asyncio.timeout(AGES):
            while users.get("", 0) < waiting:
                await asyncio.sleep(0.01)
        return await then(*request)

    return act


@pytest.mark.parametrize("cooldown", [60.0, 0.0])
def test_concurrent_menu_errors_import_once(
    opening: Opening, server: ToyServer, cooldown: float
) -> None:
    server.gather("POST /orders", 8, refuse("GONE", "line 0"))
    policy = QUICK.model_copy(update={"import_cooldown": cooldown})
    numbers = iter(range(8))
    till = opening(server.adapter(), policy=policy)
    server.on("GET /menu", import_once_all_wait(till, 8, passing()))
    results = till.together(lambda t: t.submit(lost_order(f"ord-{next(numbers)}")), 8)
    assert [type(result) for result in results] == [MenuError] * 8
    assert server.count("GET /menu") == 1


def test_concurrent_menu_errors_share_a_failed_import(opening: Opening, server: ToyServer) -> None:
    server.gather("POST /orders", 8, refuse("GONE", "line 0"))
    numbers = iter(range(8))
    till = opening(server.adapter(), policy=Policy(retries=0))
    server.on("GET /menu", import_once_all_wait(till, 8, answer(503)))
    results = till.together(lambda t: t.submit(lost_order(f"ord-{next(numbers)}")), 8)
    assert all(isinstance(result, OutageError) for result in results)
    assert {result.operation for result in results} == {"import_menu"}
    assert server.count("GET /menu") == 1
    assert till.import_menu().menu  # a later import doesn't raise the old failure


def test_concurrent_expiry_refreshes_once(opening: Opening, server: ToyServer) -> None:
    server.token = "another by now"
    server.gather("POST /orders", 8)
    numbers = iter(range(8))
    results = opening(server.adapter()).together(
        lambda t: t.submit(toy_order(f"ord-{next(numbers)}")), 8
    )
    assert all(isinstance(result, PosOrder) for result in results)
    assert server.count("POST /token") == 1
    assert server.count("POST /orders") == 16


# Refreshing


def test_refresh_request_holds_no_credential_until_signed(
    opening: Opening, server: ToyServer
) -> None:
    server.token = "another by now"
    till = opening(server.adapter())
    assert till.check().ready
    assert [f"{seen.method} {seen.path}" for seen in server.seen] == [
        "GET /status",
        "POST /token",
        "GET /status",
    ]
    assert b"toy-refresh-token-1" in server.seen[1].body
    assert till.check().ready
    assert server.count("POST /token") == 1


@pytest.mark.parametrize(
    "refused", [refuse("REVOKED", status=401), refuse("EXPIRED", status=401), refuse("NEWS")]
)
def test_refused_refresh_is_a_permissions_error_without_loop(
    opening: Opening, server: ToyServer, refused: Callable[..., Any]
) -> None:
    server.token = "another by now"
    server.always("POST /token", refused)
    with pytest.raises(PermissionsError) as caught:
        opening(server.adapter(), policy=Policy(retries=0)).submit(toy_order())
    assert (caught.value.code, caught.value.outcome) == ("EXPIRED", Outcome.NOT_CREATED)
    assert server.count("POST /token") == 1


def test_transient_refresh_failure_is_an_outage(opening: Opening, server: ToyServer) -> None:
    server.token = "another by now"
    server.on("POST /token", answer(503))
    server.on("POST /token", answer(200, {"nothing": 1}))
    till = opening(server.adapter(), policy=Policy(retries=0))
    for _ in range(2):
        with pytest.raises(OutageError) as caught:
            till.submit(toy_order())
        assert (caught.value.operation, caught.value.outcome) == ("submit", Outcome.NOT_CREATED)
    assert till.submit(toy_order()).id == "o1"
    assert len(server.made("ord-1")) == 1


def test_refresh_that_changes_nothing_does_not_loop(opening: Opening, server: ToyServer) -> None:
    server.always("GET /status", refuse("EXPIRED", status=401))
    with pytest.raises(PermissionsError):
        opening(server.adapter()).check()
    assert server.count("POST /token") == 1
    assert server.count("GET /status") == 2


# Interruptions


def stopping_client(kind: Kind, when: str, stop: type[BaseException]) -> Any:
    """Return a client that is interrupted once, just before or after the first POST /orders."""
    left = [1]

    def due(request: httpx.Request) -> bool:
        return (
            request.url.path == "/orders"
            and request.method == "POST"
            and bool(left)
            and bool(left.pop())
        )

    class Sync(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            stops = due(request)
            if stops and when == "before":
                raise stop
            response = super().handle_request(request)
            if stops:
                raise stop
            return response

    class Async(httpx.AsyncHTTPTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            stops = due(request)
            if stops and when == "before":
                raise stop
            response = await super().handle_async_request(request)
            if stops:
                raise stop
            return response

    return (
        httpx.Client(transport=Sync()) if kind == "sync" else httpx.AsyncClient(transport=Async())
    )


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("keyed", [True, False])
@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit, asyncio.CancelledError])
def test_interruption_leaves_doubt_and_resubmit_makes_one_order(
    server: ToyServer, kind: Kind, when: str, keyed: bool, stop: type[BaseException]
) -> None:
    journal = MemoryJournal()
    client = stopping_client(kind, when, stop)
    connection = Connection(server.adapter(keyed=keyed), policy=QUICK)

    def sync() -> None:
        with client, Till(connection, journal=journal, http_client=client) as till:
            with pytest.raises(stop):
                till.submit(toy_order(), is_new=True)
            leaves_doubt(journal)
            assert till.submit(toy_order()).reference == "ord-1"

    async def tasks() -> None:
        async with client, AsyncTill(connection, journal=journal, http_client=client) as till:
            with pytest.raises(stop):
                await till.submit(toy_order(), is_new=True)
            leaves_doubt(journal)
            assert (await till.submit(toy_order())).reference == "ord-1"

    if kind == "sync":
        sync()
    else:
        asyncio.run(tasks())
    assert len(server.made("ord-1")) == 1
    if not keyed:
        assert server.count("GET /orders") >= 1


def leaves_doubt(journal: MemoryJournal) -> None:
    events = journal.read("ord-1")
    assert isinstance(events[-1], Intended)
    assert not any(isinstance(event, Settled) for event in events)


@pytest.mark.parametrize("keyed", [True, False])
@pytest.mark.parametrize("effect", [True, False])
def test_cancelled_task_leaves_its_doubt(server: ToyServer, keyed: bool, effect: bool) -> None:
    server.on("POST /orders", hang(effect=effect))
    journal = MemoryJournal()

    async def cancelled() -> None:
        async with AsyncTill(
            Connection(server.adapter(keyed=keyed), policy=QUICK), journal=journal
        ) as till:
            task = asyncio.create_task(till.submit(toy_order(), is_new=True))
            assert await asyncio.to_thread(server.hanging.wait, 5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            leaves_doubt(journal)
            assert (await till.submit(toy_order())).reference == "ord-1"

    asyncio.run(cancelled())
    assert len(server.made("ord-1")) == 1
    assert server.count("POST /orders") == (1 if effect and not keyed else 2)


def test_task_waiting_for_another_submit_can_be_cancelled(
    server: ToyServer,
) -> None:
    server.on("POST /orders", hang())

    async def cancelled() -> None:
        async with AsyncTill(Connection(server.adapter(), policy=QUICK)) as till:
            first = asyncio.create_task(till.submit(toy_order()))
            assert await asyncio.to_thread(server.hanging.wait, 5)
            second = asyncio.create_task(till.submit(toy_order()))
            await asyncio.sleep(0)
            for task in (second, first):
                task.cancel()
            await asyncio.gather(first, second, return_exceptions=True)
            assert (await till.submit(toy_order())).id == "o1"

    asyncio.run(cancelled())


INTERRUPTED = """
import sys
from tillpost import Till
from tillpost.submission.context import Connection
sys.path.insert(0, {tests!r})
from tests.core.toy import Toy, ToySettings, toy_order

with Till(Connection(Toy(ToySettings(base_url={url!r}, access_token={token!r})))) as till:
    try:
        till.submit(toy_order())
    except KeyboardInterrupt:
        print("interrupted", flush=True)
        print(till.submit(toy_order()).id, flush=True)
"""


def test_ctrl_c_in_a_submit_leaves_its_doubt(server: ToyServer) -> None:
    server.on("POST /orders", hang())
    root = str(Path(__file__).parents[3])
    program = textwrap.dedent(INTERRUPTED).format(url=server.url, token=TOKEN, tests=root)
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, env=environment
    ) as running:
        assert server.hanging.wait(AGES)
        running.send_signal(signal.SIGINT)
        out, _ = running.communicate(timeout=AGES)
    assert out.split() == [b"interrupted", b"o1"]
    assert server.count("POST /orders") == 2
    assert len(server.made("ord-1")) == 1
