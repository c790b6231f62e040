"""An order has arrived only if an answer proves it, whatever a server says at any operation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from conformance.generic_world import GenericWorld
from conformance.kounta_world import KountaWorld
from conformance.square_world import SquareWorld
from lying_server import (
    Lie,
    LyingServer,
    names_another,
    names_nothing,
    names_other_id,
    states,
    whole,
    without_last_line,
)
from tillpost import MenuError, OutageError, Outcome, PosError, PosOrder, Till
from tillpost.simulator import serve_in_thread
from tillpost.submission.journal import MemoryJournal
from tillpost.testing.world import AnyWorld, Suite
from tillpost_simulators.generic import GenericSimulator
from tillpost_simulators.kounta import KountaSettings, KountaSimulator
from tillpost_simulators.square import SquareSimulator

pytestmark = pytest.mark.slow

ORDER = "ord-1"


@dataclass
class Place:
    """A store behind a server that can lie."""

    world: AnyWorld
    server: LyingServer
    create: str
    one: str
    search: tuple[str, str]

    def till(self, journal: MemoryJournal | None = None) -> Till:
        return Suite().till(self.world, journal, base_url=self.server.url)

    def outcome_of(self, till: Till) -> PosOrder | PosError:
        try:
            return till.submit(self.world.order(ORDER))
        except PosError as error:
            return error

    @property
    def shown(self) -> list[str]:
        return [entry.reference for entry in self.world.simulator.ledger().shown]


def square() -> tuple[Any, type[AnyWorld], str, str, tuple[str, str]]:
    return SquareSimulator(), SquareWorld, "/v2/orders$", "/v2/orders/[^/]+$", ("POST", "search$")


def kounta() -> tuple[Any, type[AnyWorld], str, str, tuple[str, str]]:
    simulator = KountaSimulator(KountaSettings(oauth_limit=100_000))
    return simulator, KountaWorld, "/orders.json$", r"/orders/\d+.json$", ("GET", r"orders.json\?")


def generic() -> tuple[Any, type[AnyWorld], str, str, tuple[str, str]]:
    return GenericSimulator(), GenericWorld, "/orders$", "/orders/[^/?]+$", ("GET", r"/orders\?")


PLATFORMS = [square, kounta, generic]


@pytest.fixture(params=PLATFORMS, ids=lambda make: make.__name__)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    with ExitStack() as stack:
        yield opened(stack, request.param)


def opened(
    stack: ExitStack, make: Callable[[], tuple[Any, type[AnyWorld], str, str, tuple[str, str]]]
) -> Place:
    simulator, world, create, one, search = make()
    running = stack.enter_context(serve_in_thread(simulator))
    server = stack.enter_context(LyingServer(running.url))
    return Place(world(running), server, create, one, search)


EVERY_ANSWER: list[tuple[str, Lie]] = [
    ("another", names_another(ORDER)),
    ("no reference", names_nothing("reference", "reference_id", "sale_number", "notes", "ref")),
    ("no total", names_nothing("total", "total_money", "line_total_ex_tax", "line_total_tax")),
]


@pytest.mark.parametrize("lie", [lie for _, lie in EVERY_ANSWER], ids=[n for n, _ in EVERY_ANSWER])
def test_order_that_no_answer_proves_stays_in_doubt(place: Place, lie: Lie) -> None:
    """Once the server is honest, the order arrives, and there is one."""
    journal = MemoryJournal()
    with place.till(journal) as till:
        till.import_menu()
        for method, path in (("POST", place.create), ("GET", place.one), place.search):
            place.server.lie(method, path, lie)
        error = place.outcome_of(till)
        assert isinstance(error, PosError), error
        assert error.outcome is Outcome.UNKNOWN
        place.server.be_honest()
        arrived = till.submit(place.world.order(ORDER))
    assert arrived.reference == ORDER
    assert arrived.total == place.world.order(ORDER).total
    assert place.shown == [ORDER]


@pytest.mark.parametrize("operation", ["create", "one", "search"])
def test_lie_of_one_operation_never_makes_two_orders(place: Place, operation: str) -> None:
    lies = {
        "create": ("POST", place.create),
        "one": ("GET", place.one),
        "search": place.search,
    }
    place.server.lie(*lies[operation], names_another(ORDER), times=3)
    with place.till() as till:
        first = place.outcome_of(till)
        if isinstance(first, PosError):
            assert first.outcome is Outcome.UNKNOWN
            till.submit(place.world.order(ORDER))
    assert place.shown == [ORDER]


def test_fetch_answered_with_another_order_is_refused(place: Place) -> None:
    with place.till() as till:
        ours = till.submit(place.world.order(ORDER))
        other = till.submit(place.world.order("ord-2"))
        place.server.lie("GET", place.one, names_other_id(ours.id, other.id))
        with pytest.raises(OutageError):
            till.fetch(ours)
        if "cancel" in till.capabilities:
            place.server.be_honest()
            for method in ("PUT", "POST"):
                place.server.lie(method, "/orders/.+", names_other_id(ours.id, other.id))
            with pytest.raises(OutageError) as caught:
                till.cancel(ours)
            assert caught.value.outcome is Outcome.UNKNOWN


def test_find_answered_with_another_order_is_not_ours(place: Place) -> None:
    with place.till() as till:
        till.submit(place.world.order(ORDER))
        place.server.lie(*place.search, names_another(ORDER))
        assert till.find(place.world.order(ORDER)) is None


def test_dropped_line_is_a_menu_error_of_the_created_order() -> None:
    with ExitStack() as stack:
        place = opened(stack, kounta)
        place.server.lie("GET", place.one, without_last_line("lines"))
        with place.till() as till:
            error = place.outcome_of(till)
    assert isinstance(error, MenuError)
    assert error.outcome is Outcome.CREATED
    assert place.shown == [ORDER]


# ---------------------------------------------------------------------- Square


@pytest.fixture
def at_square() -> Iterator[Place]:
    with ExitStack() as stack:
        yield opened(stack, square)


def test_payment_of_another_order_is_not_believed(at_square: Place) -> None:
    at_square.server.lie("POST", "/v2/payments$", states(order_id="another"))
    with at_square.till() as till:
        error = at_square.outcome_of(till)
        assert isinstance(error, OutageError)
        assert error.outcome is Outcome.UNKNOWN
        at_square.server.be_honest()
        till.submit(at_square.world.order(ORDER))
    assert at_square.shown == [ORDER]


def test_payment_that_names_no_order_is_proved_by_the_order(at_square: Place) -> None:
    at_square.server.lie("POST", "/v2/payments$", names_nothing("order_id"))
    with at_square.till() as till:
        assert isinstance(at_square.outcome_of(till), PosOrder)
        assert at_square.server.seen[-1].startswith("GET /v2/orders/")
        at_square.server.lie("GET", at_square.one, names_nothing("tenders", "fulfillments"))
        error = None
        try:
            till.submit(at_square.world.order("ord-2"))
        except PosError as refused:
            error = refused
    assert error is not None
    assert error.outcome is Outcome.UNKNOWN


def test_create_that_names_no_order_is_read_before_it_is_paid(at_square: Place) -> None:
    at_square.server.lie("POST", at_square.create, names_nothing("reference_id"))
    with at_square.till() as till:
        till.submit(at_square.world.order(ORDER))
    reads = [seen for seen in at_square.server.seen if seen.startswith("GET /v2/orders/")]
    assert len(reads) == 1
    assert at_square.shown == [ORDER]


# ---------------------------------------------------------------------- Kounta

SAYS_ODD_THINGS = [
    b"null",
    b"",
    b"<html>Welcome</html>",
    b"\xff\xfe",
    b'{"error": "Product #5312 is not available at that site."}',
    b'{"error_description": "The access token provided has expired"}',
]


@pytest.mark.parametrize("body", SAYS_ODD_THINGS)
def test_created_with_location_is_created_whatever_the_body(body: bytes) -> None:
    with ExitStack() as stack:
        place = opened(stack, kounta)
        place.server.lie("POST", place.create, whole(201, body))
        with place.till() as till:
            arrived = place.outcome_of(till)
    assert isinstance(arrived, PosOrder), arrived
    assert len([seen for seen in place.server.seen if seen.startswith("POST")]) <= 2
    assert place.shown == [ORDER]


def test_created_order_that_is_never_shown_is_not_sent_again() -> None:
    """A 201 with a Location isn't outweighed by any number of empty look-ups."""
    with ExitStack() as stack:
        place = opened(stack, kounta)
        place.server.lie("GET", place.one, whole(404, b'{"error": "Not Found"}'))
        place.server.lie(*place.search, whole(200, b"[]"))
        with place.till() as till:
            for _ in range(3):
                error = place.outcome_of(till)
                assert isinstance(error, PosError)
                assert error.outcome is Outcome.UNKNOWN
                (created,) = place.world.simulator.ledger().entries
                assert created.order_id in error.detail
            (created,) = place.world.simulator.ledger().entries
            place.server.be_honest()
            assert till.submit(place.world.order(ORDER)).id == created.order_id
    assert place.shown == [ORDER]
