"""Whatever a platform answers to any request, the caller gets a result or a `PosError`.

And the error never says that no order was created where one was.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.fuzzing import TARGETS, Spoiler, Target
from adapters.in_process import InProcess
from tillpost import Outcome, Policy, PosError, Till
from tillpost.submission.context import Connection

EXAMPLES = 500 if os.environ.get("CI") else 60
"""Answers at each request: the full number in CI, where nobody waits."""

ONCE = Policy(retries=0, import_cooldown=0)
numbers = itertools.count()

REQUESTS = [
    pytest.param(target, operation, step, id=f"{target.name}: {operation}-{step}")
    for target in TARGETS
    for operation, (steps, _) in target.operations.items()
    for step in range(steps)
]


@pytest.mark.slow
@pytest.mark.parametrize(("target", "operation", "step"), REQUESTS)
@settings(max_examples=EXAMPLES, deadline=None)
@given(data=st.data())
def test_any_answer_gives_a_result_or_a_true_pos_error(
    target: Target, operation: str, step: int, data: st.DataObject
) -> None:
    _, run = target.operations[operation]
    simulator, spoiler = target.simulator(operation), Spoiler(data, step, target.refusals)
    order_id = f"ord_{next(numbers)}"
    with httpx.Client(transport=InProcess(simulator, spoiler), verify=False) as client:
        adapter = target.adapter(simulator)
        connection = Connection(adapter, policy=ONCE)
        till = Till(connection, http_client=client, sleep=lambda _: None)
        error = error_of(lambda: run(till, order_id))
    if error is None:
        return
    assert error.platform == target.name
    denied = error.operation in ("submit", "precheck") and error.outcome is Outcome.NOT_CREATED
    if denied and not spoiler.refused_after_effect:
        assert target.left(simulator, order_id) == []


def error_of(work: Callable[[], object]) -> PosError | None:
    """Return the `PosError` that it raises, if any."""
    try:
        work()
    except PosError as error:
        return error
    return None
