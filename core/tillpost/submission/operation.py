"""Runs one operation of an adapter as a flow of commands: judges each answer, records what became of the order.

This is where promise 1 is held, by core and not by an adapter's care: the intent is recorded before
a request with an effect leaves, no other body goes out under a key that may have worked, and a
create without a key is refused while the outcome is unknown. An adapter that fails in its own code
raises an `UnknownPosError` like any other trouble.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from typing import Any, ParamSpec, TypeVar, cast

from tillpost.adapter.exchange import Effect, Exchange, Fault, Reply, Request, Response, Wait
from tillpost.adapter.verdicts import Verdict, import_pause, judge
from tillpost.errors import Applied, DoubtError, Outcome, PosError, UnknownPosError
from tillpost.models.order import Order, describe_lines
from tillpost.submission.commands import Flow, Pause, Record, Refresh, Sending, Transmit
from tillpost.submission.context import Connection
from tillpost.submission.history import History, fold
from tillpost.submission.journal import Event, Intended, Settled

__all__ = ["OperationContext", "drive"]

T = TypeVar("T")
P = ParamSpec("P")


class OperationContext:
    """One operation in progress: whose it is, and what is known of the order so far.

    `history` grows with each event recorded, so the outcome is always a fold over all that was
    sent. `sends` counts how often the last request went out.
    """

    def __init__(
        self,
        connection: Connection,
        operation: str,
        order: Order | None = None,
        history: History | None = None,
    ) -> None:
        self.connection = connection
        self.operation = operation
        self.order = order
        self.history = history or History()
        self.sends = 1

    @property
    def outcome(self) -> Outcome:
        """What is known of the order now; an operation without an order has created none."""
        if self.order is None:
            return Outcome.NOT_CREATED
        return self.history.outcome(keyed=self.connection.adapter.keyed)

    def budget(self) -> tuple[int, float]:
        """Return how many retries and how many seconds for them are left."""
        policy, history = self.connection.policy, self.history
        if self.order is None:
            return policy.retries, policy.retry_seconds
        return (
            policy.retries - history.tries,
            history.asked_at + policy.retry_seconds - self.connection.clock(),
        )

    def judge(self, request: Request[Any], answer: Response | Fault) -> Verdict:
        """Say what the answer means, as of now."""
        now = self.connection.clock()
        return judge(self.connection.adapter, request, self.order, answer, now)

    def record(self, event: Event) -> Record:
        """Take note of an event, and return the command that keeps it."""
        self.history = fold((event,), self.history)
        return Record(event)

    def refusal(self, request: Request[Any]) -> DoubtError | None:
        """Return why a request must not leave, or None: promise 1."""
        if (
            request.effect is Effect.CREATE
            and request.key is None
            and self.outcome is Outcome.UNKNOWN
        ):
            return DoubtError(
                "nothing more is sent before a look for what may be there", applied=Applied.MAYBE
            )
        if not self.history.may_send(request):
            return DoubtError(
                "another body went out under this key, and may have worked", applied=Applied.MAYBE
            )
        return None

    def stamp(self, error: PosError) -> PosError:
        """Fill in what core knows: the platform, the operation, the lines' names, and the order's outcome."""
        adapter = self.connection.adapter
        error.platform, error.title, error.operation = (
            adapter.platform,
            adapter.title,
            self.operation,
        )
        error.support_contact = self.connection.support_contact
        error.granted_by = self.connection.granted_by
        error.sends = self.sends
        error.outcome = Outcome.CREATED if error.pos_order else self.outcome
        if self.order and error.lines and not error.subjects:
            error.subjects = describe_lines(self.order, error.lines)
        return error


def drive(
    context: OperationContext,
    operation: Callable[P, Exchange[T]],
    *args: P.args,
    **kwargs: P.kwargs,
) -> Flow[T]:
    """Run an adapter's operation to its end and return its result; raise its `PosError` with the outcome filled in."""
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
            except (
                Exception
            ) as broken:  # promise 7: whatever an adapter raises comes out as a PosError
                detail = f"the adapter failed: {type(broken).__name__}"
                raise context.stamp(UnknownPosError(detail, applied=Applied.MAYBE)) from broken
            if isinstance(step, Wait):
                yield Pause(step.seconds)
                reply = error = None
            else:
                reply, error = yield from _send(context, step)
                pace = context.connection.adapter.import_pace
                if (
                    reply
                    and context.operation == "import_menu"
                    and (seconds := import_pause(pace, reply.response))
                ):
                    yield Pause(seconds)
    finally:
        if exchange:
            exchange.close()


def _send(
    context: OperationContext, request: Request[Any]
) -> Flow[tuple[Reply | None, PosError | None]]:
    """Send one request and return its reply or its error, having recorded what it does to the order."""
    counts = request.effect.counts
    if counts:
        if refusal := context.refusal(request):
            return None, refusal
        now, generation = context.connection.clock(), context.history.generation
        yield context.record(Intended(now, request.effect, generation, request.key, request.digest))
    verdict = yield from _transmit(context, request)
    if counts:
        yield context.record(Settled(context.connection.clock(), verdict.applied))
    return verdict.reply, verdict.error


def _transmit(
    context: OperationContext, request: Request[Any]
) -> Generator[Transmit | Refresh, Any, Verdict]:
    """Send a request; when the token has expired, refresh it once and send the request again.

    A refresh that is refused isn't refreshed itself: it would wait for itself. A create without a
    key isn't sent again when it is only said, and not by the platform's own words, that the token
    had expired: it may have worked.
    """
    transmit = Transmit(request, partial(context.judge, request), *context.budget())
    sending: Sending = yield transmit
    refused = sending.verdict.error
    expired = (
        refused if refused and refused.refreshable and context.operation != "refresh" else None
    )
    try:
        if expired and (yield Refresh(sending.signed_with)):
            if sending.verdict.applied is not Applied.NO and not request.repeatable:
                doubt = DoubtError(
                    "the token had expired, by an answer that proves nothing", applied=Applied.MAYBE
                )
                return Verdict(sending.verdict.applied, error=doubt)
            sending = yield transmit
        elif expired and sending.signed_with.refresh_token:
            expired.reason = "withdrawn"  # whoever grants tokens grants none any more
    except PosError as unreachable:
        # Whoever grants tokens is away for now: nobody has to connect the store again.
        return Verdict(sending.verdict.applied, error=unreachable)
    context.sends = sending.sends
    return sending.verdict
