"""The attention ticket of an order that can't be delivered.

A ticket is a zero-price order at the POS whose note spells out the whole order, so that the kitchen
knows of it. `flow.Submission` makes one for an order that is refused permanently and surely doesn't
exist at the platform, where the connection's policy says so. It is withdrawn once the order
arrives or a person takes the order over.

An order has one ticket at a time. Its events are part of the order's journal (`OfTicket`), and it
is handled like an order: an intent is recorded before its request is sent, and in doubt it is sent
again only under the same key. A ticket's failure changes nothing for the order.
"""

from __future__ import annotations

from tillpost.adapter.base import ticket_reference
from tillpost.errors import Outcome, PermissionsError, PosError, StoreClosedError
from tillpost.models.order import Order, PosOrder
from tillpost.submission.arrival import another_order, names_another
from tillpost.submission.commands import Announce, Flow, Record
from tillpost.submission.context import Connection
from tillpost.submission.history import History
from tillpost.submission.journal import Cancelled, Failed, Submitted
from tillpost.submission.operation import OperationContext, is_keyed, run_operation
from tillpost.submission.order_journal import OrderJournal, TicketJournal

__all__ = ["TICKET_REMAINS", "AttentionTicket"]

TICKET_REMAINS = (
    "An attention ticket for this order may still be on the register: cook the order once"
)
"""The notice on an order whose ticket couldn't be withdrawn."""


class AttentionTicket:
    """The attention ticket of one order, which may never be made."""

    def __init__(self, connection: Connection, order: Order, journal: OrderJournal) -> None:
        """Take the order's journal, which the ticket's events become part of."""
        self._connection = connection
        self._order = order
        self._journal = TicketJournal(journal)

    @property
    def history(self) -> History:
        """What is known of the ticket."""
        return self._journal.history

    def create_for(self, error: PosError) -> Flow[None]:
        """Make the ticket for an order that was given up with `error`, unless it exists.

        An order that exists at the platform, however wrong, needs none any more.
        """
        if error.outcome is Outcome.CREATED:
            yield from self.withdraw()
        if not self._is_wanted(error):
            return
        if self.history.stale:
            withdrawn = yield from self.withdraw()
            if not withdrawn:
                return
        if self.history.pos_order:
            return
        ticket = yield from self._create()
        if ticket:
            yield Announce("ticket_made", {"order": self._order, "ticket": ticket})

    def withdraw(self) -> Flow[bool]:
        """Withdraw the ticket; return whether none is left, as far as is known."""
        if not self.history.may_exist:
            return True
        adapter = self._connection.adapter
        ticket: PosOrder | None = None
        if "cancel" in adapter.capabilities():
            ticket = self.history.pos_order
            if ticket is None and is_keyed(self._connection, self._order, self.history):
                # Made again under the same key, a ticket that may exist is the same one.
                ticket = yield from self._create()
        if ticket:
            cancelled = yield from self._cancel(ticket)
            if cancelled:
                return True
        yield Announce("ticket_left", {"order": self._order, "ticket": ticket})
        return False

    def _is_wanted(self, error: PosError) -> bool:
        """Return whether a ticket helps with an order given up with this error.

        None is made for what waiting or reconnecting the store solves, nor for a closed store.
        """
        can_make = "attention" in self._connection.adapter.capabilities()
        if not self._connection.policy.attention_ticket or not can_make:
            return False
        if error.outcome is not Outcome.NOT_CREATED:
            return False
        return not error.transient and not isinstance(error, PermissionsError | StoreClosedError)

    def _create(self) -> Flow[PosOrder | None]:
        context = self._context("attention")
        attention = self._connection.adapter.attention
        number = self.history.generation
        try:
            ticket = yield from run_operation(context, attention, self._order, number)
            if names_another(ticket_reference(self._order), ticket.reference):
                raise context.stamp(another_order())
        except PosError as error:
            yield self._record_failure(error)
            return None
        now = self._connection.clock()
        yield self._journal.record(Submitted(now, ticket, self._connection.address))
        return ticket

    def _cancel(self, ticket: PosOrder) -> Flow[bool]:
        """Cancel the ticket at the platform; return whether that worked."""
        context = self._context("cancel")
        try:
            cancelled = yield from run_operation(
                context, self._connection.adapter.cancel, ticket.id
            )
            if cancelled.id != ticket.id:
                raise context.stamp(another_order())
        except PosError as error:
            yield self._record_failure(error)
            return False
        yield self._journal.record(Cancelled(self._connection.clock(), cancelled))
        return True

    def _context(self, operation: str) -> OperationContext:
        return OperationContext(self._connection, operation, self._order, self._journal)

    def _record_failure(self, error: PosError) -> Record:
        now = self._connection.clock()
        return self._journal.record(Failed(now, error.record(), error.sends))
