"""Square replayed from cassettes: each operation, and each kind of error.

Recorded by: pytest -p tillpost.testing.cassettes tests/adapters/square/test_cassettes.py --record
What the files must be like is tested in `test_cassette_files`.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from adapters.cassette_orders import DELIVERED, FLAT_WHITE, LUNCH, TOASTIE, WEEKEND, WELCOME, order
from adapters.cassette_refusals import Refusal, assert_refused, kinds, played
from adapters.square.cassette_origins import (
    EXTERNALLY,
    SQUARE,
    STEAKS,
    STEAKS_AT,
    STEAKS_ID,
    catalogue_pages,
    example,
    from_document,
    from_simulator,
    location,
    made,
    now_as,
    payment_made,
    small_shop,
)
from adapters.square.cassette_refusals import IMPOSSIBLE, ONLY_SIMULATED, REFUSALS
from tillpost.errors import MenuError, OrderError, Outcome, TaxError
from tillpost.errors.remedies import Actor
from tillpost.models.order import Charge, Discount, Draft, Line, PosOrder, PosState
from tillpost.testing import Cassettes, Sample, Store, plays
from tillpost_simulators.square import SquareSimulator
from tillpost_square.catalogue import CatalogueChanges

pytest_plugins = ["tillpost.testing.cassettes"]


@pytest.fixture(scope="session")
def cassettes() -> Cassettes:
    return SQUARE


# Each operation, from Square's own samples
# ----------------------------------------------------------------------------


@plays(
    "submit",
    from_document(
        lambda: [made(), payment_made()],
        schemas="CreateOrderResponse and CreatePaymentResponse",
        location=STEAKS_AT,
        adapted=EXTERNALLY,
    ),
)
def test_a_paid_order_is_created_and_paid(store: Store) -> None:
    assert store.submit(STEAKS, is_new=True) == PosOrder(
        id=STEAKS_ID, reference="my-order-001", status="OPEN", total=6176
    )


@plays(
    "undo",
    from_document(
        lambda: [
            made(),
            now_as("CreateOrderResponse"),
            now_as("CreateOrderResponse", state="CANCELED", version=2),
        ],
        schemas="CreateOrderResponse",
        location=STEAKS_AT,
        adapted=(
            "RetrieveOrder gives the order as it was created",
            "UpdateOrder gives it with another state, version",
        ),
    ),
)
def test_order_differing_by_a_tax_is_undone_before_payment(store: Store) -> None:
    paid_without_tax = order(
        *STEAKS.lines, id=STEAKS.id, currency="USD", discounts=STEAKS.discounts
    )

    with pytest.raises(TaxError) as caught:
        store.submit(paid_without_tax, is_new=True)

    assert caught.value.subjects == ("State Sales Tax",)
    assert "5.10" in caught.value.detail
    assert caught.value.outcome is Outcome.NOT_CREATED


@plays(
    "finish",
    from_document(
        lambda: [now_as("CreateOrderResponse"), payment_made()],
        schemas="CreateOrderResponse and CreatePaymentResponse",
        location=STEAKS_AT,
        adapted=("RetrieveOrder gives the order as it was created", *EXTERNALLY),
    ),
)
def test_an_order_that_was_created_and_not_paid_is_finished(store: Store) -> None:
    finished = store.ask("finish", Draft(id=STEAKS_ID, total=6176, version=1), order=STEAKS)

    assert finished == PosOrder(id=STEAKS_ID, reference="my-order-001", status="OPEN", total=6176)


@plays(
    "find",
    from_document(
        lambda: [
            Sample(
                "POST", "/v2/orders/search", {"orders": [example("CreateOrderResponse")["order"]]}
            )
        ],
        schemas="CreateOrderResponse",
        location=STEAKS_AT,
        adapted=("the order is in the `orders` of SearchOrders",),
        note="The document's sample of SearchOrders lists entries without orders, which the "
        "adapter doesn't ask for.",
    ),
)
def test_an_unpaid_order_is_found_as_a_draft(store: Store) -> None:
    assert store.ask("find", None, order=STEAKS) == Draft(id=STEAKS_ID, total=6176, version=1)


@plays(
    "fetch",
    from_document(
        lambda: [now_as("RetrieveOrderResponse")],
        schemas="RetrieveOrderResponse",
        location="D7AVYMEAPJ3A3",
    ),
)
def test_an_order_is_fetched_as_it_is_now(store: Store) -> None:
    assert store.fetch(STEAKS_ID) == PosOrder(id=STEAKS_ID, status="OPEN", total=550)


@plays(
    "cancel",
    from_document(
        lambda: [
            now_as("UpdateOrderResponse"),
            now_as("UpdateOrderResponse", state="CANCELED", version=3),
        ],
        schemas="UpdateOrderResponse",
        location="MXVQSVNDGN3C8",
        adapted=(
            "RetrieveOrder gives the sample's order",
            "UpdateOrder gives it with another state and version",
        ),
    ),
)
def test_an_order_is_cancelled_under_its_version(store: Store) -> None:
    cancelled = store.cancel(PosOrder(id="DREk7wJcyXNHqULq8JJ2iPAsluJZY", reference="ord-1"))

    assert (cancelled.state, cancelled.status, cancelled.total) == (
        PosState.CANCELLED,
        "CANCELED",
        900,
    )


@plays(
    "cancel-completed",
    from_document(
        lambda: [now_as("PayOrderResponse")],
        schemas="PayOrderResponse",
        location="P3CCK6HSNDAS7",
        adapted=("RetrieveOrder gives the sample's order",),
    ),
)
def test_an_order_that_is_completed_is_not_cancelled(store: Store) -> None:
    with pytest.raises(OrderError, match="nothing of the order is left"):
        store.cancel(PosOrder(id="lgwOlEityYPJtcuvKTVKT1pA986YY", reference="ord-1"))


@plays(
    "quote",
    from_document(
        lambda: [Sample("POST", "/v2/orders/calculate", example("CalculateOrderResponse"))],
        schemas="CalculateOrderResponse",
        location="D7AVYMEAPJ3A3",
    ),
)
def test_an_order_is_priced_without_being_created(store: Store) -> None:
    items = (
        Line(item_id="ITEM-1", name="Item 1", quantity=1, unit_price=500),
        Line(item_id="ITEM-2", name="Item 2", quantity=2, unit_price=300),
    )
    half_off = order(
        *items, currency="USD", discounts=(Discount(name="50% Off", amount=550),), tip=75
    )

    assert store.quote(half_off) == 550 + 75


@plays(
    "import_menu",
    from_document(
        catalogue_pages,
        schemas="RetrieveLocationResponse, ListCatalogResponse and "
        "BatchRetrieveCatalogObjectsResponse",
        location="18YC4JDH91E1H",
        adapted=(
            "the objects and the related objects of BatchRetrieveCatalogObjects are pages of "
            "ListCatalog",
            "the first two pages have a cursor",
        ),
    ),
)
def test_a_menu_is_imported_page_by_page(store: Store) -> None:
    menu = store.import_menu().menu
    assert menu

    assert (menu.site, menu.currency, menu.version) == (
        "18YC4JDH91E1H",
        "USD",
        "2017-02-21T14:50:26.495Z",
    )
    sold = {(item.name, v.name): (v.id, v.price) for item in menu.items for v in item.variations}
    assert sold == {
        ("Tea", "Mug"): ("2TZFAOHWGG7PAK2QEXWYPZSP", 150),
        ("Coffee", "Regular"): ("LBTYIHNHU52WOIHWT7SNRIYH", 250),
        ("Coffee", "Large"): ("PKYIC7HGGKW5CYVSCVDEIMHY", 350),
    }
    assert {item.categories for item in menu.items} == {("Beverages",)}
    assert [item.tax_ids for item in menu.items] == [("HURXQOOAIC4IZSI2BEXQRYFY",)] * 2
    assert [(str(tax.rate), tax.included) for tax in menu.taxes] == [("0.05", False)] * 2


@plays(
    "changed_since",
    from_document(
        lambda: [Sample("POST", "/v2/catalog/search", example("SearchCatalogObjectsResponse"))],
        schemas="SearchCatalogObjectsResponse",
        location="18YC4JDH91E1H",
    ),
)
def test_catalogue_changes_since_a_time_are_returned(store: Store) -> None:
    changes = store.ask("changed_since", datetime(2017, 10, 1, tzinfo=UTC))

    assert changes == CatalogueChanges(
        changed=("X5DZ5NWWAQ44CKBLKIFQGOWK", "NNNEM3LA656Q46NXLWCNI7S5")
    )


@plays(
    "store_currency",
    from_document(
        lambda: [location()],
        schemas="RetrieveLocationResponse",
        location="18YC4JDH91E1H",
    ),
)
def test_location_says_the_stores_currency(store: Store) -> None:
    assert store.ask("store_currency") == "USD"


@plays(
    "check",
    from_document(
        lambda: [
            Sample("POST", "/oauth2/token/status", example("RetrieveTokenStatusResponse")),
            location(),
        ],
        schemas="RetrieveTokenStatusResponse and RetrieveLocationResponse",
        location="18YC4JDH91E1H",
    ),
)
def test_check_reports_expired_token_and_missing_scopes(store: Store) -> None:
    found = {finding.what: finding for finding in store.check().findings}

    assert [what for what, finding in found.items() if not finding.ok] == ["token", "scopes"]
    assert found["token"].text == "The access token expired at 2022-10-14 14:44 UTC"
    assert all(
        scope in found["scopes"].text
        for scope in ("ORDERS_WRITE", "ITEMS_READ", "MERCHANT_PROFILE_READ")
    )
    assert "PAYMENTS_WRITE" not in found["scopes"].text
    assert (found["token"].actor, found["scopes"].actor) == (Actor.STORE, Actor.STORE)


# What the document has no sample of: a pickup and a delivery whole, a free order, a menu that has
# drifted -------------

NO_SAMPLE = "The document has no sample of this."


@plays(
    "submit-pickup",
    from_simulator(note=f"{NO_SAMPLE} Its orders have no fulfilment, charge or tip."),
)
def test_pickup_with_charge_discount_and_tip_arrives(store: Store) -> None:
    lunch = order(FLAT_WHITE, TOASTIE, charges=WEEKEND, discounts=WELCOME, tip=100)
    assert store.submit(lunch, is_new=True).total == 2881


@plays("submit-delivery", from_simulator(note=NO_SAMPLE))
def test_a_scheduled_delivery_arrives(store: Store) -> None:
    due = DELIVERED.model_copy(update={"due_at": datetime(2036, 11, 23, 8, tzinfo=UTC)})
    fee = (Charge(kind="delivery", name="Delivery", amount=700),)
    three = TOASTIE.model_copy(update={"quantity": 3})

    lunch = order(three, fulfilment=due, charges=fee)
    assert store.submit(lunch, is_new=True).total == 5050


@plays(
    "submit-free",
    from_simulator(note=f"{NO_SAMPLE} That of PayOrder is of 20.00 paid in two payments."),
)
def test_a_free_order_is_paid_by_pay_order(store: Store) -> None:
    free = order(TOASTIE, discounts=(Discount(name="On the house", amount=1450),))
    made = store.submit(free, is_new=True)

    assert (made.total, made.state) == (0, PosState.RECEIVED)


@plays(
    "attention",
    from_simulator(note=f"{NO_SAMPLE} That of PayOrder is of 20.00 paid in two payments."),
)
def test_a_ticket_that_spells_out_an_order_is_made_at_no_price(store: Store) -> None:
    ticket = store.ask("attention", 0, order=LUNCH)

    assert (ticket.reference, ticket.total, ticket.state) == ("ticket ord-1", 0, PosState.RECEIVED)


def made_again(square: SquareSimulator) -> None:
    small_shop(square)
    square.recreate_variation("5312", "5312-NEW")


@plays("submit-healed", from_simulator(made_again, note=NO_SAMPLE, stocked=False))
def test_item_with_new_id_is_healed_by_an_import(store: Store) -> None:
    assert store.submit(LUNCH, is_new=True).total == 2710


def taken_off(square: SquareSimulator) -> None:
    small_shop(square)
    square.remove_variation("5312")


@plays("submit-not-healed", from_simulator(taken_off, note=NO_SAMPLE, stocked=False))
def test_missing_item_is_refused_with_its_line(
    store: Store,
) -> None:
    with pytest.raises(MenuError) as caught:
        store.submit(LUNCH, is_new=True)

    assert (caught.value.lines, caught.value.subjects) == ((1,), ("BLT toastie (line 2)",))
    assert (caught.value.outcome, caught.value.menu_imported) == (Outcome.NOT_CREATED, True)


@plays("menu_for", from_simulator(note=NO_SAMPLE))
def test_menu_of_an_order_has_only_its_items(store: Store) -> None:
    menu = store.ask("menu_for", order=LUNCH)

    assert {item.name for item in menu.items} == {"Flat white", "BLT toastie"}
    assert [tax.name for tax in menu.taxes] == ["GST"]
    white = menu.by_variation["7302"].item
    assert "228" in menu.options(white)


# Each kind of error
# -------------------------------------------------------------------------------------------------


@played(REFUSALS, from_simulator, ONLY_SIMULATED)
def test_refusal_becomes_its_kind_of_error(store: Store, refusal: Refusal[SquareSimulator]) -> None:
    assert_refused(store, refusal, is_new=True)


def test_every_kind_of_error_has_a_cassette_or_a_reason() -> None:
    assert {refusal.error for refusal in REFUSALS} | set(IMPOSSIBLE) == set(kinds())
