"""What is parsed and searched of an answer is bounded, and judging a hostile one is quick."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adversary.judging import ADAPTERS, NOW, REQUESTS
from tillpost.adapter import bounds
from tillpost.adapter.bounds import bounded_problems, refuse_large_json
from tillpost.adapter.error_table import Problem
from tillpost.adapter.exchange import Response
from tillpost.adapter.verdicts import judge
from tillpost.errors import Applied, OutageError

SPITEFUL = "token modifier product 1 site scopes the online ordering " * 900


def wide(parts: int) -> bytes:
    return b"[" + b"1," * (parts - 1) + b"1]"


def test_only_a_menu_may_have_many_parts() -> None:
    most = bounds.MOST_PARTS
    most_of_menu = bounds.MOST_MENU_PARTS
    refuse_large_json(wide(most))
    refuse_large_json(wide(most_of_menu), is_menu=True)
    with pytest.raises(ValueError, match="more than 100000 parts"):
        refuse_large_json(wide(most + 1))
    with pytest.raises(ValueError, match="more than 400000 parts"):
        refuse_large_json(wide(most_of_menu + 1), is_menu=True)


def test_object_counts_as_three_parts() -> None:
    objects = bounds.MOST_PARTS // 4
    refuse_large_json(b"[" + b"{}," * (objects - 1) + b"{}")
    with pytest.raises(ValueError, match="more than 100000 parts"):
        refuse_large_json(b"[" + b"{}," * objects + b"{}")


def test_object_of_too_many_fields_is_refused() -> None:
    items = b'"items": ' + wide(bounds.WIDE_PARTS) + b" " * bounds.SMALL_BODY
    fields = b",".join(b'"n%d": 1' % number for number in range(bounds.MOST_FIELDS))
    both = b"{" + items + b", " + fields + b"}"
    refuse_large_json(b"[{" + items + b"}, {" + fields + b"}]")
    for too_wide in (both, b"[" + both + b"]"):
        with pytest.raises(ValueError, match="more than 1000 fields"):
            refuse_large_json(too_wide)


def test_no_small_body_can_have_a_wider_object_than_others_may() -> None:
    """The fewest bytes of a field are `"":1,`; of a part, an eighth less than one."""
    assert bounds.SMALL_BODY // 5 <= bounds.WIDE_PARTS
    assert bounds.SMALL_BODY * 4 // 3 <= bounds.MOST_PARTS


TEXTS = st.text(alphabet='{}[]:,"\\\\é', max_size=6)
VALUES = st.recursive(
    st.one_of(TEXTS, st.integers(), st.none()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(TEXTS, inner)),
    max_leaves=30,
)


@given(value=VALUES, is_ascii=st.booleans())
def test_fields_are_counted_whatever_the_texts_hold(value: object, is_ascii: bool) -> None:
    body = json.dumps(value, ensure_ascii=is_ascii)
    widths = [0]

    def count(fields: Sequence[object]) -> None:
        widths.append(len(fields))

    json.loads(body, object_pairs_hook=count)
    with patch.multiple(bounds, SMALL_BODY=-1, WIDE_PARTS=-1, MOST_FIELDS=max(widths)):
        refuse_large_json(body.encode())
    if max(widths):
        with (
            patch.multiple(bounds, SMALL_BODY=-1, WIDE_PARTS=-1, MOST_FIELDS=max(widths) - 1),
            pytest.raises(ValueError, match="fields"),
        ):
            refuse_large_json(body.encode())


@pytest.mark.parametrize(
    "broken",
    [b"[1,", b"[" * 5_000, b'{"a": 1, ', b'{"a" 1, ', b'"' * 299_999, b"{" + b":" * 99_999, b"}"],
)
def test_broken_json_is_left_to_its_reader(broken: bytes) -> None:
    refuse_large_json(broken + b"1," * bounds.SMALL_BODY)


def test_problems_are_limited_in_number_and_length() -> None:
    endless = Problem(
        code="c" * 9_000,
        field="f" * 9_000,
        text="t" * 9_000,
        lines=range(10**7),
    )
    problems = bounded_problems([endless] * 1_000)
    assert len(problems) == bounds.MOST_PROBLEMS
    (problem, *_) = problems
    assert len(problem.text) == bounds.LONGEST_PATTERN_TEXT
    assert len(problem.lines) == bounds.MOST_LINES
    assert len(problem.code) == len(problem.field) == bounds.LONGEST_CODE


@pytest.mark.parametrize("platform", ADAPTERS)
@pytest.mark.parametrize("status", [200, 400, 503])
def test_long_error_text_is_judged_at_once(platform: str, status: int) -> None:
    body = (
        f'{{"errors": [{{"code": "X", "detail": "{SPITEFUL}"}}], "error": "{SPITEFUL}", '
        f'"kind": "MenuError", "detail": "{SPITEFUL}"}}'
    ).encode()
    request = REQUESTS[platform][0]
    adapter = ADAPTERS[platform]
    answer = Response(status, {}, body)
    began = time.thread_time()
    verdict = judge(adapter, request, None, answer, NOW)
    assert time.thread_time() - began < 1.0
    assert verdict.error is not None
    assert len(verdict.error.detail) <= 1_000


@pytest.mark.parametrize("platform", ADAPTERS)
def test_success_of_too_many_parts_is_unreadable(platform: str) -> None:
    body = b'{"items": ' + wide(bounds.MOST_MENU_PARTS) + b"}"
    answer = Response(200, {}, body)
    adapter = ADAPTERS[platform]
    for request in REQUESTS[platform]:
        verdict = judge(adapter, request, None, answer, NOW)
        assert type(verdict.error) is OutageError
        assert verdict.applied is Applied.MAYBE
