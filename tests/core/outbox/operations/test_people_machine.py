"""What people do, whenever they do it, breaks no promise either: nothing twice, nothing lost, and nothing backwards.

The machine of `test_outbox_machine` with a register whose staff take an order up or turn it down,
and with people at the desk who accept, move on, send again, take over and cancel, twice at once,
and amid crash_count of whoever acts."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

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

pytestmark = pytest.mark.slow

__all__ = ["template"]

AT_THE_REGISTER = {
    "OPEN": (PosState.RECEIVED, Progress.NEW),
    "TAKEN": (PosState.ACCEPTED, Progress.ACCEPTED),
    "READY": (PosState.ACCEPTED, Progress.READY),
    "DONE": (PosState.ACCEPTED, Progress.COMPLETED),
    "REFUSED": (PosState.REJECTED, Progress.CANCELLED),
    "DEAD": (PosState.CANCELLED, Progress.CANCELLED),
}
"""The platform's states of an order, with what they mean. Staff move it along the first four, or turn it down."""

STEPS = ("OPEN", "TAKEN", "READY", "DONE")
TOLD = [*Progress]
"""What the customer is told, in the sequence in which it may be."""


def told_of(made: Made) -> PosOrder:
    """What the platform says of an order."""
    state, progress = AT_THE_REGISTER[made.state]
    return PosOrder(
        id=made.id, reference=made.ref, total=made.total, state=state, progress=progress
    )


class Seen:
    """What both platforms here add to those of `stand_in`: an order's state at the register, and withdrawing it."""

    def fetch(self, pos_id: str) -> Exchange[PosOrder]:
        """What the platform says of it now."""
        return told_of((yield from ask(Request("GET", f"/orders/{pos_id}", reading(Made)))))

    def cancel(self, pos_id: str) -> Exchange[PosOrder]:
        """Withdraw it."""
        request = Request("POST", f"/cancel/{pos_id}", reading(Made), to_body(), Effect.UNDO)
        return told_of((yield from ask(request)))

    def find(self, order: Order, since: float | None) -> Exchange[Found]:
        """Find what isn't dead; an unpaid one is a draft where orders are paid."""
        hits = yield from ask(Request("GET", f"/search/{order.id}", reading(Hits)))
        for made in hits.orders:
            if made.state != "DEAD":
                seen = made.paid or isinstance(self, Keyless)
                return told_of(made) if seen else Draft(id=made.id, total=made.total)
        return None

    def parse_webhook(self, webhook: Webhook, now: float) -> Sequence[WebhookEvent]:
        """Read a webhook, which nobody has to sign here."""
        body = json.loads(webhook.body)
        there = told_of(Made.model_validate(body["order"]))
        return [
            OrderChanged(
                event_id=body["event"], pos_id=there.id, reference=there.reference, pos_order=there
            )
        ]


class KeyedSeen(Seen, Keyed):
    """With keys, and webhooks that prove what they say, be it long past."""


class KeylessSeen(Seen, Keyless):
    """Without keys, and what its webhooks say is looked up."""

    webhooks_proved = False


class PeopleMachine(Machine):
    """A site with a desk, and a register with staff."""

    kind: type[Keyed] = KeyedSeen
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
    def desk(self) -> OrderOperations:
        """Where people act; their process may die as any other."""
        connected = self.shop.connected(self.life)
        return OrderOperations(
            self.site.outbox, "mia", connections=lambda _: connected, clock=self.shop.clock
        )

    def act(self, act: Callable[[], object], order_id: str, steps: int | None = None) -> object:
        """Do something as a person, who may be refused, and whose process may die after so many steps."""
        self.acted.add(order_id)
        with self.dying_after(steps), suppress(ActError):
            return act()
        return None

    def an_id(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from(sorted(self.orders)), label="order")

    # ------------------------------------------------------------------ people at the desk

    @precondition(lambda self: self.orders)
    @rule(data=st.data())
    def accept(self, data: st.DataObject) -> None:
        order_id = self.an_id(data)
        self.act(lambda: self.desk.accept(order_id), order_id)

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), to=st.sampled_from([None, *Progress]))
    def advance(self, data: st.DataObject, to: Progress | None) -> None:
        order_id = self.an_id(data)
        self.act(lambda: self.desk.advance(order_id, to), order_id)

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), times=st.integers(1, 2))
    def resubmit(self, data: st.DataObject, times: int) -> None:
        order_id = self.an_id(data)
        for _ in range(times):
            self.act(lambda: self.desk.resubmit(order_id), order_id)

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), even_in_doubt=st.booleans(), steps=st.none() | st.integers(0, 6))
    def manual(self, data: st.DataObject, even_in_doubt: bool, steps: int | None) -> None:
        order_id = self.an_id(data)
        self.withdrawing.add(order_id)
        taken = self.act(
            lambda: self.desk.manual(order_id, even_in_doubt=even_in_doubt), order_id, steps
        )
        if isinstance(taken, TakenOver):
            assert "PAID" in taken.docket
            assert ("MAY STILL APPEAR" in taken.docket) is taken.copy_may_appear

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), steps=st.none() | st.integers(0, 6))
    def cancel(self, data: st.DataObject, steps: int | None) -> None:
        order_id = self.an_id(data)
        self.withdrawing.add(order_id)
        self.act(lambda: self.desk.cancel(order_id), order_id, steps)

    # ------------------------------------------------------------------ staff at the register

    def on_the_register(self) -> list[dict[str, Any]]:
        """The orders that staff see."""
        platform = self.counter.platform
        seen = [o for o in platform.orders.values() if o["paid"] or not platform.needs_payment]
        return [o for o in seen if o["state"] in STEPS]

    @precondition(lambda self: self.on_the_register())
    @rule(data=st.data())
    def staff_move_it_on(self, data: st.DataObject) -> None:
        made = data.draw(st.sampled_from(self.on_the_register()), label="made")
        made["state"] = STEPS[min(STEPS.index(made["state"]) + 1, len(STEPS) - 1)]
        self.tell_of(made)

    @precondition(lambda self: self.on_the_register())
    @rule(data=st.data())
    def staff_turn_it_down(self, data: st.DataObject) -> None:
        made = data.draw(st.sampled_from(self.on_the_register()), label="made")
        if made["state"] != "DONE":
            made["state"] = "REFUSED"
            self.tell_of(made)

    # ------------------------------------------------------------------ what the platform tells,
    # and is asked

    def tell_of(self, made: dict[str, Any]) -> None:
        """Let the platform have something to tell. It comes when it comes."""
        self.webhooks.append(
            json.dumps({"event": f"e{len(self.webhooks)}", "order": made}).encode()
        )

    @precondition(lambda self: self.webhooks)
    @rule(data=st.data(), steps=st.none() | st.integers(0, 4))
    def a_webhook_comes(self, data: st.DataObject, steps: int | None) -> None:
        """Late, or again, or in another sequence; the platform is told when it has to send it once more."""
        body = data.draw(st.sampled_from(self.webhooks), label="webhook")
        connected = self.shop.connected(self.life)
        outbox = self.site.outbox
        receiver = Receiver(
            outbox.database,
            outbox.engine,
            outbox.settings,
            connections=lambda _: connected,
            clock=self.shop.clock,
        )
        # It may have come before, or the platform can't be asked.
        with self.dying_after(steps), suppress(WebhookError, PosError, DatabaseError):
            receiver.receive("cafe", {}, body, "http://127.0.0.1/cafe")

    # ------------------------------------------------------------------ the promises

    def made(self, order: Order) -> list[dict[str, Any]]:
        return [
            o
            for o in self.counter.platform.orders.values()
            if o["ref"] == order.id and o["state"] != "DEAD"
        ]

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
        """Where it stands is what the platform has, as far as it was told."""
        match stored.state:
            case OrderState.RECEIVED | OrderState.ACCEPTED if not made:
                assert order.id in self.withdrawing, (
                    "a person withdrew it, and nobody has heard that it worked"
                )
            case OrderState.RECEIVED | OrderState.ACCEPTED | OrderState.REJECTED:
                (there,) = made
                assert (
                    there["total"] == order.total or stored.state is OrderState.REJECTED
                )  # one that came out wrong
                assert stored.pos_order
                assert stored.pos_order.id == there["id"]
                assert stored.error is None or stored.state is OrderState.REJECTED
            case OrderState.ERROR:
                self.explains(order, stored)
                assert stored.problem_at is not None or stored.progress is Progress.COMPLETED
            case OrderState.MANUAL:
                assert stored.due_at is None
                assert not made or self.desk.manual(order.id).copy_may_appear
            case OrderState.CANCELLED:
                assert stored.due_at is None
                assert stored.progress is Progress.CANCELLED
                assert not made
            case OrderState.DUE | OrderState.SENDING:
                assert stored.due_at is not None
                assert (stored.worker is not None) is (stored.state is OrderState.SENDING)

    def half_done(self) -> list[dict[str, Any]]:
        """What staff can't see, but for what a docket warns of: it was taken over while it couldn't be looked for."""
        half = super().half_done()
        stored = {made["ref"]: self.site.outbox.get(made["ref"]) for made in half}
        manual = {
            ref for ref, order in stored.items() if order and order.state is OrderState.MANUAL
        }
        return [
            made
            for made in half
            if made["ref"] not in manual or not self.desk.manual(made["ref"]).copy_may_appear
        ]

    def isnt_backwards(self, before: StoredOrder | None, now: StoredOrder) -> None:
        """What the customer was told isn't taken back, and where an order is neither, but by a person."""
        if before is None or now.id in self.acted:
            return
        assert TOLD.index(now.progress) >= TOLD.index(before.progress), (before, now)
        arrived = {
            OrderState.RECEIVED: 1,
            OrderState.ACCEPTED: 2,
            OrderState.REJECTED: 3,
            OrderState.CANCELLED: 3,
        }
        over = {OrderState.MANUAL, OrderState.CANCELLED, OrderState.REJECTED}
        assert arrived.get(now.state, 0) >= arrived.get(before.state, 0), (before, now)
        assert before.state not in over or now.state is before.state

    def end_well(self) -> None:
        """All troubles end; an order ends where it belongs, or with a person."""
        self.acted = set(self.orders)
        super().end_well()
        self.shop.clock.advance(86_400.0)
        for _ in self.orders:
            OrderMonitor(self.site.processor).look()
        self.withdrawing.clear()
        self.never_lost_never_half_never_silently()


class KeylessPeopleMachine(PeopleMachine):
    kind = KeylessSeen


TestPeopleWithKeys = PeopleMachine.TestCase
TestPeopleWithKeys.settings = BOUNDS
TestPeopleWithoutKeys = KeylessPeopleMachine.TestCase
TestPeopleWithoutKeys.settings = BOUNDS
