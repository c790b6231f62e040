"""The attention ticket of an order that can't be delivered: a zero-price order at the POS whose note spells it out.

It is made for an order that is refused for good and surely isn't at the platform, where the
connection's policy says so, and withdrawn once the order arrives or a person has taken it over. An
order has one ticket at a time, whose journal is its own within the order's (`OfTicket`), so it is
known like an order: an intent is kept before its request leaves, and while it isn't certain whether
it was made it is sent again only under the same key. What goes wrong with a ticket changes nothing
for the order.
"""

from __future__ import annotations

from tillpost.errors import Outcome, PermissionsError, PosError, StoreClosedError
from tillpost.models.order import Order, PosOrder
from tillpost.submission.commands import Announce, Flow, Record
from tillpost.submission.context import Connection
from tillpost.submission.history import NO_TICKET, History, ticket_after
from tillpost.submission.journal import Cancelled, Event, Failed, OfTicket, OrderEvent, Submitted
from tillpost.submission.operation import OperationContext, drive

__all__ = ["LEFT", "Ticketing"]

LEFT = "An attention ticket for this order may still be on the register: cook the order once"
"""What is said of an order whose ticket couldn't be withdrawn."""


class _TicketContext(OperationContext):
    """Keeps what happens to the ticket apart from what happens to the order."""

    def record(self, event: Event) -> Record:
        assert not isinstance(event, OfTicket)
        self.history = ticket_after(self.history, event)
        return Record(OfTicket(event))


class Ticketing:
    """The attention ticket of one order. `history` is what is known of the ticket; None: there never was one."""

    def __init__(self, connection: Connection, order: Order, history: History | None) -> None:
        self._connection = connection
        self._order = order
        self.history = history

    def attend(self, error: PosError) -> Flow[None]:
        """Make the ticket, unless it is there or `error`, with which the order was given up, is none for it.

        None is made for what waiting or connecting the store again mends, nor for a store that
        takes no orders. An order that is there, though not as it was paid for, needs none any more.
        """
        if error.outcome is Outcome.CREATED:
            yield from self.withdraw()
        ticket, adapter = self.history or NO_TICKET, self._connection.adapter
        wanted = self._connection.policy.attention_ticket and "attention" in adapter.capabilities()
        if not wanted or error.outcome is not Outcome.NOT_CREATED:
            return
        if error.transient or isinstance(error, PermissionsError | StoreClosedError):
            return
        if ticket.stale and not (yield from self.withdraw()):
            return
        if not (self.history and self.history.done) and (made := (yield from self._make())):
            yield Announce("ticket_made", {"order": self._order, "ticket": made})

    def withdraw(self) -> Flow[bool]:
        """Withdraw the ticket; return whether none is left, as far as is known."""
        ticket, clock = self.history, self._connection.clock
        if ticket is None or not ticket.may_be_there:
            return True
        adapter = self._connection.adapter
        there: PosOrder | None = None
        if "cancel" in adapter.capabilities():
            # Made under the same key again, a ticket that may be there is the same one.
            there = ticket.done or ((yield from self._make()) if adapter.keyed else None)
        if there:
            context = self._conduct("cancel")
            try:
                gone = yield from drive(context, adapter.cancel, there.id)
            except PosError as error:
                yield self._failed(context, error)
            else:
                yield self._record(context, Cancelled(clock(), gone))
                return True
        yield Announce("ticket_left", {"order": self._order, "ticket": there})
        return False

    def _make(self) -> Flow[PosOrder | None]:
        context = self._conduct("attention")
        number = context.history.generation
        try:
            made = yield from drive(
                context, self._connection.adapter.attention, self._order, number
            )
        except PosError as error:
            yield self._failed(context, error)
            return None
        yield self._record(context, Submitted(self._connection.clock(), made))
        return made

    def _conduct(self, operation: str) -> _TicketContext:
        return _TicketContext(self._connection, operation, self._order, self.history or NO_TICKET)

    def _failed(self, context: OperationContext, error: PosError) -> Record:
        return self._record(context, Failed(self._connection.clock(), error.record(), error.sends))

    def _record(self, context: OperationContext, event: OrderEvent) -> Record:
        record = context.record(event)
        self.history = context.history
        return record
