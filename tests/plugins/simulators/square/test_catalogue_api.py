from __future__ import annotations

from typing import Any, cast

from plugins.simulators.square.shop import Json, Shop, aud, line, pickup
from tillpost.simulator import serve_in_thread
from tillpost_simulators.square import SquareSimulator, WorldSettings


def listed(shop: Shop, **query: str) -> list[Json]:
    """Return every object of a list, over all its pages."""
    found: list[Json] = []
    while True:
        answer = shop.get("/v2/catalog/list", **query)
        assert answer.status == 200, answer.body
        found += answer.body.get("objects", [])
        if "cursor" not in answer.body:
            return found
        query = query | {"cursor": answer.body["cursor"]}


def searched(shop: Shop, **body: object) -> list[Json]:
    return cast("list[Json]", shop.post("/v2/catalog/search", body).body.get("objects", []))


def variation(shop: Shop, variation_id: str) -> Json:
    return cast("Json", shop.get(f"/v2/catalog/object/{variation_id}").body["object"])


def test_menu_fits_the_sample_orders(shop: Shop) -> None:
    flat_white = variation(shop, "7302")["item_variation_data"]
    assert (flat_white["sku"], flat_white["name"], flat_white["price_money"]) == (
        "FW-R",
        "regular",
        aud(550),
    )
    toastie = variation(shop, "5312")["item_variation_data"]
    assert (toastie["sku"], toastie["price_money"]) == ("BLT", aud(1450))
    assert variation(shop, "228")["modifier_data"]["price_money"] == aud(80)


def test_list_goes_through_all_pages() -> None:
    with serve_in_thread(SquareSimulator(WorldSettings(page_size=3))) as running:
        shop = Shop(running)
        ids = [entry["id"] for entry in listed(shop, types="ITEM,MODIFIER_LIST,CATEGORY,TAX")]
        assert len(ids) == len(set(ids)) == 10 + 4 + 3 + 1
        shop.client.close()


def test_list_takes_types_in_any_case_and_refuses_unknown(shop: Shop) -> None:
    assert {entry["type"] for entry in listed(shop, types="item,tax")} == {"ITEM", "TAX"}
    assert shop.get("/v2/catalog/list", types="ITEM,SANDWICH").error == (
        "INVALID_ENUM_VALUE",
        "types",
    )
    assert shop.get("/v2/catalog/list", cursor="x").error == ("INVALID_CURSOR", "cursor")


def test_item_has_variations_taxes_categories_modifier_lists(shop: Shop) -> None:
    burger = next(entry for entry in listed(shop, types="ITEM") if entry["id"] == "ITEM-BURGER")[
        "item_data"
    ]
    assert [entry["id"] for entry in burger["variations"]] == ["5320"]
    assert burger["tax_ids"] == ["TAX-GST"]
    limits = {info["modifier_list_id"]: info for info in burger["modifier_list_info"]}
    assert (
        limits["ML-COOKING"]["min_selected_modifiers"],
        limits["ML-SAUCES"]["min_selected_modifiers"],
    ) == (1, -1)


def test_presence_price_and_sold_out_differ_by_location(shop: Shop) -> None:
    items = {entry["id"]: entry for entry in listed(shop, types="ITEM")}
    assert items["ITEM-AVO"]["absent_at_location_ids"] == ["L-CAFE"]
    lamington: Any = items["ITEM-LAMINGTON"]["item_data"]["variations"][0]["item_variation_data"]
    assert lamington["location_overrides"] == [{"location_id": "L-CAFE", "sold_out": True}]
    muffin: Any = items["ITEM-MUFFIN"]["item_data"]["variations"][0]["item_variation_data"]
    assert muffin["location_overrides"][0]["price_money"] == aud(520)
    cake: Any = items["ITEM-CAKE"]["item_data"]["variations"][0]["item_variation_data"]
    assert (cake["pricing_type"], "price_money" in cake) == ("VARIABLE_PRICING", False)


def test_search_returns_changed_and_deleted_objects(shop: Shop) -> None:
    begin = shop.post("/v2/catalog/search", {}).body["latest_time"]
    assert searched(shop, begin_time=begin) == []
    shop.simulator.change_price("5312", 1500)
    assert [entry["id"] for entry in searched(shop, begin_time=begin)] == ["ITEM-BLT"]
    shop.simulator.remove_variation("5312")
    assert searched(shop, begin_time=begin) == []
    (deleted,) = searched(shop, begin_time=begin, include_deleted_objects=True)
    assert (deleted["id"], deleted["is_deleted"]) == ("ITEM-BLT", True)
    assert all(entry["id"] != "ITEM-BLT" for entry in listed(shop))


def test_search_returns_related_objects_on_request(shop: Shop) -> None:
    answer = shop.post(
        "/v2/catalog/search",
        {"object_types": ["ITEM"], "include_related_objects": True, "limit": 1},
    )
    related = {entry["id"] for entry in answer.body["related_objects"]}
    assert related == {"CAT-COFFEE", "TAX-GST", "ML-MILK", "ML-EXTRAS"}
    assert "cursor" in answer.body


def test_search_by_attribute_is_refused(shop: Shop) -> None:
    query = {"exact_query": {"attribute_name": "sku", "attribute_value": "BLT"}}
    assert shop.post("/v2/catalog/search", {"query": query}).status == 501


def test_objects_are_retrieved_by_id(shop: Shop) -> None:
    answer = shop.post("/v2/catalog/batch-retrieve", {"object_ids": ["7302", "nothing", "228"]})
    assert [entry["id"] for entry in answer.body["objects"]] == ["7302", "228"]
    assert shop.get("/v2/catalog/object/nothing").status == 404
    assert shop.get("/v2/catalog/info").body["limits"]["search_max_page_limit"] == 1000


def test_recreated_variation_has_new_id_and_same_sku(shop: Shop) -> None:
    new_id = shop.simulator.recreate_variation("7302")
    assert shop.create(pickup(line("7302"))).error == (
        "NOT_FOUND",
        "order.line_items[0].catalog_object_id",
    )
    again = variation(shop, new_id)["item_variation_data"]
    assert (again["sku"], again["name"], again["price_money"]) == ("FW-R", "regular", aud(550))
    assert shop.create(pickup(line(new_id, modifiers=[{"catalog_object_id": "228"}]))).status == 200


def test_recreated_modifier_has_new_id(shop: Shop) -> None:
    new_id = shop.simulator.recreate_modifier("228")
    refused = shop.create(pickup(line("7302", modifiers=[{"catalog_object_id": "228"}])))
    assert refused.error == ("NOT_FOUND", "order.line_items[0].modifiers[0].catalog_object_id")
    assert (
        shop.create(pickup(line("7302", modifiers=[{"catalog_object_id": new_id}]))).status == 200
    )


def test_menu_actions_change_the_menu(shop: Shop) -> None:
    simulator = shop.simulator
    simulator.rename_item("5312", "BLT")
    simulator.change_price("228", 90)
    simulator.change_price("5312", 1600, location_id="L-CAFE")
    simulator.set_modifier_limits("ML-SAUCES", 1, 2)
    simulator.set_modifier_limits("ML-COOKING", 0, 0, item_id="ITEM-BURGER")
    assert shop.create(pickup(line("5312"))).order["line_items"][0]["name"] == "BLT"
    assert shop.create(pickup(line("5312"))).order["total_money"] == aud(1600)
    assert shop.create(pickup(line("5320"))).error == (
        "ARRAY_LENGTH_TOO_SHORT",
        "order.line_items[0].modifiers",
    )
    assert shop.create(pickup(line("5320", modifiers=[{"catalog_object_id": "250"}]))).status == 200
    simulator.sell_out("5312", until="2016-01-01T00:00:00Z")
    assert shop.create(pickup(line("5312"))).status == 200
    simulator.sell_out("5312")
    assert shop.create(pickup(line("5312"))).status == 400
    simulator.sell_out("5312", sold_out=False)
    simulator.archive_item("ITEM-BLT")
    assert shop.create(pickup(line("5312"))).status == 400
    simulator.archive_item("ITEM-BLT", archived=False)
    simulator.withdraw("ITEM-BLT")
    assert shop.create(pickup(line("5312"))).status == 404
    simulator.remove_modifier("228")
    assert all(entry["id"] != "228" for entry in listed(shop, types="MODIFIER"))


def test_menu_can_be_built_from_unstocked_catalogue() -> None:
    settings = WorldSettings(currency="USD", stocked=False, tax_inclusive=False)
    with serve_in_thread(SquareSimulator(settings)) as running:
        shop, simulator = Shop(running), running.simulator
        simulator.add_modifier_list("ML", "Size", {"m1": ("Big", 100)}, maximum=1)
        simulator.add_item("v1", "Pie", 1000, sku="PIE", modifier_list_ids=["ML"])
        simulator.add_variation("ITEM-v1", "v2", "Half", 500)
        assert [entry["id"] for entry in listed(shop, types="ITEM_VARIATION")] == ["v1", "v2"]
        big = line("v1", modifiers=[{"catalog_object_id": "m1"}])
        assert shop.create(pickup(big)).order["total_money"] == {"amount": 1210, "currency": "USD"}
        shop.client.close()
