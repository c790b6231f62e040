"""Whatever happens in whatever sequence: never twice, never half, never lost, never silently.

Hypothesis draws orders, crashes, outages, lost answers, changing menus, revoked tokens and clocks
that are set, against the platforms in memory of `stand_in`, one with idempotency keys and one
without, over a real database.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Collection, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from core.outbox.killing import Counter, Lifetime, Site, Stopped, ready, unsynced
from core.stand_in import Hits, Keyed, Keyless, StandInSettings, an_order
from tillpost import Order, OrderError, Policy
from tillpost.adapter.base import Found
from tillpost.adapter.exchange import Exchange, Request, ask, reading
from tillpost.errors import Outcome
from tillpost.models.order import PosOrder
from tillpost.outbox import OrderState, OutboxSettings, StoredOrder
from tillpost.outbox.db.database import Database
from tillpost.outbox.orders.claims import Claim
from tillpost.outbox.worker.maintenance import Maintenance
from tillpost.outbox.worker.order_monitor import OrderMonitor

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

ITEMS = {"i1": ("S1", 1000), "i2": ("S2", 1234), "i3": ("S3", 777), "i4": ("S4", 50)}
"""What is sold at first. No two sums of few items are the same, so a total identifies them."""

SETTINGS = OutboxSettings(lease=7 * 86_400.0, outage_after=2, give_up_after=7 * 86_400.0)
"""No lease expires here, and no outage lasts so long that an order is given up."""

POLICY = Policy(import_cooldown=30.0)


class KeylessWithTotals(Keyless):
    """A platform without idempotency keys whose search returns an order's total."""

    def find(self, order: Order, since: float | None) -> Exchange[Found]:
        hits = yield from ask(Request("GET", f"/search/{order.id}", reading(Hits)))
        if not hits.orders:
            return None
        hit = hits.orders[0]
        return PosOrder(id=hit.id, reference=order.id, total=hit.total)


class Machine(RuleBasedStateMachine):
    """A database, a platform, and a worker that is started again whenever it crashes."""

    kind: type[Keyed] = Keyed
    ends: Collection[OrderState] = (OrderState.RECEIVED, OrderState.ERROR)
    template: Path

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        path = Path(self.directory.name) / "orders.db"
        shutil.copy(self.template, path)
        self.database: Database = unsynced(f"sqlite:///{path}")
        self.counter = Counter()
        self.counter.platform.items = dict(ITEMS)
        self.token = 0
        self.shop = self.counter.shop(self.kind, policy=POLICY, settings=SETTINGS)
        self.shop.adapter = lambda: self.kind(StandInSettings.model_validate(self.credentials))
        self.orders: dict[str, Order] = {}
        self.in_flight: list[tuple[Site, Claim]] = []
        self.ids = 0
        self.site = self.begin()

    @property
    def credentials(self) -> dict[str, str]:
        return {"access_token": f"token-{self.token}"}

    # ------------------------------------------------------------------ processes

    def begin(self) -> Site:
        """Start a worker, which reaps all others."""
        self.life = Lifetime()
        return Site(self.database, self.shop, self.life)

    def die(self) -> None:
        """Kill the worker, and start another."""
        self.life.over = True
        self.site.end()
        self.site = self.begin()

    @contextmanager
    def dying_after(self, steps: int | None) -> Generator[None]:
        """Let the process crash after so many steps of the block; None: it doesn't.

        A process that has crashed already is replaced in either case.
        """
        self.life.at = None if steps is None else self.life.steps + steps
        try:
            yield
        except Stopped:
            self.die()
        self.life.at = None

    def go_on(self, most: int) -> None:
        """Process what is due, until the worker crashes."""
        try:
            for claim in self.site.processor.claim(most):
                self.site.processor.handle(claim)
        except Stopped:
            self.die()

    # ------------------------------------------------------------------ the site

    def an_order(self, sku: str, count: int) -> Order:
        """Return an order of an item as the first menu has it."""
        self.ids += 1
        item = next(item for item, (known, _) in ITEMS.items() if known == sku)
        return an_order(f"ord_{self.ids}", item=item, sku=sku, price=ITEMS[item][1], count=count)

    @rule(sku=st.sampled_from(["S1", "S2", "S3"]), count=st.integers(1, 3), is_new=st.booleans())
    def add(self, sku: str, count: int, is_new: bool) -> None:
        order = self.an_order(sku, count)
        self.site.add(order, is_new=is_new)
        self.orders[order.id] = order

    @rule(sku=st.sampled_from(["S1", "S2"]), after=st.booleans())
    def die_while_adding(self, sku: str, after: bool) -> None:
        """The caller doesn't know whether the order was added, and adds it again."""
        order = self.an_order(sku, 1)
        self.life.at = self.life.steps + after
        with pytest.raises(Stopped):
            self.site.add(order)
        self.die()
        assert (self.site.outbox.get(order.id) is not None) is after
        self.site.add(order)
        self.orders[order.id] = order

    @precondition(lambda self: self.orders)
    @rule(data=st.data())
    def add_again(self, data: st.DataObject) -> None:
        order = self.orders[data.draw(st.sampled_from(sorted(self.orders)))]
        before = self.site.outbox.get(order.id)
        self.site.add(order)
        assert self.site.outbox.get(order.id) == before

    @precondition(lambda self: self.orders)
    @rule(data=st.data())
    def add_with_other_content(self, data: st.DataObject) -> None:
        order = self.orders[data.draw(st.sampled_from(sorted(self.orders)))]
        before = self.site.outbox.get(order.id)
        with pytest.raises(OrderError):
            self.site.add(order.model_copy(update={"note": "and another thing"}))
        assert self.site.outbox.get(order.id) == before

    # ------------------------------------------------------------------ the worker

    @rule(most=st.integers(1, 4))
    def work(self, most: int) -> None:
        self.go_on(most)

    @rule(most=st.integers(1, 3), steps=st.integers(0, 14))
    def die_at_work(self, most: int, steps: int) -> None:
        self.life.at = self.life.steps + steps
        self.go_on(most)
        self.life.at = None

    @rule()
    def restart(self) -> None:
        self.site.end()
        self.site = self.begin()

    @rule()
    def claim_and_pause(self) -> None:
        """A worker is paused right after it claimed orders."""
        self.in_flight += [(self.site, claim) for claim in self.site.processor.claim(2)]

    @precondition(lambda self: self.in_flight)
    @rule()
    def another_takes_over(self) -> None:
        """A worker that was reaped isn't dead, and may continue later."""
        self.site = self.begin()

    @precondition(lambda self: self.in_flight)
    @rule()
    def resume_paused_worker(self) -> None:
        site, claim = self.in_flight.pop(0)
        try:
            site.processor.handle(claim)
        except Stopped:
            return  # it had crashed

    @rule(steps=st.none() | st.integers(0, 6))
    def monitor_orders(self, steps: int | None) -> None:
        """Poll orders, and report unseen ones and problems; perhaps crash meanwhile."""
        monitor = OrderMonitor(self.site.processor)
        with self.dying_after(steps):
            for chore in (monitor.poll, monitor.report_unseen, monitor.escalate):
                chore()

    # ------------------------------------------------------------------ the platform

    @rule(down=st.booleans())
    def outage(self, down: bool) -> None:
        self.counter.down = down

    @rule(answers=st.integers(1, 3))
    def lose_answers(self, answers: int) -> None:
        self.counter.loses = answers

    @rule()
    def revoke_the_token(self) -> None:
        self.counter.tokens.clear()

    @rule(new=st.booleans())
    def grant_a_token(self, new: bool) -> None:
        """Grant a new token, which the worker has after a restart, or the old one again."""
        if new:
            self.token += 1
            self.site.end()
            self.site = self.begin()
        self.counter.tokens.add(f"token-{self.token}")
        self.site.outbox.resume("cafe")

    @rule(sku=st.sampled_from(["S1", "S2", "S3"]))
    def give_an_item_another_id(self, sku: str) -> None:
        self.take_off(sku)
        self.ids += 1
        self.counter.platform.items[f"i{self.ids + 10}"] = next(
            item for item in ITEMS.values() if item[0] == sku
        )

    @rule(sku=st.sampled_from(["S1", "S2", "S3"]), price=st.integers(1, 3))
    def change_a_price(self, sku: str, price: int) -> None:
        self.take_off(sku)
        self.ids += 1
        self.counter.platform.items[f"i{self.ids + 10}"] = (sku, 2000 + price)

    @rule(
        skus=st.lists(
            st.sampled_from(["S1", "S2", "S3", "S4"]), min_size=1, max_size=4, unique=True
        )
    )
    def take_items_off(self, skus: list[str]) -> None:
        """If there are several, the import needs a review."""
        for sku in skus:
            self.take_off(sku)

    def take_off(self, sku: str) -> None:
        items = self.counter.platform.items
        for item in [item for item, (known, _) in items.items() if known == sku]:
            del items[item]

    @rule()
    def put_everything_back(self) -> None:
        self.counter.platform.items = dict(ITEMS)

    @rule(two=st.booleans())
    def two_taxes(self, two: bool) -> None:
        self.counter.platform.two_taxes = two

    @rule(accept=st.booleans())
    def review_menu(self, accept: bool) -> None:
        outbox = self.site.outbox
        settled = outbox.accept_menu("cafe") if accept else outbox.discard_menu("cafe")
        assert outbox.held_menu("cafe") is None
        assert settled is None or settled.settled in ("accepted", "discarded")

    # ------------------------------------------------------------------ the time

    @rule(seconds=st.sampled_from([0.5, 2.0, 10.0, 61.0, 900.0]))
    def time_passes(self, seconds: float) -> None:
        self.shop.clock.advance(seconds)

    @rule(seconds=st.sampled_from([-3600.0, 3600.0]))
    def the_clock_is_set(self, seconds: float) -> None:
        self.shop.clock.ahead += seconds

    # ------------------------------------------------------------------ the promises

    def made(self, order: Order) -> list[dict[str, Any]]:
        """Return the copies of an order that the platform has and hasn't cancelled."""
        all_orders = self.counter.platform.orders.values()
        of_order = [made for made in all_orders if made["ref"] == order.id]
        return [made for made in of_order if made["state"] == "OPEN"]

    @invariant()
    def never_twice(self) -> None:
        for order in self.orders.values():
            assert len(self.made(order)) <= 1, order.id

    @invariant()
    def never_lost_never_half_never_silently(self) -> None:
        for order in self.orders.values():
            stored = self.site.outbox.get(order.id)
            assert stored, order.id
            assert stored.order == order
            if stored.state is OrderState.RECEIVED:
                (made,) = self.made(order)
                assert made in self.counter.platform.shown(order.id)
                assert made["total"] == order.total, "no line is dropped and no price changed"
                assert stored.pos_order
                assert stored.pos_order.id == made["id"]
                assert stored.error is None
            elif stored.state is OrderState.ERROR:
                self.assert_explained(order, stored)
            else:
                assert stored.state in (OrderState.DUE, OrderState.SENDING)
                assert stored.due_at is not None
                assert (stored.worker is not None) is (stored.state is OrderState.SENDING)

    def assert_explained(self, order: Order, stored: StoredOrder) -> None:
        """Assert that an order's error gives a reason, a remedy and its true outcome."""
        assert stored.error
        assert stored.remedy
        assert stored.error.detail or stored.error.code or stored.error.reason
        copies = {Outcome.CREATED: 1, Outcome.NOT_CREATED: 0}
        expected = copies.get(stored.error.outcome)
        assert expected in (None, len(self.made(order))), stored.error

    def teardown(self) -> None:
        """End all faults; then each order must be finished automatically."""
        try:
            self.end_well()
        finally:
            for site in (self.site, *(site for site, _ in self.in_flight)):
                site.end()
            self.database.close()
            self.directory.cleanup()

    def end_well(self) -> None:
        self.counter.down = False
        self.counter.loses = 0
        self.die()
        self.counter.tokens.add(f"token-{self.token}")
        self.site.outbox.resume("cafe")
        Maintenance(self.site.processor).tend()
        self.site.work()
        for order_id in self.orders:
            stored = self.site.outbox.get(order_id)
            assert stored
            assert stored.state in self.ends, stored
            assert stored.due_at is None
        self.never_twice()
        self.never_lost_never_half_never_silently()
        assert not self.half_done()

    def half_done(self) -> list[dict[str, Any]]:
        """Return what exists where staff can't see it, except orders that were set aside."""
        half_done = self.counter.platform.half_done()
        return [made for made in half_done if not self.is_set_aside(made["ref"])]

    def is_set_aside(self, order_id: str) -> bool:
        """Return whether an order is left to a person, since it crashed so many workers."""
        stored = self.site.outbox.get(order_id)
        assert stored
        error = stored.error
        if error is None or error.outcome is not Outcome.UNKNOWN:
            return False
        return "workers in a row died" in error.detail


@pytest.fixture(scope="module", autouse=True)
def template(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Create one empty database, to be copied for each example."""
    Machine.template = tmp_path_factory.mktemp("machine") / "orders.db"
    ready(f"sqlite:///{Machine.template}").close()


BOUNDS = settings(
    derandomize="CI" in os.environ,  # the same examples each time; random ones elsewhere
    max_examples=60,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


class KeylessMachine(Machine):
    kind = KeylessWithTotals


TestWithKeys = Machine.TestCase
TestWithKeys.settings = BOUNDS
TestWithoutKeys = KeylessMachine.TestCase
TestWithoutKeys.settings = BOUNDS
