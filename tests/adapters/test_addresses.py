"""A doubt on each platform: it has an address, and a wrong clock of ours doesn't hide the order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from conformance.generic_world import GenericWorld
from conformance.kounta_world import KountaWorld
from conformance.square_world import SquareWorld
from tillpost import DoubtError, Order, Policy, PosError, PosOrder, Till
from tillpost.client.base import adapter_for
from tillpost.simulator import Fault, FaultKind, FaultPlan, FaultRule, serve_in_thread
from tillpost.submission.context import Connection
from tillpost.submission.journal import MemoryJournal
from tillpost.testing.world import AnyWorld
from tillpost_simulators.generic import GenericSimulator, WorldSettings
from tillpost_simulators.kounta import KountaSimulator
from tillpost_simulators.square import SquareSimulator

NO_RETRY = Policy(retries=0)
PATIENT = Policy(first_wait=0.01, longest_wait=0.05)


def any_time() -> GenericSimulator:
    """Return a platform that accepts signatures of any time: these clocks are wrong by hours."""
    return GenericSimulator(WorldSettings(tolerance=1e9))


PLATFORMS: dict[str, tuple[Callable[[], Any], type[Any]]] = {
    "square": (SquareSimulator, SquareWorld),
    "kounta": (KountaSimulator, KountaWorld),
    "generic": (any_time, GenericWorld),
}
MOVES = [
    ("square", {"location_id": "LOTHER"}),
    ("kounta", {"site_id": "2399"}),
    ("kounta", {"company_id": "9999"}),
    ("generic", {"base_url": "http://localhost:9"}),
    ("kounta", {"base_url": "http://localhost:9"}),
    ("square", {"base_url": "http://localhost:9"}),
]


@pytest.fixture
def world(request: pytest.FixtureRequest) -> Iterator[AnyWorld]:
    simulator, world = PLATFORMS[request.param]
    with serve_in_thread(simulator()) as running:
        yield world(running)


def connected(
    world: AnyWorld,
    journal: MemoryJournal,
    *,
    policy: Policy = PATIENT,
    ahead: float = 0.0,
    **settings: object,
) -> Till:
    """Return a new process's Till, whose clock is `ahead` seconds ahead."""
    known = {**world.settings, "look_after": (0.02, 0.02), **settings}
    connection = Connection(
        adapter_for(world.adapter.platform, known),
        policy=policy,
        clock=lambda: time.time() + ahead,
    )
    return Till(connection, journal=journal)


def lose_answer_of_create(world: AnyWorld) -> None:
    lost = Fault(kind=FaultKind.LOST_ANSWER, when="after")
    create = FaultRule(fault=lost, method="POST", path=world.create_path)
    world.simulator.set_faults(FaultPlan(rules=(create,)))


@pytest.mark.parametrize(("world", "change"), MOVES, indirect=["world"])
def test_doubt_is_not_taken_to_another_address(world: AnyWorld, change: dict[str, Any]) -> None:
    order, journal = world.order("ord-1"), MemoryJournal()
    lose_answer_of_create(world)
    with connected(world, journal, policy=NO_RETRY) as till, pytest.raises(PosError):
        till.submit(order)

    requests = world.simulator.count()
    with connected(world, journal, **change) as till:
        for work in (till.submit, till.find):
            with pytest.raises(DoubtError, match=f"{next(iter(change))} was "):
                work(order)
    assert world.simulator.count() == requests

    with connected(world, journal) as till:
        assert till.submit(order).reference == order.id
    assert len(world.simulator.ledger().entries) == 1


def placed(order: Order, ahead: float) -> Order:
    """Return an order that was placed just now, by a clock that is ahead."""
    return order.model_copy(update={"placed_at": datetime.now(UTC) + timedelta(seconds=ahead)})


AHEAD = [0.0, 3 * 3600.0, 86_400.0, -3 * 3600.0, -86_400.0]


@pytest.mark.parametrize("ahead", AHEAD)
@pytest.mark.parametrize("world", list(PLATFORMS), indirect=True)
def test_wrong_clock_finds_the_order_after_a_lost_answer(world: AnyWorld, ahead: float) -> None:
    order = placed(world.order("ord-1"), ahead)
    lose_answer_of_create(world)
    with connected(world, MemoryJournal(), ahead=ahead) as till:
        assert till.submit(order, is_new=True).reference == order.id
    assert len(world.simulator.ledger().entries) == 1


@pytest.mark.parametrize("ahead", AHEAD)
@pytest.mark.parametrize("world", list(PLATFORMS), indirect=True)
def test_wrong_clock_finds_the_order_of_another_process(world: AnyWorld, ahead: float) -> None:
    order = placed(world.order("ord-1"), ahead)
    with connected(world, MemoryJournal(), ahead=ahead) as till:
        made = till.submit(order)
    with connected(world, MemoryJournal(), ahead=ahead) as till:
        found = till.find(order)
        assert isinstance(found, PosOrder)
        assert found.id == made.id
        assert till.submit(order).id == made.id
    assert len(world.simulator.ledger().entries) == 1


BEYOND = [("kounta", 25.9, 1), ("kounta", 26.1, 2), ("square", 27.0, 1), ("generic", 27.0, 1)]


@pytest.mark.parametrize(("world", "hours", "made"), BEYOND, indirect=["world"])
def test_clock_beyond_what_is_believed_duplicates_without_keys(
    world: AnyWorld, hours: float, made: int
) -> None:
    """An answer told the platform's time before, so the gap begins after 26 hours."""
    ahead = hours * 3600.0
    order = placed(world.order("ord-1"), ahead)
    with connected(world, MemoryJournal(), ahead=ahead) as till:
        till.import_menu()
        lose_answer_of_create(world)
        till.submit(order, is_new=True)
    assert len(world.simulator.ledger().entries) == made
