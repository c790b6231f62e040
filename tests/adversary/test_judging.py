"""Judging any answer up to the size limits takes under a second and 200 MB."""

from __future__ import annotations

import sys

import pytest

from adversary.judging import (
    ADAPTERS,
    DENSE,
    LIMITS,
    NOW,
    REQUESTS,
    dense_body,
    forget_peak,
    judge_many,
    peak_megabytes,
)
from tillpost.adapter import bounds
from tillpost.adapter.exchange import Response
from tillpost.adapter.verdicts import judge
from tillpost.transport.http import largest_body


def test_any_answer_is_judged(seed: int) -> None:
    assert judge_many(seed, 300).judged == 300


@pytest.mark.parametrize("shape", DENSE)
def test_densest_answer_takes_under_200_mb(shape: str) -> None:
    platform, number, beginning, repeated, end = DENSE[shape]
    request = REQUESTS[platform][number]
    largest = largest_body(LIMITS, request)
    parts = bounds.MOST_MENU_PARTS if request.is_menu else bounds.MOST_PARTS
    body = dense_body(beginning, repeated, end, largest, parts)
    forget_peak()
    at_start = peak_megabytes()
    judge(ADAPTERS[platform], request, None, Response(200, {}, body), NOW)
    assert peak_megabytes() - at_start < (400 if sys.gettrace() else 200)


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_judging_any_answer_is_cheap(seed: int, answers: int) -> None:
    # Measuring coverage takes several times as long, and memory of its own.
    is_traced = sys.gettrace() is not None
    costs = judge_many(seed, answers)
    print(costs)
    assert costs.seconds < (5.0 if is_traced else 1.0), costs
    assert costs.megabytes < (400 if is_traced else 200), costs
