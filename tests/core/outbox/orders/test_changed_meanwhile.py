"""An action on an order that has changed since it was read doesn't overwrite the change.

Each test changes the order between the reading and the act, as a second program does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from core.outbox.corner_shop import QUICK, connected, lunch
from core.outbox.poison import damage
from tillpost.models.order import Progress
from tillpost.outbox import OrderState, Outbox, Processor, StoredOrder, from_mapping
from tillpost.outbox.db import schema as t
from tillpost.outbox.operations.orders import ActError, OrderOperations
from tillpost.outbox.orders import claims as claims_module
from tillpost.simulator import Running
from tillpost_simulators.square import SquareSimulator

Shop = Running[SquareSimulator]
Patch = pytest.MonkeyPatch

FIND_DUE = "_find_due"

# No worker of a test may lose its lease on a slow machine.
PATIENT = QUICK.model_copy(update={"lease": 120.0})


@pytest.fixture
def outbox(postgres_url: str) -> Iterator[Outbox]:
    """Return an outbox with one order that is due, on PostgreSQL: SQLite has one writer."""
    with Outbox(postgres_url, settings=PATIENT) as opened:
        opened.add(lunch(), connection="cafe")
        yield opened


@pytest.fixture
def other(outbox: Outbox, postgres_url: str) -> Iterator[Outbox]:
    """Return the same outbox as a second program has it."""
    with Outbox(postgres_url, settings=PATIENT) as opened:
        yield opened


def find(outbox: Outbox) -> StoredOrder:
    stored = outbox.get("ord-1")
    assert stored
    return stored


def after(monkeypatch: Patch, where: Any, name: str, act: Callable[[], object]) -> None:
    """Act once, right after the first call of a function."""
    real = getattr(where, name)
    left = [act]

    def wrapped(*arguments: Any, **options: Any) -> Any:
        result = real(*arguments, **options)
        if left:
            left.pop()()
        return result

    monkeypatch.setattr(where, name, wrapped)


def changing(other: Outbox, **values: object) -> Callable[[], object]:
    """Return what changes the order's row, as another process does."""

    def change() -> None:
        with other.database.writing() as db:
            db.execute(sa.update(t.orders).values(**values))

    return change


def test_order_cancelled_before_it_is_claimed_stays_so(
    outbox: Outbox, other: Outbox, shop: Shop, monkeypatch: Patch
) -> None:
    source = from_mapping({"cafe": connected(shop)})
    person = OrderOperations(other, "mia", connections=source)
    real = getattr(claims_module, FIND_DUE)

    def find_and_cancel(db: sa.Connection, due: Any) -> list[str]:
        with outbox.database.reading() as unlocking:
            found = real(unlocking, due)
        if found:
            person.cancel("ord-1")
        return list(found)

    monkeypatch.setattr(claims_module, FIND_DUE, find_and_cancel)
    with Processor(outbox, connections=source) as processor:
        for claim in processor.claim(5):
            processor.handle(claim)

    cancelled = find(outbox)
    assert (cancelled.state, cancelled.progress) == (OrderState.CANCELLED, Progress.CANCELLED)
    assert cancelled.worker is None
    assert not shop.simulator.ledger().shown


def test_claim_leaves_a_persons_claim_alone(
    outbox: Outbox, other: Outbox, monkeypatch: Patch
) -> None:
    person = other.workers.enlist(time.time())
    worker = outbox.workers.enlist(time.time())
    real = getattr(claims_module, FIND_DUE)
    persons: list[Any] = []

    def find_and_claim(db: sa.Connection, due: Any) -> list[str]:
        with outbox.database.reading() as unlocking:
            found = real(unlocking, due)
        persons.append(other.claims.claim_order("ord-1", person, time.time()))
        return list(found)

    monkeypatch.setattr(claims_module, FIND_DUE, find_and_claim)
    assert outbox.claims.claim("cafe", worker, time.time(), limit=4, most=5) == []

    assert find(outbox).worker == person
    with other.claims.recording(persons[0], (), time.time(), worker=None):
        pass


def test_found_order_is_locked_until_it_is_claimed(
    outbox: Outbox, other: Outbox, monkeypatch: Patch
) -> None:
    """So nobody is told that it was cancelled while it is being claimed."""
    worker = outbox.workers.enlist(time.time())
    seen: list[object] = []

    def try_to_lock() -> None:
        query = sa.select(t.orders.c.id).with_for_update(skip_locked=True)
        with other.database.writing() as db:
            seen.extend(db.scalars(query))

    after(monkeypatch, claims_module, FIND_DUE, try_to_lock)
    (claim,) = outbox.claims.claim("cafe", worker, time.time(), limit=4, most=5)

    assert claim.order.id == "ord-1"
    assert seen == []


def test_repaired_order_is_not_closed_unread(
    outbox: Outbox, other: Outbox, shop: Shop, monkeypatch: Patch
) -> None:
    with outbox.database.reading() as db:
        content = db.scalar(sa.select(t.orders.c.content))
    damage(outbox, t.orders, "content", "garbage", named="ord-1")
    source = from_mapping({"cafe": connected(shop)})

    def repair_and_send() -> None:
        damage(other, t.orders, "content", content, named="ord-1")
        with Processor(other, connections=source) as processor:
            for claim in processor.claim(5):
                processor.handle(claim)

    person = OrderOperations(outbox, "mia", connections=source)
    after(monkeypatch, person, "_must_close_unread", repair_and_send)
    with pytest.raises(ActError, match="changed meanwhile"):
        person.manual("ord-1")

    assert find(outbox).state is OrderState.RECEIVED
    assert not person.acts("ord-1")


def test_order_closed_meanwhile_is_not_moved_on(
    outbox: Outbox, other: Outbox, monkeypatch: Patch
) -> None:
    person = OrderOperations(outbox, "mia")

    after(monkeypatch, person, "_find", changing(other, state="rejected", problem_at=1.0))
    with pytest.raises(ActError, match="turned it down"):
        person.accept("ord-1")

    assert find(outbox).progress is Progress.NEW


def test_problem_that_came_up_meanwhile_stays(
    outbox: Outbox, other: Outbox, monkeypatch: Patch
) -> None:
    person = OrderOperations(outbox, "mia")

    fail = changing(other, state="error", problem_at=1.0, escalate_at=2.0)
    after(monkeypatch, person, "_find", fail)
    person.advance("ord-1", Progress.COMPLETED)

    assert find(outbox).progress is Progress.COMPLETED
    assert find(outbox).problem_at == 1.0


def test_rejected_order_taken_over_meanwhile_is_not_closed(
    outbox: Outbox, other: Outbox, monkeypatch: Patch
) -> None:
    person = OrderOperations(outbox, "mia")
    with outbox.database.writing() as db:
        db.execute(sa.update(t.orders).values(state="cancelled", problem_at=1.0, due_at=None))
    colleague = other.workers.enlist(time.time())

    after(
        monkeypatch,
        person,
        "_find",
        lambda: other.claims.claim_order("ord-1", colleague, time.time()),
    )
    with pytest.raises(ActError, match="changed meanwhile"):
        person.cancel("ord-1")

    assert find(outbox).problem_at == 1.0
