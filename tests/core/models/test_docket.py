"""A docket has the whole order, and says that it is paid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from strategies import orders
from tillpost.models.docket import CUT, WIDTH, docket, spelled_out, spelled_out_in_parts
from tillpost.models.money import format_money, to_major
from tillpost.models.order import Delivery, DineIn, Order, Pickup

EXAMPLES = Path(__file__).parents[3] / "docs/examples/orders"


def flat(text: str) -> str:
    return "".join(text.split())


@given(orders())
def test_docket_shows_whatever_was_ordered(order: Order) -> None:
    text = docket(order, platform="Square")
    printed = flat(text)
    for line in order.lines:
        assert flat(f"{line.quantity} x {line.name}") in printed
        assert flat(line.note) in printed
        assert all(flat(each.modifier.name) in printed for each in line.flat_modifiers())
        assert all(flat(discount.name) in printed for discount in line.discounts)
    for charge in order.charges:
        assert flat(charge.name) in printed
        assert all(flat(discount.name) in printed for discount in charge.discounts)
    assert all(flat(discount.name) in printed for discount in order.discounts)
    assert flat(order.code) in printed
    assert flat(order.note) in printed
    assert str(to_major(order.total, order.currency)) in printed
    if order.customer:
        assert flat(order.customer.name) in printed
    if isinstance(order.fulfilment, Delivery):
        assert flat(str(order.fulfilment.address)) in printed
    if isinstance(order.fulfilment, Pickup) and order.fulfilment.curbside:
        assert flat(order.fulfilment.curbside.details) in printed
    if isinstance(order.fulfilment, DineIn) and order.fulfilment.guests:
        assert f"{order.fulfilment.guests}GUESTS" in printed


@given(orders())
def test_docket_fits_paper_and_says_what_to_take(order: Order) -> None:
    text = docket(order, platform="Square")
    assert max(len(line) for line in text.splitlines()) <= WIDTH
    due = format_money(order.amount_due, order.currency)
    assert ("PAID ONLINE - TAKE NO MONEY" in text) == (not order.amount_due)
    assert (f"PAID - TAKE {due}" in text) == bool(order.amount_due)


def test_docket_shows_choices_below_what_they_are_on() -> None:
    order = Order.model_validate_json((EXAMPLES / "every-field.json").read_text())
    shown = docket(order, platform="Square").splitlines()
    assert shown[1].strip() == "PARTLY PAID - TAKE 10.67 CAD"
    pizza = "2 x Pizza, two halves, large         45.00"
    begin = shown.index(pizza)
    assert "NOTE: SEVERE PEANUT ALLERGY" in shown[:begin]
    assert shown[begin : begin + 8] == [
        pizza,
        "    + Left half",
        "        + Margherita",
        "        + 2 x Extra cheese",
        "    + Right half",
        "        + Napoli",
        "    + No box",
        "    2ND PIZZA HALF PRICE            -11.25",
    ]
    assert "GST                                   1.85" in shown
    assert "TO PAY AT THE STORE                  10.67" in shown


@given(orders())
def test_warning_of_copy_only_when_one_may_appear(order: Order) -> None:
    assert "COOK IT ONCE" not in docket(order, platform="Square")
    assert "COOK IT ONCE" in docket(order, platform="Square", copy_may_appear=True)


@given(orders())
def test_long_note_has_everything_of_the_docket(order: Order) -> None:
    note = spelled_out(order, platform="Square", most=100_000)
    of_docket = (
        flat(docket(order, platform="Square", copy_may_appear=True))
        .replace("=", "")
        .replace("-", "")
    )
    assert flat(note).replace("=", "").replace("-", "") == of_docket
    assert CUT not in note


@given(orders(), st.integers(100, 2000))
def test_a_note_that_is_too_long_is_cut_and_says_so(order: Order, most: int) -> None:
    whole, note = (
        spelled_out(order, platform="Square", most=100_000),
        spelled_out(order, platform="Square", most=most),
    )
    assert len(note) <= most
    assert note == whole or (note.endswith(CUT) and whole.startswith(note.removesuffix(CUT)))


@given(orders(), st.integers(100, 2000))
def test_several_notes_have_the_whole_order(order: Order, most: int) -> None:
    whole = spelled_out(order, platform="Square", most=100_000)
    notes = spelled_out_in_parts(order, platform="Square", most=most, most_parts=1_000)
    assert all(len(note) <= most for note in notes)
    if len(whole) <= most:
        assert notes == (whole,)
    joined = flat("".join(notes))
    assert all(flat(line) in joined for line in whole.splitlines())


@given(orders(), st.integers(100, 2000), st.integers(1, 3))
def test_few_notes_end_with_the_cut_where_they_are_too_short(
    order: Order, most: int, count: int
) -> None:
    notes = spelled_out_in_parts(order, platform="Square", most=most, most_parts=count)
    all_notes = spelled_out_in_parts(order, platform="Square", most=most, most_parts=1_000)
    assert len(notes) <= count
    assert all(len(note) <= most for note in notes)
    assert notes == all_notes or notes[-1].endswith(CUT)
    assert notes[:-1] == all_notes[: len(notes) - 1]


def test_notes_of_the_customer_come_before_the_lines() -> None:
    dull: dict[str, Any] = {"item_id": "1", "name": "Latte", "quantity": 1, "unit_price": 0}
    lines = [{**dull, "note": "please cut it in four and pack it apart"}] * 60
    lines.append({**dull, "note": "SEVERE PEANUT ALLERGY"})
    order = Order.model_validate(
        {"id": "o", "code": "B42", "placed_at": "2026-11-27T12:00:00Z", "currency": "AUD"}
        | {"lines": lines, "payments": []}
    )
    first, *_ = spelled_out_in_parts(order, platform="Square", most=500, most_parts=2)
    assert "NOTE ON Latte: SEVERE PEANUT ALLERGY" in first
