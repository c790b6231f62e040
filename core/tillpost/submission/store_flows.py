"""The flows of a connection besides a submission.

They are: look up, fetch, check, quote, cancel, access. `Till`, `AsyncTill` and the outbox run them,
each over its own transport.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta

from tillpost.adapter.base import Found
from tillpost.adapter.readiness import Finding, Readiness, Reason
from tillpost.adapter.settings import Account, Credentials
from tillpost.errors import Applied, OrderError, Outcome, PosError
from tillpost.errors.remedies import Actor
from tillpost.menus.matching import Binding
from tillpost.models.order import Order, PosOrder
from tillpost.submission.arrival import NOT_THERE, another_order, names_another
from tillpost.submission.commands import Flow, Record
from tillpost.submission.context import Connection
from tillpost.submission.history import History
from tillpost.submission.journal import Cancelled
from tillpost.submission.operation import OperationContext, run_operation, searched_since
from tillpost.submission.order_journal import OrderJournal
from tillpost.submission.order_menu import OrderMenu
from tillpost.submission.outgoing import bound, first_outgoing
from tillpost.submission.platform_clock import TOLERATED_SKEW
from tillpost.submission.prechecks import other_currency, uncarried
from tillpost.submission.store_currency import learn_currency

__all__ = ["StoreFlows"]


class StoreFlows:
    """The flows of one connection. Each method returns a flow to be run once.

    Every flow raises a `PosError` when the platform refuses or can't be reached.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._adapter = connection.adapter

    def find(self, order: Order, history: History) -> Flow[Found]:
        """Look up an order by its reference; `history` is what its journal says.

        A look-up that fails shows nothing of the order.
        """
        context = self._context("find", history, about=order)
        bound_order = self._bind(order).order
        since = searched_since(self._connection, order, history)
        try:
            found = yield from run_operation(context, self._adapter.find, bound_order, since)
            if isinstance(found, PosOrder) and names_another(order.id, found.reference):
                raise context.stamp(another_order())
        except PosError as error:
            if error.outcome is Outcome.NOT_CREATED:
                error.outcome = Outcome.CREATED if history.pos_order else Outcome.UNKNOWN
            raise
        return found

    def fetch(self, pos_id: str, history: History | None = None) -> Flow[PosOrder]:
        """Fetch an order by the platform's id. An answer about another order is an outage.

        Args:
            pos_id: The platform's id of the order.
            history: What is known of the order. One that is at another address isn't asked for: at
                this one, another order may have that id.
        """
        context = self._context("fetch", history)
        try:
            fetched = yield from run_operation(context, self._adapter.fetch, pos_id)
            if fetched.id != pos_id:
                raise context.stamp(another_order())
        except PosError as error:
            if error.outcome is Outcome.NOT_CREATED:
                is_known = history is not None and history.pos_order is not None
                error.outcome = Outcome.CREATED if is_known else Outcome.UNKNOWN
            if error.status_code in NOT_THERE:
                raise _missing(error) from error
            raise
        return fetched

    def check_platform(self) -> Flow[Readiness]:
        """Ask the platform whether the store can take orders."""
        context = self._context("check")
        return run_operation(context, self._adapter.check)

    def check(self) -> Flow[Readiness]:
        """Check whether the store can take orders; a cached menu is checked too."""
        # Imported here, because most programs never check.
        from tillpost.menus.lint import menu_finding

        readiness = yield from self.check_platform()
        findings = [*readiness.findings, *self._clock_findings()]
        menu = self._connection.menu_cache.menu
        if menu is not None:
            findings.append(menu_finding(menu))
        return Readiness(findings=tuple(findings))

    def _clock_findings(self) -> Sequence[Finding]:
        """Return a finding if our clock differs much from the platform's.

        Orders are taken all the same.
        """
        skew = self._connection.platform_clock.skew
        if skew is None or abs(skew) <= TOLERATED_SKEW:
            return ()
        direction = "ahead of" if skew > 0 else "behind"
        difference = timedelta(seconds=round(abs(skew)))
        text = (
            f"our clock is {difference} h {direction} {self._adapter.title}'s: set that of this"
            " machine, or of the PostgreSQL server if an outbox uses one"
        )
        return (
            Finding(
                what="clock",
                ok=False,
                text=text,
                actor=Actor.OPERATIONS,
                reason=Reason.OPEN,
            ),
        )

    def quote(self, order: Order) -> Flow[int]:
        """Ask for the total of an order, in minor units.

        What the adapter needs of the menu is read, as before a submission.
        """
        context = self._context("quote", about=order)
        connection = self._connection
        _refuse(context, uncarried(connection, order))
        if self._adapter.needs_menu_for(order):
            yield from OrderMenu(connection, order, OrderJournal()).know()
        menu = connection.menu_cache.known
        yield from learn_currency(connection, menu)
        _refuse(context, other_currency(connection, order, menu))
        to_send = first_outgoing(connection, order)
        return (
            yield from run_operation(context, self._adapter.quote, to_send.order, to_send.attempt)
        )

    def cancel(self, pos_order: PosOrder, history: History) -> Flow[PosOrder]:
        """Cancel an order at the platform, and record that.

        `history` is what its journal says.
        """
        context = self._context("cancel", history)
        try:
            cancelled = yield from run_operation(context, self._adapter.cancel, pos_order.id)
            if cancelled.id != pos_order.id:
                raise context.stamp(another_order())
        except PosError as error:
            # The order existed before the request, which may have cancelled it.
            error.pos_order = error.pos_order or pos_order
            if error.applied is Applied.MAYBE:
                error.outcome = Outcome.UNKNOWN
            else:
                error.outcome = Outcome.CREATED
            if isinstance(error, OrderError) and not error.reason:
                error.reason = "uncancelled"
            raise
        now = self._connection.clock()
        yield Record(Cancelled(now, cancelled))
        return cancelled

    def refresh(self, expired: Credentials) -> Flow[Credentials]:
        """Exchange a refresh token for new credentials."""
        context = self._context("refresh")
        return run_operation(context, self._adapter.refresh, expired)

    def exchange_code(self, credentials: Credentials) -> Flow[Credentials]:
        """Exchange an authorisation code for credentials."""
        context = self._context("exchange_code")
        return run_operation(context, self._adapter.exchange_code, credentials)

    def account(self) -> Flow[Account]:
        """Ask whose account the credentials are of, and what can be chosen there."""
        context = self._context("account")
        return run_operation(context, self._adapter.account)

    def revoke(self, credentials: Credentials) -> Flow[None]:
        """Revoke the access that the credentials grant."""
        context = self._context("revoke")
        return run_operation(context, self._adapter.revoke, credentials)

    def stamp(self, error: PosError, operation: str) -> PosError:
        """Add the platform, the operation and the contacts to an error made by core."""
        return self._context(operation).stamp(error)

    def _context(
        self, operation: str, history: History | None = None, about: Order | None = None
    ) -> OperationContext:
        journal = OrderJournal(history)
        return OperationContext(self._connection, operation, journal=journal, about=about)

    def _bind(self, order: Order) -> Binding:
        """Bind an order to the known menu."""
        menu = self._connection.menu_cache.known
        return bound(self._connection, order, menu)


def _refuse(context: OperationContext, found: Iterable[PosError]) -> None:
    """Raise the first of an order's faults, if it has any."""
    fault = next(iter(found), None)
    if fault is not None:
        raise context.stamp(fault)


def _missing(error: PosError) -> PosError:
    """Return the error of an order that the platform doesn't show.

    It blames neither the order nor the connection: nothing says which is at fault.
    """
    missing = error.as_kind(OrderError)
    missing.reason = "missing"
    return missing
