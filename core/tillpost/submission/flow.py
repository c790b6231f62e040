"""The submission of one order as a flow of commands.

Its steps are: look up, finish, submit, import the menu, wait. It ends with the order as the
platform has it, or with the error that gives it up. The flow holds no state that matters. In each
round it asks `history.next_step` what the journal calls for, and does that. So it can be dropped at
any command, and a new flow over the same journal goes on: in the same process, in another, or on
another machine. The promises "never twice" and "never half" are kept by that decision. `Till` and
`AsyncTill` run the flow over a journal in memory, the outbox over one in its database.

An order that is given up may leave an attention ticket at the register; the ticket is withdrawn
when the order arrives after all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import ParamSpec, TypeVar

from tillpost.adapter.base import Found
from tillpost.adapter.exchange import Exchange
from tillpost.errors import (
    Applied,
    DoubtError,
    KeyRetiredError,
    MenuError,
    OrderError,
    Outcome,
    PermissionsError,
    PosError,
    SetupError,
)
from tillpost.models.order import Draft, Order, PosOrder
from tillpost.submission.arrival import NOT_THERE, Proof, not_there, proof_of, why_unproved
from tillpost.submission.attention_ticket import TICKET_REMAINS, AttentionTicket
from tillpost.submission.commands import Announce, Flow, Suspend
from tillpost.submission.context import Connection
from tillpost.submission.history import Action, History, Step, next_step
from tillpost.submission.journal import (
    DoubtResolved,
    Event,
    Failed,
    Imported,
    KeyRetired,
    LookedUp,
    Settled,
    Sighted,
    SubmissionRequested,
    Submitted,
)
from tillpost.submission.operation import (
    OperationContext,
    is_keyed,
    preview,
    run_operation,
    searched_since,
)
from tillpost.submission.order_journal import OrderJournal
from tillpost.submission.order_menu import OrderMenu
from tillpost.submission.outgoing import Outgoing, outgoing
from tillpost.submission.prechecks import faults, uncarried
from tillpost.submission.store_currency import learn_currency
from tillpost.submission.withholding import has_field, is_far_ahead, without

__all__ = ["Submission"]

T = TypeVar("T")
P = ParamSpec("P")


class Submission:
    """The submission of one order over its journal so far.

    Its `flow` is run once; to go on, make a new submission from the journal.
    """

    def __init__(self, connection: Connection, order: Order, events: Sequence[Event]) -> None:
        """Take the order's events so far, oldest first."""
        self.connection = connection
        self.order = order
        self.journal = OrderJournal.of(events)
        self._ticket = AttentionTicket(connection, order, self.journal)
        self._error: PosError | None = None
        self._menu = OrderMenu(connection, order, self.journal)

    @property
    def history(self) -> History:
        """What is known of the order now."""
        return self.journal.history

    def flow(
        self, *, is_new: bool = False, resumed: bool = False, asked_at: float | None = None
    ) -> Flow[PosOrder]:
        """Bring the order to the register and return it as the platform has it.

        Args:
            is_new: A promise that nobody sent the order before. It saves the first look-up on
                platforms without keys.
            resumed: Continue the submission requested last, within its budget.
            asked_at: When the order was requested, in epoch seconds; now by default.

        Raises:
            PosError: The order was given up; the error says what to do.
        """
        self._refuse_other_content()
        if self.history.pos_order:
            return self.history.pos_order

        if self.history.is_unsettled:
            # The process that sent it was stopped. The schedule of look-ups begins now.
            yield self.journal.record(Settled(self.connection.clock(), Applied.MAYBE))
        if not (resumed and self.history.digest):
            at = self.connection.clock() if asked_at is None else asked_at
            yield self.journal.record(SubmissionRequested(at, self.order.digest, is_new))

        while True:
            step = self._next_step()
            if step.action is Action.DONE:
                pos_order = yield from self._conclude()
                return pos_order
            if step.action is Action.STOP:
                error = yield from self._stop()
                raise error
            try:
                yield from self._take(step)
            except KeyRetiredError:
                yield self.journal.record(KeyRetired(self.connection.clock()))
            except PosError as error:
                yield from self._record_failure(error)

    # ------------------------------------------------------------------ one round

    def _next_step(self) -> Step:
        adapter = self.connection.adapter
        return next_step(
            self.history,
            self.connection.clock(),
            order_id=self.order.id,
            keyed=is_keyed(self.connection, self.order, self.history),
            look_after=adapter.look_after,
            policy=self.connection.policy,
            address=self.connection.address,
        )

    def _take(self, step: Step) -> Flow[None]:
        """Take one step. A refusal is raised; the next round finds it in the journal."""
        match step.action:
            case Action.WAIT:
                yield Suspend(step.until - self.connection.clock())
            case Action.RESOLVE_DOUBT:
                yield self.journal.record(DoubtResolved(self.connection.clock()))
            case Action.LOOK_UP:
                yield from self._look_up()
            case Action.IMPORT_MENU:
                yield from self._import_menu()
            case Action.FINISH:
                yield from self._finish_draft()
            case _:  # Action.SUBMIT
                yield from self._submit()

    def _look_up(self) -> Flow[None]:
        """Look the order up by its id if it was sighted, or else by our reference.

        The id is the platform's.
        """
        connection = self.connection
        order = self._menu.bind().order
        found: Found = None
        if self.history.sighted:
            found = yield from self._look_at_sighted(order)
        if found is None:
            since = searched_since(connection, self.order, self.history)
            found = yield from self._run("find", connection.adapter.find, order, since)
        if isinstance(found, PosOrder):
            self._refuse_unproved(found)
        yield self.journal.record(LookedUp(connection.clock(), found, connection.address))
        if found is None and self.history.sighted_made:
            # The next round may send the same body again under its key, but not for ever.
            raise self._context("submit").stamp(not_there(self.history.sighted))

    def _look_at_sighted(self, order: Order) -> Flow[Found]:
        """Look at the order that was sighted; return None if that proves nothing."""
        verify = self.connection.adapter.verify
        try:
            seen = yield from self._run("find", verify, order, self.history.sighted)
        except PosError as error:
            if error.status_code not in NOT_THERE:
                raise
            return None
        if isinstance(seen, PosOrder) and self._proof(seen) in (Proof.ANOTHER, Proof.UNCLEAR):
            return None  # a search may find more
        return seen

    def _finish_draft(self) -> Flow[None]:
        """Finish the draft that a look-up found."""
        draft = self.history.found
        assert isinstance(draft, Draft)
        finish = self.connection.adapter.finish
        order = self._outgoing().order
        pos_order = yield from self._run("submit", finish, order, draft)
        yield from self._conclude_arrival(pos_order)

    def _submit(self) -> Flow[None]:
        """Send the order, if it fits the platform and the menu, and isn't too late.

        In doubt none of this is judged: the very same bytes must be sent again.
        """
        connection = self.connection
        adapter = connection.adapter
        in_doubt = bool(self.history.doubts)
        if not in_doubt:
            self._refuse(uncarried(connection, self.order))
        if adapter.needs_menu_for(self.order):
            yield from self._menu.know()
        if not in_doubt:
            yield from learn_currency(connection, self._menu.known)
        to_send = self._outgoing()
        if not in_doubt:
            self._refuse(faults(connection, to_send.order, self._menu.known, to_send.withheld))
        context = self._context("submit")
        context.withheld = to_send.withheld
        context.notices = to_send.notices
        pos_order = yield from run_operation(
            context, adapter.submit, to_send.order, to_send.attempt
        )
        yield from self._conclude_arrival(pos_order)

    def _outgoing(self) -> Outgoing:
        """Return the order as it is to be sent now."""
        binding = self._menu.bind()
        return outgoing(self.connection, binding, self._menu.known, self.history)

    def _import_menu(self) -> Flow[None]:
        """Import the menu, and record whether that changes the order.

        It does if the order fits, or would be sent, differently now. An order that failed with an
        older menu than the cached one counts as changed, too.
        """
        refused = self.history.menu_error
        cached_at = self.connection.menu_cache.imported_at
        failed_with_older_menu = refused is not None and refused.menu_at < cached_at
        before = self._menu.fit()
        menu_before = self._menu.known
        result = yield from self._menu.renew()
        changed = self._menu.fit() != before or failed_with_older_menu
        if not changed and self._menu.known is not menu_before:
            changed = yield from self._would_be_sent_differently()
        now = self.connection.clock()
        imported = Imported(now, changed, result.held, result.fresh)
        yield self.journal.record(imported)

    def _would_be_sent_differently(self) -> Flow[bool]:
        """Return whether another order would be sent than the one that was refused.

        What it sends may depend on more of the menu than ids and prices, such as how an item is
        priced. If it refuses the order itself, for another reason than before, that counts as well.
        """
        history = self.history
        if history.menu_error is None or history.menu_error.error.operation != "submit":
            return False
        refused = history.menu_error.error
        to_send = self._outgoing()
        context = self._context("submit")
        submit = self.connection.adapter.submit
        try:
            content = yield from preview(context, submit, to_send.order, to_send.attempt)
        except PosError as error:
            return (type(error).__name__, error.detail) != (refused.kind, refused.detail)
        return content != history.refused_content

    def _run(
        self,
        name: str,
        operation: Callable[P, Exchange[T]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Flow[T]:
        context = self._context(name)
        return run_operation(context, operation, *args, **kwargs)

    def _context(self, operation: str) -> OperationContext:
        return OperationContext(self.connection, operation, self.order, self.journal)

    # ------------------------------------------------------------------ what must not be sent

    def _refuse_other_content(self) -> None:
        """Raise `OrderError` if the id is of another content or of a cancelled order."""
        history = self.history
        other_content = history.digest not in ("", self.order.digest)
        if history.cancelled:
            reason = "cancelled"
            detail = "the order was cancelled; a new order needs a new id"
        elif other_content and history.may_exist:
            reason = "changed"
            detail = (
                "another content was sent under this order's id; submit that again, or use a new id"
            )
        else:
            return
        error = OrderError(detail, reason=reason, pos_order=history.pos_order)
        raise self._context("submit").stamp(error)

    def _refuse(self, found: Iterable[PosError]) -> None:
        """Raise the first of an order's faults, if it has any."""
        fault = next(iter(found), None)
        if fault is not None:
            # A menu import may mend what a precheck finds, but neither the order nor a setting.
            is_final = isinstance(fault, OrderError | SetupError)
            operation = "submit" if is_final else "precheck"
            raise self._context(operation).stamp(fault)

    # ------------------------------------------------------------------ the proof

    def _proof(self, seen: PosOrder) -> Proof:
        reports_total = self.connection.adapter.reports_total
        return proof_of(self.order, seen, reports_total=reports_total)

    def _refuse_unproved(self, seen: PosOrder) -> None:
        """Raise why an order at the platform doesn't prove that this one has arrived."""
        proof = self._proof(seen)
        if proof is not Proof.ARRIVED:
            context = self._context("submit")
            error = context.hide(why_unproved(self.order, seen, proof))
            raise context.stamp(error)

    def _conclude_arrival(self, made: PosOrder) -> Flow[None]:
        """Record the arrival of an order that was just made or finished, if proved.

        If the answer proves nothing, the next round looks the order up by its id.
        """
        if self._proof(made) is Proof.UNCLEAR:
            now = self.connection.clock()
            address = self.connection.address
            yield self.journal.record(Sighted(now, made.id, made=True, address=address))
            return
        self._refuse_unproved(made)
        yield from self._record_arrival(made)

    # ------------------------------------------------------------------ the end

    def _conclude(self) -> Flow[PosOrder]:
        """Record the arrival, unless that was done, and announce it."""
        found = self.history.found
        if isinstance(found, PosOrder) and not self.history.pos_order:
            yield from self._record_arrival(found)
        pos_order = self.history.pos_order
        assert pos_order
        yield Announce("order_submitted", {"order": self.order, "pos_order": pos_order})
        return pos_order

    def _record_arrival(self, pos_order: PosOrder) -> Flow[None]:
        """Withdraw the attention ticket, and record the order's arrival.

        What the platform shows of an order that was looked up lacks the notices of its translation.
        """
        history = self.history
        missing = [text for text in history.notices if text not in pos_order.notices]
        if missing:
            notices = (*missing, *pos_order.notices)
            pos_order = pos_order.model_copy(update={"notices": notices})
        if self.history.ticket:
            withdrawn = yield from self._ticket.withdraw()
            if not withdrawn:
                notices = (*pos_order.notices, TICKET_REMAINS)
                pos_order = pos_order.model_copy(update={"notices": notices})
        connection = self.connection
        address = history.address or connection.address
        yield self.journal.record(Submitted(connection.clock(), pos_order, address))

    def _record_failure(self, error: PosError) -> Flow[None]:
        """Record a failure. A menu error is announced if an import follows."""
        if error.outcome is Outcome.NOT_CREATED:
            # The error may come from an import, which knows nothing of the order's doubt.
            error.outcome = self._context(error.operation).outcome
        # An import that fails here fails an order.
        error.concerns_order = True
        if error.order_field and not self._was_sent(error.order_field):
            error.reason = ""  # it speaks of that field
        is_far_ahead_now = is_far_ahead(self.order, self.connection.platform_now())
        if error.order_field == "due_at" and is_far_ahead_now:
            # Without its time, the order would be cooked now.
            error.order_field = ""
            error.reason = "early"
        self._error = error
        now = self.connection.clock()
        failure = Failed(now, error.record(), error.sends, self._menu.bound_at)
        yield self.journal.record(failure)
        if isinstance(error, MenuError) and self.history.may_import:
            yield Announce("menu_error", {"order": self.order, "error": error})

    def _was_sent(self, field: str) -> bool:
        """Return whether the order had an optional field when it was sent last."""
        sent = self.history.sent
        withheld = sent[-1].intent.withheld if sent else ()
        sent_order = without(self.order, withheld, self.connection.adapter.title).order
        return has_field(sent_order, field)

    def _stop(self) -> Flow[PosError]:
        """Give the order up: announce it, make the attention ticket, return the error."""
        error = self._final_error()
        yield Announce("order_failed", {"order": self.order, "error": error})
        yield from self._ticket.create_for(error)
        if isinstance(error, PermissionsError):
            yield Announce("reauthorisation_needed", {"error": error})
        return error

    def _final_error(self) -> PosError:
        """Return the error to raise, with what the menu import showed."""
        misdirected = self._context("submit").misdirected()
        if misdirected:
            return misdirected
        failure, imported = self.history.failure, self.history.imported
        if failure is None:
            detail = "one cancelled order after the other was found under its keys"
            if self.history.sighted:
                reported = self.history.sighted
                detail = f"the platform reported its order {reported}, and doesn't show it"
            error = self._context("submit").stamp(DoubtError(detail))
        else:
            error = self._error_of(failure)
            # Look-ups since that failure may have settled it.
            error.outcome = failure.error.outcome
            if error.outcome is Outcome.NOT_CREATED:
                # A request may have been sent since that failure, whose answer nobody saw.
                error.outcome = self._context(error.operation).outcome
        if imported:
            error.menu_imported = imported.fresh
            if imported.held and isinstance(error, MenuError):
                error.reason = "held"
        return error

    def _error_of(self, failure: Failed) -> PosError:
        """Return the error as it was raised here.

        It is as the journal has it if another came since.
        """
        raised = self._error
        if raised is None or raised.operation != failure.error.operation:
            return PosError.from_record(failure.error)
        return raised
