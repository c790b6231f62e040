"""Shops and a Till for a test that stops a submission at each command of its flow.

A `Shop` is one platform's simulator without a network. It connects Tills to itself, and says what
must be true in the end. A `Case` is an order in a shop, and how it has to end.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import httpx

from adapters.generic.store import adapter_for
from adapters.in_process import InProcess
from adapters.kounta.bench import Bench, an_order, on_create, plain_order
from adapters.square.shop_orders import DRIFTED, FLAT_WHITE, TOASTIE, free_order, paid
from tillpost import Order, Outcome, Policy, PosError, PosOrder, TaxError, Till
from tillpost.adapter.base import Adapter
from tillpost.client.executor import Recorder, discard
from tillpost.simulator import Ledger, Simulator
from tillpost.submission.commands import Command
from tillpost.submission.context import Connection
from tillpost.submission.journal import MemoryJournal
from tillpost_simulators.generic import GenericSimulator
from tillpost_simulators.kounta import KountaSettings as KountaWorld
from tillpost_simulators.square import SquareSimulator
from tillpost_square.adapter import Square
from tillpost_square.settings import SquareSettings

AT_ONCE = Policy(first_wait=0, longest_wait=0, import_cooldown=0)
KEEPING_PRICES = AT_ONCE.model_copy(update={"prices": "keep_paid"})


def _skip_wait(seconds: float) -> None:
    """Return at once."""


class Stopped(BaseException):
    """The process ended here. Not an `Exception`, so that nothing on the way handles it."""


class StoppingTill(Till):
    """A Till that ends before its command number `stops_at`, counted from 0; None: never."""

    stops_at: int | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._commands = 0
        execute = self._executor.execute

        def execute_or_stop(command: Command, record: Recorder = discard) -> object:
            if self._commands == self.stops_at:
                raise Stopped
            self._commands += 1
            return execute(command, record)

        self._executor.execute = execute_or_stop  # type: ignore[method-assign]


class Shop(ABC):
    """A platform's simulator, in this process."""

    least_commands: int
    """A submission has more commands than this."""
    leaves_drafts: bool = False
    """Whether an order is made first and shown by a second request."""

    @abstractmethod
    def connect(self, journal: MemoryJournal, policy: Policy) -> StoppingTill:
        """Return the Till of a new process."""

    @abstractmethod
    def check(self, order: Order, result: PosOrder | PosError) -> None:
        """Assert that the register shows what the result says."""


@dataclass(frozen=True)
class Case:
    """An order in a shop.

    Attributes:
        open: Returns the shop as it is before the order.
        order: Returns the order with an id.
        mend: What the store corrects between the two processes.
        ends: What the second process returns or raises.
        policy: How both processes submit.
    """

    open: Callable[[], Shop]
    order: Callable[[str], Order]
    mend: Callable[[Any], object] = lambda shop: None
    ends: type[PosOrder] | type[PosError] = PosOrder
    policy: Policy = AT_ONCE


def attempt(till: Till, order: Order) -> PosOrder | PosError:
    """Submit, and return the error if there is one."""
    try:
        return till.submit(order)
    except PosError as error:
        return error


def _check_shown(order: Order, ledger: Ledger, *, made: bool) -> None:
    totals = [entry.total for entry in ledger.shown]
    assert totals == ([order.total] if made else [])


# Generic and Square: an order that is made is shown at once


class _SimulatorShop(Shop):
    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator

    @abstractmethod
    def adapter(self) -> Adapter[Any]:
        """Return an adapter that is connected to the simulator."""

    def connect(self, journal: MemoryJournal, policy: Policy) -> StoppingTill:
        """Return the Till of a new process."""
        client = httpx.Client(transport=InProcess(self.simulator), verify=False)
        connection = Connection(self.adapter(), policy=policy)
        return StoppingTill(connection, journal=journal, http_client=client, sleep=_skip_wait)


class GenericShop(_SimulatorShop):
    """A POS that serves our own format."""

    least_commands = 4

    def __init__(self, *set_up: Callable[[GenericSimulator], object]) -> None:
        self.simulator: GenericSimulator = GenericSimulator()
        for change in set_up:
            change(self.simulator)

    def adapter(self) -> Adapter[Any]:
        """Return an adapter that is connected to the simulator."""
        return adapter_for(self.simulator)

    def check(self, order: Order, result: PosOrder | PosError) -> None:
        """Assert that the register shows the order once, or not at all after an error."""
        if isinstance(result, PosError):
            # The request that was under way at the stop may have worked, for all its journal says.
            assert result.outcome is not Outcome.CREATED
        _check_shown(order, self.simulator.ledger(), made=isinstance(result, PosOrder))


class SquareShop(_SimulatorShop):
    """A store at Square."""

    least_commands = 6
    leaves_drafts = True

    def __init__(self, *set_up: Callable[[SquareSimulator], object]) -> None:
        self.simulator: SquareSimulator = SquareSimulator()
        for change in set_up:
            change(self.simulator)

    def adapter(self) -> Adapter[Any]:
        """Return an adapter that is connected to the simulator."""
        settings = self.simulator.connection_settings("http://127.0.0.1")
        chosen = {**settings, "look_after": (0.001, 0.002)}
        return Square(SquareSettings.model_validate(chosen))

    def check(self, order: Order, result: PosOrder | PosError) -> None:
        """Assert that the order is there once and paid, or that nothing is left of it."""
        if isinstance(result, PosError):
            assert result.outcome is Outcome.NOT_CREATED
        assert self.simulator.ledger().half_done == ()
        _check_shown(order, self.simulator.ledger(), made=isinstance(result, PosOrder))


def _two_taxes(simulator: GenericSimulator | SquareSimulator) -> None:
    simulator.add_tax("Surcharge", "10", tax_id="EXTRA")


def _dearer_toastie(simulator: GenericSimulator | SquareSimulator) -> None:
    simulator.change_price("5312", 1600)


def _toastie(order_id: str) -> Order:
    return paid(order_id, [TOASTIE])


def _cases_of(shop: type[GenericShop] | type[SquareShop]) -> dict[str, Case]:
    return {
        "healthy": Case(
            shop,
            lambda ref: paid(ref, [FLAT_WHITE, TOASTIE], surcharge=100, off=50, tip=20),
        ),
        "healed": Case(shop, lambda ref: paid(ref, [DRIFTED, FLAT_WHITE])),
        "two taxes": Case(lambda: shop(_two_taxes), _toastie, ends=TaxError),
        "two taxes, mended meanwhile": Case(
            lambda: shop(_two_taxes),
            _toastie,
            mend=lambda opened: opened.simulator.remove_tax("EXTRA"),
        ),
        "nothing to pay": Case(shop, free_order),
        "a price that was kept": Case(
            lambda: shop(_dearer_toastie), _toastie, policy=KEEPING_PRICES
        ),
    }


def _tax_on_top(simulator: SquareSimulator) -> None:
    simulator.remove_tax("TAX-GST")
    simulator.add_tax("GST", "10")
    simulator.change_price("5312", 545)


def _rounded_up(order_id: str) -> Order:
    """5.45 and 0.55 of tax: Square rounds 54.5 to even."""
    toastie = TOASTIE.model_copy(update={"unit_price": 545})
    order = paid(order_id, [toastie]).model_dump()
    payments = [{"method": "card", "amount": 600}]
    taxed = {"prices_include_tax": False, "tax": 55, "payments": payments}
    return Order.model_validate(order | taxed)


SQUARE_CASES = _cases_of(SquareShop) | {
    "a rounding": Case(lambda: SquareShop(_tax_on_top), _rounded_up)
}

# Kounta: no key, orders that show late, and an order with another total stays


KOUNTA_CALM = KountaWorld(oauth_limit=10**9)
KOUNTA_LATE = KountaWorld(
    oauth_limit=10**9, order_lag_seconds=9, get_lag_seconds=3, sends_location=False
)
KOUNTA_PRODUCTS = {7302, 228, 229, 231, 3091, 5312, 9001, 9003, 9004}
"""The products that the orders need: an import asks for each, and each request is a stop."""
KOUNTA_TOASTIE = {
    "item_id": "5312",
    "sku": "BLT",
    "name": "BLT toastie",
    "quantity": 1,
    "unit_price": 1450,
}


class KountaShop(Shop):
    """A store at Kounta, by a clock that the Tills' waits move on."""

    least_commands = 6

    def __init__(
        self, world: KountaWorld = KOUNTA_CALM, *set_up: Callable[[Bench], object]
    ) -> None:
        self.bench = Bench(world)
        products = self.bench.simulator.world.products
        for product_id in products.keys() - KOUNTA_PRODUCTS:
            del products[product_id]
        self.menu = self.bench.till.import_menu().menu
        for change in set_up:
            change(self.bench)

    def connect(self, journal: MemoryJournal, policy: Policy) -> StoppingTill:
        """Return the Till of a new process, which has the menu already."""
        self.bench.policy = policy
        till: StoppingTill = self.bench.connect(journal, StoppingTill)
        till.menu = self.menu
        return till

    def check(self, order: Order, result: PosOrder | PosError) -> None:
        """Assert that the order is there once, whatever came of it."""
        if isinstance(result, PosError):
            assert result.outcome is Outcome.CREATED
        entries = self.bench.simulator.ledger().entries
        assert [entry.reference for entry in entries] == [order.id]


def _create_answered(
    answer: Callable[[], httpx.Response | Exception], *, done: bool
) -> Callable[[Bench], object]:
    """Return how the first create's answer is replaced; `done`: after the order was made."""
    return lambda bench: setattr(bench, "answer", on_create(answer(), done=done))


def _null() -> httpx.Response:
    return httpx.Response(201, content=b"null")


def _kounta_order(order_id: str) -> Order:
    return an_order(id=order_id)


KOUNTA_POLICY = Policy(first_wait=0.001, longest_wait=0.001, retry_seconds=600, import_cooldown=0)


def _kounta(*set_up: Callable[[Bench], object], world: KountaWorld = KOUNTA_CALM) -> Case:
    return Case(lambda: KountaShop(world, *set_up), _kounta_order, policy=KOUNTA_POLICY)


def _plain_toastie(reference: str) -> Order:
    return plain_order(reference, lines=[KOUNTA_TOASTIE])


KOUNTA_CASES = {
    "healthy": _kounta(),
    "healed": replace(
        _kounta(lambda bench: bench.simulator.recreate_product(5312)),
        order=_plain_toastie,
    ),
    "answered with null": _kounta(_create_answered(_null, done=True)),
    "answered with null, and not made": _kounta(_create_answered(_null, done=False)),
    "an answer that is lost": _kounta(
        _create_answered(lambda: httpx.ReadTimeout("late"), done=True)
    ),
    "never named, and shown late": _kounta(world=KOUNTA_LATE),
    "another tax than the menu's": replace(
        _kounta(lambda bench: bench.simulator.add_tax("Surcharge", Decimal("0.05"))),
        ends=TaxError,
    ),
}

CASES: dict[str, dict[str, Case]] = {
    "generic": _cases_of(GenericShop),
    "square": SQUARE_CASES,
    "kounta": KOUNTA_CASES,
}
"""The cases of each platform."""
