"""One order's way to the register, as one flow of commands: look, finish, submit, import, wait, until done or stopped.

An order that is given up may leave an attention ticket at the register, which is withdrawn when it
arrives after all.

The flow keeps nothing that matters to itself: each round it asks `recovery.next_step` what the
journal says, and does that. So it can be dropped at any command and begun again, by the same loop,
another process or another machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

from tillpost.adapter.base import Attempt
from tillpost.adapter.exchange import Exchange
from tillpost.errors import (
    DoubtError,
    KeyRetiredError,
    MenuError,
    OrderError,
    Outcome,
    PermissionsError,
    PosError,
)
from tillpost.menus.matching import Binding, rebind
from tillpost.menus.validation import check_order
from tillpost.models.money import format_money
from tillpost.models.order import Draft, Order, PosOrder
from tillpost.submission.attention_ticket import LEFT, Ticketing
from tillpost.submission.commands import Announce, Flow, ImportMenu, Record, Suspend
from tillpost.submission.context import Connection
from tillpost.submission.history import Do, Step, fold, next_step
from tillpost.submission.journal import (
    DoubtResolved,
    Event,
    Failed,
    Imported,
    KeyRetired,
    LookedUp,
    SubmissionRequested,
    Submitted,
)
from tillpost.submission.menu_import import MenuImport
from tillpost.submission.operation import OperationContext, drive

__all__ = ["Submission"]

T = TypeVar("T")
P = ParamSpec("P")


class Submission:
    """The submission of one order over its journal so far (`events`, oldest first). `flow` is to be driven once."""

    def __init__(self, connection: Connection, order: Order, events: Sequence[Event]) -> None:
        self.connection = connection
        self.order = order
        self.history = fold(events)
        self.error: PosError | None = None
        self._menu_at = connection.menu_cache.imported_at

    def flow(
        self, *, is_new: bool = False, resumed: bool = False, asked_at: float | None = None
    ) -> Flow[PosOrder]:
        """Bring the order to the register; return it as the platform has it, or raise the `PosError` that stands.

        `is_new` promises that nobody sent the order before, which saves a first look where there is
        no key. `resumed` goes on with what was asked for last, within its budget, instead of asking
        anew. `asked_at` (epoch seconds) is when it was asked for, if not now.
        """
        self._refuse_other_content()
        if self.history.done:
            return self.history.done
        if not (resumed and self.history.digest):
            now = self.connection.clock() if asked_at is None else asked_at
            yield self._record(SubmissionRequested(now, self.order.digest, is_new))
        while True:
            step = self._next()
            if step.do is Do.DONE:
                return (yield from self._arrived())
            if step.do is Do.STOP:
                raise (yield from self._stopped())
            try:
                yield from self._take(step)
            except KeyRetiredError:
                yield self._record(KeyRetired(self.connection.clock()))
            except PosError as error:
                yield from self._failed(error)

    def _refuse_other_content(self) -> None:
        """One id is one order: raise when it stands for another content at the platform, or for a cancelled order."""
        known = self.history
        why = ""
        if known.cancelled:
            why = "the order was cancelled; a new order needs a new id"
        elif known.digest not in ("", self.order.digest) and (known.done or known.doubts):
            why = (
                "another content was sent under this order's id; submit that again, or use a new id"
            )
        if why:
            raise OperationContext(self.connection, "submit", self.order, known).stamp(
                OrderError(why, pos_order=known.done)
            )

    def _refuse_another_total(self, found: PosOrder | Draft | None) -> None:
        """Raise when an order that a look found comes to another total, so isn't what was paid for. It is there."""
        order = self.order
        if not isinstance(found, PosOrder) or found.total in (
            None,
            order.total,
            order.total - order.tip,
        ):
            return
        there, paid = (
            format_money(found.total or 0, order.currency),
            format_money(order.total, order.currency),
        )
        why = f"under this order's id there is one of {there} at the platform, paid was {paid}"
        raise OperationContext(self.connection, "submit", order, self.history).stamp(
            OrderError(why, pos_order=found)
        )

    def _next(self) -> Step:
        return next_step(
            self.history,
            self.connection.clock(),
            order_id=self.order.id,
            keyed=self.connection.adapter.keyed,
            look_after=self.connection.adapter.look_after,
            policy=self.connection.policy,
        )

    def _take(self, step: Step) -> Flow[None]:
        """Do what is next. A refusal is raised; the next round finds it in the journal."""
        clock, adapter = self.connection.clock, self.connection.adapter
        match step.do:
            case Do.WAIT:
                yield Suspend(step.until - clock())
            case Do.CLEAR:
                yield self._record(DoubtResolved(clock()))
            case Do.LOOK:
                found = yield from self._drive(
                    "find", adapter.find, self._bound().order, self.history.since
                )
                yield self._record(LookedUp(clock(), found))
                self._refuse_another_total(found)
            case Do.IMPORT:
                yield from self._import()
            case Do.FINISH:
                assert isinstance(self.history.found, Draft)
                yield from self._submit(adapter.finish, self._bound().order, self.history.found)
            case _:
                yield from self._send()

    def _send(self) -> Flow[None]:
        """Send the order, once it fits the menu. While in doubt it isn't checked: the very same bytes must go out."""
        if self.connection.adapter.needs_menu and self.connection.menu_cache.menu is None:
            yield ImportMenu()
        history, bound = self.history, self._bound()
        if not history.doubts:
            for fault in self._misfits(bound):
                raise OperationContext(self.connection, "precheck", self.order, history).stamp(
                    fault
                )
        menu = self.connection.menu_cache.menu
        attempt = Attempt(history.generation, menu, bound.keep_paid, bound.remarks, history.since)
        yield from self._submit(self.connection.adapter.submit, bound.order, attempt)

    def _submit(
        self, operation: Callable[P, Exchange[PosOrder]], *args: P.args, **kwargs: P.kwargs
    ) -> Flow[None]:
        yield from self._there((yield from self._drive("submit", operation, *args, **kwargs)))

    def _import(self) -> Flow[None]:
        """Import the menu, and note whether that changes how the order is bound to it, or how it fits.

        It counts as a change, too, when the order failed with an older menu than the one that is
        here by now.
        """
        before, failure = self._bound(), self.history.failure
        newer = failure is not None and failure.menu_at < self.connection.menu_cache.imported_at
        misfits = [str(fault) for fault in self._misfits(before)]
        result: MenuImport = yield ImportMenu()
        after = self._bound()
        changed = (
            newer or after != before or [str(fault) for fault in self._misfits(after)] != misfits
        )
        yield self._record(Imported(self.connection.clock(), changed, result.held, result.fresh))

    def _bound(self) -> Binding:
        """Bind the order to the menu that is here now. The time is read first: one that comes in between is newer."""
        menu_cache = self.connection.menu_cache
        self._menu_at = menu_cache.imported_at
        return rebind(self.order, menu_cache.menu, self.connection.policy.prices)

    def _misfits(self, bound: Binding) -> Sequence[PosError]:
        menu = self.connection.menu_cache.menu
        return check_order(bound.order, menu, self.connection.policy.prices) if menu else ()

    def _drive(
        self, name: str, operation: Callable[P, Exchange[T]], *args: P.args, **kwargs: P.kwargs
    ) -> Flow[T]:
        """Run an operation, and take over what it learnt of the order, however it ends."""
        context = OperationContext(self.connection, name, self.order, self.history)
        try:
            return (yield from drive(context, operation, *args, **kwargs))
        finally:
            self.history = context.history

    def _record(self, event: Event) -> Record:
        self.history = fold((event,), self.history)
        return Record(event)

    def _arrived(self) -> Flow[PosOrder]:
        """Note the order as submitted, unless it is noted already, and tell the plugins."""
        if isinstance(self.history.found, PosOrder) and not self.history.done:
            yield from self._there(self.history.found)
        there = self.history.done
        assert there
        yield Announce("order_submitted", {"order": self.order, "pos_order": there})
        return there

    def _there(self, pos_order: PosOrder) -> Flow[None]:
        """Withdraw the order's attention ticket, now that the order is there, and note the order as submitted."""
        if self.history.ticket:
            ticketing = Ticketing(self.connection, self.order, self.history.ticket)
            if not (yield from ticketing.withdraw()):
                pos_order = pos_order.model_copy(update={"notices": (*pos_order.notices, LEFT)})
            self.history = self.history._replace(ticket=ticketing.history)
        yield self._record(Submitted(self.connection.clock(), pos_order))

    def _failed(self, error: PosError) -> Flow[None]:
        """Keep the failure, and tell the plugins of the first menu error, since an import follows."""
        if error.outcome is Outcome.NOT_CREATED:  # an import knows nothing of the order's doubt
            error.outcome = self.history.outcome(keyed=self.connection.adapter.keyed)
        self.error = error
        yield self._record(
            Failed(self.connection.clock(), error.record(), error.sends, self._menu_at)
        )
        if isinstance(error, MenuError) and self.history.imported is None:
            yield Announce("menu_error", {"order": self.order, "error": error})

    def _stopped(self) -> Flow[PosError]:
        """Return the error to raise, with what the import showed; tell the plugins, and the kitchen by a ticket."""
        failure = self.history.failure
        if failure is None:
            error: PosError = DoubtError(
                "one cancelled order after the other was found under its keys"
            )
            OperationContext(self.connection, "submit", self.order, self.history).stamp(error)
        else:
            error = self.error or PosError.from_record(failure.error)
        if imported := self.history.imported:
            error.menu_imported = imported.fresh
            error.reason = (
                "held" if imported.held and isinstance(error, MenuError) else error.reason
            )
        yield Announce("order_failed", {"order": self.order, "error": error})
        ticketing = Ticketing(self.connection, self.order, self.history.ticket)
        yield from ticketing.attend(error)
        self.history = self.history._replace(ticket=ticketing.history)
        if isinstance(error, PermissionsError):
            yield Announce("reauthorisation_needed", {"error": error})
        return error
