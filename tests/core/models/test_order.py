"""An inconsistent order is refused in one line that names the field."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from core.toy import toy_order
from strategies import orders
from tillpost.models.base import explain
from tillpost.models.order import Address, Line, Modifier, Order, Pickup, describe_lines

EXAMPLES = Path(__file__).parents[3] / "docs/examples/orders"
LUNCH: dict[str, Any] = json.loads((EXAMPLES / "lunch-pickup.json").read_text())
LINE: dict[str, Any] = LUNCH["lines"][1]
EVERY_FIELD: dict[str, Any] = json.loads((EXAMPLES / "every-field.json").read_text())
PIZZA: dict[str, Any] = EVERY_FIELD["lines"][0]
DELIVERY = {"type": "delivery"}
COUNTRY = (
    "fulfilment.delivery.address.country: "
    "must be a country's two capital letters (ISO 3166), such as AU"
)
ID = "must be 1 to 40 visible ASCII characters, without spaces"
CURRENCY = "must be a currency's three capital letters (ISO 4217), such as AUD"
AMOUNT = "must be whole minor units: 550 is 5.50 AUD, or 550 JPY"


CHARGE: dict[str, Any] = LUNCH["charges"][0]
OFF = {"name": "OFF", "amount": 1}

DESCRIBED_BY_FASTAPI = """
import warnings
from fastapi import FastAPI
from tillpost import Order

def take(order: Order) -> None: ...

warnings.simplefilter("error")
app = FastAPI()
app.post("/orders")(take)
app.openapi()
"""


def _cheaper(amount: int) -> dict[str, Any]:
    return {"modifier_id": "1", "name": "Smaller", "unit_price": -amount}


def _nested(levels: int, quantity: int = 1) -> dict[str, Any]:
    inner = [_nested(levels - 1, quantity)] if levels > 1 else []
    return {"modifier_id": "1", "name": "Half", "quantity": quantity, "modifiers": inner}


def refusal(**changes: object) -> str:
    with pytest.raises(ValidationError) as refused:
        Order.model_validate(LUNCH | changes)
    return explain(refused.value)


@pytest.mark.parametrize(
    ("name", "total", "due"),
    [("lunch-pickup", 2881, 0), ("scheduled-delivery", 5050, 0), ("every-field", 4567, 1067)],
)
def test_example_orders_come_to_what_is_paid_and_due(name: str, total: int, due: int) -> None:
    order = Order.model_validate(json.loads((EXAMPLES / f"{name}.json").read_text()))
    assert (order.total, order.amount_due) == (total, due)
    assert order.paid == sum(payment.amount for payment in order.payments) == total - due


def test_fastapi_describes_a_handler_of_orders_without_warning() -> None:
    """It runs in a new process: here, an earlier test may have built the model."""
    command = [sys.executable, "-c", DESCRIBED_BY_FASTAPI]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_one_bad_line_is_one_fault() -> None:
    known = toy_order().model_dump(mode="json")
    with pytest.raises(ValidationError) as wrong:
        Order.model_validate({**known, "lines": [{**known["lines"][0], "quantity": 0}]})
    assert [fault["loc"] for fault in wrong.value.errors()] == [("lines", 0, "quantity")]


def test_order_without_lines_is_refused() -> None:
    known = toy_order().model_dump(mode="json")
    with pytest.raises(ValidationError) as wrong:
        Order.model_validate({**known, "lines": []})
    faults = [(fault["loc"], fault["type"]) for fault in wrong.value.errors()]
    assert faults == [(("lines",), "too_short")]
    assert Order.model_json_schema()["properties"]["lines"]["minItems"] == 1


def test_order_without_due_time_is_as_soon_as_possible() -> None:
    assert Order.model_validate(LUNCH).due_at is None


def test_a_due_time_keeps_its_offset() -> None:
    order = Order.model_validate_json((EXAMPLES / "scheduled-delivery.json").read_text())
    assert order.due_at is not None
    assert order.due_at.isoformat() == "2036-11-23T19:00:00+11:00"


@given(orders())
def test_an_order_survives_the_way_to_json_and_back(order: Order) -> None:
    again = Order.model_validate_json(order.model_dump_json())
    assert again == order
    assert again.digest == order.digest
    assert again.total == order.total


@given(orders(), st.integers(1, 10**6))
def test_payments_must_add_up_to_the_total(order: Order, more: int) -> None:
    content = order.model_dump()
    content["payments"] = [*content["payments"], {"method": "voucher", "amount": more}]
    with pytest.raises(ValidationError) as refused:
        Order.model_validate(content)
    start = "payments: with amount_due they add up to" if order.amount_due else "payments: they"
    assert explain(refused.value).startswith(start)


@given(orders(prices_include_tax=False, currency="USD"))
def test_tax_on_top_is_part_of_the_total(order: Order) -> None:
    assume(order.total >= order.tax)  # a rounding of -1 may be left alone without the tax
    assert order.total == order.tax + Order.model_validate(_untaxed(order)).total


def _untaxed(order: Order) -> dict[str, Any]:
    paid = order.total - order.tax
    payments = [{"method": "card", "amount": paid}]
    return order.model_dump() | {"tax": 0, "taxes": [], "amount_due": 0, "payments": payments}


@given(orders())
def test_total_is_its_parts_in_whole_minor_units(order: Order) -> None:
    """The same sum, part by part, with the modifiers taken out of their nesting."""
    total = order.tip + order.tax
    for line in order.lines:
        each = [flat.quantity * flat.modifier.unit_price for flat in line.flat_modifiers()]
        total += line.quantity * (line.unit_price + sum(each))
        total -= sum(discount.amount for discount in line.discounts)
    for charge in order.charges:
        total += charge.amount - sum(discount.amount for discount in charge.discounts)
    total -= sum(discount.amount for discount in order.discounts)
    assert order.total == total == order.paid + order.amount_due


@given(orders())
def test_no_part_of_an_order_comes_to_less_than_nothing(order: Order) -> None:
    assert all(0 <= line.discounted <= line.total for line in order.lines)
    assert all(charge.total >= 0 for charge in order.charges if charge.kind != "rounding")
    assert 0 <= order.paid <= order.total


@given(orders())
def test_lists_are_kept_as_tuples_and_order_has_a_hash(order: Order) -> None:
    as_lists = Order.model_validate(json.loads(order.model_dump_json()))
    assert isinstance(as_lists.lines, tuple)
    assert hash(as_lists) == hash(order)
    assert {as_lists} == {order}


OLD_DIGESTS = {
    "lunch-pickup": "ed7f8c04715b9d1c79ae1b48428093ec2cfdfbc14bcbb2630b60c8b535467e2f",
    "scheduled-delivery": "f10349207de29e8c16eef23aed65c66617a4e0c07a8dfc3b476b26f8cbf12e5c",
}
"""Digests that were computed before later fields were added to the format."""


@pytest.mark.parametrize("name", OLD_DIGESTS)
def test_order_of_first_format_keeps_its_digest(name: str) -> None:
    """An order that is being submitted during an upgrade mustn't pass for another one."""
    written = json.loads((EXAMPLES / f"{name}.json").read_text())
    order = Order.model_validate(written)
    assert "format" not in written
    assert order.digest == OLD_DIGESTS[name]
    assert Order.model_validate_json(order.model_dump_json()).digest == OLD_DIGESTS[name]


@given(orders())
def test_canonical_json_leaves_out_only_defaults(order: Order) -> None:
    assert Order.model_validate_json(order.canonical_json()) == order


def test_metadata_is_no_part_of_the_digest() -> None:
    """It is never sent, so an order with other metadata is the same order."""
    order = Order.model_validate(EVERY_FIELD)
    assert order.metadata
    for metadata in ({}, {"campaign": "winter"}):
        other = Order.model_validate(EVERY_FIELD | {"metadata": metadata})
        assert other.digest == order.digest
        assert other != order


@pytest.mark.parametrize("metadata", [{"campaign": "autumn"}, {}, None])
def test_metadata_is_read_only_in_every_copy(metadata: dict[str, str] | None) -> None:
    content = {name: value for name, value in EVERY_FIELD.items() if name != "metadata"}
    if metadata is not None:
        content["metadata"] = metadata
    order = Order.model_validate(content)
    copies = (
        order,
        order.model_copy(),
        order.model_copy(deep=True),
        copy.deepcopy(order),
        pickle.loads(pickle.dumps(order)),
        Order.model_validate_json(order.canonical_json()),
        Order.model_validate(order.model_dump()),
    )
    for each in copies:
        assert each == order
        assert each.metadata == (metadata or {})
        changeable: Any = each.metadata
        with pytest.raises(TypeError, match="can't be changed"):
            changeable["b"] = "2"
        with pytest.raises(TypeError, match="can't be changed"):
            changeable.update(b="2")
        with pytest.raises(TypeError, match="can't be changed"):
            changeable |= {"b": "2"}
        for name in ("clear", "popitem"):
            with pytest.raises(TypeError, match="can't be changed"):
                getattr(changeable, name)()
        with pytest.raises(TypeError, match="can't be changed"):
            del changeable["campaign"]
        assert each.metadata == (metadata or {})


def test_every_later_field_changes_the_digest() -> None:
    order = Order.model_validate(EVERY_FIELD)
    without: dict[str, object] = {
        "taxes": (),
        "fulfilment": Pickup(due_at=order.due_at),
        "charges": tuple(each.model_copy(update={"taxed": False}) for each in order.charges),
    }
    digests = {order.model_copy(update={name: value}).digest for name, value in without.items()}
    assert len(digests | {order.digest}) == len(without) + 1


def test_modifiers_are_flattened_before_their_own_choices() -> None:
    line = Order.model_validate(EVERY_FIELD).lines[0]
    flat = [
        (each.modifier.name, each.quantity, len(each.parents)) for each in line.flat_modifiers()
    ]
    assert flat == [
        ("Left half", 1, 0),
        ("Margherita", 1, 1),
        ("Extra cheese", 2, 1),
        ("Right half", 1, 0),
        ("Napoli", 1, 1),
        ("No box", 1, 0),
    ]


def test_nested_quantities_are_multiplied_through() -> None:
    inner = Modifier(modifier_id="b", name="Salami", quantity=3, unit_price=10)
    outer = Modifier(modifier_id="a", name="Half", quantity=2, unit_price=100, modifiers=[inner])
    line = Line(item_id="1", name="Pizza", quantity=5, unit_price=1000, modifiers=[outer])
    assert [flat.quantity for flat in line.flat_modifiers()] == [2, 6]
    assert line.total == 5 * (1000 + 2 * (100 + 3 * 10))


def described(schema: object, path: str = "Order") -> Iterator[tuple[str, str]]:
    """Yield every property of a schema, at any depth, with its description."""
    if isinstance(schema, list):
        for part in cast("list[object]", schema):
            yield from described(part, path)
    if not isinstance(schema, dict):
        return
    members = cast("dict[str, Any]", schema)
    for name, field in members.get("properties", {}).items():
        yield f"{path}.{name}", field.get("description", "")
    for name, part in members.items():
        yield from described(part, path if name == "properties" else f"{path}.{name}")


def test_every_field_of_the_json_schema_is_described() -> None:
    schema = Order.model_json_schema()
    properties = dict(described(schema))
    fields = {name for model in schema["$defs"].values() for name in model["properties"]}
    assert {path.rpartition(".")[2] for path in properties} == fields | {*schema["properties"]}
    assert [path for path, text in properties.items() if not text] == []
    for model in (schema, *schema["$defs"].values()):
        assert model["description"]


def test_json_schema_names_the_formats_version() -> None:
    version = Order.model_json_schema()["properties"]["format"]
    assert (version["const"], version["default"]) == ("1", "1")
    assert refusal(format="2").startswith("format: ")
    assert Order.model_validate(LUNCH).format == "1"


@given(orders())
def test_another_content_has_another_fingerprint(order: Order) -> None:
    assert order.model_copy(update={"note": order.note + "!"}).digest != order.digest


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"lines": []}, "lines: must not be empty"),
        ({"priority": "high"}, "priority: isn't a field of it"),
        ({"lines": [LINE | {"size": "L"}]}, "lines[0].size: isn't a field of it"),
        (
            {"lines": [LINE | {"quantity": 0}]},
            "lines[0].quantity: must be 1 or more",
        ),
        ({"currency": "aud"}, f"currency: {CURRENCY}"),
        ({"id": "a b"}, f"id: {ID}"),
        ({"id": "x" * 41}, f"id: {ID}"),
        ({"fulfilment": {}}, "fulfilment.type: is missing"),
        ({"code": "B\n42"}, "code: must be in one line"),
        ({"fulfilment": DELIVERY | {"address": {"line1": "", "country": "au"}}}, COUNTRY),
        (
            {"lines": [LINE, LINE | {"unit_price": 14.5}]},
            f"lines[1].unit_price: {AMOUNT}",
        ),
        (
            {"lines": [LINE | {"unit_price": -1}]},
            "lines[0].unit_price: must be 0 or more",
        ),
        ({"tip": 1.0}, f"tip: {AMOUNT}"),
        (
            {"placed_at": "2026-11-23T11:52:07"},
            "placed_at: needs an offset, like 2026-11-23T19:00:00+11:00",
        ),
        (
            {"fulfilment": {"type": "pickup", "due_at": "2026-11-23T12:30:00"}},
            "fulfilment.pickup.due_at: needs an offset, like 2026-11-23T19:00:00+11:00",
        ),
        ({"fulfilment": {"type": "delivery"}}, "fulfilment.delivery.address: is missing"),
        (
            {"fulfilment": {"type": "dine_in", "table": ""}},
            "fulfilment.dine_in.table: must not be empty",
        ),
        ({"customer": {"name": " "}}, "customer.name: must not be empty"),
        (
            {"tax": 5},
            "tax: goes only with prices_include_tax false; here the prices include the tax",
        ),
        (
            {"discounts": [{"name": "ALL", "amount": 2711}]},
            "discounts: together they take off more than the lines cost",
        ),
        ({"payments": []}, "payments: they add up to 0.00 AUD, but the order's total is 28.81 AUD"),
        (
            {"amount_due": 1},
            "payments: with amount_due they add up to 28.82 AUD, "
            "but the order's total is 28.81 AUD",
        ),
        (
            {"format": "2"},
            "format: must be '1'",
        ),
        (
            {"lines": [LINE | {"item_id": "", "name": ""}]},
            "lines[0]: an item without an id needs a name",
        ),
        (
            {"lines": [PIZZA | {"item_id": ""}]},
            "lines[0].modifiers: an item without an id has no options to choose from",
        ),
        (
            {"lines": [PIZZA | {"unit_price": 100, "modifiers": [_cheaper(101)]}]},
            "lines[0].modifiers: one piece with its modifiers costs less than nothing",
        ),
        (
            {"lines": [LINE | {"modifiers": [_nested(6)]}]},
            "lines[0].modifiers[0].modifiers: choices are nested more than 5 levels deep",
        ),
        (
            {"lines": [LINE | {"modifiers": [_nested(5, quantity=99)]}]},
            "lines[0].modifiers: one piece has more than 9999 of an option",
        ),
        (
            {"lines": [LINE | {"discounts": [{"name": "ALL", "amount": 1451}]}]},
            "lines[0].discounts: together they take off more than the line costs",
        ),
        (
            {"charges": [CHARGE | {"amount": -1}]},
            "charges[0].amount: only a charge of the kind rounding may be negative",
        ),
        (
            {"charges": [CHARGE | {"discounts": [{"name": "ALL", "amount": 272}]}]},
            "charges[0].discounts: together they take off more than the charge",
        ),
        (
            {"charges": [CHARGE | {"kind": "rounding", "taxed": True}]},
            "charges[0].taxed: a rounding isn't taxed",
        ),
        (
            {"charges": [CHARGE | {"kind": "rounding", "discounts": [OFF]}]},
            "charges[0].discounts: a rounding isn't discounted",
        ),
        (
            {"taxes": [{"name": "GST", "amount": 2882}]},
            "taxes: they add up to 28.82 AUD, which is more than the order's total",
        ),
        (
            {"fulfilment": {"type": "dine_in", "table": "7", "guests": 0}},
            "fulfilment.dine_in.guests: must be 1 or more",
        ),
        (
            {"metadata": {"note": "x" * 501}},
            "metadata.note: must have at most 500 characters",
        ),
        (
            {"metadata": {str(number): "" for number in range(51)}},
            "metadata: must have at most 50 members",
        ),
    ],
)
def test_faulty_order_is_refused_in_one_line_naming_field(
    changes: dict[str, object], line: str
) -> None:
    assert refusal(**changes) == line


def test_added_taxes_must_add_up_to_the_tax() -> None:
    with pytest.raises(ValidationError) as refused:
        Order.model_validate(EVERY_FIELD | {"tax": 445})
    assert explain(refused.value).startswith("taxes: they add up to 4.44 CAD, but tax is 4.45 CAD")


def test_order_to_be_paid_at_the_store_has_no_payments() -> None:
    content = {**LUNCH, "amount_due": 2881}
    del content["payments"]
    order = Order.model_validate(content)
    assert (order.total, order.paid, order.payments) == (2881, 0, ())


def test_open_item_has_a_name_and_a_price() -> None:
    corkage = Line(name="Corkage", quantity=2, unit_price=500)
    assert corkage.is_open
    assert corkage.total == 1000


@pytest.mark.parametrize("bad", ["", "a b", "ä", "x" * 41, "a\n"])
def test_an_id_must_fit_every_platforms_reference(bad: str) -> None:
    assert refusal(id=bad).startswith("id: ")


def test_an_address_reads_in_one_line() -> None:
    whole = Address(
        line1="12/8 Wattle St",
        line2="Rear",
        city="Ultimo",
        region="NSW",
        postcode="2007",
        country="AU",
    )
    assert str(whole) == "12/8 Wattle St, Rear, Ultimo NSW 2007, AU"
    assert str(Address(line1="12 Wattle St")) == "12 Wattle St"


def test_lines_are_named_for_people_who_count_from_1() -> None:
    order = Order.model_validate(LUNCH)
    assert describe_lines(order, [1]) == ("BLT toastie (line 2)",)
    assert describe_lines(order, [0, 1, 2, -1]) == (
        "Flat white, regular (line 1)",
        "BLT toastie (line 2)",
    )
