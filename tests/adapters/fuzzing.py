"""Answers as no platform should give them, and the operations of each platform that may get one.

`Spoiler` replaces the answer of one request: by bytes, by JSON of any form, by a refusal in the
platform's own form, by the real answer with one part altered, or by a broken connection; before the
request's effect or after it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar, TypeAlias, cast

import httpx
from hypothesis import strategies as st

from adapters.generic.store import adapter_for as generic_adapter
from adapters.square.shop_orders import DRIFTED, FLAT_WHITE, TOASTIE, free_order, paid
from tillpost import Order, PosOrder, Till
from tillpost.adapter.base import Adapter
from tillpost.models.order import Draft
from tillpost.simulator import Simulator
from tillpost.submission.operation import OperationContext, run_operation
from tillpost_generic.openapi import kinds
from tillpost_simulators.generic import GenericSimulator
from tillpost_simulators.square import SquareSimulator
from tillpost_square.adapter import Square
from tillpost_square.error_table import TABLE
from tillpost_square.settings import SquareSettings

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
statuses = st.sampled_from(
    [200, 200, 200, 201, 204, 302, 400, 401, 403, 404, 409, 418, 422, 429, 500, 503, 599]
)
broken_connections = st.sampled_from(
    [httpx.ReadTimeout, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError, RuntimeError]
)


@dataclass
class Spoiler:
    """Replaces the answer of one request, as an `adapters.in_process.Twist`.

    Attributes:
        data: Where the answer is drawn from.
        step: The number of the request, from 0.
        refusals: Refusals in the platform's own form.
        refused_after_effect: Whether a request was carried out and then answered with a refusal.
            Nothing distinguishes such an answer from a true one.
    """

    data: st.DataObject
    step: int
    refusals: st.SearchStrategy[object]
    refused_after_effect: bool = field(default=False, init=False)

    def __call__(
        self, request: httpx.Request, number: int, carry_out: Callable[[], httpx.Response]
    ) -> httpx.Response:
        """Carry the request out, or spoil its answer."""
        if number != self.step:
            return carry_out()
        draw = self.data.draw
        done = draw(st.booleans(), label="after the effect")
        real = carry_out() if done else None
        kind = draw(st.sampled_from(["bytes", "json", "refusal", "network", "altered"]))
        if kind == "network":
            never_left = st.just(httpx.ConnectError)
            raise draw(broken_connections if done else never_left | broken_connections)("spoilt")
        status = draw(statuses)
        if kind == "refusal":
            self.refused_after_effect = done
            return httpx.Response(status, json=draw(self.refusals))
        if kind == "bytes" or (kind == "altered" and real is None):
            return httpx.Response(status, content=draw(st.binary(max_size=60)))
        if kind == "json" or real is None:
            return httpx.Response(status, json=draw(json_values))
        self.refused_after_effect = status >= 300
        return httpx.Response(status, json=altered(self.data, real.json()))


def altered(data: st.DataObject, value: object) -> object:
    """Return the value with one part of it replaced, removed or of another type."""
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
        position = data.draw(st.integers(0, len(members) - 1))
        if data.draw(st.integers(0, 4)):
            members[position] = altered(data, members[position])
        else:
            del members[position]
        return members
    return data.draw(json_values)


Operations: TypeAlias = Mapping[str, tuple[int, Callable[[Till, str], object]]]


class Target(ABC):
    """A platform whose answers are spoilt."""

    name: str
    operations: ClassVar[Operations]
    """By name: how many requests it sends, and how it is run with an order's id."""
    refusals: st.SearchStrategy[object]

    @abstractmethod
    def simulator(self, operation: str) -> Simulator:
        """Return the simulator as an operation needs it."""

    @abstractmethod
    def adapter(self, simulator: Any) -> Adapter[Any]:
        """Return an adapter that is connected to the simulator."""

    @abstractmethod
    def left(self, simulator: Any, order_id: str) -> list[object]:
        """Return the orders with this id that the platform has, but for cancelled ones."""


def _submitting(order: Callable[[str], Order]) -> Callable[[Till, str], object]:
    return lambda till, ref: till.submit(order(ref))


def _after_submitting(then: Callable[[Till, PosOrder], object]) -> Callable[[Till, str], object]:
    return lambda till, ref: then(till, till.submit(_toastie(ref)))


def _toastie(order_id: str) -> Order:
    return paid(order_id, [TOASTIE])


def _two_lines(order_id: str) -> Order:
    return paid(order_id, [FLAT_WHITE, TOASTIE], tip=50)


def _drifted(order_id: str) -> Order:
    return paid(order_id, [DRIFTED])


def _submit_and_find(till: Till, order_id: str) -> object:
    till.submit(_toastie(order_id))
    return till.find(_toastie(order_id))


class GenericTarget(Target):
    """A POS that serves our own format."""

    name = "generic"
    operations: ClassVar[Operations] = {
        "submit": (1, _submitting(_two_lines)),
        "submit and heal": (3, _submitting(_drifted)),
        "find": (1, lambda till, ref: till.find(_toastie(ref))),
        "find what is there": (2, _submit_and_find),
        "fetch": (2, _after_submitting(lambda till, pos_order: till.fetch(pos_order))),
        "cancel": (2, _after_submitting(lambda till, pos_order: till.cancel(pos_order))),
        "import_menu": (1, lambda till, _: till.import_menu()),
        "check": (1, lambda till, _: till.check()),
    }
    refusals = st.fixed_dictionaries(
        {"kind": st.sampled_from([*kinds(), "NeverHeardOfError"]) | json_values},
        optional={
            "detail": st.text(max_size=40) | json_values,
            "lines": st.lists(st.integers(-1, 3), max_size=3) | json_values,
            "item": st.sampled_from(["5312", "7302", ""]) | json_values,
            "reason": st.sampled_from(
                "gone sold_out price choices quantity table scopes other".split()
            ),
            "retry_after": st.floats(allow_nan=False, allow_infinity=False)
            | st.integers()
            | json_values,
        },
    ).map(lambda problem: cast("object", problem))

    def simulator(self, operation: str) -> GenericSimulator:
        """Return a new simulator."""
        return GenericSimulator()

    def adapter(self, simulator: GenericSimulator) -> Adapter[Any]:
        """Return an adapter that is connected to the simulator."""
        return generic_adapter(simulator)

    def left(self, simulator: GenericSimulator, order_id: str) -> list[object]:
        """Return the orders with this id that the platform has, but for cancelled ones."""
        entries = simulator.ledger().for_reference(order_id)
        return [entry for entry in entries if not entry.cancelled]


def _square_error(code: str, where: str, detail: str) -> dict[str, str]:
    return {"category": "INVALID_REQUEST_ERROR", "code": code, "field": where, "detail": detail}


def _finish_a_draft(till: Till, order_id: str) -> object:
    """Finish a draft, as recovery does when a look-up finds one."""
    order = _toastie(order_id)
    connection = till._connection  # pyright: ignore[reportPrivateUsage]
    adapter, run = connection.adapter, till._run  # pyright: ignore[reportPrivateUsage]
    finding = OperationContext(connection, "find", order)
    found = run(run_operation(finding, adapter.find, order, None), order_id)
    draft = found if isinstance(found, Draft) else Draft(id="nowhere", total=order.total)
    finishing = OperationContext(connection, "finish", order)
    return run(run_operation(finishing, adapter.finish, order, draft), order_id)


class SquareTarget(Target):
    """A store at Square."""

    name = "square"
    operations: ClassVar[Operations] = {
        "submit": (2, _submitting(_two_lines)),
        "submit a free order": (2, _submitting(free_order)),
        "submit and undo": (3, _submitting(_toastie)),
        "submit and heal": (5, _submitting(_drifted)),
        "find and finish": (2, _finish_a_draft),
        "fetch": (3, _after_submitting(lambda till, pos_order: till.fetch(pos_order))),
        "cancel": (4, _after_submitting(lambda till, pos_order: till.cancel(pos_order))),
        "quote": (1, lambda till, ref: till.quote(_toastie(ref))),
        "import_menu": (2, lambda till, _: till.import_menu()),
        "check": (2, lambda till, _: till.check()),
    }
    refusals = st.lists(
        st.builds(
            _square_error,
            st.sampled_from([*sorted({code for row in TABLE for code in row.codes}), "UNHEARD_OF"]),
            st.sampled_from(["order.line_items[0]", "taxes", "x"]),
            st.text(max_size=40),
        ),
        max_size=2,
    ).map(lambda errors: cast("object", {"errors": errors}))

    def simulator(self, operation: str) -> SquareSimulator:
        """Return the operation's simulator: making one takes longer than an example."""
        return _square_simulator(operation)

    def adapter(self, simulator: SquareSimulator) -> Adapter[Any]:
        """Return an adapter that is connected to the simulator."""
        settings = simulator.connection_settings("http://127.0.0.1")
        return Square(SquareSettings.model_validate({**settings, "look_after": (0.0, 0.0)}))

    def left(self, simulator: SquareSimulator, order_id: str) -> list[object]:
        """Return the orders with this id that the platform has, but for cancelled ones."""
        orders = [stored.order for stored in simulator.world.orders.values()]
        mine = [order for order in orders if order.reference_id == order_id]
        return [order for order in mine if order.state != "CANCELED"]


@cache
def _square_simulator(operation: str) -> SquareSimulator:
    simulator = SquareSimulator()
    if operation == "submit and undo":
        simulator.add_tax("Surcharge", "10")
    return simulator


TARGETS: Sequence[Target] = (GenericTarget(), SquareTarget())
