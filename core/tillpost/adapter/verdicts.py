"""What a platform's answer means: core's half of the adapter contract.

`judge` turns any answer, or the lack of one, into a typed reply or a `PosError`. It reads a success
by the model that the request names, and looks a refusal up in the adapter's error table. It never
raises, whatever the bytes are. Each answer is judged once, by the sender of the request, through
`OperationContext.judge`; adapter authors never do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from tillpost.adapter.base import Adapter
from tillpost.adapter.bounds import bounded_answer, bounded_problems, refuse_large_json
from tillpost.adapter.echoes import Hide, hide_in, hide_nothing, hider
from tillpost.adapter.error_table import DEFAULT_ROWS, Problem
from tillpost.adapter.exchange import Fault, Reply, Request, Response
from tillpost.adapter.http_date import MOST_SKEW, parse_http_date
from tillpost.adapter.redaction import redact, redact_path
from tillpost.errors import (
    Applied,
    OutageError,
    PosError,
    SetupError,
    Transcript,
    UnknownPosError,
    is_interruption,
)
from tillpost.models.order import Order
from tillpost.models.safe_text import plain

__all__ = ["Verdict", "date_of", "import_pause", "judge", "retry_after", "transcript"]

FEW_REQUESTS_LEFT = 30
"""With fewer requests left of the rate limit than this, a menu import slows down."""

SLOW_DOWN = 8
"""How many times longer a menu import waits then."""

LONGEST_HEADER = 200
"""Characters of a header's value that are looked at."""

LONGEST_DETAIL = 300
"""Bytes of an answer in an unknown format that rows match.

It is also the number of characters of its summary.
"""


GATE_STATUSES = (401, 403, 407)
"""Statuses with which a gate refuses to pass a request on.

A gate is a proxy, a firewall or a captive portal.
"""


class Verdict(NamedTuple):
    """What an answer means: a reply or an error, and whether the request was applied.

    Of a request that was sent several times, `applied` is about all its sends, the rest about the
    last one.
    """

    applied: Applied
    reply: Reply | None = None
    error: PosError | None = None

    def after(self, earlier: Verdict) -> Verdict:
        """Return this verdict, given the verdict on an earlier send of the request.

        A send that had no effect doesn't undo an earlier one, which may have had its effect.
        """
        if self.applied is Applied.NO and earlier.applied is not Applied.NO:
            return self._replace(applied=Applied.MAYBE)
        return self


def judge(
    adapter: Adapter[Any],
    request: Request[Any],
    order: Order | None,
    answer: Response | Fault,
    now: float,
) -> Verdict:
    """Interpret an answer, or the lack of one. Never raises.

    Args:
        adapter: Its `problems` reads refusals, and its table says what they mean.
        request: The request that was sent.
        order: The order that it was sent for, None for an operation without one. The error's
            `lines` refer to it.
        answer: The platform's answer, or what the network did instead.
        now: The current time, in epoch seconds.

    Returns:
        A verdict with a reply if the request succeeded, with an error otherwise.
    """
    if isinstance(answer, Fault):
        return _failure(adapter, request, answer, _fault_error(answer), order)
    accepted = answer.status in request.answers
    succeeded = accepted or 200 <= answer.status < 300
    whole = answer
    answer = bounded_answer(answer, succeeded=succeeded)
    problems: Sequence[Problem] = ()
    try:
        refuse_large_json(answer.body, is_menu=request.is_menu)
        if not accepted:
            problems = bounded_problems(adapter.problems(answer))
        if succeeded and not problems:
            value = request.read(answer.body)
            return Verdict(Applied.YES, Reply(value, _without_secrets(request, answer)))
    except BaseException as unreadable:  # whatever a reader raises means: unreadable
        if is_interruption(unreadable):
            raise
        if succeeded:
            error = _unreadable_error(answer, unreadable)
            return _failure(adapter, request, whole, error, order)
    if problems:
        error = _table_error(adapter, answer, problems, order, now)
    else:
        problem = _unknown_problem(request, answer)
        if answer.status in GATE_STATUSES and not _is_bearer_challenge(answer):
            error = _gate_error(adapter, answer, problem)
        else:
            error = _table_error(adapter, answer, [problem], order, now)
        error.detail = _summary(adapter, request, answer)
        if error.applied is Applied.NO:
            # It isn't in the platform's own format, so a proxy may have sent it: no proof.
            error.applied = Applied.MAYBE
    return _failure(adapter, request, whole, error, order)


def transcript(
    adapter: Adapter[Any],
    request: Request[Any],
    answer: Response | Fault,
    hide: Hide = hide_nothing,
) -> Transcript:
    """Return a redacted copy of a request and its answer, fit to store and show.

    Args:
        adapter: Declares which fields are public.
        request: The request that was sent.
        answer: The platform's answer, or what the network did instead.
        hide: Masks what is personal in the texts that are shown.
    """
    public = adapter.shown_fields()
    copy = Transcript(
        method=request.method,
        path=hide(redact_path(request.path)),
        request_body="" if request.private else redact(request.body, public, hide),
    )
    if isinstance(answer, Fault):
        return copy.model_copy(update={"fault": answer.text})
    return copy.model_copy(
        update={
            "status_code": answer.status,
            "request_id": plain(
                hide(answer.headers.get(adapter.request_id_header, "")), LONGEST_HEADER
            ),
            "response_body": "" if request.private else redact(answer.body, public, hide),
        }
    )


def retry_after(response: Response, now: float) -> float | None:
    """Return how many seconds the platform asks us to wait, None if it doesn't say.

    It reads `Retry-After` in both of its forms. A 429 without it may say when its window ends in
    `X-RateLimit-Reset`, as epoch seconds or as seconds from now. A time is compared with the
    answer's own `Date` where it has one, since our clock may be wrong.
    """
    answered_at = date_of(response)
    if answered_at is not None and abs(answered_at - now) <= MOST_SKEW:
        now = answered_at
    value = response.headers.get("retry-after", "")[:LONGEST_HEADER].strip()
    if re.fullmatch(r"[0-9]{1,9}", value):
        return float(value)
    if value:
        return _seconds_until(value, now)
    reset = response.headers.get("x-ratelimit-reset", "").strip()
    if response.status == 429 and re.fullmatch(r"[0-9]{1,12}", reset):
        is_epoch = len(reset) > 9
        return max(0.0, float(reset) - now) if is_epoch else float(reset)
    return None


def date_of(response: Response) -> float | None:
    """Return the platform's time by an answer's `Date` in epoch seconds, else None."""
    date = parse_http_date(response.headers.get("date", ""))
    return None if date is None else date.timestamp()


def import_pause(pace: float, response: Response) -> float:
    """Return how many seconds to wait after an answer during a menu import.

    Orders share the token's rate limit with the import. When `X-RateLimit-Remaining` says that few
    requests are left, the import waits eight times as long.

    Args:
        pace: The adapter's `import_pace`, in seconds.
        response: The answer that has just come.
    """
    left = response.headers.get("x-ratelimit-remaining", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", left) and int(left) < FEW_REQUESTS_LEFT:
        return pace * SLOW_DOWN
    return pace


def _failure(
    adapter: Adapter[Any],
    request: Request[Any],
    answer: Response | Fault,
    error: PosError,
    order: Order | None,
) -> Verdict:
    hide = hider(order, adapter.config)
    hide_in(error, hide)
    error.exchange = transcript(adapter, request, answer, hide)
    error.request_id = error.exchange.request_id
    return Verdict(error.applied, error=error)


def _fault_error(fault: Fault) -> PosError:
    kind = SetupError if fault.barred else OutageError
    return kind(fault.text, applied=fault.applied)


def _unreadable_error(answer: Response, reason: BaseException) -> PosError:
    return OutageError(
        f"the answer can't be read ({type(reason).__name__})",
        status_code=answer.status,
        applied=Applied.MAYBE,
    )


def _without_secrets(request: Request[Any], answer: Response) -> Response:
    """Return the answer, without the body of a private one: that contains tokens."""
    return replace(answer, body=b"") if request.private else answer


def _unknown_problem(request: Request[Any], answer: Response) -> Problem:
    """Return the beginning of an answer in an unknown format as a problem.

    It is on one line. Rows may match it. It isn't shown, since it may quote the customer: see
    `_summary`.
    """
    if request.private:
        return Problem()
    beginning = answer.body[:LONGEST_DETAIL].decode("utf-8", "replace")
    return Problem(text=" ".join(beginning.split()))


def _summary(adapter: Adapter[Any], request: Request[Any], answer: Response) -> str:
    """Return the status and what may be shown of an answer in an unknown format.

    They are on one line.
    """
    shown = "" if request.private else redact(answer.body, adapter.shown_fields())
    return f"HTTP {answer.status} {shown}"[:LONGEST_DETAIL].strip()


def _table_error(
    adapter: Adapter[Any],
    answer: Response,
    problems: Sequence[Problem],
    order: Order | None,
    now: float,
) -> PosError:
    """Return the error of the first row that matches any problem.

    A row's rank beats a problem's. What no row matches is an `UnknownPosError`, which may have been
    applied: nothing says that it wasn't.
    """
    for row in (*adapter.errors, *DEFAULT_ROWS):
        for problem in problems:
            captured = row.match(answer.status, problem)
            if captured is None:
                continue
            wait = problem.retry_after
            return row.error(
                problem.text or problem.code,
                code=problem.code,
                status_code=answer.status,
                lines=_lines_at_fault(problem.lines, captured, order),
                reason=row.reason or problem.reason,
                applied=row.applied_at(answer.status),
                refreshable=row.refreshable,
                retry_after=retry_after(answer, now) if wait is None else wait,
                order_field=row.order_field or problem.order_field,
            )
    first = problems[0]
    return UnknownPosError(
        first.text or first.code,
        code=first.code,
        status_code=answer.status,
        applied=Applied.MAYBE,
    )


def _is_bearer_challenge(answer: Response) -> bool:
    """Return whether a 401 asks for a token in OAuth's words (RFC 6750, section 3)."""
    challenge = answer.headers.get("www-authenticate", "")
    return answer.status == 401 and challenge.lower().startswith("bearer")


def _gate_error(adapter: Adapter[Any], answer: Response, problem: Problem) -> PosError:
    """Return the error of a refused access that isn't in the platform's own words.

    Unless the adapter says that the platform answers so, it is an outage: something between us and
    the platform may have sent it, and then our credentials aren't to blame. Where the platform's
    own form isn't known that well, the token is refreshed all the same.
    """
    own = next(
        (row for row in adapter.errors if row.bodyless and row.takes(answer.status, problem.code)),
        None,
    )
    if own and not answer.body.strip():
        return own.error(
            status_code=answer.status,
            reason=own.reason,
            applied=own.applied_at(answer.status),
            refreshable=own.refreshable,
        )
    return OutageError(
        problem.text,
        status_code=answer.status,
        reason="intercepted",
        applied=Applied.MAYBE,
        refreshable=own is not None and own.refreshable,
    )


def _lines_at_fault(
    reported: Sequence[int], captured: Mapping[str, str], order: Order | None
) -> tuple[int, ...]:
    """Return the zero-based indices of the order's lines that a problem is about.

    Args:
        reported: The indices that the platform itself reported. They come first.
        captured: What the row's patterns captured: a `line` by its index, an `item` by an id.
        order: The order; without one no line can be named.
    """
    if order is None:
        return ()
    indices = range(len(order.lines))
    if reported:
        return tuple(index for index in indices if index in reported)
    if "line" in captured:
        return tuple(index for index in indices if str(index) == captured["line"])
    item_id = captured.get("item")
    if not item_id:
        return ()
    found: list[int] = []
    for index, line in enumerate(order.lines):
        chosen_ids = {flat.modifier.modifier_id for flat in line.flat_modifiers()}
        ids = {line.item_id} | chosen_ids
        if item_id in ids:
            found.append(index)
    return tuple(found)


def _seconds_until(http_date: str, now: float) -> float | None:
    """Return how many seconds it is until a date, at least 0; None if it isn't a date."""
    at = parse_http_date(http_date)
    return None if at is None else max(0.0, at.timestamp() - now)
