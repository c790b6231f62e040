"""The withdrawal of what may exist of an order that a person took over.

The person took it over while it was in doubt. The order isn't sent any more, but an earlier request
may have created it: as an order that the kitchen would cook a second time, or as an unpaid draft
that nobody sees. Like a submission this is a flow over the order's journal, so it can be dropped at
any point and begun again.
"""

from __future__ import annotations

from collections.abc import Sequence

from tillpost.errors import KeyRetiredError, OrderError
from tillpost.models.order import Draft, Order, PosOrder
from tillpost.submission.arrival import not_there
from tillpost.submission.commands import Flow, Suspend
from tillpost.submission.context import Connection
from tillpost.submission.history import Action, History, next_lookup
from tillpost.submission.journal import Cancelled, DoubtResolved, Event, KeyRetired, LookedUp
from tillpost.submission.operation import OperationContext, run_operation, searched_since
from tillpost.submission.order_journal import OrderJournal

__all__ = ["Withdrawal", "may_exist_unseen"]


def may_exist_unseen(history: History) -> bool:
    """Return whether an order that hasn't arrived may exist at the platform."""
    return bool(history.doubts or history.found) and not history.cancelled


class Withdrawal:
    """The withdrawal of one order over its journal so far.

    Its `flow` is to be run once.
    """

    def __init__(self, connection: Connection, order: Order, events: Sequence[Event]) -> None:
        """Take the order's events so far, oldest first."""
        self._connection = connection
        self._order = order
        self._journal = OrderJournal.of(events)
        self._was_found_now = False

    @property
    def history(self) -> History:
        """What is known of the order now."""
        return self._journal.history

    def flow(self, *, at_once: bool = False) -> Flow[None]:
        """Look the order up to the end of the schedule, and cancel it if it is found.

        Args:
            at_once: Look it up now besides, whatever the schedule says: a person waits.

        Raises:
            PosError: It couldn't be looked up or cancelled, so it may still exist.
        """
        if at_once and may_exist_unseen(self.history):
            yield from self._look_up()
        while may_exist_unseen(self.history):
            found = self.history.found
            try:
                if found is None:
                    yield from self._follow_schedule()
                elif self._was_found_now:
                    yield from self._cancel(found)
                else:
                    # An earlier run found it, and may have cancelled it without an answer.
                    yield from self._look_up()
            except KeyRetiredError:
                yield self._journal.record(KeyRetired(self._connection.clock()))

    def _follow_schedule(self) -> Flow[None]:
        """Take the next step of the look-up schedule."""
        now = self._connection.clock()
        step = next_lookup(self.history, now, self._connection.adapter.look_after)
        if step.action is Action.WAIT:
            yield Suspend(step.until - now)
        elif step.action is Action.RESOLVE_DOUBT:
            yield self._journal.record(DoubtResolved(now))
        else:
            yield from self._look_up()
            if step.action is Action.STOP and self.history.found is None:
                # The platform has named the order, so that no schedule proves that it isn't there.
                raise self._context("find").stamp(not_there(self.history.sighted))

    def _look_up(self) -> Flow[None]:
        """Search the platform for the order."""
        connection = self._connection
        context = self._context("find")
        since = searched_since(connection, self._order, self.history)
        find = connection.adapter.find
        found = yield from run_operation(context, find, self._order, since)
        yield self._journal.record(LookedUp(connection.clock(), found, connection.address))
        self._was_found_now = True

    def _cancel(self, found: PosOrder | Draft) -> Flow[None]:
        context = self._context("cancel")
        adapter = self._connection.adapter
        if "cancel" not in adapter.capabilities():
            detail = "the platform has a copy of the order; cancel it at the register"
            copy = found if isinstance(found, PosOrder) else None
            raise context.stamp(OrderError(detail, reason="copy", pos_order=copy))
        cancelled = yield from run_operation(context, adapter.cancel, found.id)
        yield self._journal.record(Cancelled(self._connection.clock(), cancelled))

    def _context(self, operation: str) -> OperationContext:
        return OperationContext(self._connection, operation, self._order, self._journal)
