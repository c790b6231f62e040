"""The journal of one order: one history, shared by the order and its ticket."""

from __future__ import annotations

from tillpost.models.order import PosOrder
from tillpost.submission.commands import Record
from tillpost.submission.history import NO_TICKET, fold
from tillpost.submission.journal import Event, OfTicket, SubmissionRequested, Submitted
from tillpost.submission.order_journal import OrderJournal, TicketJournal

REQUESTED = SubmissionRequested(1.0, "digest")
TICKET = Submitted(2.0, PosOrder(id="t1", reference="ticket ord-1"))


def test_recorded_event_is_in_history_and_in_the_command() -> None:
    journal = OrderJournal()
    assert journal.record(REQUESTED) == Record(REQUESTED)
    assert journal.history == fold([REQUESTED])


def test_ticket_event_is_recorded_in_the_orders_history() -> None:
    journal = OrderJournal.of([REQUESTED])
    ticket = TicketJournal(journal)
    assert ticket.history == NO_TICKET
    assert ticket.record(TICKET) == Record(OfTicket(TICKET))
    assert ticket.history.pos_order == TICKET.pos_order
    assert journal.history.ticket == ticket.history
    assert journal.history.pos_order is None


def test_journal_made_of_events_has_the_same_history() -> None:
    events: list[Event] = [REQUESTED, OfTicket(TICKET)]
    journal = OrderJournal()
    for event in events:
        journal.record(event)
    assert OrderJournal.of(events).history == journal.history
