from __future__ import annotations

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


def products_at_site(cafe: Caller, **query: str) -> dict[int, Json]:
    """Return every product of the site by its id."""
    products = everything(cafe, "sites/2301/products", **query)
    return {product["id"]: product for product in products}


def at_site(cafe: Caller, product_id: int) -> Json:
    """Return one product as the site has it."""
    product: Json = cafe.get(f"sites/2301/products/{product_id}").json()
    return product


def status_of(cafe: Caller, path: str) -> int:
    return cafe.get(path).status_code


def ids_in(cafe: Caller, path: str) -> list[int]:
    """Return the ids of one page of a list."""
    return [entry["id"] for entry in cafe.listed(path)]


def test_site_products_take_two_pages_and_have_show_online(cafe: Caller) -> None:
    first_page = cafe.listed("sites/2301/products")
    assert len(first_page) == 25
    products = products_at_site(cafe)
    assert len(products) > 25
    coffee = products[7302]
    assert coffee["code"] == "FW-R"
    assert coffee["unit_price"] == 5
    assert coffee["show_online"] is True
    assert "taxes" not in coffee
    assert products[5312]["unit_price"] == 13.1818
    assert products[6106]["show_online"] is False


def test_product_at_no_site_is_listed_for_the_company_only(cafe: Caller) -> None:
    assert 8196213 not in products_at_site(cafe)
    product = cafe.get("products/8196213").json()
    assert product["sites"] == []
    assert status_of(cafe, "sites/2301/products/8196213") == 404
    assert status_of(cafe, "products/1") == 404
    assert status_of(cafe, "sites/1/products") == 404


def test_optional_fields_are_added_on_request(cafe: Caller) -> None:
    fields = "categories,option_sets,availability,unit_price_ex_tax,unit_tax,variants,docket_name"
    products = products_at_site(cafe, fields=fields)
    assert products[7302]["categories"] == [{"id": 1, "name": "Coffee"}]
    toastie = products[5312]
    assert toastie["unit_price_ex_tax"] == 13.1818
    assert toastie["unit_tax"] == 1.32
    assert products[6101]["availability"] == {"is_available": False}

    cooked, sauces = products[5320]["option_sets"]
    assert cooked["name"] == "How cooked"
    assert (cooked["min"], cooked["max"]) == (1, 1)
    prices = {option["product_id"]: option["unit_price"] for option in sauces["options"]}
    assert prices == {250: 0, 251: 1.3636, 252: 0.4545}

    first_without = cafe.listed("sites/2301/products")[0]
    assert "categories" not in first_without


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
    found = everything(cafe, "sites/2301/products", **query)
    assert [product["id"] for product in found] == ids


def test_products_are_listed_by_category(cafe: Caller) -> None:
    assert ids_in(cafe, "categories/1/products") == [7302, 7303, 7310]
    assert ids_in(cafe, "sites/985/categories/2/products") == [6104]


def test_single_product_has_taxes_code_and_sites(cafe: Caller) -> None:
    product = cafe.get("products/7302").json()
    assert product["code"] == "FW-R"
    assert product["stock"] == 200
    gst = {
        "id": 829,
        "code": "GST",
        "name": "GST",
        "rate": 0.1,
    }
    assert product["taxes"] == [gst]
    assert product["sites"] == [
        {"id": 2301, "stock": 100},
        {"id": 985, "stock": 100},
    ]

    product_at_site = at_site(cafe, 7302)
    assert product_at_site["stock"] == 100
    assert product_at_site["show_online"] is True
    assert "sites" not in product_at_site
    assert at_site(cafe, 6103)["taxes"] == []


def test_setting_puts_taxes_into_lists(start: Start) -> None:
    with start(KountaSettings(taxes_in_lists=True)) as cafe:
        first = cafe.listed("products")[0]
        assert first["taxes"][0]["rate"] == 0.1


def test_modifiers_of_a_product_are_listed(cafe: Caller) -> None:
    first, second, *_ = cafe.listed("products/7302/modifiers")
    assert (first["id"], first["unit_price"]) == (228, 0.7273)
    assert (second["id"], second["unit_price"]) == (229, 0.6364)
    assert cafe.listed("products/5312/modifiers") == []


def test_product_can_mix_option_sets_with_modifiers(cafe: Caller) -> None:
    product = at_site(cafe, 5330)
    assert product["option_sets"]
    assert cafe.listed("products/5330/modifiers")


def test_categories_taxes_price_lists_payment_methods_are_listed(cafe: Caller) -> None:
    names = [category["name"] for category in cafe.listed("categories")]
    assert names == ["Coffee", "Food", "Other", "Extras"]
    assert ids_in(cafe, "sites/985/categories") == [1, 2]
    first_category = cafe.listed("products/7302/categories")[0]
    assert first_category["name"] == "Coffee"

    rates = [tax["rate"] for tax in cafe.listed("taxes")]
    assert rates == [0.1, 0.29]

    parents = [prices["parent_id"] for prices in cafe.listed("price_lists")]
    assert parents == [None, 201]
    price_list = cafe.get("price_lists/236").json()
    first_price = price_list["products"][0]
    assert first_price["unit_price"] == 4.7273
    base_list = cafe.get("price_lists/base").json()
    assert base_list["id"] == 201
    assert status_of(cafe, "price_lists/1") == 404

    assert {"id": 12, "name": "Online"} in cafe.listed("payment_methods")
    inventory = everything(cafe, "sites/2301/inventory")
    assert {"id": 6102, "stock": 0} in inventory


def test_menu_actions_change_the_menu(cafe: Caller) -> None:
    act = cafe.simulator

    new_id = act.recreate_product(6105)
    assert status_of(cafe, "sites/2301/products/6105") == 404
    recreated = at_site(cafe, new_id)
    assert recreated["code"] == "MUF"
    assert recreated["unit_price"] == 4.7273
    milk = act.recreate_product(228)
    assert ids_in(cafe, "products/7302/modifiers")[0] == milk

    act.rename_product(7302, "Piccolo")
    assert at_site(cafe, 7302)["name"] == "Piccolo"
    act.remove_product(5312)
    refusal = cafe.refusal(line(5312))
    assert refusal == "Product #5312 is not available at that site."
    act.withdraw(7310)
    refusal = cafe.refusal(line(7310))
    assert refusal == "Product #7310 is not available at that site."

    act.add_product(1, "Pie", Decimal("8.1818"), "PIE")
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
    product = at_site(cafe, 7302)
    assert product["show_online"] is False
    assert product["stock"] == 3
    act.set_stock(7302, None)
    assert 7302 not in ids_in(cafe, "sites/2301/inventory")


def test_options_of_a_product_can_be_changed(cafe: Caller) -> None:
    act = cafe.simulator
    act.add_option_set(
        70,
        "Milk",
        [228, 229],
        minimum=3,
        maximum=1,
    )
    act.set_options_of(7302, option_set_ids=[70], modifier_ids=[231])
    product = at_site(cafe, 7302)
    (milk,) = product["option_sets"]
    assert milk["min"] == 3
    assert milk["max"] == 1
    assert len(milk["options"]) == 2
    assert ids_in(cafe, "products/7302/modifiers") == [231]


def test_changing_unknown_ids_raises_lookup_error(cafe: Caller) -> None:
    act = cafe.simulator
    with pytest.raises(LookupError):
        act.remove_product(1)
    with pytest.raises(LookupError):
        act.sell_out(8196213)
    with pytest.raises(LookupError):
        act.change_price(7302, Decimal(1), 9)
    with pytest.raises(LookupError):
        act.set_taxes_of(7302, [1])
    with pytest.raises(LookupError):
        act.switch_site(online=False, site_id=1)
    with pytest.raises(LookupError):
        act.revoke_token("none")
    with pytest.raises(LookupError):
        act.set_pass_thru(1)
    with pytest.raises(ValueError, match="already"):
        act.add_product(7302, "Twice", Decimal(1))


def test_unstocked_menu_is_empty(start: Start) -> None:
    with start(KountaSettings(stocked=False)) as cafe:
        assert cafe.listed("products") == []
