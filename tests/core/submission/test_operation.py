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
    create_unsent,
    preview,
    searched_since,
)
from tillpost.submission.store_flows import StoreFlows
from tillpost.transport.http import Limits

HOUR = 3600.0
NOON = 1_795_608_000.0
AT_NOON = Response(200, {"date": "Wed, 25 Nov 2026 12:00:00 GMT"}, b"")
PLACED = an_order().placed_at.timestamp()


def connection_at(now: float) -> Connection:
    return Connection(Keyed(StandInSettings()), clock=lambda: now)


def since_without_history(connection: Connection) -> float:
    """Return from when on an order is searched of which the journal says nothing."""
    return searched_since(connection, an_order(), History())


def test_order_never_sent_may_be_as_old_as_it_was_placed() -> None:
    connection = connection_at(NOON)
    assert since_without_history(connection) == PLACED - UNKNOWN_LEAD
    connection.platform_clock.observe(AT_NOON, NOON, "cafe")
    since = since_without_history(connection)
    assert since == pytest.approx(PLACED - ZONE_ERROR, abs=5)


def test_order_placed_in_the_future_is_searched_from_now_on() -> None:
    now = PLACED - 60
    connection = connection_at(now)
    assert since_without_history(connection) == now - UNKNOWN_LEAD


def test_clock_ahead_of_the_platforms_moves_the_search_back() -> None:
    ahead = 2 * HOUR
    connection = connection_at(NOON + ahead)
    connection.platform_clock.observe(AT_NOON, NOON + ahead, "cafe")
    since = since_without_history(connection)
    assert since == pytest.approx(PLACED - ZONE_ERROR - ahead, abs=5)


def test_order_placed_in_the_future_may_have_been_sent_hours_ago() -> None:
    """Its site has the wrong time zone, and the process that sent it died."""
    now = PLACED - HOUR
    connection = connection_at(now)
    an_hour_earlier = an_order().placed_at - timedelta(hours=1)
    date = format_datetime(an_hour_earlier)
    answer = Response(200, {"date": date}, b"")
    connection.platform_clock.observe(answer, now, "cafe")
    since = since_without_history(connection)
    assert since == pytest.approx(now - ZONE_ERROR, abs=5)


def outcome_of_look_up(run: Run, history: History) -> Outcome:
    """Return what the error of a failed look-up says of the order."""
    flows = StoreFlows(run.connection)
    with pytest.raises(OutageError) as caught:
        run.drive(flows.find(an_order(), history))
    return caught.value.outcome


@pytest.mark.parametrize("keyed", [Keyed, Keyless])
def test_failed_look_up_shows_nothing_of_the_order(keyed: type[Keyed]) -> None:
    adapter = keyed(StandInSettings())
    failing = fail_on("/", ("before", LOST))
    run = Run(Platform(), adapter=adapter, failing=failing)
    assert outcome_of_look_up(run, History()) is Outcome.UNKNOWN


def test_failed_look_up_of_an_order_that_arrived_says_so() -> None:
    run = Run(Platform())
    run.submit(an_order())
    run.failing = fail_on("/search", ("before", LOST))
    history = fold(run.journal.read("ord_1"))
    assert outcome_of_look_up(run, history) is Outcome.CREATED


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
    flows = StoreFlows(run.connection)
    assert run.submit(an_order()).id == "o1"
    with pytest.raises(OutageError, match="one fetch takes longer than 1e-09 s"):
        run.drive(flows.fetch("o1"))
    with pytest.raises(OutageError, match="one check takes longer than 1e-09 s"):
        run.drive(flows.check())
    with pytest.raises(OutageError, match="one import_menu takes longer than 1e-09 s"):
        run.drive(import_menu(run.connection))
    paths = [request.path for request in run.requests]
    assert paths == ["/orders", "/pay/o1"]


def test_order_that_was_sent_is_searched_from_when_it_was_sent() -> None:
    intent = Intended(
        NOON,
        Effect.CREATE,
        0,
        None,
        "body",
        ahead=HOUR,
    )
    doubt = Settled(NOON + 15, Applied.MAYBE)
    history = fold([intent, doubt])
    connection = connection_at(NOON + 99)
    assert searched_since(connection, an_order(), history) == NOON - HOUR


def test_preview_of_an_operation_that_only_reads_has_no_content() -> None:
    run = Run(Platform())
    context = OperationContext(run.connection, "import_menu")
    assert run.drive(preview(context, run.adapter.import_menu)) == ""


def test_create_is_returned_and_not_sent_unless_it_follows_a_read() -> None:
    run = Run(Platform())
    order = an_order()
    create = create_unsent(
        OperationContext(run.connection, "submit", order), run.adapter.submit, order, Attempt()
    )
    assert create is not None
    assert (create.path, create.effect) == ("/orders", Effect.CREATE)
    import_menu = run.adapter.import_menu
    assert create_unsent(OperationContext(run.connection, "import_menu"), import_menu) is None
    assert not run.requests


def test_operation_may_end_or_fail_without_a_request() -> None:
    def waits() -> Exchange[None]:
        yield from pause(5)

    def refuses() -> Exchange[None]:
        yield from pause(5)
        raise OrderError("too long")

    run = Run(Platform())
    assert create_unsent(OperationContext(run.connection, "submit", an_order()), waits) is None
    with pytest.raises(OrderError, match="too long"):
        create_unsent(OperationContext(run.connection, "submit", an_order()), refuses)
