"""Known faults, each a small change of the code that takes one mend out again.

`FAULTS` maps each fault's name to a function that makes it, with pytest's monkeypatch. The
simulation finds each of them: see `test_mutants`.
"""

# pyright: reportPrivateUsage=false, reportUnknownLambdaType=false, reportUnknownArgumentType=false

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx
import pytest
from sqlalchemy import bindparam, delete, update

from tillpost.adapter import verdicts
from tillpost.adapter.exchange import Fault, reading
from tillpost.errors import Applied, PosError
from tillpost.models.order import PosOrder
from tillpost.outbox.db import schema as t
from tillpost.outbox.delivery import runner
from tillpost.outbox.orders import claims, heartbeat, transitions
from tillpost.outbox.orders.heartbeat import Heartbeat
from tillpost.outbox.orders.models import OrderState, WaitsFor, state_of
from tillpost.outbox.orders.problems import problem_columns
from tillpost.outbox.worker import retention
from tillpost.outbox.worker.processor import Processor
from tillpost.submission import flow, history
from tillpost.submission.history import Action, History, Step
from tillpost.submission.journal import Sighted, Submitted
from tillpost.submission.operation import OperationContext
from tillpost.transport import http
from tillpost.transport.network import Exchange
from tillpost_square.adapter import Square
from tillpost_square.translation import total_due

Patch = pytest.MonkeyPatch


def schedule_from_the_intent(patch: Patch) -> None:
    """Count the look-up schedule from when a request was about to leave."""

    def next_lookup(known: Any, now: float, look_after: Sequence[float]) -> Step:
        sent_at = max(sent.intent.at for sent in known.doubts)
        schedule = [sent_at + seconds for seconds in itertools.accumulate(look_after)]
        last = max((it.at for it in known.empty_lookups if it.at >= sent_at), default=None)
        still_due = [at for at in schedule if last is None or at > last]
        if not still_due:
            return Step(Action.RESOLVE_DOUBT)
        if now < still_due[0]:
            return Step(Action.WAIT, still_due[0])
        return Step(Action.LOOK_UP)

    name = "next_lookup" if hasattr(history, "next_lookup") else "_next_lookup"
    patch.setattr(history, name, next_lookup)


def no_lookup_in_doubt(patch: Patch) -> None:
    """Create an order again without looking it up, on a platform without keys."""
    next_step: Any = vars(flow)["next_step"]

    def without_lookups(*args: Any, **kwargs: Any) -> Any:
        return next_step(*args, **{**kwargs, "keyed": True})

    patch.setattr(flow, "next_step", without_lookups)
    patch.setattr(OperationContext, "refusal", lambda *_: None)


def address_ignored(patch: Patch) -> None:
    """Look an order up, and send it, where the settings say today."""
    patch.setattr(OperationContext, "misdirected", lambda *_: None)
    patch.setattr(History, "elsewhere", lambda *_: "")


def pruned_whole(patch: Patch) -> None:
    """Forget with the journal which keys were used."""

    def prune_one(db: Any, order_id: str) -> int:
        journal = delete(t.events).where(t.events.c.order_id == order_id)
        return int(db.execute(journal).rowcount)

    patch.setattr(retention, "_prune_one", prune_one)


def observers_lease(patch: Patch) -> None:
    """Reap a worker that was silent for the observer's lease, not for its own."""
    observe = Heartbeat._observe_others

    def with_own_lease(self: Heartbeat, now: float) -> None:
        observe(self, now)
        observed: dict[str, Any] = dict(self._observed)
        for worker, observation in observed.items():
            self._observed[worker] = observation._replace(lease=self._lease)

    patch.setattr(Heartbeat, "_observe_others", with_own_lease)


def lease_unchecked(patch: Patch) -> None:
    """Send without asking whether the lease still holds."""
    patch.setattr(Heartbeat, "check", lambda *_: None)


def claim_not_fenced(patch: Patch) -> None:
    """Let a worker write that has lost its claim."""
    unfenced = update(t.orders).where(t.orders.c.id == bindparam("held_id"))
    patch.setattr(claims, "_UPDATE_HELD", unfenced)
    patch.setattr(heartbeat.Heartbeat, "check", lambda *_: None)


def intent_not_written(patch: Patch) -> None:
    """Send a request before its intent is on disk."""
    patch.setattr(runner, "Intended", type("Nothing", (), {}))


def webhook_settles_doubt(patch: Patch) -> None:
    """Take any report about an order in doubt for its arrival."""

    def settle(stored: Any, sighted: Sighted, journal: Any) -> transitions.Change:
        if stored.state is not OrderState.ERROR:
            return transitions.Change()
        now = sighted.at
        seen = PosOrder(id=sighted.pos_id, reference=stored.id)
        state = state_of(seen)
        values = {
            "state": state.value,
            "pos_order": seen.model_dump_json(),
            "pos_id": seen.id,
            "error": None,
            **problem_columns(state, WaitsFor.NOTHING, now, 0.0),
        }
        return transitions.Change(values, events=(Submitted(now, seen),))

    patch.setattr(transitions, "_look_up_again", settle)


def anothers_answer_believed(patch: Patch) -> None:
    """Believe an answer whoever's order it is about."""
    for name in ("tillpost_generic.adapter", "tillpost_square.adapter"):
        module = sys.modules[name]
        patch.setattr(module, "reading_where", lambda model, _: reading(model))


def plugin_ends_thread(patch: Patch) -> None:
    """Let a plugin's SystemExit end the thread that handles an order, and keep its claim."""
    for name, module in list(sys.modules.items()):
        if name.startswith("tillpost.") and "is_interruption" in vars(module):
            patch.setattr(
                module, "is_interruption", lambda failure: not isinstance(failure, Exception)
            )

    def handle_exceptions(self: Processor, claim: claims.Claim) -> None:
        try:
            self._handle(claim)
        except Exception:  # noqa: BLE001  as the processor did
            self.claims.release(claim, self.clock(), due_in=1.0, crashes=0)

    patch.setattr(Processor, "handle", handle_exceptions)


def poison_row(patch: Patch) -> None:
    """Let an order that can't be read fail the claim of all."""

    def fail(*_: object) -> None:
        raise ValueError("unreadable")

    patch.setattr(claims, "set_aside", fail)


def page_pauses_store(patch: Patch) -> None:
    """Take a 403 page of a proxy for the platform's word."""
    patch.setattr(verdicts, "GATE_STATUSES", ())


def failure_judged_by_type(patch: Patch) -> None:
    """Take an invalid URL for an unsent request, whenever httpx raises it."""
    fault_of = http.fault_of

    def by_type(failure: Exception, exchange: Exchange) -> Fault:
        fault = fault_of(failure, exchange)
        if isinstance(failure, (httpx.InvalidURL, httpx.LocalProtocolError)):
            return Fault(Applied.NO, fault.text)
        return fault

    patch.setattr(http, "fault_of", by_type)


def not_undone(patch: Patch) -> None:
    """Raise why a draft can't be paid without undoing it."""
    settle = Square._settle

    def without_undo(
        self: Square, order: Any, square_id: str, refusal: PosError | None, notices: Any
    ) -> Any:
        current = yield from self._fetch(square_id)
        is_as_ordered = current.total_money.amount == total_due(order, self.config)
        if refusal is None and is_as_ordered:
            return (yield from settle(self, order, square_id, refusal, notices))
        raise refusal or PosError("another total")

    patch.setattr(Square, "_settle", without_undo)


FAULTS: Mapping[str, Callable[[Patch], None]] = {
    fault.__name__: fault
    for fault in (
        schedule_from_the_intent,
        no_lookup_in_doubt,
        address_ignored,
        pruned_whole,
        observers_lease,
        lease_unchecked,
        claim_not_fenced,
        intent_not_written,
        webhook_settles_doubt,
        anothers_answer_believed,
        plugin_ends_thread,
        poison_row,
        page_pauses_store,
        not_undone,
        failure_judged_by_type,
    )
}
