"""Judging any answer up to the size limits takes under a second and 200 MB."""

from __future__ import annotations

import pytest

from adversary.judging import judge_many


def assert_cheap(seed: int, count: int) -> None:
    costs = judge_many(seed, count)
    print(costs)
    assert costs.seconds < 1.0, costs
    assert costs.megabytes < 200, costs


def test_judging_a_few_hundred_answers_is_cheap(seed: int) -> None:
    assert_cheap(seed, 300)


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_judging_any_answer_is_cheap(seed: int, answers: int) -> None:
    assert_cheap(seed, answers)
