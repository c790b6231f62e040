"""Runs one operation of an adapter as a flow of commands.

Each answer is judged, and what a request did to the order is recorded. The promise "never twice" is
kept here, by core and not by an adapter's care:

* an intent is recorded before a request that can change the order is sent;
* no other body is sent under a key that may have worked;
* a create without a key is refused while the order's outcome is unknown.

An adapter whose own code fails raises an `UnknownPosError`, like any other failure. `flow`, `attention_ticket`, `menu_import` and `store_flows` run operations.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from typing import Any, ParamSpec, TypeVar, cast

from tillpost.adapter.exchange import Effect, Exchange, Fault, Reply, Request, Response, Wait
from tillpost.adapter.verdicts import Verdict, import_pause, judge
from tillpost.errors import Applied, DoubtError, Outcome, PosError, UnknownPosError
from tillpost.models.order import Order, describe_lines
from tillpost.submission.commands import Flow, Pause, Refresh, Transmission, Transmit
from tillpost.submission.context import Connection
from tillpost.submission.history import History
from tillpost.submission.journal import Intended, Settled
from tillpost.submission.order_journal import EventJournal, OrderJournal

__all__ = ["OperationContext", "run_operation"]

T = TypeVar("T")
P = ParamSpec("P")


class OperationContext:
    """One operation in progress: on which connection, for which order, and what is known of it.

    An operation without an order, such as `check`, has an empty journal of its own. `sends` counts
    how often the last request was sent.
    """

    def __init__(
        self,
        connection: Connection,
        operation: str,
        order: Order | None = None,
        journal: EventJournal | None = None,
    ) -> None:
        self.connection = connection
        self.operation = operation
        self.order = order
        self.journal: EventJournal = journal or OrderJournal()
        self.sends = 1

    @property
    def history(self) -> History:
        """What is known of the order now."""
        return self.journal.history

    @property
    def outcome(self) -> Outcome:
        """The order's outcome as it is known now. An operation without an order creates none."""
        if self.order is None:
            return Outcome.NOT_CREATED
        return self.history.outcome(keyed=self.connection.adapter.keyed)

    def budget(self) -> tuple[int, float]:
        """Return how many retries are left, and for how many seconds."""
        policy = self.connection.policy
        if self.order is None:
            return policy.retries, policy.retry_seconds
        retries_left = policy.retries - self.history.tries
        give_up_at = self.history.asked_at + policy.retry_seconds
        seconds_left = give_up_at - self.connection.clock()
        return retries_left, seconds_left

    def judge(self, request: Request[Any], answer: Response | Fault) -> Verdict:
        """Return what an answer means."""
        now = self.connection.clock()
        return judge(self.connection.adapter, request, self.order, answer, now)

    def refusal(self, request: Request[Any]) -> DoubtError | None:
        """Return why the request must not be sent, or None if it may be."""
        is_create_without_key = request.effect is Effect.CREATE and request.key is None
        if is_create_without_key and self.outcome is Outcome.UNKNOWN:
            return DoubtError(
                "the order may already exist; look it up before sending it again",
                applied=Applied.MAYBE,
            )
        if not self.history.may_send(request):
            return DoubtError(
                "another body was sent under this key, and it may have worked",
                applied=Applied.MAYBE,
            )
        return None

    def stamp(self, error: PosError) -> PosError:
        """Add what core knows to an error, and return it.

        That is the platform, the operation, the affected lines, the contacts and the outcome.
        """
        connection = self.connection
        error.platform = connection.adapter.platform
        error.title = connection.adapter.title
        error.operation = self.operation
        error.support_contact = connection.support_contact
        error.granted_by = connection.granted_by
        error.sends = self.sends
        error.outcome = Outcome.CREATED if error.pos_order else self.outcome
        if self.order and error.lines and not error.subjects:
            error.subjects = describe_lines(self.order, error.lines)
        return error


def run_operation(
    context: OperationContext,
    operation: Callable[P, Exchange[T]],
    *args: P.args,
    **kwargs: P.kwargs,
) -> Flow[T]:
    """Run an adapter's operation to its end and return its result.

    Raises:
        PosError: The operation failed; the error's outcome is filled in.
    """
    exchange: Exchange[T] | None = None
    reply: Reply | None = None
    error: PosError | None = None
    try:
        while True:
            try:
                exchange = exchange or operation(*args, **kwargs)
                step = exchange.throw(error) if error else exchange.send(cast(Reply, reply))
            except StopIteration as end:
                return cast(T, end.value)
            except PosError as refused:
                context.stamp(refused)
                raise
            except Exception as failure:
                # Whatever an adapter raises becomes a PosError, so that callers catch one class.
                detail = f"the adapter failed: {type(failure).__name__}"
                raise context.stamp(UnknownPosError(detail, applied=Applied.MAYBE)) from failure

            if isinstance(step, Wait):
                yield Pause(step.seconds)
                reply = error = None
                continue
            reply, error = yield from _send(context, step)
            if reply and context.operation == "import_menu":
                yield from _pause_between_pages(context, reply.response)
    finally:
        if exchange:
            exchange.close()


def _pause_between_pages(context: OperationContext, response: Response) -> Flow[None]:
    """Keep a menu import within the platform's rate of requests."""
    seconds = import_pause(context.connection.adapter.import_pace, response)
    if seconds:
        yield Pause(seconds)


def _send(
    context: OperationContext, request: Request[Any]
) -> Flow[tuple[Reply | None, PosError | None]]:
    """Send a request and return its reply or its error; record what it does to the order."""
    if not request.effect.counts:
        verdict = yield from _transmit(context, request)
        return verdict.reply, verdict.error

    refusal = context.refusal(request)
    if refusal:
        return None, refusal
    clock = context.connection.clock
    journal = context.journal
    intent = Intended(
        clock(),
        request.effect,
        journal.history.generation,
        request.key,
        request.digest,
    )
    yield journal.record(intent)
    verdict = yield from _transmit(context, request)
    yield journal.record(Settled(clock(), verdict.applied))
    return verdict.reply, verdict.error


def _transmit(
    context: OperationContext, request: Request[Any]
) -> Generator[Transmit | Refresh, Any, Verdict]:
    """Send a request. If the access token has expired, refresh it and send once more."""
    judge = partial(context.judge, request)
    retries, patience = context.budget()
    transmit = Transmit(request, judge, retries, patience)
    transmission: Transmission = yield transmit

    # A refused refresh isn't refreshed itself: it would wait for itself.
    refused = transmission.verdict.error
    if refused is None or not refused.refreshable or context.operation == "refresh":
        context.sends = transmission.sends
        return transmission.verdict

    applied = transmission.verdict.applied
    try:
        has_new_token = yield Refresh(transmission.signed_with)
        if has_new_token:
            if applied is not Applied.NO and not request.repeatable:
                # The answer isn't in the platform's own words, so the create may have worked.
                return Verdict(applied, error=_expired_in_doubt())
            transmission = yield transmit
        elif transmission.signed_with.refresh_token:
            # The authorisation server grants no tokens any more.
            refused.reason = "withdrawn"
    except PosError as unreachable:
        # The authorisation server is unreachable: the store need not be reconnected.
        return Verdict(applied, error=unreachable)
    context.sends = transmission.sends
    return transmission.verdict


def _expired_in_doubt() -> DoubtError:
    detail = "the access token had expired, by an answer that proves nothing"
    return DoubtError(detail, applied=Applied.MAYBE)
