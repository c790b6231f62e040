from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from plugins.simulators.kounta.caller import Caller, Json, Start, line
from tillpost_simulators.kounta import KountaSettings


def everything(cafe: Caller, path: str, **query: str) -> list[Json]:
    answer = cafe.get(path, **query)
    found: list[Json] = answer.json()
    while "X-Next-Page" in answer.headers:
        answer = cafe.ask("GET", answer.headers["X-Next-Page"])
        found += answer.json()
    return found


def test_site_products_take_two_pages_and_have_show_online(cafe: Caller) -> None:
    assert len(cafe.listed("sites/2301/products")) == 25
    products = {product["id"]: product for product in everything(cafe, "sites/2301/products")}
    assert len(products) > 25
    assert (products[7302]["code"], products[7302]["unit_price"]) == ("FW-R", 5)
    assert products[5312]["unit_price"] == 13.1818
    assert (products[6106]["show_online"], products[7302]["show_online"]) == (False, True)
    assert "taxes" not in products[7302]


def test_product_at_no_site_is_listed_for_the_company_only(cafe: Caller) -> None:
    assert 8196213 not in {product["id"] for product in everything(cafe, "sites/2301/products")}
    assert cafe.get("products/8196213").json()["sites"] == []
    assert cafe.get("sites/2301/products/8196213").status_code == 404
    assert cafe.get("products/1").status_code == 404
    assert cafe.get("sites/1/products").status_code == 404


def test_optional_fields_are_added_on_request(cafe: Caller) -> None:
    fields = "categories,option_sets,availability,unit_price_ex_tax,unit_tax,variants,docket_name"
    products = {
        product["id"]: product for product in everything(cafe, "sites/2301/products", fields=fields)
    }
    assert products[7302]["categories"] == [{"id": 1, "name": "Coffee"}]
    assert (products[5312]["unit_price_ex_tax"], products[5312]["unit_tax"]) == (13.1818, 1.32)
    assert products[6101]["availability"] == {"is_available": False}
    cooked, sauces = products[5320]["option_sets"]
    assert (cooked["name"], cooked["min"], cooked["max"]) == ("How cooked", 1, 1)
    assert [(option["product_id"], option["unit_price"]) for option in sauces["options"]] == [
        (250, 0),
        (251, 1.3636),
        (252, 0.4545),
    ]
    assert "categories" not in cafe.listed("sites/2301/products")[0]


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ({"sku": "BLT"}, [5312]),
        ({"name": "flat"}, [7302, 7303]),
        ({"exactname": "Long black"}, [7310]),
        ({"ids": "228,5312"}, [5312, 228]),
        ({"is_available": "false"}, [6101]),
        ({"tag": "none"}, []),
    ],
)
def test_query_filters_products(cafe: Caller, query: dict[str, str], ids: list[int]) -> None:
    assert [product["id"] for product in everything(cafe, "sites/2301/products", **query)] == ids


def test_products_are_listed_by_category(cafe: Caller) -> None:
    assert [product["id"] for product in cafe.listed("categories/1/products")] == [7302, 7303, 7310]
    assert [product["id"] for product in cafe.listed("sites/985/categories/2/products")] == [6104]


def test_single_product_has_taxes_code_and_sites(cafe: Caller) -> None:
    product = cafe.get("products/7302").json()
    assert (product["code"], product["stock"]) == ("FW-R", 200)
    assert product["taxes"] == [{"id": 829, "code": "GST", "name": "GST", "rate": 0.1}]
    assert product["sites"] == [{"id": 2301, "stock": 100}, {"id": 985, "stock": 100}]
    flat = cafe.get("sites/2301/products/7302").json()
    assert (flat["stock"], flat["show_online"], "sites" in flat) == (100, True, False)
    assert cafe.get("sites/2301/products/6103").json()["taxes"] == []


def test_setting_puts_taxes_into_lists(start: Start) -> None:
    with start(KountaSettings(taxes_in_lists=True)) as cafe:
        assert cafe.listed("products")[0]["taxes"][0]["rate"] == 0.1


def test_modifiers_of_a_product_are_listed(cafe: Caller) -> None:
    modifiers = cafe.listed("products/7302/modifiers")
    assert [(modifier["id"], modifier["unit_price"]) for modifier in modifiers][:2] == [
        (228, 0.7273),
        (229, 0.6364),
    ]
    assert cafe.listed("products/5312/modifiers") == []


def test_product_can_mix_option_sets_with_modifiers(cafe: Caller) -> None:
    assert cafe.get("sites/2301/products/5330").json()["option_sets"]
    assert cafe.listed("products/5330/modifiers")


def test_categories_taxes_price_lists_payment_methods_are_listed(cafe: Caller) -> None:
    assert [category["name"] for category in cafe.listed("categories")] == [
        "Coffee",
        "Food",
        "Other",
        "Extras",
    ]
    assert [category["id"] for category in cafe.listed("sites/985/categories")] == [1, 2]
    assert cafe.listed("products/7302/categories")[0]["name"] == "Coffee"
    assert [tax["rate"] for tax in cafe.listed("taxes")] == [0.1, 0.29]
    assert [prices["parent_id"] for prices in cafe.listed("price_lists")] == [None, 201]
    assert cafe.get("price_lists/236").json()["products"][0]["unit_price"] == 4.7273
    assert cafe.get("price_lists/base").json()["id"] == 201
    assert cafe.get("price_lists/1").status_code == 404
    assert {"id": 12, "name": "Online"} in cafe.listed("payment_methods")
    assert {"id": 6102, "stock": 0} in everything(cafe, "sites/2301/inventory") + cafe.listed(
        "sites/2301/inventory"
    )


def test_menu_actions_change_the_menu(cafe: Caller) -> None:
    act = cafe.simulator
    new_id = act.recreate_product(6105)
    assert cafe.get("sites/2301/products/6105").status_code == 404
    recreated = cafe.get(f"sites/2301/products/{new_id}").json()
    assert (recreated["code"], recreated["unit_price"]) == ("MUF", 4.7273)
    milk = act.recreate_product(228)
    assert cafe.listed("products/7302/modifiers")[0]["id"] == milk
    act.rename_product(7302, "Piccolo")
    act.remove_product(5312)
    act.withdraw(7310)
    act.add_product(1, "Pie", Decimal("8.1818"), "PIE")
    assert cafe.get("sites/2301/products/7302").json()["name"] == "Piccolo"
    assert cafe.refusal(line(5312)) == "Product #5312 is not available at that site."
    assert cafe.refusal(line(7310)) == "Product #7310 is not available at that site."
    assert cafe.place(line(1))
    act.withdraw(7310, withdrawn=False)
    assert cafe.place(line(7310))


def test_sold_out_hidden_and_stock_are_shown_in_products(cafe: Caller) -> None:
    act = cafe.simulator
    act.sell_out(7302)
    assert cafe.refusal(line(7302))
    act.sell_out(7302, sold_out=False)
    act.hide_online(7302)
    act.set_stock(7302, Decimal(3))
    product = cafe.get("sites/2301/products/7302").json()
    assert (product["show_online"], product["stock"]) == (False, 3)
    act.set_stock(7302, None)
    assert 7302 not in {entry["id"] for entry in cafe.listed("sites/2301/inventory")}


def test_options_of_a_product_can_be_changed(cafe: Caller) -> None:
    act = cafe.simulator
    act.add_option_set(70, "Milk", [228, 229], minimum=3, maximum=1)
    act.set_options_of(7302, option_set_ids=[70], modifier_ids=[231])
    (milk,) = cafe.get("sites/2301/products/7302").json()["option_sets"]
    assert (milk["min"], milk["max"], len(milk["options"])) == (3, 1, 2)
    assert [modifier["id"] for modifier in cafe.listed("products/7302/modifiers")] == [231]


def test_changing_unknown_ids_raises_lookup_error(cafe: Caller) -> None:
    act = cafe.simulator
    changes: list[Callable[[], None]] = [
        lambda: act.remove_product(1),
        lambda: act.sell_out(8196213),
        lambda: act.change_price(7302, Decimal(1), 9),
        lambda: act.set_taxes_of(7302, [1]),
        lambda: act.switch_site(online=False, site_id=1),
        lambda: act.revoke_token("none"),
        lambda: act.set_pass_thru(1),
    ]
    for change in changes:
        with pytest.raises(LookupError):
            change()
    with pytest.raises(ValueError, match="already"):
        act.add_product(7302, "Twice", Decimal(1))


def test_unstocked_menu_is_empty(start: Start) -> None:
    with start(KountaSettings(stocked=False)) as cafe:
        assert cafe.listed("products") == []
