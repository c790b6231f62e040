"""An order ends right wherever its process is stopped: on the register once, or undone.

It is never half done. Every step is tried, none is sampled: before and after each transaction,
before each request and after its effect.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, partial
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from adapters.in_process import Twist, untouched
from adapters.kounta.bench import SUBSTITUTES
from adapters.kounta.bench import an_order as kounta_order
from adapters.kounta.bench import plain_order as kounta_plain
from adapters.square.shop_orders import DRIFTED, FLAT_WHITE, TOASTIE, paid
from core.outbox.killing import Lifetime, Shop, Site, every_step, ready, shop_of, until_stopped
from tillpost import Order, Outcome
from tillpost.client.base import adapter_for
from tillpost.client.sync import Till
from tillpost.outbox import OrderState, OutboxSettings
from tillpost.outbox.db import schema as t
from tillpost.outbox.db.connection_rows import ConnectionRows
from tillpost.outbox.db.database import Database
from tillpost.outbox.orders.models import stored_order
from tillpost.simulator import Ledger, Simulator
from tillpost.submission.context import Connection
from tillpost_simulators.kounta import KountaSettings, KountaSimulator
from tillpost_simulators.square import SquareSimulator

pytestmark = pytest.mark.slow

URL = "http://127.0.0.1"
PRODUCTS = frozenset({7302, 228, 229, 231, 3091, 5312, 9001, 9003, 9004})
"""The products at Kounta that the orders need."""

TOASTIES = frozenset({5312, 9001})
"""A short menu: a worker is stopped at each request of its import."""

SETTINGS = OutboxSettings(lease=3600.0, outage_after=1)
"""A circuit that opens at the first failure, so that an outage takes all of its steps."""


@dataclass(frozen=True)
class Case:
    """A shop, an order, how the order has to end, and what happens while the worker waits."""

    platform: str
    order: Callable[[str], Order]
    set_up: Callable[[Any], object] = lambda simulator: None
    meanwhile: Callable[[Any], object] = lambda simulator: None
    twist: Callable[[], Twist] = lambda: untouched
    refused: str = ""
    outcome: Outcome = Outcome.NOT_CREATED
    has_menu: bool = True
    sold: frozenset[int] = TOASTIES


def lost(path: str) -> Callable[[], Twist]:
    """Lose the answer to the first POST to a path, after its effect."""

    def fresh() -> Twist:
        paths = [path]

        def twist(
            request: httpx.Request, _: int, carry_out: Callable[[], httpx.Response]
        ) -> httpx.Response:
            answer = carry_out()
            if paths and request.method == "POST" and request.url.path.endswith(path):
                paths.pop()
                raise httpx.ReadTimeout("late")
            return answer

        return twist

    return fresh


def down(simulator: Any) -> None:
    simulator.set_outage()


def up(simulator: Any) -> None:
    simulator.set_outage(down=False)


def kounta_toastie(ref: str) -> Order:
    return kounta_plain(
        ref,
        lines=[{"item_id": "5312", "sku": "BLT", "name": "BLT", "quantity": 1, "unit_price": 1450}],
    )


CASES = {
    "square, healthy": Case(
        "square", lambda ref: paid(ref, [FLAT_WHITE, TOASTIE], surcharge=100, off=50, tip=20)
    ),
    "square, healed": Case("square", lambda ref: paid(ref, [DRIFTED, FLAT_WHITE])),
    "square, undone": Case(
        "square",
        lambda ref: paid(ref, [TOASTIE]),
        set_up=lambda simulator: simulator.add_tax("Surcharge", "10", tax_id="EXTRA"),
        refused="TaxError",
    ),
    "square, an outage": Case(
        "square", lambda ref: paid(ref, [TOASTIE]), set_up=down, meanwhile=up
    ),
    "square, lost answer to the create": Case(
        "square", lambda ref: paid(ref, [TOASTIE]), twist=lost("/v2/orders")
    ),
    "square, lost answer to the payment": Case(
        "square", lambda ref: paid(ref, [TOASTIE]), twist=lost("/v2/payments")
    ),
    "kounta, healthy": Case("kounta", lambda ref: kounta_order(id=ref), sold=PRODUCTS),
    "kounta, healthy, without a menu": Case("kounta", kounta_toastie, has_menu=False),
    "kounta, healed": Case(
        "kounta", kounta_toastie, set_up=lambda simulator: simulator.recreate_product(5312)
    ),
    "kounta, wrong at the register": Case(
        "kounta",
        kounta_toastie,
        set_up=lambda simulator: simulator.add_tax("Surcharge", Decimal("0.05")),
        refused="TaxError",
        outcome=Outcome.CREATED,
    ),
    "kounta, an outage": Case("kounta", kounta_toastie, set_up=down, meanwhile=up),
    "kounta, lost answer": Case("kounta", kounta_toastie, twist=lost("/orders.json")),
}


def square_shop(case: Case) -> tuple[Simulator, Shop]:
    simulator = SquareSimulator()
    known = dict(simulator.connection_settings(URL))
    return simulator, shop_of(
        simulator, lambda: adapter_for("square", {**known}), case.twist(), settings=SETTINGS
    )


def kounta_shop(case: Case) -> tuple[Simulator, Shop]:
    simulator = KountaSimulator(KountaSettings(oauth_limit=10**9))
    for product_id in simulator.world.products.keys() - case.sold:
        del simulator.world.products[product_id]
    known = {**simulator.connection_settings(URL), "import_pace": 0.0, **SUBSTITUTES}
    adapter = lambda: adapter_for("kounta", {**known})  # noqa: E731
    return simulator, shop_of(simulator, adapter, case.twist(), settings=SETTINGS)


SHOPS = {"square": square_shop, "kounta": kounta_shop}


@cache
def kounta_menu(sold: frozenset[int]) -> str:
    """Return a Kounta shop's menu as it was imported, as JSON."""
    _, shop = kounta_shop(Case("kounta", kounta_toastie, sold=sold))
    with httpx.Client(transport=shop.answering(), trust_env=False) as client:
        menu = Till(Connection(shop.adapter()), http_client=client).import_menu().menu
    assert menu
    return menu.model_dump_json()


def give_menu(database: Database, connection: str, menu: str, at: float) -> None:
    """Store a menu that was imported at some time."""
    rows = ConnectionRows(database)
    with database.writing() as db:
        rows.lock(db, connection)
        rows.update(db, connection, {"menu": menu, "menu_at": at})


@dataclass
class Bench:
    """Tries a case over a database."""

    database: Database
    case: Case

    def try_with(self, *lives: Lifetime, number: str) -> None:
        """Run an order by processes that are stopped, then by one that isn't, and check the end."""
        case, name = self.case, f"cafe-{number}"
        simulator, shop = SHOPS[case.platform](case)
        case.set_up(simulator)
        order = case.order(f"ord_{number}")
        for life in (*lives, Lifetime()):
            site = Site(self.database, shop, life, name)
            if life is lives[0] and case.platform == "kounta" and case.has_menu:
                give_menu(self.database, name, kounta_menu(case.sold), shop.clock() - 3600)
            until_stopped(
                partial(site.add, order),
                partial(site.work, on_wait=partial(case.meanwhile, simulator)),
                site.end,
            )
            site.end()
        self.check(order, simulator.ledger(), lives[-1])

    def check(self, order: Order, ledger: Ledger, life: Lifetime) -> None:
        """Check that the outbox and the register agree, and that both are right."""
        case, where = self.case, life.names[-1:]
        with self.database.reading() as db:
            row = db.execute(select(t.orders).where(t.orders.c.id == order.id)).mappings().one()
            in_flight = db.scalar(select(func.count()).where(t.orders.c.worker.is_not(None)))
        stored = stored_order(row)
        assert in_flight == 0, where
        assert (stored.due_at, stored.crash_count) == (None, 0), where
        assert ledger.twice == (), where
        if not case.refused:
            assert ledger.half_done == (), where
            assert [entry.total for entry in ledger.shown] == [order.total], where
            assert (stored.state, stored.error) == (OrderState.RECEIVED, None), where
            assert stored.pos_order, where
            assert stored.pos_order.id == ledger.shown[0].order_id, where
            return
        assert stored.state is OrderState.ERROR, where
        assert stored.error, where
        assert (stored.error.kind, stored.error.outcome) == (case.refused, case.outcome), where
        assert stored.remedy, where
        if case.outcome is Outcome.CREATED:
            assert len(ledger.entries) == 1, where
        else:
            assert (ledger.shown, ledger.half_done) == ((), ()), where


@pytest.mark.parametrize("case", CASES)
def test_next_process_finishes_an_order_stopped_at_any_step(case: str, database: Database) -> None:
    bench = Bench(database, CASES[case])
    steps = every_step(lambda life, number: bench.try_with(life, number=str(number)))
    assert steps > 12


@pytest.mark.parametrize("case", ["square, healed", "kounta, lost answer"])
def test_postgresql_finishes_an_order_stopped_at_any_step(case: str, postgres_url: str) -> None:
    database = ready(postgres_url)
    bench = Bench(database, CASES[case])
    every_step(lambda life, number: bench.try_with(life, number=str(number)))
    database.close()


@pytest.mark.parametrize(
    ("case", "made"),
    [
        ("square, healthy", "after POST /v2/orders"),
        ("square, undone", "after POST /v2/orders"),
        ("kounta, healthy", "after POST /v1/companies/5678/orders.json"),
        ("kounta, wrong at the register", "after POST /v1/companies/5678/orders.json"),
    ],
)
def test_third_process_finishes_after_two_were_stopped(
    case: str, made: str, database: Database
) -> None:
    """The first is stopped when the platform has the order and nobody has read its answer."""
    bench = Bench(database, CASES[case])
    whole_run = Lifetime()
    bench.try_with(whole_run, number="whole")
    worst = whole_run.names.index(made)
    every_step(lambda life, number: bench.try_with(Lifetime(at=worst), life, number=str(number)))
