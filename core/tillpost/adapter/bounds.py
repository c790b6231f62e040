"""Limits on how much of an answer is examined.

They are on the parts of its JSON, and on the characters of its texts. The transport limits an
answer's bytes. That isn't enough: 8 MB of JSON can be millions of parts, each of which becomes an
object in memory, and a pattern can take the square of a text's length. So parts are counted before
any of them is parsed, and texts are cut before any pattern sees them.

Within these limits, judging an answer takes less than a second and 200 MB.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice

from tillpost.adapter.error_table import Problem
from tillpost.adapter.exchange import Response
from tillpost.models.safe_text import cut

__all__ = ["bounded_answer", "bounded_problems", "count_objects", "refuse_large_json"]

MOST_FIELDS = 1_000
"""The fields of one object.

An object with more isn't one of any platform's. Each field that a model doesn't know may be an
error of its own, and each field that it lacks an error with a copy of the whole object.
"""

MOST_PARTS = 100_000
"""The parts that an answer's JSON may have: values in lists and objects.

An object counts as two more, since it becomes a model.
"""

WIDE_PARTS = 10_000
"""With more parts than this, a body is looked through for wide objects."""

SMALL_BODY = 50_000
"""Bytes of a body that can't have too many parts of any kind.

A field takes 5 bytes at least, so it has no object of more than `WIDE_PARTS` fields.
"""

MOST_MENU_PARTS = 400_000
"""The same for a page of a menu, which is some 10,000 items."""

LONGEST_REFUSAL = 65_536
"""Bytes of a refusal that are parsed. Platforms need less than a tenth."""

MOST_PROBLEMS = 50
"""Problems of one answer that are looked at."""

LONGEST_PATTERN_TEXT = 1_000
"""Characters of a problem's text that patterns see, and that its error has."""

LONGEST_CODE = 200
"""Characters of a problem's code, field and reason."""

MOST_LINES = 1_000
"""Lines at fault of one problem."""


def refuse_large_json(body: bytes, *, is_menu: bool = False) -> None:
    """Raise `ValueError` if a body, or an object in it, has too many parts.

    The parts are three characters, counted in texts too. So it takes milliseconds, and refuses too
    early rather than too late. Only the objects of a body with many parts are looked at.

    Args:
        body: The body, of any content.
        is_menu: Whether it is a page of a menu, which may have more.
    """
    if len(body) <= SMALL_BODY:
        return
    parts = body.count(b",") + body.count(b"[") + 3 * body.count(b"{")
    most = MOST_MENU_PARTS if is_menu else MOST_PARTS
    if parts > most:
        raise ValueError(f"the JSON has more than {most} parts")
    if parts > WIDE_PARTS:
        _refuse_wide_objects(body, parts)


def _refuse_wide_objects(body: bytes, parts: int) -> None:
    """Raise `ValueError` if an object of a body has too many fields.

    It makes no object of any value: hundreds of thousands of small ones would take longer than all
    else that is done with an answer. What isn't JSON passes, and its reader says what is wrong.
    """
    without_escapes = body.replace(rb"\\", b"").replace(rb"\"", b"")
    if without_escapes.count(b'"') > 4 * (parts + 1):
        return  # JSON has at most as many texts as values and fields
    without_texts = b"".join(without_escapes.split(b'"')[::2])
    structure = without_texts.translate(None, delete=_NOT_STRUCTURE)
    if structure.count(b":") > parts:
        return
    fields: list[int] = []  # of each object that is open
    for character in structure:
        if character == _OPENING:
            fields.append(0)
        elif not fields:
            return
        elif character == _CLOSING:
            fields.pop()
        elif fields[-1] == MOST_FIELDS:
            raise ValueError(f"an object of the JSON has more than {MOST_FIELDS} fields")
        else:
            fields[-1] += 1


_OPENING, _CLOSING, _COLON = b"{}:"
_NOT_STRUCTURE = bytes({*range(256)} - {_OPENING, _CLOSING, _COLON})


def count_objects(body: bytes) -> int:
    """Return about how many objects a body's JSON has.

    Each of them may become a model.
    """
    return body.count(b"{")


def bounded_answer(answer: Response, *, succeeded: bool) -> Response:
    """Return an answer whose body is cut if it is a large refusal.

    So it isn't parsed.
    """
    if succeeded or len(answer.body) <= LONGEST_REFUSAL:
        return answer
    return replace(answer, body=answer.body[:LONGEST_REFUSAL])


def bounded_problems(problems: Iterable[Problem]) -> Sequence[Problem]:
    """Return an adapter's problems, with their number and their texts limited."""
    return [_bounded(problem) for problem in islice(problems, MOST_PROBLEMS)]


def _bounded(problem: Problem) -> Problem:
    return replace(
        problem,
        code=cut(problem.code, LONGEST_CODE),
        field=cut(problem.field, LONGEST_CODE),
        text=cut(problem.text, LONGEST_PATTERN_TEXT),
        lines=tuple(problem.lines[:MOST_LINES]),
        reason=cut(problem.reason, LONGEST_CODE),
    )
