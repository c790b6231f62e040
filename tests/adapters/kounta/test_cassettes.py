"""Kounta replayed from cassettes: each operation, and each kind of error.

Recorded by: pytest -p tillpost.testing.cassettes tests/adapters/kounta/test_cassettes.py --record
What the files must be like is tested in `test_cassette_files`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from adapters.cassette_orders import DELIVERED, LUNCH, TOASTIE, WEEKEND, WELCOME, order
from adapters.cassette_refusals import Refusal, assert_refused, kinds, played
from adapters.kounta.cassette_origins import (
    IMPOSSIBLE,
    KOUNTA,
    LATTE_MENU,
    LATTES,
    LATTES_ID,
    MENU,
    NO_SAMPLE,
    ONLY_SIMULATED,
    OURS,
    REFUSALS,
    SMALL_MENU,
    a_menu,
    from_samples,
    from_simulator,
    made,
    place,
    small_shop,
    the_order,
    the_orders,
)
from tillpost.errors import MenuError, Outcome
from tillpost.models.menu import Menu
from tillpost.models.order import Charge, Order, PosOrder, PosState, Progress
from tillpost.submission.policy import Policy
from tillpost.testing import Cassettes, Store, plays
from tillpost_simulators.kounta import KountaSimulator

pytest_plugins = ["tillpost.testing.cassettes"]


@pytest.fixture(scope="session")
def cassettes() -> Cassettes:
    return KOUNTA


def submitted(store: Store, paid: Order, menu: Menu = MENU) -> PosOrder:
    """Submit an order through a Till that has the menu already."""
    store.till.menu = menu
    return store.submit(paid)


# Each operation, from the vendor's samples where there are any
# --------------------------------------------------------


@plays(
    "submit",
    from_samples(
        lambda: [
            the_orders(),
            made(),
            the_order(**OURS),
            the_order(**OURS),
            the_orders(id=int(LATTES_ID), total=18, **OURS),
            the_order(**OURS),
        ],
        subject="one order and of a list of orders",
        adapted=(
            "the order has our sale_number, which third-party code reads there, and our placed_at",
            "its total in the list is ours",
            "a new order is answered with `null` and its Location: the page has no sample of that "
            "answer",
        ),
    ),
)
def test_an_order_is_looked_for_made_and_read_back(store: Store) -> None:
    """The order itself has no total, so it is looked up in the list, which has one."""
    pos_order = submitted(store, LATTES, LATTE_MENU)

    assert pos_order == PosOrder(id=LATTES_ID, reference=LATTES.id, status="ON_HOLD", total=1800)


@plays(
    "find",
    from_samples(
        lambda: [the_orders(**OURS), the_order(912387093, **OURS)],
        subject="a list of orders and of one order",
        adapted=(
            "the first order of the list has our sale_number, which third-party code reads there, "
            "and our placed_at; so has the one order",
            "the one order has the id of that one",
        ),
    ),
)
def test_an_order_is_found_by_its_sale_number(store: Store) -> None:
    assert store.ask("find", None, order=LATTES) == PosOrder(
        id="912387093", reference=LATTES.id, status="ON_HOLD", total=4565
    )


@plays("find-nothing", from_samples(lambda: [the_orders()], subject="a list of orders"))
def test_orders_of_others_are_not_taken_for_ours(store: Store) -> None:
    assert store.ask("find", None, order=LATTES) is None


@plays("fetch", from_samples(lambda: [the_order()], subject="one order"))
def test_an_order_on_hold_is_received_and_no_more(store: Store) -> None:
    assert store.fetch(LATTES_ID) == PosOrder(
        id=LATTES_ID, status="ON_HOLD", state=PosState.RECEIVED
    )


@plays(
    "import_menu",
    from_samples(
        a_menu,
        subject="a company, its taxes, a list of products and one product",
        adapted=(
            "the list holds the first of its products, which is the one that there is a sample of",
            "no modifiers go with it: the list of them is empty",
        ),
    ),
)
def test_menu_has_the_taxes_of_single_products(store: Store) -> None:
    menu = store.import_menu().menu
    assert menu

    ((item, variation),) = menu.by_variation.values()
    assert (menu.site, menu.currency, item.id) == ("2301", "AUD", "1")
    assert (variation.price, variation.exact_price) == (5500, Decimal(50))
    assert [(tax.name, tax.rate) for tax in menu.taxes_on(item)] == [("GST", Decimal("0.1"))]


@plays("check", from_simulator(lambda kounta: kounta.switch_ordering(online=False), note=NO_SAMPLE))
def test_a_check_tells_that_online_ordering_is_switched_off(store: Store) -> None:
    found = {finding.what: finding.ok for finding in store.check().findings}

    assert found == {
        "devices": True,
        "online ordering": False,
        "pass-through printing register": True,
    }


# What there is no sample of: charges, a customer, a delivery, an answer that says nothing, what
# staff do --------------


@plays("submit-pickup", from_simulator(note=NO_SAMPLE))
def test_order_of_new_customer_with_all_amounts_arrives(
    store: Store,
) -> None:
    whole = order(*LUNCH.lines, charges=WEEKEND, discounts=WELCOME, tip=100)

    assert submitted(store, whole).total == 2881


@plays("submit-delivery", from_simulator(note=NO_SAMPLE))
def test_a_scheduled_delivery_arrives(store: Store) -> None:
    due = DELIVERED.model_copy(update={"due_at": datetime(2036, 11, 23, 8, tzinfo=UTC)})
    fee = (Charge(kind="delivery", name="Delivery", amount=700),)

    assert submitted(store, order(TOASTIE, fulfilment=due, charges=fee)).total == 2150


@plays(
    "submit-null",
    from_simulator(lambda kounta: kounta.leave_location_out(), note=NO_SAMPLE),
    Policy(),
)
def test_order_with_empty_answer_is_looked_up_not_resent(store: Store) -> None:
    pos_order = submitted(store, order(*LUNCH.lines, customer=None))

    assert (pos_order.id, pos_order.reference, pos_order.total) == (
        "93824701",
        "ord-1",
        2710,
    )  # the first that there ever was


def made_again(kounta: KountaSimulator) -> None:
    small_shop(kounta)
    kounta.recreate_product(5312, 5399)


@plays("submit-healed", from_simulator(made_again, note=NO_SAMPLE, stocked=False))
def test_recreated_product_is_healed_by_an_import(store: Store) -> None:
    assert submitted(store, LUNCH, SMALL_MENU).total == 2710


def taken_off(kounta: KountaSimulator) -> None:
    small_shop(kounta)
    kounta.withdraw(5312)


@plays("submit-not-healed", from_simulator(taken_off, note=NO_SAMPLE, stocked=False))
def test_product_of_another_site_is_refused_with_its_line(
    store: Store,
) -> None:
    with pytest.raises(MenuError) as caught:
        submitted(store, LUNCH, SMALL_MENU)

    assert (caught.value.lines, caught.value.subjects) == ((1,), ("BLT toastie (line 2)",))
    assert (caught.value.outcome, caught.value.menu_imported) == (Outcome.NOT_CREATED, True)


@plays("import_menu-pages", from_simulator(small_shop, note=NO_SAMPLE, stocked=False, page_size=2))
def test_a_menu_is_imported_page_by_page(store: Store) -> None:
    menu = store.import_menu().menu
    assert menu

    prices = {id_: variation.price for id_, (_, variation) in menu.by_variation.items()}
    assert prices == {"228": 80, "7302": 550, "5312": 1450}


@plays("menu_for", from_simulator(small_shop, note=NO_SAMPLE, stocked=False))
def test_menu_of_an_order_has_only_what_it_names(store: Store) -> None:
    menu = store.ask("menu_for", order=LUNCH)

    prices = {id_: variation.price for id_, (_, variation) in menu.by_variation.items()}
    assert prices == {"228": 80, "7302": 550, "5312": 1450}


def turned_down(kounta: KountaSimulator) -> None:
    """Have an order there, and let staff turn it down."""
    place(kounta)
    kounta.staff_reject("93824701")


def deleted(kounta: KountaSimulator) -> None:
    """Have an order there, and let staff delete it."""
    place(kounta)
    kounta.staff_delete("93824701")


@plays("fetch-rejected", from_simulator(turned_down, note=NO_SAMPLE))
def test_an_order_that_staff_turn_down_is_rejected(store: Store) -> None:
    pos_order = store.fetch("93824701")

    assert (pos_order.state, pos_order.progress, pos_order.status) == (
        PosState.REJECTED,
        Progress.CANCELLED,
        "REJECTED",
    )


@plays("fetch-deleted", from_simulator(deleted, note=NO_SAMPLE))
def test_an_order_that_staff_delete_is_cancelled(store: Store) -> None:
    pos_order = store.fetch("93824701")

    assert (pos_order.state, pos_order.progress, pos_order.status) == (
        PosState.CANCELLED,
        Progress.CANCELLED,
        "DELETED",
    )


def has_one_of_another(kounta: KountaSimulator) -> None:
    small_shop(kounta)
    kounta.add_product(9005, "Order needs attention", Decimal(0), tax_ids=[])
    place(kounta)


@plays("attention", from_simulator(has_one_of_another, note=NO_SAMPLE, stocked=False))
def test_attention_ticket_is_looked_up_and_created(store: Store) -> None:
    ticket = store.ask("attention", 0, order=LUNCH)

    assert (ticket.reference, ticket.status, ticket.state) == (
        "ticket ord-1",
        "SUBMITTED",
        PosState.RECEIVED,
    )


@played(REFUSALS, from_simulator, ONLY_SIMULATED)
def test_refusal_becomes_its_kind_of_error(store: Store, refusal: Refusal[KountaSimulator]) -> None:
    assert_refused(store, refusal, MENU)


def test_every_kind_of_error_has_a_cassette_or_a_reason() -> None:
    assert {refusal.error for refusal in REFUSALS} | set(IMPOSSIBLE) == set(kinds())
