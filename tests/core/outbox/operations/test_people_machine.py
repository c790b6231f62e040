"""Random acts of people and staff break no promise: nothing twice, nothing lost, nothing backwards.

Extends the machine of `test_outbox_machine` by a register, whose staff accept and reject orders,
and by people who accept, advance, resubmit, take over and cancel them: also twice at once, and in
processes that die.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from core.outbox.asking import Asking
from core.outbox.test_outbox_machine import BOUNDS, Machine, template
from core.stand_in import Hits, Keyed, Keyless, Made
from tillpost import Order
from tillpost.adapter.base import Found
from tillpost.adapter.exchange import Effect, Exchange, Request, ask, reading, to_body
from tillpost.adapter.webhooks import OrderChanged, Webhook, WebhookError, WebhookEvent
from tillpost.errors import PosError
from tillpost.models.order import Draft, PosOrder, PosState, Progress
from tillpost.outbox import DatabaseError, OrderState, StoredOrder
from tillpost.outbox.operations.orders import ActError, OrderOperations, TakenOver
from tillpost.outbox.webhooks.receiver import Receiver
from tillpost.outbox.worker.order_monitor import OrderMonitor

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

__all__ = ["template"]

REGISTER_STATES = {
    "OPEN": (PosState.RECEIVED, Progress.NEW),
    "TAKEN": (PosState.ACCEPTED, Progress.ACCEPTED),
    "READY": (PosState.ACCEPTED, Progress.READY),
    "DONE": (PosState.ACCEPTED, Progress.COMPLETED),
    "REFUSED": (PosState.REJECTED, Progress.CANCELLED),
    "DEAD": (PosState.CANCELLED, Progress.CANCELLED),
}
"""The platform's states of an order. Staff advance it along the first four, or reject it."""

STEPS = ("OPEN", "TAKEN", "READY", "DONE")
PROGRESS_ORDER = [*Progress]
"""The steps of the progress, in the order in which they may follow each other."""


def pos_order_of(made: Made) -> PosOrder:
    """Return an order as the platform shows it."""
    state, progress = REGISTER_STATES[made.state]
    return PosOrder(
        id=made.id, reference=made.ref, total=made.total, state=state, progress=progress
    )


class WithRegister:
    """Adds the state at the register, withdrawal and webhooks to the platforms of `stand_in`."""

    def fetch(self, pos_id: str) -> Exchange[PosOrder]:
        """Fetch the order."""
        made = yield from ask(Request("GET", f"/orders/{pos_id}", reading(Made)))
        return pos_order_of(made)

    def cancel(self, pos_id: str) -> Exchange[PosOrder]:
        """Withdraw the order."""
        request = Request(
            "POST",
            f"/cancel/{pos_id}",
            reading(Made),
            to_body(),
            Effect.UNDO,
        )
        made = yield from ask(request)
        return pos_order_of(made)

    def find(self, order: Order, since: float | None) -> Exchange[Found]:
        """Find an active order; an unpaid one is a draft where orders are paid."""
        hits = yield from ask(Request("GET", f"/search/{order.id}", reading(Hits)))
        for made in hits.orders:
            if made.state == "DEAD":
                continue
            is_visible = made.paid or isinstance(self, Keyless)
            return pos_order_of(made) if is_visible else Draft(id=made.id, total=made.total)
        return None

    def parse_webhook(self, webhook: Webhook, now: float) -> Sequence[WebhookEvent]:
        """Read a webhook; they aren't signed here."""
        body = json.loads(webhook.body)
        pos_order = pos_order_of(Made.model_validate(body["order"]))
        event = OrderChanged(
            event_id=body["event"],
            pos_id=pos_order.id,
            reference=pos_order.reference,
            pos_order=pos_order,
        )
        return [event]


class KeyedRegister(WithRegister, Keyed):
    """With idempotency keys, and webhooks that prove their claims, however old."""


class KeylessRegister(WithRegister, Keyless):
    """Without idempotency keys, and with webhooks that have to be confirmed."""

    webhooks_proved = False


has_orders = precondition(lambda self: self.orders)
has_orders_on_register = precondition(lambda self: self.on_the_register())
has_webhooks = precondition(lambda self: self.webhooks)

MAYBE_DIES = st.none() | st.integers(0, 6)
"""After how many steps a process dies; None if it doesn't."""


class PeopleMachine(Machine):
    """A site where people act on orders, and a register with staff."""

    kind: type[Keyed] = KeyedRegister
    ends = (
        *Machine.ends,
        OrderState.ACCEPTED,
        OrderState.REJECTED,
        OrderState.MANUAL,
        OrderState.CANCELLED,
    )

    def __init__(self) -> None:
        super().__init__()
        self.webhooks: list[bytes] = []
        self.withdrawing: set[str] = set()
        self.before: dict[str, StoredOrder] = {}
        self.acted: set[str] = set()

    @property
    def operations(self) -> OrderOperations:
        """The operations of a person, whose process may die as any other."""
        connected = self.shop.connected(self.life)
        return OrderOperations(
            self.site.outbox, "mia", connections=Asking(lambda _: connected), clock=self.shop.clock
        )

    def act(self, act: Callable[[], object], order_id: str, steps: int | None = None) -> object:
        """Act as a person; the act may be refused, and the process may die after `steps`."""
        self.acted.add(order_id)
        with self.dying_after(steps), suppress(ActError):
            return act()
        return None

    def an_id(self, data: st.DataObject) -> str:
        order_ids = sorted(self.orders)
        return data.draw(st.sampled_from(order_ids), label="order")

    # ------------------------------------------------------------------ acts of people

    @has_orders
    @rule(data=st.data())
    def accept(self, data: st.DataObject) -> None:
        order_id = self.an_id(data)
        self.act(lambda: self.operations.accept(order_id), order_id)

    @has_orders
    @rule(data=st.data(), to=st.sampled_from([None, *Progress]))
    def advance(self, data: st.DataObject, to: Progress | None) -> None:
        order_id = self.an_id(data)
        self.act(lambda: self.operations.advance(order_id, to), order_id)

    @has_orders
    @rule(data=st.data(), times=st.integers(1, 2))
    def resubmit(self, data: st.DataObject, times: int) -> None:
        order_id = self.an_id(data)
        for _ in range(times):
            self.act(lambda: self.operations.resubmit(order_id), order_id)

    @has_orders
    @rule(data=st.data(), even_in_doubt=st.booleans(), steps=MAYBE_DIES)
    def manual(self, data: st.DataObject, even_in_doubt: bool, steps: int | None) -> None:
        order_id = self.an_id(data)
        self.withdrawing.add(order_id)
        taken = self.act(
            lambda: self.operations.manual(order_id, even_in_doubt=even_in_doubt), order_id, steps
        )
        if isinstance(taken, TakenOver):
            assert "PAID" in taken.docket
            assert ("MAY STILL APPEAR" in taken.docket) is taken.copy_may_appear

    @has_orders
    @rule(data=st.data(), steps=MAYBE_DIES)
    def cancel(self, data: st.DataObject, steps: int | None) -> None:
        order_id = self.an_id(data)
        self.withdrawing.add(order_id)
        self.act(lambda: self.operations.cancel(order_id), order_id, steps)

    # ------------------------------------------------------------------ acts of staff

    def on_the_register(self) -> list[dict[str, Any]]:
        """Return the active orders that staff see."""
        platform = self.counter.platform
        orders = platform.orders.values()
        visible = [order for order in orders if order["paid"] or not platform.needs_payment]
        return [order for order in visible if order["state"] in STEPS]

    def an_order_on_the_register(self, data: st.DataObject) -> dict[str, Any]:
        orders = self.on_the_register()
        return data.draw(st.sampled_from(orders), label="made")

    @has_orders_on_register
    @rule(data=st.data())
    def staff_advance(self, data: st.DataObject) -> None:
        made = self.an_order_on_the_register(data)
        next_step = STEPS.index(made["state"]) + 1
        made["state"] = STEPS[min(next_step, len(STEPS) - 1)]
        self.queue_webhook(made)

    @has_orders_on_register
    @rule(data=st.data())
    def staff_reject(self, data: st.DataObject) -> None:
        made = self.an_order_on_the_register(data)
        if made["state"] != "DONE":
            made["state"] = "REFUSED"
            self.queue_webhook(made)

    # ------------------------------------------------------------------ webhooks

    def queue_webhook(self, made: dict[str, Any]) -> None:
        """Queue a webhook, which is delivered at any later time."""
        event = {"event": f"e{len(self.webhooks)}", "order": made}
        self.webhooks.append(json.dumps(event).encode())

    @has_webhooks
    @rule(data=st.data(), steps=st.none() | st.integers(0, 4))
    def deliver_webhook(self, data: st.DataObject, steps: int | None) -> None:
        """Deliver a webhook late, again, or in another order."""
        body = data.draw(st.sampled_from(self.webhooks), label="webhook")
        connected = self.shop.connected(self.life)
        outbox = self.site.outbox
        receiver = Receiver(
            outbox.database,
            outbox.engine,
            outbox.settings,
            connections=Asking(lambda _: connected),
            clock=self.shop.clock,
        )
        # It may be a repetition, or the platform may be unreachable.
        with self.dying_after(steps), suppress(WebhookError, PosError, DatabaseError):
            receiver.receive(
                "cafe",
                {},
                body,
                "http://127.0.0.1/cafe",
            )

    # ------------------------------------------------------------------ the promises

    def made(self, order: Order) -> list[dict[str, Any]]:
        """Return the active copies of an order at the platform."""
        orders = self.counter.platform.orders.values()
        copies = [made for made in orders if made["ref"] == order.id]
        return [copy for copy in copies if copy["state"] != "DEAD"]

    @invariant()
    def never_lost_never_half_never_silently(self) -> None:
        for order in self.orders.values():
            stored = self.site.outbox.get(order.id)
            assert stored, order.id
            assert stored.order == order
            self.fits(order, stored, self.made(order))
            self.isnt_backwards(self.before.get(order.id), stored)
            self.before[order.id] = stored
        self.acted.clear()

    def fits(self, order: Order, stored: StoredOrder, made: list[dict[str, Any]]) -> None:
        """Check that the order's state fits what the platform has."""
        match stored.state:
            case OrderState.RECEIVED | OrderState.ACCEPTED if not made:
                assert order.id in self.withdrawing, "a person withdrew it, and the answer was lost"
            case OrderState.RECEIVED | OrderState.ACCEPTED | OrderState.REJECTED:
                (entry,) = made
                # One with a wrong total may have been rejected.
                assert entry["total"] == order.total or stored.state is OrderState.REJECTED
                assert stored.pos_order
                assert stored.pos_order.id == entry["id"]
                assert stored.error is None or stored.state is OrderState.REJECTED
            case OrderState.ERROR:
                self.assert_explained(order, stored)
                assert stored.problem_at is not None or stored.progress is Progress.COMPLETED
            case OrderState.MANUAL:
                may_appear = self.operations.manual(order.id).copy_may_appear
                # A copy that may be at the platform is looked for until that is known.
                assert stored.due_at is None or may_appear
                assert not made or may_appear
            case OrderState.CANCELLED:
                assert stored.due_at is None
                # An order that a person completed stays so, if the register cancels it afterwards.
                assert stored.progress in (Progress.CANCELLED, Progress.COMPLETED)
                assert not made
            case OrderState.DUE | OrderState.SENDING:
                assert stored.due_at is not None
                assert (stored.worker is not None) is (stored.state is OrderState.SENDING)

    def half_done(self) -> list[dict[str, Any]]:
        """Return the copies that staff can't see, except those that a docket warns of."""
        return [made for made in super().half_done() if not self.is_warned_of(made["ref"])]

    def is_warned_of(self, order_id: str) -> bool:
        """Whether the order was taken over, and its docket warns of a copy."""
        stored = self.site.outbox.get(order_id)
        if stored is None or stored.state is not OrderState.MANUAL:
            return False
        return self.operations.manual(order_id).copy_may_appear

    def isnt_backwards(self, before: StoredOrder | None, now: StoredOrder) -> None:
        """Check that neither progress nor state go back, except by an act of a person."""
        if before is None or now.id in self.acted:
            return
        progress = PROGRESS_ORDER.index(now.progress)
        progress_before = PROGRESS_ORDER.index(before.progress)
        assert progress >= progress_before, (before, now)
        arrived = {
            OrderState.RECEIVED: 1,
            OrderState.ACCEPTED: 2,
            OrderState.REJECTED: 3,
            OrderState.CANCELLED: 3,
        }
        over = {OrderState.MANUAL, OrderState.CANCELLED, OrderState.REJECTED}
        rank = arrived.get(now.state, 0)
        rank_before = arrived.get(before.state, 0)
        assert rank >= rank_before, (before, now)
        # While a worker withdraws what may exist of it, an order that was taken over is claimed.
        is_withdrawing = before.state is OrderState.MANUAL and now.state is OrderState.SENDING
        assert before.state not in over or now.state is before.state or is_withdrawing

    def end_well(self) -> None:
        """Check that each order ends where it belongs once all faults are over."""
        self.acted = set(self.orders)
        super().end_well()
        self.shop.clock.advance(86_400.0)
        for _ in self.orders:
            OrderMonitor(self.site.processor).poll()
        self.withdrawing.clear()
        self.never_lost_never_half_never_silently()
        assert not Machine.half_done(self), "also what a docket warns of is undone"


class KeylessPeopleMachine(PeopleMachine):
    kind = KeylessRegister


TestPeopleWithKeys = PeopleMachine.TestCase
TestPeopleWithKeys.settings = BOUNDS
TestPeopleWithoutKeys = KeylessPeopleMachine.TestCase
TestPeopleWithoutKeys.settings = BOUNDS
