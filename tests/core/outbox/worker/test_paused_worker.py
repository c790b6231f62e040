"""A worker that is paused after its last check of the lease, and whose request leaves later.

The gap of `docs/explanation/never-twice.md`, with its size. `test_two_workers.py` pauses real
processes.
"""

from __future__ import annotations

import threading

import httpx
import pytest

from core.outbox.killing import Counter, Site, StillClock
from core.stand_in import Keyed, Keyless, an_order
from tillpost import Limits
from tillpost.outbox.db.database import Database
from tillpost.outbox.worker.processor import Processor
from tillpost_kounta.settings import KountaSettings
from waiting import AGES


class PausingCounter(Counter):
    """A platform in memory, whose first create is on its way until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.is_paused, self.resumed = threading.Event(), threading.Event()

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Return the platform's answer."""
        if request.url.path == "/orders" and not self.is_paused.is_set():
            self.is_paused.set()
            assert self.resumed.wait(AGES)
        return super().answer(request)


def handle_first(processor: Processor) -> None:
    """Claim an order, and handle it."""
    (claim,) = processor.claim(1)
    processor.handle(claim)


@pytest.mark.parametrize(
    ("kind", "sent_after", "orders"),
    [(Keyless, 15.9, 1), (Keyless, 16.1, 2), (Keyed, 3.9, 1), (Keyed, 16.1, 1)],
)
def test_request_sent_after_the_last_look_up_duplicates_without_keys(
    kind: type[Keyed], sent_after: float, orders: int, database: Database
) -> None:
    """The time counts from when another worker took the order over."""
    counter = PausingCounter()
    shop = counter.shop(kind, clock=StillClock())
    paused = Site(database, shop)
    paused.add(an_order(), is_new=True)
    shop.clock.advance(60.0)  # it was added by the machine's clock
    sending = threading.Thread(target=handle_first, args=(paused.processor,))
    sending.start()
    assert counter.is_paused.wait(AGES)

    holder = Site(database, shop)  # which reaps the paused worker
    taken_over_at = shop.clock()

    def resume_in_time(_: float = 0.0) -> None:
        if shop.clock() >= taken_over_at + sent_after and not counter.resumed.is_set():
            counter.resumed.set()
            sending.join(AGES)

    shop.clock.followers.append(resume_in_time)
    holder.work()
    shop.clock.advance(sent_after)

    assert not sending.is_alive()
    assert len(counter.platform.shown("ord_1")) == orders
    stored = holder.outbox.get("ord_1")
    assert stored
    assert stored.pos_order
    assert stored.state == "received"
    paused.end()
    holder.end()


def test_schedule_and_limits_are_those_of_the_page() -> None:
    """See "What remains open" in docs/explanation/never-twice.md."""
    look_after = KountaSettings.model_fields["look_after"].default
    assert tuple(look_after) == tuple(Keyless.look_after)
    assert sum(look_after) == 16.0
    assert (Limits().connect, Limits().answer) == (5.0, 30.0)
