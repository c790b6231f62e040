"""`tillpost order check`: an order is explained, and nothing is sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from core.cli.conftest import EXAMPLES, Command, write_config
from tillpost import OrderError, PosError, Till
from tillpost.models.order import Order
from tillpost.simulator import Running, serve_in_thread
from tillpost_simulators.kounta import KountaSimulator
from tillpost_simulators.square import SquareSimulator

Store = Running[SquareSimulator]

SQUARE = {"platform": "square", "location_id": "L1", "access_token": "env:TOKEN_THAT_IS_NOT_SET"}
KOUNTA = {
    "platform": "kounta",
    "company_id": "1",
    "site_id": "2",
    "payment_method_id": "3",
    "access_token": "not-a-real-token",
}
KOUNTA_PRODUCTS = {"tip_product": "4", "discount_product": "5", "open_item_product": "6"}


def example(name: str = "lunch-pickup", /, **changes: Any) -> str:
    """Write an example order with changes into the working directory, and return its path."""
    order = json.loads((EXAMPLES / f"{name}.json").read_text())
    path = Path("order.json")
    path.write_text(json.dumps(order | changes))
    return str(path)


def only(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the one connection of a printed document."""
    (connection,) = document["connections"]
    found: Mapping[str, Any] = connection
    return found


def test_sums_are_shown_line_by_line(tillpost: Command) -> None:
    result = tillpost("order", "check", example(), "--platform", "generic")
    assert result.code == 0
    for cells in ("1. Flat white, regular", "2 x (5.50 + 0.80)", "12.60 AUD", "28.81 AUD"):
        assert cells in result.out
    assert "Generic POS: would be sent, if the store sells in AUD" in result.out


@pytest.mark.parametrize(
    ("currency", "price", "total"), [("JPY", "2 x 600", "1200 JPY"), ("KWD", "0.600", "1.200 KWD")]
)
def test_amounts_have_the_currencys_own_form(
    currency: str, price: str, total: str, tillpost: Command
) -> None:
    line = {"item_id": "1", "name": "Coffee", "quantity": 2, "unit_price": 600}
    paid = {"method": "card", "amount": 1200}
    changes: dict[str, Any] = {
        "lines": [line],
        "charges": [],
        "discounts": [],
        "tip": 0,
        "payments": [paid],
    }
    order = example(currency=currency, **changes)
    out = tillpost("order", "check", order, "--platform", "generic").out
    assert price in out
    assert total in out


def test_wrong_sum_is_named_with_its_difference(tillpost: Command) -> None:
    path = example(payments=[{"method": "card", "amount": 2781}])
    result = tillpost("order", "check", path)
    assert result.code == 1
    assert "payments: they add up to 27.81 AUD, but the order's total is 28.81 AUD" in result.out
    assert "(1.00 AUD too little)" in result.out
    facts = tillpost("order", "check", path, "--json")
    assert facts.code == 1
    assert facts.json["ok"] is False
    (fault,) = facts.json["faults"]
    assert (fault["field"], fault["off_by"]) == ("payments", -100)
    assert facts.json["connections"] == []


def test_order_is_read_from_standard_input(tillpost: Command) -> None:
    content = b"\xef\xbb\xbf" + (EXAMPLES / "lunch-pickup.json").read_bytes()
    result = tillpost("order", "check", "-", "--platform", "square", "--json", input=content)
    assert result.code == 0
    assert result.json["total"] == 2881


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"{", "isn't JSON: "),
        (b"[1]", "must be an object"),
        (b'{"format": "2"}', "isn't an order: format: must be '1'"),
        (b'{"id": "Mia Chen"}', "isn't an order: id: must be 1 to 40 visible ASCII characters"),
    ],
)
def test_bad_order_begins_with_a_line_that_names_the_field(
    content: bytes, says: str, tillpost: Command
) -> None:
    Path("order.json").write_bytes(content)
    result = tillpost("order", "check", "order.json")
    first, *_ = result.error_lines
    assert first.startswith(f"order.json: {says}")
    assert "Mia Chen" not in result.err


def test_each_fault_of_an_order_has_a_line(tillpost: Command) -> None:
    line = {"item_id": "1", "name": "Coffee", "quantity": 1, "unit_price": 5.5}
    order = example(id="a b", currency="aud", fulfilment={}, format="2", lines=[line])
    assert tillpost("order", "check", order).error_lines == [
        "order.json: format: must be '1'",
        "order.json: id: must be 1 to 40 visible ASCII characters, without spaces",
        "order.json: currency: must be a currency's three capital letters (ISO 4217), such as AUD",
        "order.json: fulfilment.type: is missing",
        "order.json: lines[0].unit_price: must be whole minor units: 550 is 5.50 AUD, or 550 JPY",
    ]


def test_only_the_first_of_many_faults_have_lines(tillpost: Command) -> None:
    order = example(**{f"odd_{number}": 1 for number in range(30)})
    lines = tillpost("order", "check", order).error_lines
    assert len(lines) == 21
    assert lines[-1] == "order.json: and 10 more"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nope.json",), "nope.json: No such file or directory"),
        (("order.json", "--platform", "pasta"), "no adapter for 'pasta'; installed: "),
        (("order.json", "--menu", "nope.json"), "nope.json: No such file or directory"),
        (("order.json", "--menu", "order.json"), "order.json: isn't a menu: site: is missing"),
        (("order.json", "-c", "bar"), "tillpost.toml: No such file or directory"),
        (("order.json", "--config", "no.toml"), "no.toml: No such file or directory"),
        (("order.json", "--platform", "square", "-c", "bar"), "don't go together"),
    ],
)
def test_wrong_usage_is_one_line(arguments: tuple[str, ...], says: str, tillpost: Command) -> None:
    example()
    assert says in tillpost("order", "check", *arguments).error_line


def test_unknown_connection_is_one_line(tillpost: Command) -> None:
    write_config(cafe=SQUARE)
    line = tillpost("order", "check", example(), "-c", "bar").error_line
    assert line == "no connection 'bar'; tillpost.toml has: cafe"


def test_each_connection_is_looked_at_without_tokens(tillpost: Command) -> None:
    """An unset secret isn't missed; another setting that is wrong stops only its connection."""
    bar = {**KOUNTA, **KOUNTA_PRODUCTS}
    write_config(cafe=SQUARE, bar=bar, kiosk={**SQUARE, "location_id": "env:NO_LOCATION"})
    with Path("tillpost.toml").open("a") as file:
        file.write('[connections.bar.charge_products]\nsurcharge = "7"\n')
    result = tillpost("order", "check", example())
    assert result.code == 2
    assert "cafe (Square): would be sent" in result.out
    assert "bar (Kounta): can't be said without the store's menu" in result.out
    assert "kiosk: the connection's settings are wrong" in result.out
    assert "location_id is read from the environment, but NO_LOCATION isn't set" in result.out


def test_missing_setting_is_told_without_a_menu(tillpost: Command) -> None:
    write_config(bar=KOUNTA)
    facts = only(tillpost("order", "check", example(), "--json").json)
    (problem,) = facts["problems"]
    assert problem["error"]["reason"] == "product"
    assert "the setting charge_products names no product" in problem["error"]["detail"]


def test_field_that_platform_cannot_carry_is_named(tillpost: Command) -> None:
    write_config(cafe=SQUARE)
    path = example("every-field")
    result = tillpost("order", "check", path)
    assert result.code == 17
    assert "cafe (Square): would be refused before anything is sent" in result.out
    assert "amount_due: Square doesn't take money to be paid at the store" in result.out
    assert "The order isn't on the register." in " ".join(result.out.split())
    facts = only(tillpost("order", "check", path, "--json").json)
    assert facts["not_taken"] == {"amount_due": "money to be paid at the store"}
    assert facts["problems"][0]["exit_code"] == 17


def test_other_currency_than_the_setting_is_told(tillpost: Command) -> None:
    write_config(cafe={**SQUARE, "currency": "NZD"})
    result = tillpost("order", "check", example())
    assert result.code == 17
    told = " ".join(result.out.split())
    assert "currency: the order is in AUD" in told
    assert "NZD" in told


def test_changes_on_the_way_are_told(tillpost: Command) -> None:
    write_config(cafe=SQUARE)
    customer = {"name": "Mia Chen", "phone": "0400 111 222 ext. 7"}
    past = {"type": "pickup", "due_at": "2020-01-01T12:00:00+00:00"}
    notices = only(
        tillpost("order", "check", example(customer=customer, fulfilment=past), "--json").json
    )["notices"]
    assert len(notices) == 2
    assert "as soon as possible" in notices[0]
    assert "phone number is in the note" in notices[1]


def test_lines_are_looked_up_on_the_menu(tillpost: Command, store: Store) -> None:
    assert tillpost("menu", "import").code == 0
    moved = store.simulator.recreate_variation("5312")
    assert tillpost("menu", "import", "--output", "new.json").code == 0
    path = example()
    assert (
        "Every line is on the menu." in tillpost("order", "check", path, "--menu", "menu.json").out
    )
    facts = tillpost("order", "check", path, "--menu", "new.json", "--json").json
    assert [line["on_menu"] for line in facts["lines"]] == [True, True]
    assert facts["lines"][1]["item_id"] == moved

    gone = {"item_id": "9", "name": "Pavlova", "quantity": 1, "unit_price": 1450}
    lines = json.loads(Path(path).read_text())["lines"]
    path = example(lines=[lines[0], gone])
    result = tillpost("order", "check", path, "--menu", "new.json")
    assert result.code == 10
    assert "Not on the menu, or not with these choices: Pavlova (line 2)" in result.out
    assert "MenuError" in result.out


def test_menu_belongs_to_one_connection(tillpost: Command, store: Store) -> None:
    assert tillpost("menu", "import").code == 0
    write_config(cafe=SQUARE, bar=KOUNTA)
    line = tillpost("order", "check", example(), "--menu", "menu.json").error_line
    assert line == "whose menu is it? Name one with --connection: cafe, bar"


def _errors(till: Till, order: Order) -> PosError:
    with pytest.raises(PosError) as refused:
        till.submit(order, is_new=True)
    return refused.value


REFUSED: Mapping[str, Mapping[str, Any]] = {
    "payment's reference": {
        "payments": [{"method": "card", "amount": 2881, "reference": "x" * 300}]
    },
    "note": {"note": "no nuts " * 4000},
    "past time": {
        "fulfilment": {"type": "pickup", "due_at": "2020-01-01T12:00:00+00:00"},
    },
}


@pytest.mark.parametrize("change", REFUSED.values(), ids=REFUSED)
def test_refusal_is_the_one_that_submitting_raises(
    change: Mapping[str, Any], tillpost: Command, store: Store
) -> None:
    with Path("tillpost.toml").open("a") as file:
        file.write('past_due = "refuse"\n')  # the policy is the last table
    path = example(**change)
    facts = only(tillpost("order", "check", path, "--json").json)
    assert not store.simulator.ledger().entries
    with Till.from_config("cafe") as till:
        error = _errors(till, Order.model_validate_json(Path(path).read_bytes()))
    assert isinstance(error, OrderError)
    assert facts["problems"][0]["error"]["detail"] == error.detail


def test_kounta_names_setting_that_an_order_needs(tillpost: Command) -> None:
    with serve_in_thread(KountaSimulator()) as running:
        write_config(bar={**running.settings, "platform": "kounta", "import_pace": 0})
        assert tillpost("menu", "import").code == 0
    open_item = {"name": "Corkage", "quantity": 1, "unit_price": 500}
    paid = {"method": "card", "amount": 500}
    changes: dict[str, Any] = {
        "lines": [open_item],
        "charges": [],
        "discounts": [],
        "tip": 0,
        "payments": [paid],
    }
    result = tillpost("order", "check", example(**changes), "--menu", "menu.json")
    assert result.code == 18
    assert "lines[0].item_id: 'Corkage' isn't on the menu" in result.out
