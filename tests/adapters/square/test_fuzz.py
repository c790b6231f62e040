"""Whatever bytes come back, at any step of any operation, a `PosError` comes out, and it never denies what is there."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from functools import cache
from typing import Any, cast

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.in_process import InProcess
from adapters.square.shop_orders import DRIFTED, FLAT_WHITE, TOASTIE, free_order, paid
from tillpost import Order, Outcome, Policy, PosError, Till
from tillpost.models.order import Draft, PosOrder
from tillpost.submission.context import Connection
from tillpost.submission.operation import OperationContext, run_operation
from tillpost_simulators.square import SquareSimulator
from tillpost_square.adapter import Square
from tillpost_square.settings import SquareSettings
from tillpost_square.table import TABLE

FUZZED = 500 if os.environ.get("CI") else 60
"""Answers at each step: the full number in CI, where nobody waits."""

IMPATIENT = Policy(retries=0, import_cooldown=0)
numbers = itertools.count()


def _complaint(code: str, field: str, detail: str) -> dict[str, str]:
    return {"category": "INVALID_REQUEST_ERROR", "code": code, "field": field, "detail": detail}


codes = st.sampled_from([*sorted({code for row in TABLE for code in row.codes}), "NEVER_HEARD_OF"])
json_values: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3)
    ),
    max_leaves=8,
)
fields = st.sampled_from(["order.line_items[0]", "taxes", "x"])
complaints: st.SearchStrategy[list[dict[str, str]]] = st.lists(
    st.builds(_complaint, codes, fields, st.text(max_size=40)), max_size=2
)
statuses = st.sampled_from(
    [200, 200, 200, 201, 204, 302, 400, 401, 403, 404, 409, 418, 429, 500, 503, 599]
)
broken_connections = st.sampled_from(
    [httpx.ReadTimeout, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError, RuntimeError]
)


def submitting(order: Callable[[str], Order]) -> Callable[[Till, str], object]:
    return lambda till, ref: till.submit(order(ref))


def two_taxes(simulator: SquareSimulator) -> None:
    simulator.add_tax("Surcharge", "10")


def finishing(till: Till, ref: str) -> object:
    """Finish a draft, as recovery does when a look finds one."""
    order = paid(ref, [TOASTIE])
    adapter = till._connection.adapter  # pyright: ignore[reportPrivateUsage]
    found = till._run(
        run_operation(OperationContext(till._connection, "find", order), adapter.find, order, None),
        ref,
    )  # pyright: ignore[reportPrivateUsage]
    draft = found if isinstance(found, Draft) else Draft(id="nowhere", total=order.total)
    return till._run(
        run_operation(
            OperationContext(till._connection, "finish", order), adapter.finish, order, draft
        ),
        ref,
    )  # pyright: ignore[reportPrivateUsage]


def after_submitting(then: Callable[[Till, PosOrder], object]) -> Callable[[Till, str], object]:
    return lambda till, ref: then(till, till.submit(paid(ref, [TOASTIE])))


OPERATIONS: dict[
    str, tuple[int, Callable[[Till, str], object], Callable[[SquareSimulator], object]]
] = {
    "submit": (
        2,
        submitting(lambda ref: paid(ref, [FLAT_WHITE, TOASTIE], tip=50)),
        lambda simulator: None,
    ),
    "submit a free order": (2, submitting(free_order), lambda simulator: None),
    "submit and undo": (3, submitting(lambda ref: paid(ref, [TOASTIE])), two_taxes),
    "submit and heal": (5, submitting(lambda ref: paid(ref, [DRIFTED])), lambda simulator: None),
    "find and finish": (2, finishing, lambda simulator: None),
    "fetch": (3, after_submitting(lambda till, there: till.fetch(there)), lambda simulator: None),
    "cancel": (4, after_submitting(lambda till, there: till.cancel(there)), lambda simulator: None),
    "quote": (1, lambda till, ref: till.quote(paid(ref, [TOASTIE])), lambda simulator: None),
    "import_menu": (2, lambda till, ref: till.import_menu(), lambda simulator: None),
    "check": (2, lambda till, ref: till.check(), lambda simulator: None),
}
STEPS = [(name, step) for name, (steps, _, _) in OPERATIONS.items() for step in range(steps)]


@pytest.mark.parametrize(
    ("operation", "step"), STEPS, ids=[f"{name}-{step}" for name, step in STEPS]
)
@settings(max_examples=FUZZED, deadline=None)
@given(data=st.data())
def test_whatever_comes_back_only_a_pos_error_comes_out(
    operation: str, step: int, data: st.DataObject
) -> None:
    _, run, _ = OPERATIONS[operation]
    simulator = simulator_for(operation, step)
    refused_after_the_effect = False

    def spoil(
        request: httpx.Request, number: int, carry_out: Callable[[], httpx.Response]
    ) -> httpx.Response:
        nonlocal refused_after_the_effect
        if number != step:
            return carry_out()
        done = data.draw(st.booleans(), label="after the effect")
        real = carry_out() if done else None
        kind = data.draw(st.sampled_from(["bytes", "json", "complaints", "network", "altered"]))
        if kind == "network":
            raise data.draw(
                broken_connections if done else st.just(httpx.ConnectError) | broken_connections
            )("spoilt")
        status = data.draw(statuses)
        if kind == "complaints":
            refused_after_the_effect = done
            return httpx.Response(status, json={"errors": data.draw(complaints)})
        if kind == "bytes" or (kind == "altered" and real is None):
            return httpx.Response(status, content=data.draw(st.binary(max_size=60)))
        if kind == "json" or real is None:
            return httpx.Response(status, json=data.draw(json_values))
        refused_after_the_effect = status >= 300
        return httpx.Response(status, json=altered(data, real.json()))

    ref = f"ord_{next(numbers)}"
    chosen = {**simulator.connection_settings("http://127.0.0.1"), "look_after": (0.0, 0.0)}
    adapter = Square(SquareSettings.model_validate(chosen))
    with httpx.Client(transport=InProcess(simulator, spoil)) as client:
        till = Till(Connection(adapter, policy=IMPATIENT), http_client=client, sleep=lambda _: None)
        error = refusal_of(run, till, ref)
    if error is not None:
        assert error.platform == "square"
        denied = error.operation in ("submit", "precheck") and error.outcome is Outcome.NOT_CREATED
        if denied and not refused_after_the_effect:
            mine = [
                stored.order
                for stored in simulator.world.orders.values()
                if stored.order.reference_id == ref
            ]
            assert [order for order in mine if order.state != "CANCELED"] == []


@cache
def simulator_for(operation: str, step: int) -> SquareSimulator:
    """Return the simulator of a case. Making one for each example would take longer than the example."""
    simulator = SquareSimulator()
    OPERATIONS[operation][2](simulator)
    return simulator


def refusal_of(run: Callable[[Till, str], object], till: Till, ref: str) -> PosError | None:
    try:
        run(till, ref)
    except PosError as error:
        return error
    return None


def altered(data: st.DataObject, value: object) -> object:
    """The value with one part of it replaced, removed or of another type."""
    if isinstance(value, dict) and value and data.draw(st.integers(0, 3)):
        known = cast(dict[str, Any], value)
        name = data.draw(st.sampled_from(sorted(known)))
        if data.draw(st.booleans()):
            return {k: v for k, v in known.items() if k != name}
        return {**known, name: altered(data, known[name])}
    if isinstance(value, list) and value and data.draw(st.integers(0, 3)):
        parts = cast(list[Any], value)  # type: ignore[redundant-cast]
        return [altered(data, parts[0]), *parts[1:]] if data.draw(st.booleans()) else parts[1:]
    return data.draw(json_values)
