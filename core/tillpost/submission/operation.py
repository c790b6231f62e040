"""One operation of an adapter, run as a flow of commands.

Each answer is judged, and what a request did to the order is recorded. The promise "never twice" is
kept here, by core and not by an adapter's care:

* an intent is recorded before a request that can change the order is sent;
* no other body is sent under a key that may have worked;
* a create without a key is refused while the order's outcome is unknown;
* nothing is asked or sent for an order that is, or may be, at another address.

An adapter whose own code fails raises an `UnknownPosError`, like any other failure. `flow`,
`attention_ticket`, `menu_import` and `store_flows` run operations; `forecast` looks at what one
would send, without sending it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import replace
from functools import partial
from typing import Any, ParamSpec, TypeVar, cast

from tillpost.adapter.bounds import count_objects
from tillpost.adapter.echoes import hide_in, hider
from tillpost.adapter.exchange import Effect, Exchange, Fault, Reply, Request, Response, Wait
from tillpost.adapter.verdicts import Verdict, import_pause, judge
from tillpost.errors import (
    Applied,
    DoubtError,
    OrderError,
    OutageError,
    Outcome,
    PosError,
    SetupError,
    TaxError,
    UnknownPosError,
    is_interruption,
)
from tillpost.models.order import Order, describe_lines
from tillpost.submission.address import error_of_address
from tillpost.submission.commands import Flow, Pause, Refresh, Transmission, Transmit
from tillpost.submission.context import Connection
from tillpost.submission.history import ZONE_ERROR, History
from tillpost.submission.journal import UNKNOWN_LEAD, Intended, Settled
from tillpost.submission.order_journal import EventJournal, OrderJournal

__all__ = [
    "OperationContext",
    "create_unsent",
    "is_keyed",
    "preview",
    "run_operation",
    "searched_since",
]

T = TypeVar("T")
P = ParamSpec("P")

OPERATIONS_WITHOUT_ORDER = frozenset(
    "import_menu store_currency check account refresh exchange_code revoke parse_webhook".split()
)

OF_AN_ORDER = (OrderError, TaxError)
"""Errors that blame an order.

Where there is none, the same answer blames the connection.
"""

MOST_RECEIVED = 128 * 1024 * 1024
"""Bytes of all answers of one operation: a list's pages have no end but this."""

MOST_OBJECTS = 500_000
"""JSON objects in all answers of one operation.

Each may become a model, which takes 500 to 900 bytes of memory, however few it has on the wire. A
menu of 10,000 items has some 200,000.
"""


class OperationContext:
    """One operation in progress.

    It has the connection, the order, and what is known of the order. An operation without an order,
    such as `check`, has an empty journal of its own. `sends` counts how often the last request was
    sent, `received` the bytes of all answers that were read, and `objects` the JSON objects in
    them. One that `is_preview` sends nothing that changes the order, and one that `is_optional` is
    tried once. `withheld` and `notices` are of the order that it sends.
    """

    def __init__(
        self,
        connection: Connection,
        operation: str,
        order: Order | None = None,
        journal: EventJournal | None = None,
        about: Order | None = None,
    ) -> None:
        """Take the order that is submitted, or the one that the operation is only about.

        Of an order that it is `about` nothing is concluded, but errors hide its customer's texts.
        """
        self.connection = connection
        self.operation = operation
        self.order = order
        self.about = order or about
        self.journal: EventJournal = journal or OrderJournal()
        self.sends = 1
        self.received = 0
        self.objects = 0
        self.is_preview = False
        self.is_optional = False
        self.withheld: tuple[str, ...] = ()
        self.notices: tuple[str, ...] = ()
        self._began = time.monotonic()

    @property
    def history(self) -> History:
        """What is known of the order now."""
        return self.journal.history

    @property
    def outcome(self) -> Outcome:
        """The order's outcome as it is known now.

        An operation without an order creates none.
        """
        if self.order is None:
            return Outcome.NOT_CREATED
        connection = self.connection
        keyed = is_keyed(connection, self.order, self.history)
        return self.history.outcome(keyed=keyed, address=connection.address)

    def budget(self) -> tuple[int, float]:
        """Return how many retries are left, and for how many seconds."""
        policy = self.connection.policy
        if self.is_optional:
            return 0, 0.0
        if self.order is None:
            return policy.retries, policy.retry_seconds
        retries_left = policy.retries - self.history.tries
        give_up_at = self.history.asked_at + policy.retry_seconds
        seconds_left = give_up_at - self.connection.clock()
        return retries_left, seconds_left

    def judge(self, request: Request[Any], answer: Response | Fault) -> Verdict:
        """Return what an answer means."""
        connection = self.connection
        now = connection.clock()
        connection.platform_clock.observe(answer, now, connection.name)
        verdict = judge(connection.adapter, request, self.about, answer, now)
        if self.concerns_order or not isinstance(verdict.error, OF_AN_ORDER):
            return verdict
        return verdict._replace(error=verdict.error.as_kind(SetupError))

    @property
    def concerns_order(self) -> bool:
        """Whether the operation is about an order.

        Otherwise it is only about a connection or a menu.
        """
        return self.about is not None or self.operation not in OPERATIONS_WITHOUT_ORDER

    def hide(self, error: PosError) -> PosError:
        """Mask the customer's texts in an error, and return the error.

        It may quote the platform.
        """
        hide_in(error, hider(self.about, self.connection.adapter.config))
        return error

    @property
    def longest(self) -> float:
        """How long the operation may take, in seconds."""
        limits = self.connection.limits
        return limits.menu_import if self.operation == "import_menu" else limits.operation

    def is_too_long(self, step: Request[Any] | Wait) -> bool:
        """Return whether the operation has taken too long to read more, or to wait.

        What changes an order is sent all the same: an adapter that has created one finishes it.
        """
        if isinstance(step, Request) and step.effect.counts:
            return False
        return time.monotonic() - self._began >= self.longest

    def count(self, answer: Response) -> PosError | None:
        """Count an answer that was read. Return the error if they are too much together."""
        self.received += len(answer.body)
        self.objects += count_objects(answer.body)
        if self.received > MOST_RECEIVED:
            return _endless(self, f"are larger than {MOST_RECEIVED // 1024**2} MB")
        if self.objects > MOST_OBJECTS:
            return _endless(self, f"have more than {MOST_OBJECTS} objects")
        return None

    def misdirected(self) -> DoubtError | None:
        """Return the error if the order is or may be at another address, else None."""
        address = self.connection.address
        other_address = self.history.elsewhere(address)
        if not other_address:
            return None
        error = error_of_address(other_address, address)
        error.pos_order = self.history.pos_order
        self.stamp(error)
        if error.pos_order is None:
            error.outcome = Outcome.UNKNOWN
        return error

    def refusal(self, request: Request[Any]) -> PosError | None:
        """Return why the request must not be sent, or None if it may be."""
        if request.effect is Effect.CREATE and self._was_refused(request):
            return self._refusal_of_a_field_not_sent()
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

    def _was_refused(self, request: Request[Any]) -> bool:
        """Return whether the same was refused because of a field that is withheld since.

        Then the order lacks that field, and the adapter sends nothing else in its place.
        """
        return self.history.mended and request.content == self.history.refused_content

    def _refusal_of_a_field_not_sent(self) -> PosError:
        failure = self.history.failure
        assert failure is not None  # a history that is mended has one
        error = PosError.from_record(failure.error)
        error.order_field = ""
        return error

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
        error.concerns_order = self.concerns_order
        error.outcome = Outcome.CREATED if error.pos_order else self.outcome
        # Of a tax error the taxes are at fault, and not the dishes that they are on.
        names_lines = not error.subjects and not isinstance(error, TaxError)
        if self.order and error.lines and names_lines:
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
    misdirected = context.misdirected()
    if misdirected:
        raise misdirected
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
                # An adapter's own text may quote an answer.
                context.stamp(context.hide(refused))
                raise
            except BaseException as failure:
                if is_interruption(failure):
                    raise
                # Whatever an adapter raises becomes a PosError, so that callers catch one class.
                detail = f"the adapter failed: {type(failure).__name__}"
                raise context.stamp(UnknownPosError(detail, applied=Applied.MAYBE)) from failure

            if context.is_too_long(step):
                reply, error = None, _too_long(context)
                continue
            if isinstance(step, Wait):
                yield Pause(step.seconds)
                reply = error = None
                continue
            if context.operation == "import_menu":
                step = replace(step, is_menu=True)
            reply, error = yield from _send(context, step)
            too_much = context.count(reply.response) if reply else None
            if too_much:
                reply, error = None, too_much
            if reply and context.operation == "import_menu":
                yield from _pause_between_pages(context, reply.response)
    finally:
        if exchange:
            exchange.close()


def preview(
    context: OperationContext,
    operation: Callable[P, Exchange[object]],
    *args: P.args,
    **kwargs: P.kwargs,
) -> Flow[str]:
    """Return the content of the first request that would change the order.

    That request isn't sent. What the operation reads before it is read.

    Returns:
        `Request.content`, empty if the operation makes no such request.

    Raises:
        PosError: The operation fails before it.
    """
    context.is_preview = True
    try:
        yield from run_operation(context, operation, *args, **kwargs)
    except _Previewed as previewed:
        return previewed.request.content
    return ""


def create_unsent(
    context: OperationContext,
    operation: Callable[P, Exchange[object]],
    *args: P.args,
    **kwargs: P.kwargs,
) -> Request[Any] | None:
    """Return the first request that would change the order. Nothing is sent.

    Returns:
        The request; None if there is none, or if the operation asks the platform before it.

    Raises:
        PosError: The operation fails before it.
    """
    context.is_preview = True
    flow = run_operation(context, operation, *args, **kwargs)
    try:
        for command in flow:
            if isinstance(command, Transmit):
                return None
    except _Previewed as previewed:
        return previewed.request
    finally:
        flow.close()
    return None


class _Previewed(Exception):
    """A preview has come to the first request that would change the order."""

    def __init__(self, request: Request[Any]) -> None:
        super().__init__()
        self.request = request


def is_keyed(connection: Connection, order: Order, history: History) -> bool:
    """Return whether the order's key keeps the platform from making a second order.

    A platform may forget keys. Then an order is looked up as on a platform without keys.
    """
    adapter = connection.adapter
    placed_at = order.placed_at.timestamp()
    return adapter.keyed and history.is_key_known(
        connection.clock(), placed_at=placed_at, lifetime=adapter.key_lifetime
    )


def searched_since(connection: Connection, order: Order, history: History) -> float:
    """Return the earliest time that an order can have, by the platform's clock.

    Args:
        connection: Where it is to be searched for.
        order: The order.
        history: What is known of it.

    Returns:
        Epoch seconds. An order that this journal never sent may be as old as its `placed_at`, and
        older still where the site has its time zone wrong.
    """
    if history.since is not None:
        return history.since
    now = connection.clock()
    ahead = connection.platform_clock.ahead(now)
    lead = UNKNOWN_LEAD if ahead is None else ZONE_ERROR + max(0.0, ahead)
    return min(order.placed_at.timestamp(), now) - lead


def _endless(context: OperationContext, how: str) -> PosError:
    return OutageError(f"the answers of one {context.operation} {how}", applied=Applied.MAYBE)


def _too_long(context: OperationContext) -> PosError:
    """Return the error of an operation whose platform keeps it busy, page by page."""
    return OutageError(
        f"one {context.operation} takes longer than {context.longest:g} s", applied=Applied.MAYBE
    )


def _pause_between_pages(context: OperationContext, response: Response) -> Flow[None]:
    """Keep a menu import within the platform's rate of requests."""
    seconds = import_pause(context.connection.adapter.import_pace, response)
    if seconds:
        yield Pause(seconds)


def _send(
    context: OperationContext, request: Request[Any]
) -> Flow[tuple[Reply | None, PosError | None]]:
    """Send a request and return its reply or its error.

    What it does to the order is recorded.
    """
    if not request.effect.counts:
        verdict = yield from _transmit(context, request)
        return verdict.reply, verdict.error

    if context.is_preview:
        raise _Previewed(request)
    refusal = context.refusal(request)
    if refusal:
        return None, refusal
    connection = context.connection
    clock = connection.clock
    journal = context.journal
    now = clock()
    intent = Intended(
        now,
        request.effect,
        journal.history.generation,
        request.key,
        request.digest,
        connection.address,
        connection.platform_clock.ahead(now),
        (*context.notices, *request.notices),
        request.content,
        context.withheld,
    )
    yield journal.record(intent)
    verdict = yield from _transmit(context, request)
    yield journal.record(Settled(clock(), verdict.applied))
    return verdict.reply, _in_doubt(verdict)


def _in_doubt(verdict: Verdict) -> PosError | None:
    """Return a request's error as far as all its sends prove it.

    The request is one that changes the order. A refusal or a failure to connect says nothing about
    an earlier send of the same request. So an outage is in doubt, and a refusal becomes a
    `DoubtError`: the order is looked up first.
    """
    error = verdict.error
    is_proved = verdict.applied is not Applied.MAYBE
    if error is None or is_proved or error.applied is not Applied.NO:
        return error
    if error.transient:
        error.applied = Applied.MAYBE
        return error
    doubt = DoubtError(
        f"an earlier request may have worked; the same one was then refused: {error.detail}",
        code=error.code,
        status_code=error.status_code,
        applied=Applied.MAYBE,
    )
    doubt.request_id = error.request_id
    doubt.exchange = error.exchange
    return doubt


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

    expired = transmission.verdict
    try:
        has_new_token = yield Refresh(transmission.signed_with)
        if has_new_token:
            if expired.applied is not Applied.NO and not request.repeatable:
                # The answer isn't in the platform's own words, so the create may have worked.
                return Verdict(expired.applied, error=_expired_in_doubt())
            transmission = yield transmit
        elif transmission.signed_with.refresh_token and refused.reason != "intercepted":
            # The authorisation server grants no tokens any more. An outage stays one.
            refused.reason = "withdrawn"
    except PosError as unreachable:
        # The authorisation server is unreachable: the store need not be reconnected.
        return Verdict(expired.applied, error=unreachable)
    context.sends = transmission.sends
    return transmission.verdict.after(expired)


def _expired_in_doubt() -> DoubtError:
    detail = "the access token had expired, by an answer that proves nothing"
    return DoubtError(detail, applied=Applied.MAYBE)
