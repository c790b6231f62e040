"""From when on a platform is searched for an order, and for how long an operation goes on."""

from __future__ import annotations

from datetime import timedelta
from email.utils import format_datetime

import pytest

from core.stand_in import (
    BROKEN,
    LOST,
    Keyed,
    Keyless,
    Platform,
    Run,
    StandInSettings,
    an_order,
    fail_on,
    refusal,
)
from tillpost.adapter.base import Attempt
from tillpost.adapter.exchange import Effect, Exchange, Response, pause
from tillpost.errors import Applied, OrderError, OutageError, Outcome, SetupError
from tillpost.submission.context import Connection
from tillpost.submission.history import ZONE_ERROR, History, fold
from tillpost.submission.journal import UNKNOWN_LEAD, Intended, Settled
from tillpost.submission.menu_import import import_menu
from tillpost.submission.operation import (
    OperationContext,
    first_request,
    preview,
    searched_since,
)
from tillpost.submission.store_flows import StoreFlows
from tillpost.transport.http import Limits

NOON = 1_795_608_000.0
AT_NOON = Response(200, {"date": "Wed, 25 Nov 2026 12:00:00 GMT"}, b"")
PLACED = an_order().placed_at.timestamp()


def connection_at(now: float) -> Connection:
    return Connection(Keyed(StandInSettings()), clock=lambda: now)


def test_order_never_sent_may_be_as_old_as_it_was_placed() -> None:
    connection = connection_at(NOON)
    assert searched_since(connection, an_order(), History()) == PLACED - UNKNOWN_LEAD
    connection.platform_clock.observe(AT_NOON, NOON, "cafe")
    since = searched_since(connection, an_order(), History())
    assert since == pytest.approx(PLACED - ZONE_ERROR, abs=5)


def test_order_placed_in_the_future_is_searched_from_now_on() -> None:
    connection = connection_at(PLACED - 60)
    assert searched_since(connection, an_order(), History()) == PLACED - 60 - UNKNOWN_LEAD


def test_clock_ahead_of_the_platforms_moves_the_search_back() -> None:
    connection = connection_at(NOON + 7200)
    connection.platform_clock.observe(AT_NOON, NOON + 7200, "cafe")
    since = searched_since(connection, an_order(), History())
    assert since == pytest.approx(PLACED - ZONE_ERROR - 7200, abs=5)


def test_order_placed_in_the_future_may_have_been_sent_hours_ago() -> None:
    """Its site has the wrong time zone, and the process that sent it died."""
    connection = connection_at(PLACED - 3600)
    now = Response(200, {"date": format_datetime(an_order().placed_at - timedelta(hours=1))}, b"")
    connection.platform_clock.observe(now, PLACED - 3600, "cafe")
    since = searched_since(connection, an_order(), History())
    assert since == pytest.approx(PLACED - 3600 - ZONE_ERROR, abs=5)


@pytest.mark.parametrize("keyed", [Keyed, Keyless])
def test_failed_look_up_shows_nothing_of_the_order(keyed: type[Keyed]) -> None:
    run = Run(Platform(), adapter=keyed(StandInSettings()), failing=fail_on("/", ("before", LOST)))
    with pytest.raises(OutageError) as caught:
        run.drive(StoreFlows(run.connection).find(an_order(), History()))
    assert caught.value.outcome is Outcome.UNKNOWN


def test_failed_look_up_of_an_order_that_arrived_says_so() -> None:
    run = Run(Platform())
    run.submit(an_order())
    run.failing = fail_on("/search", ("before", LOST))
    history = fold(run.journal.read("ord_1"))
    with pytest.raises(OutageError) as caught:
        run.drive(StoreFlows(run.connection).find(an_order(), history))
    assert caught.value.outcome is Outcome.CREATED


def test_refused_import_blames_the_connection_and_no_order() -> None:
    """A 404 counts as an `OrderError` by the table, and here there is no order."""
    run = Run(Platform(), failing=fail_on("/menu", ("before", refusal(404, "NOT_FOUND"))))
    with pytest.raises(SetupError) as caught:
        run.drive(import_menu(run.connection))
    assert (caught.value.status_code, caught.value.operation) == (404, "import_menu")
    assert "order" not in f"{caught.value.remedy}".replace("ordering site", "")


def test_outage_of_an_import_names_the_order_that_waits_for_it() -> None:
    failing = fail_on("/menu", *[("before", BROKEN)] * 9)
    run = Run(Platform(items={"i9": ("S1", 1000)}), failing=failing)
    with pytest.raises(OutageError) as alone:
        run.drive(import_menu(run.connection))
    error = run.attempt(an_order())
    assert isinstance(error, OutageError)
    assert "order" not in alone.value.remedy.manager
    assert "The order can be sent again" in error.remedy.manager


def test_operation_out_of_time_stops_reading_but_finishes_order() -> None:
    """The order that was created is paid, and isn't left half done."""
    run = Run(Platform())
    run.connection.limits = Limits(menu_import=1e-9, operation=1e-9)
    assert run.submit(an_order()).id == "o1"
    with pytest.raises(OutageError, match="one fetch takes longer than 1e-09 s"):
        run.drive(StoreFlows(run.connection).fetch("o1"))
    with pytest.raises(OutageError, match="one check takes longer than 1e-09 s"):
        run.drive(StoreFlows(run.connection).check())
    with pytest.raises(OutageError, match="one import_menu takes longer than 1e-09 s"):
        run.drive(import_menu(run.connection))
    assert [request.path for request in run.requests] == ["/orders", "/pay/o1"]


def test_order_that_was_sent_is_searched_from_when_it_was_sent() -> None:
    intent = Intended(NOON, Effect.CREATE, 0, None, "body", ahead=3600.0)
    history = fold([intent, Settled(NOON + 15, Applied.MAYBE)])
    assert searched_since(connection_at(NOON + 99), an_order(), history) == NOON - 3600


def test_preview_of_an_operation_that_only_reads_has_no_content() -> None:
    run = Run(Platform())
    context = OperationContext(run.connection, "import_menu")
    assert run.drive(preview(context, run.adapter.import_menu)) == ""


def test_first_request_is_returned_and_not_sent() -> None:
    run = Run(Platform())
    order = an_order()
    create = first_request(
        OperationContext(run.connection, "submit", order), run.adapter.submit, order, Attempt()
    )
    assert create is not None
    assert (create.path, create.effect) == ("/orders", Effect.CREATE)
    read = first_request(OperationContext(run.connection, "import_menu"), run.adapter.import_menu)
    assert read is not None
    assert read.path == "/menu"
    assert not run.requests


def test_operation_may_end_or_fail_without_a_request() -> None:
    def waits() -> Exchange[None]:
        yield from pause(5)

    def refuses() -> Exchange[None]:
        yield from pause(5)
        raise OrderError("too long")

    run = Run(Platform())
    assert first_request(OperationContext(run.connection, "submit", an_order()), waits) is None
    with pytest.raises(OrderError, match="too long"):
        first_request(OperationContext(run.connection, "submit", an_order()), refuses)
