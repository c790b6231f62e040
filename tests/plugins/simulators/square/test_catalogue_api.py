from __future__ import annotations

from typing import Any

import pytest

from plugins.simulators.square.shop import Json, Reply, Shop, aud, line, pickup
from tillpost.simulator import serve_in_thread
from tillpost_simulators.square import SquareSimulator, WorldSettings
from tillpost_simulators.square.catalogue_json import written


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


def items_of(shop: Shop) -> dict[str, Json]:
    """Return the data of every item by the item's id."""
    items = listed(shop, types="ITEM")
    return {item["id"]: item["item_data"] for item in items}


def searched(shop: Shop, **body: object) -> list[Json]:
    answer = shop.post("/v2/catalog/search", body)
    found: list[Json] = answer.body.get("objects", [])
    return found


def retrieved(shop: Shop, object_id: str) -> Json:
    answer = shop.get(f"/v2/catalog/object/{object_id}")
    found: Json = answer.body["object"]
    return found


def variation(shop: Shop, variation_id: str) -> Json:
    data: Json = retrieved(shop, variation_id)["item_variation_data"]
    return data


def only_variation(item: Json) -> Json:
    (found,) = item["variations"]
    data: Json = found["item_variation_data"]
    return data


def create_line(shop: Shop, item: str, modifier: str | None = None) -> Reply:
    """Create an order of one line."""
    if modifier is None:
        return shop.create(pickup(line(item)))
    modifiers = [{"catalog_object_id": modifier}]
    return shop.create(pickup(line(item, modifiers=modifiers)))


def test_menu_fits_the_sample_orders(shop: Shop) -> None:
    flat_white = variation(shop, "7302")
    assert flat_white["sku"] == "FW-R"
    assert flat_white["name"] == "regular"
    assert flat_white["price_money"] == aud(550)
    toastie = variation(shop, "5312")
    assert toastie["sku"] == "BLT"
    assert toastie["price_money"] == aud(1450)
    extra_shot = retrieved(shop, "228")["modifier_data"]
    assert extra_shot["price_money"] == aud(80)


def test_list_goes_through_all_pages() -> None:
    simulator = SquareSimulator(WorldSettings(page_size=3))
    with serve_in_thread(simulator) as running:
        shop = Shop(running)
        entries = listed(shop, types="ITEM,MODIFIER_LIST,CATEGORY,TAX")
        ids = [entry["id"] for entry in entries]
        assert len(ids) == 10 + 4 + 3 + 1
        assert len(set(ids)) == len(ids)
        shop.client.close()


def test_catalogue_cursor_dies_after_five_minutes() -> None:
    with serve_in_thread(SquareSimulator(WorldSettings(page_size=3))) as running:
        shop = Shop(running)
        cursor = shop.get("/v2/catalog/list").body["cursor"]
        running.simulator.advance_clock(270)  # the machine's own time passes, too
        assert shop.get("/v2/catalog/list", cursor=cursor).status == 200
        running.simulator.advance_clock(30)
        dead = shop.get("/v2/catalog/list", cursor=cursor)
        assert dead.error == ("INVALID_CURSOR", "cursor")
        shop.client.close()


@pytest.mark.parametrize("shifting", [False, True])
def test_deleted_item_skips_another_only_if_pages_shift(shifting: bool) -> None:
    world = WorldSettings(page_size=3, shifting_pages=shifting)
    with serve_in_thread(SquareSimulator(world)) as running:
        shop = Shop(running)
        types = {"types": "ITEM"}
        whole = [entry["id"] for entry in listed(shop, **types)]
        first = shop.get("/v2/catalog/list", **types).body
        running.simulator.remove_variation("7310")
        second = shop.get("/v2/catalog/list", **types, cursor=first["cursor"]).body
        shop.client.close()
    assert whole.index("ITEM-LONG-BLACK") < 3
    next_item = whole[4] if shifting else whole[3]
    assert second["objects"][0]["id"] == next_item


def test_spoiled_object_is_answered_with_other_fields(shop: Shop) -> None:
    shop.simulator.spoil_object("5312", {"item_variation_data": {"price_money": {"amount": None}}})
    assert variation(shop, "5312")["price_money"] == {"currency": "AUD"}
    assert variation(shop, "5312")["sku"] == "BLT"
    shop.simulator.spoil_object("5312", {})
    assert variation(shop, "5312")["price_money"] == aud(1450)
    with pytest.raises(LookupError):
        shop.simulator.spoil_object("0000", {})


def test_catalogue_begins_with_odd_objects_of_each_kind() -> None:
    catalogue = SquareSimulator(WorldSettings(odd_objects=4)).world.catalogue
    odd: list[Any] = [written(catalogue, catalogue.objects[f"ODD-{number}"]) for number in range(4)]
    data = [each["item_variation_data"] for each in odd]
    assert data[0]["price_money"] == {"currency": "AUD"}
    assert data[1]["price_money"]["amount"] == "5.20"
    assert data[2]["location_overrides"] == [{"sold_out_valid_until": ""}]
    assert "id" not in odd[3]


def test_list_takes_types_in_any_case_and_refuses_unknown(shop: Shop) -> None:
    types = {entry["type"] for entry in listed(shop, types="item,tax")}
    assert types == {"ITEM", "TAX"}
    unknown_type = shop.get("/v2/catalog/list", types="ITEM,SANDWICH")
    assert unknown_type.error == ("INVALID_ENUM_VALUE", "types")
    bad_cursor = shop.get("/v2/catalog/list", cursor="x")
    assert bad_cursor.error == ("INVALID_CURSOR", "cursor")


def test_item_has_variations_taxes_categories_modifier_lists(shop: Shop) -> None:
    burger = items_of(shop)["ITEM-BURGER"]
    (only,) = burger["variations"]
    assert only["id"] == "5320"
    assert burger["tax_ids"] == ["TAX-GST"]
    minima = {
        info["modifier_list_id"]: info["min_selected_modifiers"]
        for info in burger["modifier_list_info"]
    }
    assert minima["ML-COOKING"] == 1
    assert minima["ML-SAUCES"] == -1


def test_presence_price_and_sold_out_differ_by_location(shop: Shop) -> None:
    avocado_toast = retrieved(shop, "ITEM-AVO")
    assert avocado_toast["absent_at_location_ids"] == ["L-CAFE"]

    items = items_of(shop)
    lamington = only_variation(items["ITEM-LAMINGTON"])
    sold_out = {"location_id": "L-CAFE", "sold_out": True}
    assert lamington["location_overrides"] == [sold_out]

    muffin = only_variation(items["ITEM-MUFFIN"])
    override = muffin["location_overrides"][0]
    assert override["price_money"] == aud(520)

    cake = only_variation(items["ITEM-CAKE"])
    assert cake["pricing_type"] == "VARIABLE_PRICING"
    assert "price_money" not in cake


def test_search_returns_changed_and_deleted_objects(shop: Shop) -> None:
    begin = shop.post("/v2/catalog/search", {}).body["latest_time"]
    assert searched(shop, begin_time=begin) == []
    shop.simulator.change_price("5312", 1500)
    (changed,) = searched(shop, begin_time=begin)
    assert changed["id"] == "ITEM-BLT"
    shop.simulator.remove_variation("5312")
    assert searched(shop, begin_time=begin) == []
    (deleted,) = searched(shop, begin_time=begin, include_deleted_objects=True)
    assert deleted["id"] == "ITEM-BLT"
    assert deleted["is_deleted"] is True
    assert all(entry["id"] != "ITEM-BLT" for entry in listed(shop))


def test_search_returns_related_objects_on_request(shop: Shop) -> None:
    body = {
        "object_types": ["ITEM"],
        "include_related_objects": True,
        "limit": 1,
    }
    answer = shop.post("/v2/catalog/search", body)
    related = {entry["id"] for entry in answer.body["related_objects"]}
    assert related == {"CAT-COFFEE", "TAX-GST", "ML-MILK", "ML-EXTRAS"}
    assert "cursor" in answer.body


def test_search_by_attribute_is_refused(shop: Shop) -> None:
    by_sku = {"attribute_name": "sku", "attribute_value": "BLT"}
    query = {"exact_query": by_sku}
    answer = shop.post("/v2/catalog/search", {"query": query})
    assert answer.status == 501


def test_objects_are_retrieved_by_id(shop: Shop) -> None:
    wanted = {"object_ids": ["7302", "nothing", "228"]}
    answer = shop.post("/v2/catalog/batch-retrieve", wanted)
    found = [entry["id"] for entry in answer.body["objects"]]
    assert found == ["7302", "228"]
    unknown = shop.get("/v2/catalog/object/nothing")
    assert unknown.status == 404
    info = shop.get("/v2/catalog/info").body
    assert info["limits"]["search_max_page_limit"] == 1000


def test_recreated_variation_has_new_id_and_same_sku(shop: Shop) -> None:
    new_id = shop.simulator.recreate_variation("7302")
    refused = create_line(shop, "7302")
    assert refused.error == ("NOT_FOUND", "order.line_items[0].catalog_object_id")
    again = variation(shop, new_id)
    assert again["sku"] == "FW-R"
    assert again["name"] == "regular"
    assert again["price_money"] == aud(550)
    assert create_line(shop, new_id, "228").status == 200


def test_recreated_modifier_has_new_id(shop: Shop) -> None:
    new_id = shop.simulator.recreate_modifier("228")
    refused = create_line(shop, "7302", "228")
    assert refused.error == ("NOT_FOUND", "order.line_items[0].modifiers[0].catalog_object_id")
    assert create_line(shop, "7302", new_id).status == 200


def test_menu_actions_change_the_menu(shop: Shop) -> None:
    act = shop.simulator
    act.rename_item("5312", "BLT")
    act.change_price("228", 90)
    act.change_price("5312", 1600, location_id="L-CAFE")
    order = create_line(shop, "5312").order
    assert order["line_items"][0]["name"] == "BLT"
    assert order["total_money"] == aud(1600)

    act.set_modifier_limits("ML-SAUCES", 1, 2)
    act.set_modifier_limits(
        "ML-COOKING",
        0,
        0,
        item_id="ITEM-BURGER",
    )
    without_sauce = create_line(shop, "5320")
    assert without_sauce.error == ("ARRAY_LENGTH_TOO_SHORT", "order.line_items[0].modifiers")
    assert create_line(shop, "5320", "250").status == 200

    act.sell_out("5312", until="2016-01-01T00:00:00Z")
    assert create_line(shop, "5312").status == 200
    act.sell_out("5312")
    assert create_line(shop, "5312").status == 400
    act.sell_out("5312", sold_out=False)
    act.archive_item("ITEM-BLT")
    assert create_line(shop, "5312").status == 400
    act.archive_item("ITEM-BLT", archived=False)
    act.withdraw("ITEM-BLT")
    assert create_line(shop, "5312").status == 404

    act.remove_modifier("228")
    modifiers = listed(shop, types="MODIFIER")
    assert all(modifier["id"] != "228" for modifier in modifiers)


def test_menu_can_be_built_from_unstocked_catalogue() -> None:
    settings = WorldSettings(
        currency="USD",
        stocked=False,
        tax_inclusive=False,
    )
    with serve_in_thread(SquareSimulator(settings)) as running:
        shop = Shop(running)
        act = running.simulator
        sizes = {"m1": ("Big", 100)}
        act.add_modifier_list("ML", "Size", sizes, maximum=1)
        act.add_item(
            "v1",
            "Pie",
            1000,
            sku="PIE",
            modifier_list_ids=["ML"],
        )
        act.add_variation("ITEM-v1", "v2", "Half", 500)
        variations = listed(shop, types="ITEM_VARIATION")
        assert [entry["id"] for entry in variations] == ["v1", "v2"]
        order = create_line(shop, "v1", "m1").order
        assert order["total_money"] == {"amount": 1210, "currency": "USD"}
        shop.client.close()
