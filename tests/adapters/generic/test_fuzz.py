"""Whatever bytes come back, at any step of any operation, a `PosError` comes out, and it never denies what is there."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from typing import cast

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.generic.store import ONCE, Store
from adapters.square.shop_orders import DRIFTED, FLAT_WHITE, TOASTIE, paid
from tillpost import Outcome, PosError, PosOrder, Till
from tillpost_generic.openapi import kinds
from tillpost_simulators.generic import GenericSimulator

FUZZED = 200 if os.environ.get("CI") else 40
"""Answers at each step: the full number in CI, where nobody waits."""

numbers = itertools.count()
json_values: st.SearchStrategy[object] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3)
    ),
    max_leaves=8,
)
problems = st.fixed_dictionaries(
    {"kind": st.sampled_from([*kinds(), "NeverHeardOfError"]) | json_values},
    optional={
        "detail": st.text(max_size=40) | json_values,
        "lines": st.lists(st.integers(-1, 3), max_size=3) | json_values,
        "item": st.sampled_from(["5312", "7302", ""]) | json_values,
        "reason": st.sampled_from(
            ["gone", "sold_out", "price", "choices", "quantity", "table", "scopes", "other"]
        ),
        "retry_after": st.floats(allow_nan=False, allow_infinity=False)
        | st.integers()
        | json_values,
    },
)
statuses = st.sampled_from(
    [200, 200, 200, 201, 204, 302, 400, 401, 403, 404, 409, 418, 422, 429, 500, 503, 599]
)
broken_connections = st.sampled_from(
    [httpx.ReadTimeout, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError, RuntimeError]
)

Run = Callable[[Till, str], object]


def after_submitting(then: Callable[[Till, PosOrder], object]) -> Run:
    return lambda till, ref: then(till, till.submit(paid(ref, [TOASTIE])))


OPERATIONS: dict[str, tuple[int, Run]] = {
    "submit": (1, lambda till, ref: till.submit(paid(ref, [FLAT_WHITE, TOASTIE], tip=50))),
    "submit and heal": (3, lambda till, ref: till.submit(paid(ref, [DRIFTED]))),
    "find": (1, lambda till, ref: till.find(paid(ref, [TOASTIE]))),
    "find what is there": (
        2,
        lambda till, ref: (till.submit(paid(ref, [TOASTIE])), till.find(paid(ref, [TOASTIE]))),
    ),
    "fetch": (2, after_submitting(lambda till, there: till.fetch(there))),
    "cancel": (2, after_submitting(lambda till, there: till.cancel(there))),
    "import_menu": (1, lambda till, ref: till.import_menu()),
    "check": (1, lambda till, ref: till.check()),
}
STEPS = [(name, step) for name, (steps, _) in OPERATIONS.items() for step in range(steps)]


@pytest.mark.parametrize(
    ("operation", "step"), STEPS, ids=[f"{name}-{step}" for name, step in STEPS]
)
@settings(max_examples=FUZZED, deadline=None)
@given(data=st.data())
def test_whatever_comes_back_only_a_pos_error_comes_out(
    operation: str, step: int, data: st.DataObject
) -> None:
    _, run = OPERATIONS[operation]
    simulator = GenericSimulator()
    refused_after_the_effect = False

    def spoil(
        _request: httpx.Request, number: int, carry_out: Callable[[], httpx.Response]
    ) -> httpx.Response:
        nonlocal refused_after_the_effect
        if number != step:
            return carry_out()
        done = data.draw(st.booleans(), label="after the effect")
        real = carry_out() if done else None
        kind = data.draw(st.sampled_from(["bytes", "json", "problem", "network", "altered"]))
        if kind == "network":
            raise data.draw(
                broken_connections if done else st.just(httpx.ConnectError) | broken_connections
            )("spoilt")
        status = data.draw(statuses)
        if kind == "problem":
            refused_after_the_effect = done
            return httpx.Response(status, json=data.draw(problems))
        if kind == "bytes" or (kind == "altered" and real is None):
            return httpx.Response(status, content=data.draw(st.binary(max_size=60)))
        if kind == "json" or real is None:
            return httpx.Response(status, json=data.draw(json_values))
        refused_after_the_effect = status >= 300
        return httpx.Response(status, json=altered(data, real.json()))

    ref = f"ord_{next(numbers)}"
    store = Store(policy=ONCE, twist=spoil, simulator=simulator)
    error = refusal_of(run, store.till, ref)
    if error is not None:
        assert error.platform == "generic"
        denied = error.operation in ("submit", "precheck") and error.outcome is Outcome.NOT_CREATED
        if denied and not refused_after_the_effect:
            assert [
                entry for entry in simulator.ledger().for_reference(ref) if not entry.cancelled
            ] == []


def refusal_of(run: Run, till: Till, ref: str) -> PosError | None:
    try:
        run(till, ref)
    except PosError as error:
        return error
    return None


def altered(data: st.DataObject, value: object) -> object:
    """The value with one part of it replaced, removed or of another type."""
    if isinstance(value, dict) and value and data.draw(st.integers(0, 3)):
        known = dict(cast("dict[str, object]", value))
        name = data.draw(st.sampled_from(sorted(known)))
        if data.draw(st.integers(0, 4)):
            known[name] = altered(data, known[name])
        else:
            del known[name]
        return known
    if isinstance(value, list) and value and data.draw(st.integers(0, 3)):
        members = list(cast("list[object]", value))
        place = data.draw(st.integers(0, len(members) - 1))
        members[place] = altered(data, members[place])
        return members
    return data.draw(json_values)
