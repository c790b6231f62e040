"""Orders to a store that serves the generic format: created once, complete, as paid."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from adapters.generic.store import ONCE, Change, Store, always
from adapters.square.shop_orders import DRIFTED, FLAT_WHITE, OAT, TOASTIE, paid
from tillpost import (
    MenuError,
    Order,
    OrderError,
    OutageError,
    Policy,
    PosError,
    PosOrder,
    RegisterOfflineError,
    StoreClosedError,
    TaxError,
)
from tillpost.errors import Outcome
from tillpost.models.order import (
    Delivery,
    DineIn,
    Line,
    Modifier,
    Payment,
    Pickup,
    PosState,
    Progress,
)
from tillpost_simulators.generic import GenericSimulator, WorldSettings

OATS = FLAT_WHITE.model_copy(update={"modifiers": (OAT,), "quantity": 2, "note": "extra hot"})
HEMP = OAT.model_copy(update={"modifier_id": "999", "sku": "GONE", "name": "Hemp milk"})
ORDER = paid("ord_1", [OATS, TOASTIE], surcharge=271, off=200, tip=100)
KEEPING = Policy(retries=0, import_cooldown=0, prices="keep_paid")


def line(item_id: str, price: int, name: str = "") -> Line:
    return Line(item_id=item_id, name=name or item_id, quantity=1, unit_price=price)


def without_tax(tax: int, *lines: Line) -> Order:
    """An order whose prices leave the tax out, with so much of it on top."""
    order = paid("ord_1", list(lines))
    payments = (Payment(method="card", amount=order.total + tax),)
    held = order.model_dump() | {"prices_include_tax": False, "tax": tax, "payments": payments}
    return Order.model_validate(held)


def test_submit_creates_whole_order_in_one_call() -> None:
    store = Store()
    made = store.submit(ORDER)
    assert store.paths == ["GET /health", "POST /orders"]
    (entry,) = store.simulator.ledger().shown
    assert made == PosOrder(id=entry.order_id, reference="ord_1", status="new", total=2881)
    assert (entry.total, entry.paid, entry.tip) == (2881, 2881, 100)
    assert [(x.name, int(x.quantity), x.note, len(x.modifiers)) for x in entry.lines] == [
        ("Flat white, regular", 2, "extra hot", 1),
        ("BLT toastie", 1, "", 0),
    ]
    assert [c.amount for c in entry.charges] == [271]
    assert [d.amount for d in entry.discounts] == [200]
    assert entry.ticket_name == "B42 Mia Chen"


@pytest.mark.parametrize(
    ("fulfilment", "note"),
    [
        (DineIn(table="12"), "TABLE 12"),
        (
            Delivery.model_validate({"address": {"line1": "1 High St"}, "instructions": "ring"}),
            "DELIVER TO: 1 High St\nring",
        ),
    ],
)
def test_destination_is_on_the_docket(fulfilment: DineIn | Delivery, note: str) -> None:
    store = Store()
    store.submit(paid("ord_1", [TOASTIE], fulfilment=fulfilment))
    assert store.simulator.ledger().shown[0].note == note


def test_a_new_process_gets_the_same_order_by_its_key() -> None:
    simulator = GenericSimulator()
    first, second = (Store(simulator=simulator).submit(ORDER) for _ in range(2))
    assert first == second
    assert len(simulator.ledger().entries) == 1


def test_an_item_that_was_given_another_id_is_found_by_its_sku() -> None:
    store = Store()
    store.submit(paid("ord_1", [DRIFTED]))
    assert store.paths == ["GET /health", "POST /orders", "GET /menu", "POST /orders"]
    assert store.simulator.ledger().shown[0].lines[0].item_id == "5312"


def test_other_body_under_used_key_finds_the_order() -> None:
    simulator = GenericSimulator()
    made = Store(simulator=simulator).submit(ORDER)
    other = Store(simulator=simulator)
    assert other.submit(ORDER.model_copy(update={"note": "another"})) == made
    assert other.paths == ["GET /health", "POST /orders", "GET /orders?reference=ord_1"]


def test_reference_under_other_key_makes_no_second_order() -> None:
    simulator = GenericSimulator()
    made = Store(simulator=simulator).submit(ORDER)
    simulator.world.replays.clear()  # a POS that has forgotten its keys
    other = Store(simulator=simulator)
    assert other.submit(ORDER) == made
    assert len(simulator.ledger().entries) == 1


# ---------------------------------------------------------------- what the store's POS refuses


@pytest.mark.parametrize(
    ("lines", "reason", "at_fault"),
    [
        ([TOASTIE, line("9999", 100, "Pavlova")], "gone", (1,)),
        ([FLAT_WHITE.model_copy(update={"modifiers": (HEMP,)})], "gone", (0,)),
        ([TOASTIE, line("6101", 600), line("6101", 600)], "sold_out", (1, 2)),
        ([line("5320", 1900)], "choices", (0,)),
        ([TOASTIE.model_copy(update={"unit_price": 1400})], "price", (0,)),
    ],
)
def test_order_that_does_not_fit_menu_is_refused_by_line(
    lines: list[Line], reason: str, at_fault: tuple[int, ...]
) -> None:
    store = Store()
    error = store.refused(paid("ord_1", lines))
    assert isinstance(error, MenuError)
    assert (error.reason, error.lines, error.outcome) == (reason, at_fault, Outcome.NOT_CREATED)
    assert store.simulator.ledger().entries == ()


def test_quantity_above_store_limit_is_refused_with_lines() -> None:
    store = Store()
    store.simulator.limit_quantity("5312", 2)
    two = TOASTIE.model_copy(update={"quantity": 2})
    error = store.refused(paid("ord_1", [TOASTIE, FLAT_WHITE, two]))
    assert (type(error), error.reason, error.lines) == (MenuError, "quantity", (0, 2))
    assert store.submit(paid("ord_2", [FLAT_WHITE, two])).reference == "ord_2"


def test_option_chosen_twice_is_refused_where_only_once_allowed() -> None:
    store = Store()
    store.simulator.set_modifier_limits("7302", "EXTRAS", 0, once=True)
    shot = Modifier(modifier_id="231", name="Extra shot", unit_price=60)
    error = store.refused(
        paid("ord_1", [FLAT_WHITE.model_copy(update={"modifiers": (shot, shot)})])
    )
    assert (type(error), error.reason, error.lines) == (MenuError, "choices", (0,))
    assert (
        store.submit(
            paid("ord_2", [FLAT_WHITE.model_copy(update={"modifiers": (shot,)})])
        ).reference
        == "ord_2"
    )


def test_missing_table_is_found_before_sending_after_import() -> None:
    store, dine_in = Store(), paid("ord_1", [TOASTIE], fulfilment=DineIn(table="7"))
    store.simulator.remove_table("7")
    store.do(lambda till: till.import_menu())
    store.sent.clear()
    error = store.refused(dine_in)
    assert (type(error), error.reason, error.operation) == (MenuError, "table", "precheck")
    assert (error.subjects, error.menu_imported) == (("Table 7",), True)
    assert "POST /orders" not in store.paths


def test_pos_refuses_missing_table_and_import_shows_why() -> None:
    store, dine_in = Store(), paid("ord_1", [TOASTIE], fulfilment=DineIn(table="7"))
    store.simulator.remove_table("7")
    error = store.refused(dine_in)
    assert (error.reason, error.subjects, error.outcome) == (
        "table",
        ("Table 7",),
        Outcome.NOT_CREATED,
    )
    assert [path for path in store.paths if path == "POST /orders"] == ["POST /orders"]


def test_an_import_heals_an_order_for_a_table_that_is_back() -> None:
    store, dine_in = Store(), paid("ord_1", [TOASTIE], fulfilment=DineIn(table="Garden 1"))
    store.do(lambda till: till.import_menu())
    store.simulator.add_table("Garden 1")
    assert store.submit(dine_in).reference == "ord_1"
    assert store.paths.count("GET /menu") == 2


def test_kept_price_overrides_menu_and_is_on_the_docket() -> None:
    store = Store(policy=KEEPING)
    store.simulator.change_price("5312", 1600)
    store.do(lambda till: till.import_menu())
    made = store.submit(paid("ord_1", [TOASTIE]))
    assert made.total == 1450
    assert made.notices == ("Price kept as paid: BLT toastie 14.50 AUD (menu 16.00 AUD)",)
    assert "Price kept" in store.simulator.ledger().shown[0].note


def test_tax_added_to_prices_with_tax_is_named() -> None:
    store = Store()
    store.simulator.add_tax("Surcharge", "10")
    error = store.refused(paid("ord_1", [TOASTIE]))
    assert isinstance(error, TaxError)
    assert (error.outcome, error.lines) == (Outcome.NOT_CREATED, (0,))
    assert "Surcharge" in error.detail
    assert error.subjects == ()
    assert "toastie" not in error.remedy.manager
    assert "isn't what the customer was charged" in error.remedy.manager
    assert "If all taxes are right" in error.remedy.manager


def test_two_taxes_that_are_added_arrive_by_their_amount() -> None:
    store = Store(WorldSettings(tax_inclusive=False, tax_percentage="5"), policy=ONCE)
    store.simulator.add_tax("PST", "7")
    order = without_tax(174, TOASTIE)
    assert store.submit(order).total == order.total
    error = store.refused(without_tax(72, TOASTIE).model_copy(update={"id": "ord_2"}))
    assert isinstance(error, TaxError)
    assert "1.75 AUD of tax (GST, PST), the order has 0.72 AUD" in error.detail


@pytest.mark.parametrize("inclusive", [True, False])
def test_tax_included_on_one_side_only_is_reported(inclusive: bool) -> None:
    store = Store(WorldSettings(tax_inclusive=inclusive), policy=ONCE)
    order = without_tax(145, TOASTIE) if inclusive else paid("ord_1", [TOASTIE])
    error = store.refused(order)
    expected = (MenuError, "net_price") if inclusive else (TaxError, "")
    assert (type(error), error.reason, error.lines) == (*expected, (0,))


@pytest.mark.parametrize(("quantity", "tax"), [(1, 132), (10, 1318), (50, 6590)])
def test_prices_without_tax_arrive_where_the_pos_includes_it(quantity: int, tax: int) -> None:
    """13.18 is 14.50 without tax, rounded."""
    store = Store(policy=ONCE)
    net = TOASTIE.model_copy(update={"unit_price": 1318, "quantity": quantity})
    order = without_tax(tax, net)
    made = store.submit(order)
    (entry,) = store.simulator.ledger().shown
    assert made.total == entry.total == entry.paid == order.total


def test_prices_with_tax_arrive_where_the_pos_adds_it() -> None:
    store = Store(WorldSettings(tax_inclusive=False), policy=ONCE)
    gross = TOASTIE.model_copy(update={"unit_price": 1595, "quantity": 3})
    order = paid("ord_1", [gross])
    assert store.submit(order).total == store.simulator.ledger().shown[0].paid == order.total


@pytest.mark.parametrize(("unit_price", "tax"), [(1316, 132), (1200, 120)])
def test_other_price_without_tax_is_a_menu_error(unit_price: int, tax: int) -> None:
    net = TOASTIE.model_copy(update={"unit_price": unit_price})
    error = Store(policy=ONCE).refused(without_tax(tax, net))
    assert (type(error), error.reason, error.lines) == (MenuError, "price", (0,))


def test_tax_of_converted_prices_is_compared_by_amount() -> None:
    net = TOASTIE.model_copy(update={"unit_price": 1318})
    error = Store(policy=ONCE).refused(without_tax(66, net))
    assert type(error) is TaxError
    assert "1.32 AUD of tax (GST), the order has 0.66 AUD" in error.detail


@pytest.mark.parametrize(
    ("tax", "fits"), [(145, True), (146, True), (144, True), (147, False), (0, False)]
)
def test_a_tax_that_is_added_may_differ_by_rounding_and_no_more(tax: int, fits: bool) -> None:
    store = Store(WorldSettings(tax_inclusive=False), policy=ONCE)
    order = without_tax(tax, TOASTIE)
    if fits:
        assert store.submit(order).total == order.total
    else:
        assert isinstance(store.refused(order), TaxError)
        assert store.simulator.ledger().entries == ()


def close(simulator: GenericSimulator) -> None:
    simulator.open_store(is_open=False)


def disconnect(simulator: GenericSimulator) -> None:
    simulator.connect_register(online=False)


@pytest.mark.parametrize(
    ("happens", "kind"), [(close, StoreClosedError), (disconnect, RegisterOfflineError)]
)
def test_store_that_takes_no_orders_reports_why(happens: Change, kind: type[PosError]) -> None:
    store = Store(policy=ONCE)
    happens(store.simulator)
    error = store.refused(ORDER)
    assert (type(error), error.outcome) == (kind, Outcome.NOT_CREATED)


def test_order_due_before_it_was_placed_is_refused_by_policy() -> None:
    past = paid(
        "ord_1", [TOASTIE], fulfilment=Pickup.model_validate({"due_at": "2020-01-01T12:00:00Z"})
    )
    refusing = Policy(past_due="refuse")
    assert isinstance(Store(policy=refusing).refused(past), OrderError)
    made = Store().submit(past)
    assert any("as soon as possible" in notice for notice in made.notices)


def test_other_currency_is_refused_before_sending() -> None:
    store = Store(WorldSettings(currency="NZD"))
    error = store.refused(ORDER)
    assert (type(error), error.reason) == (OrderError, "currency")
    assert store.paths == ["GET /health"]


# ---------------------------------------------------------------- a POS that doesn't keep to the
# page


def answering(**changed: Any) -> Store:
    """A store whose POS makes the order and answers with something else."""

    def twist(
        _request: httpx.Request, _number: int, carry_out: Callable[[], httpx.Response]
    ) -> httpx.Response:
        real: Any = carry_out().json()
        single = "id" in real
        many: list[dict[str, Any]] = [real] if single else real
        spoilt = [one | changed for one in many]
        return httpx.Response(200, json=spoilt[0] if single else spoilt)

    return Store(policy=ONCE, twist=twist)


def test_order_created_with_other_total_is_raised_with_order() -> None:
    store = answering(total=2780)
    for _ in range(2):
        error = store.refused(ORDER)
        assert isinstance(error, MenuError)
        assert (error.outcome, error.reason) == (Outcome.CREATED, "created")
        assert error.pos_order
        assert "27.80 AUD" in error.detail
        assert "28.81 AUD" in error.detail
    assert store.paths.count("POST /orders") == 1  # never a second time


@pytest.mark.parametrize(
    ("total", "rounded"), [(1449, True), (1451, True), (1448, False), (1452, False)]
)
def test_included_tax_that_the_pos_rounds_is_named_as_rounding(total: int, rounded: bool) -> None:
    error = answering(total=total).refused(paid("ord_1", [TOASTIE]))
    expected = (TaxError, "rounding_created") if rounded else (MenuError, "created")
    assert (type(error), error.reason) == expected
    assert error.outcome is Outcome.CREATED


def test_order_without_its_tax_is_a_tax_error() -> None:
    simulator = GenericSimulator(WorldSettings(tax_inclusive=False))

    def forgets(
        _request: httpx.Request, _number: int, carry_out: Callable[[], httpx.Response]
    ) -> httpx.Response:
        return httpx.Response(201, json=carry_out().json() | {"total": 1450})

    error = Store(simulator=simulator, policy=ONCE, twist=forgets).refused(
        without_tax(145, TOASTIE)
    )
    assert isinstance(error, TaxError)
    assert error.outcome is Outcome.CREATED


def test_order_found_with_other_total_is_raised_too() -> None:
    error = answering(total=1).refusal(lambda till: (till.submit(ORDER), till.find(ORDER)))
    assert error.outcome is Outcome.CREATED


def test_an_answer_about_another_order_proves_nothing() -> None:
    error = answering(reference="ord_2").refused(ORDER)
    assert isinstance(error, OutageError)
    assert error.outcome is Outcome.UNKNOWN


def test_a_pos_that_ignores_the_reference_finds_nothing() -> None:
    store = answering(reference="ord_2")
    Store(simulator=store.simulator).submit(ORDER)
    assert store.do(lambda till: till.find(ORDER)) is None


@pytest.mark.parametrize("pos_id", ["", "..", "a/b", "a b", "ö", "x" * 101])
def test_id_that_does_not_fit_a_path_is_unreadable(pos_id: str) -> None:
    assert isinstance(answering(id=pos_id).refused(ORDER), OutageError)


def test_unknown_fields_of_a_pos_are_ignored() -> None:
    assert answering(ticket=7, total=2881).submit(ORDER).total == 2881


# ---------------------------------------------------------------- after it is there


def test_its_status_follows_staff() -> None:
    store = Store()
    made = store.submit(ORDER)
    simulator = store.simulator
    for move, state, progress in (
        (simulator.staff_accept, PosState.ACCEPTED, Progress.ACCEPTED),
        (simulator.staff_prepare, PosState.ACCEPTED, Progress.READY),
        (simulator.staff_complete, PosState.ACCEPTED, Progress.COMPLETED),
        (simulator.staff_reject, PosState.REJECTED, Progress.CANCELLED),
    ):
        move(made.reference)
        now = store.do(lambda till: till.fetch(made))
        assert (now.state, now.progress) == (state, progress)


def test_cancel_is_final() -> None:
    store = Store()
    made = store.submit(ORDER)
    for _ in range(2):
        assert store.do(lambda till: till.cancel(made)).state is PosState.CANCELLED
    assert store.simulator.ledger().shown == ()
    assert isinstance(store.refused(ORDER), OrderError)


def test_completed_order_is_not_cancelled() -> None:
    store = Store()
    made = store.submit(ORDER)
    store.simulator.staff_complete(made.id)
    assert isinstance(store.refusal(lambda till: till.cancel(made)), OrderError)


def test_cancellation_not_shown_by_answer_may_have_failed() -> None:
    store = answering(state="accepted")
    made = store.submit(ORDER)
    error = store.refusal(lambda till: till.cancel(made))
    assert isinstance(error, OutageError)
    assert not store.simulator.ledger().shown


def test_find_never_takes_a_cancelled_copy_for_the_order() -> None:
    store = Store()
    first = store.submit(ORDER)
    store.do(lambda till: till.cancel(first))
    assert store.do(lambda till: till.find(ORDER)) is None
    store.simulator.world.replays.clear()
    second = Store(simulator=store.simulator).submit(ORDER)
    assert store.do(lambda till: till.find(ORDER)) == second


def test_unknown_order_is_reported() -> None:
    assert isinstance(Store().refusal(lambda till: till.fetch("G1")), OrderError)


def test_import_returns_the_whole_menu() -> None:
    store = Store()
    menu = store.do(lambda till: till.import_menu()).menu
    assert menu == store.simulator.world.menu


SPOILT: dict[str, Callable[[dict[str, Any]], object]] = {
    "misspelt": lambda menu: [item.update(prize=1) for item in menu["items"]],
    "items without ids": lambda menu: [item.pop("id") for item in menu["items"]],
    "incomplete": lambda menu: menu.pop("currency"),
}


@pytest.mark.parametrize("how", SPOILT)
def test_a_menu_that_does_not_fit_the_format_is_refused_whole(how: str) -> None:
    def twist(
        _request: httpx.Request, _number: int, carry_out: Callable[[], httpx.Response]
    ) -> httpx.Response:
        menu = json.loads(carry_out().content)
        SPOILT[how](menu)
        return httpx.Response(200, json=menu)

    error = Store(policy=ONCE, twist=twist).refusal(lambda till: till.import_menu())
    assert "can't be read" in error.detail


def revoke(simulator: GenericSimulator) -> None:
    simulator.revoke_token()


@pytest.mark.parametrize(
    ("happens", "what"),
    [(close, "store open"), (disconnect, "register online"), (revoke, "connection")],
)
def test_check_reports_what_is_missing_and_who_must_act(happens: Change, what: str) -> None:
    store = Store(policy=ONCE)
    assert store.do(lambda till: till.check()).ready
    happens(store.simulator)
    readiness = store.do(lambda till: till.check())
    assert [(f.what, f.actor) for f in readiness.findings if not f.ok] == [(what, "store")]
    assert not readiness.ready


def test_check_reports_a_pos_that_is_down() -> None:
    readiness = Store(policy=ONCE, twist=always(503)).till.check()
    assert [(f.what, f.ok, f.actor) for f in readiness.findings] == [
        ("connection", False, "operations")
    ]
