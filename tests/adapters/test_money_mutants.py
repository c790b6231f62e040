"""The test of random orders notices each thing that an adapter might lose or bend on the way.

Each mutant is an adapter that sends another order than it was given, at the same total.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, TypeVar

import pytest
from pydantic import BaseModel

from adapters.menu_shops import PLATFORMS
from adapters.money_orders import SECRET
from adapters.money_shops import MODELS
from adapters.test_money import assert_all_arrive
from tillpost.models.menu import Menu
from tillpost.models.names import OtherName
from tillpost.models.order import Charge, DineIn, Discount, Line, Modifier, Order, Pickup
from tillpost.models.safe_text import one_line
from tillpost.submission.outgoing import bound
from tillpost_generic.adapter import Generic
from tillpost_kounta import translation as kounta_translation
from tillpost_kounta.adapter import Kounta
from tillpost_square import translation as square_translation
from tillpost_square.adapter import Square

pytestmark = pytest.mark.slow

ADAPTERS: Mapping[str, Any] = {"generic": Generic, "kounta": Kounta, "square": Square}
ORDERS = 12
"""Orders of each tax model: enough that each part occurs."""

Change = Callable[[Order], Order]


M = TypeVar("M", bound=BaseModel)


def changed(part: M, **update: object) -> M:
    return part.model_copy(update=update)


def on_lines(change: Callable[[Line], Line]) -> Change:
    return lambda order: changed(order, lines=tuple(map(change, order.lines)))


def on_charges(change: Callable[[Charge], Charge]) -> Change:
    return lambda order: changed(order, charges=tuple(map(change, order.charges)))


def on_customer(**update: Any) -> Change:
    def change(order: Order) -> Order:
        return changed(order, customer=order.customer and changed(order.customer, **update))

    return change


def on_fulfilment(**update: Any) -> Change:
    def change(order: Order) -> Order:
        known = {name: update[name] for name in update if hasattr(order.fulfilment, name)}
        return changed(order, fulfilment=changed(order.fulfilment, **known))

    return change


def on_address(**update: Any) -> Change:
    def change(order: Order) -> Order:
        address = getattr(order.fulfilment, "address", None)
        fulfilment = changed(order.fulfilment, address=address and changed(address, **update))
        return changed(order, fulfilment=fulfilment) if address else order

    return change


def on_payments(**update: Any) -> Change:
    return lambda order: changed(
        order, payments=tuple(changed(each, **update) for each in order.payments)
    )


def renamed(discounts: Sequence[Discount]) -> Sequence[Discount]:
    return tuple(changed(each, name="Discount") for each in discounts)


def flat(line: Line) -> Line:
    """Lose what belongs to what."""
    modifiers = [
        changed(each.modifier, quantity=each.quantity, modifiers=())
        for each in line.flat_modifiers()
    ]
    return changed(line, modifiers=tuple(modifiers))


def without_free_choices(line: Line) -> Line:
    return changed(line, modifiers=tuple(each for each in line.modifiers if each.total))


def with_choices_in_the_price(line: Line) -> Line:
    """Lose the choices, and keep what they cost."""
    return line if line.is_open else changed(line, modifiers=(), unit_price=each_of(line))


def each_of(line: Line) -> int:
    return line.total // line.quantity


def one_of_each(line: Line) -> Line:
    """Send one of a choice that was chosen several times, at the price of all."""

    def one(modifier: Modifier) -> Modifier:
        return changed(modifier, quantity=1, unit_price=modifier.quantity * modifier.unit_price)

    return changed(line, modifiers=tuple(map(one, line.modifiers)))


def as_one_piece(line: Line) -> Line:
    price = line.total - sum(each.total for each in line.modifiers)
    return changed(line, quantity=1, unit_price=price)


def without_free_lines(order: Order) -> Order:
    paid = [line for line in order.lines if line.total]
    return changed(order, lines=tuple(paid or order.lines))


def swapped_notes(order: Order) -> Order:
    notes = [line.note for line in order.lines]
    pairs = zip(order.lines, [*notes[1:], notes[0]], strict=True)
    return changed(order, lines=tuple(changed(line, note=note) for line, note in pairs))


def discounts_on_the_order(order: Order) -> Order:
    """Take the lines' discounts off the whole order."""
    moved = [each for line in order.lines for each in line.discounts]
    lines = [changed(line, discounts=()) for line in order.lines]
    return changed(order, lines=tuple(lines), discounts=(*order.discounts, *moved))


def discounts_in_one(order: Order) -> Order:
    """Put the whole order's discounts and all charges' into one."""
    amount = sum(each.amount for each in order.discounts)
    if len(order.discounts) + sum(len(line.discounts) for line in order.lines) < 2 or not amount:
        return order
    names = " ".join(each.name for each in order.discounts)
    lines = [changed(line, discounts=renamed(line.discounts)) for line in order.lines]
    return changed(order, discounts=(Discount(name=names, amount=amount),), lines=tuple(lines))


def discounted_charges(charge: Charge) -> Charge:
    """Send what is left of a charge as if it had cost no more."""
    return changed(charge, amount=charge.total, discounts=())


def swapped_charges(order: Order) -> Order:
    names = [each.name for each in order.charges]
    if len(names) < 2 or len({(each.total, each.kind) for each in order.charges}) < 2:
        return order
    pairs = zip(order.charges, reversed(names), strict=True)
    return changed(order, charges=tuple(changed(each, name=name) for each, name in pairs))


def tip_as_a_charge(order: Order) -> Order:
    if not order.tip:
        return order
    tip = Charge(kind="service", name="Service", amount=order.tip)
    return changed(order, tip=0, charges=(*order.charges, tip))


def all_paid(order: Order) -> Order:
    """Book as paid what is due at the store."""
    if not order.amount_due or not order.payments:
        return order
    first, *others = order.payments
    whole = changed(first, amount=first.amount + order.amount_due)
    return changed(order, amount_due=0, payments=(whole, *others))


def cut(text: str) -> str:
    """Lose the last words of a long text."""
    return " ".join(text.split(" ")[:100])


def with_metadata(order: Order) -> Order:
    return changed(order, note=f"{order.note} {SECRET}")


def without_its_name(line: Line) -> Line:
    """Lose the name of what was ordered, where the register has the menu's."""
    if line.is_open:
        return line
    return changed(line, name="Item", note=unnamed(line.note, line.name))


def without_names_of_choices(line: Line) -> Line:
    note = line.note
    for flat in line.flat_modifiers():
        note = unnamed(note, flat.modifier.name)
    return changed(line, note=note, modifiers=tuple(map(renamed_choice, line.modifiers)))


def renamed_choice(modifier: Modifier) -> Modifier:
    return changed(
        modifier, name="Choice", modifiers=tuple(map(renamed_choice, modifier.modifiers))
    )


def unnamed(note: str, name: str) -> str:
    """Return a line's note without what core has added of a name."""
    kept = [line for line in note.split("\n") if f"ORDERED AS: {one_line(name)} " not in line]
    return "\n".join(kept)


def at_another_table(order: Order) -> Order:
    is_dine_in = isinstance(order.fulfilment, DineIn)
    return changed(order, fulfilment=changed(order.fulfilment, table="8")) if is_dine_in else order


def as_pickup(order: Order) -> Order:
    return changed(order, fulfilment=Pickup(due_at=order.due_at))


MUTANTS: Mapping[str, Change] = {
    "no note": lambda order: changed(order, note=""),
    "note without its end": lambda order: changed(order, note=cut(order.note)),
    "no notes of lines": on_lines(lambda line: changed(line, note="")),
    "notes of lines without their end": on_lines(lambda line: changed(line, note=cut(line.note))),
    "notes of other lines": swapped_notes,
    "another code": lambda order: changed(order, code="X"),
    "no customer": lambda order: changed(order, customer=None),
    "another name": on_customer(name="Mia"),
    "no phone number": on_customer(phone=""),
    "no e-mail address": on_customer(email=""),
    "no time": on_fulfilment(due_at=None),
    "no curbside": on_fulfilment(curbside=None),
    "no guests": on_fulfilment(guests=None),
    "another table": at_another_table,
    "no instructions": on_fulfilment(instructions=""),
    "always a pickup": as_pickup,
    "no street": on_address(line1="?"),
    "no flat": on_address(line2=""),
    "no postcode": on_address(postcode=""),
    "no names of items": on_lines(without_its_name),
    "no names of choices": on_lines(without_names_of_choices),
    "choices side by side": on_lines(flat),
    "no free choices": on_lines(without_free_choices),
    "choices in the price": on_lines(with_choices_in_the_price),
    "one of each choice": on_lines(one_of_each),
    "one piece of each line": on_lines(as_one_piece),
    "no free lines": without_free_lines,
    "lines in another sequence": lambda order: changed(order, lines=order.lines[::-1]),
    "open items without a name": on_lines(
        lambda line: changed(line, name="Item") if line.is_open else line
    ),
    "discounts without a name": lambda order: changed(order, discounts=renamed(order.discounts)),
    "lines' discounts without a name": on_lines(
        lambda line: changed(line, discounts=renamed(line.discounts))
    ),
    "charges' discounts without a name": on_charges(
        lambda charge: changed(charge, discounts=renamed(charge.discounts))
    ),
    "charges without their discounts": on_charges(discounted_charges),
    "lines' discounts on the order": discounts_on_the_order,
    "discounts in one": discounts_in_one,
    "charges without a name": on_charges(lambda charge: changed(charge, name="Charge")),
    "charges under another's name": swapped_charges,
    "tip as a charge": tip_as_a_charge,
    "other ways of payment": on_payments(method="online"),
    "no references of payments": on_payments(reference=""),
    "what is due booked as paid": all_paid,
    "metadata in the note": with_metadata,
}

CASES = [
    (platform, mutant)
    for platform in PLATFORMS
    for mutant in MUTANTS
    # An order with an amount due never comes to Square's adapter.
    if (platform, mutant) != ("square", "what is due booked as paid")
]


def submit_orders(platform: str, count: int) -> None:
    """Submit so many random orders of each tax model, and compare them with the register."""
    for model in MODELS:
        assert_all_arrive(platform, model, Random(f"{platform} {model.name}"), count)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_adapter_that_loses_nothing_passes(platform: str) -> None:
    submit_orders(platform, 4 * ORDERS)


@pytest.mark.parametrize(("platform", "mutant"), CASES)
def test_adapter_that_loses_a_part_of_orders_is_noticed(
    platform: str, mutant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = MUTANTS[mutant]
    adapter = ADAPTERS[platform]
    submit = adapter.submit

    def submit_another(self: Any, order: Order, attempt: Any) -> Any:
        return submit(self, change(order), attempt)

    monkeypatch.setattr(adapter, "submit", submit_another)
    with pytest.raises(AssertionError):
        submit_orders(platform, ORDERS)


TAX_NOTICES = {
    "generic": "tillpost_generic.adapter.tax_difference",
    "kounta": "tillpost.adapter.net_order.tax_difference",
    "square": "tillpost_square.rounding.tax_difference",
}
"""What says that the register's tax isn't the order's."""


@pytest.mark.parametrize("platform", PLATFORMS)
def test_adapter_that_keeps_another_tax_to_itself_is_noticed(
    platform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_notice(*_: Any) -> None:
        return None

    monkeypatch.setattr(TAX_NOTICES[platform], no_notice)
    with pytest.raises(AssertionError):
        submit_orders(platform, 4 * ORDERS)


def test_adapter_that_names_no_taxed_product_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_notices(*_: Any) -> list[str]:
        return []

    monkeypatch.setattr("tillpost_kounta.translation.tax_notices", no_notices)
    with pytest.raises(AssertionError):
        submit_orders("kounta", 4 * ORDERS)


def test_charge_with_the_lines_taxes_only_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def with_lines_taxes(order: Order, menu: Menu, places: Sequence[int]) -> Sequence[Any]:
        return [menu.taxes[:1]] * len(places)

    monkeypatch.setattr("tillpost_square.adjustments.taxes_of_charges", with_lines_taxes)
    with pytest.raises(AssertionError):
        submit_orders("square", 4 * ORDERS)


@pytest.mark.parametrize("platform", ["square", "kounta"])
def test_core_that_gives_no_notices_of_names_is_noticed(
    platform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_notice(*_: Any, **__: Any) -> str:
        return ""

    def without_notices(*arguments: Any) -> Any:
        return bound(*arguments)._replace(notices=())

    monkeypatch.setattr("tillpost.submission.order_menu.bound", without_notices)
    monkeypatch.setattr(OtherName, "notice", no_notice)
    with pytest.raises(AssertionError):
        submit_orders(platform, ORDERS)


@pytest.mark.parametrize(
    ("platform", "translate"),
    [("square", square_translation.translate), ("kounta", kounta_translation.translate)],
)
def test_adapter_that_gives_no_notices_is_noticed(
    platform: str, translate: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_notices(*arguments: Any) -> Any:
        return translate(*arguments)._replace(notices=())

    monkeypatch.setattr(f"tillpost_{platform}.adapter.translate", without_notices)
    with pytest.raises(AssertionError):
        submit_orders(platform, 4 * ORDERS)
