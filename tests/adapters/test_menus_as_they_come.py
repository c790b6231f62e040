"""A menu with odd objects, shifting pages or old marks neither fails nor misleads an order."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, cast

import httpx
import pytest

from adapters.menu_shops import PLATFORMS, URL, Shop, shop_of
from adapters.sample_orders import an_order, plain_order
from tillpost import MenuError, Order, OutageError, Policy, PosError, PosOrder
from tillpost.models.menu import ModifierOption
from tillpost_kounta.adapter import Kounta
from tillpost_kounta.settings import KountaSettings
from tillpost_simulators.kounta import KountaSettings as KountaWorld
from tillpost_simulators.kounta import KountaSimulator
from tillpost_simulators.square import SquareSimulator
from tillpost_simulators.square import WorldSettings as SquareWorld
from tillpost_simulators.square.catalogue import Tax
from tillpost_square.catalogue import TYPES

PAID = [{"method": "card", "amount": 2710}]
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


TAXED_CHARGE: dict[str, Any] = {
    "lines": [{"item_id": "5312", "name": "BLT toastie", "quantity": 1, "unit_price": 1450}],
    "charges": [{"kind": "service", "name": "Service", "amount": 110, "taxed": True}],
    "payments": [{"method": "card", "amount": 1560}],
}
REFUSED_IDS = httpx.Response(400, json={"error_description": "ids isn't a parameter."})
NO_PRODUCTS = httpx.Response(404, json={"error_description": "Product 5312 was not found."})


# ---------------------------------------------------------------- sold out until


def test_lapsed_sold_out_mark_sells_within_cooldown_at_square() -> None:
    shop = shop_of("square")
    until = shop.simulator.world.clock.now() + timedelta(seconds=30)
    shop.simulator.sell_out("5312", until=until.isoformat())
    assert shop.menu.by_variation["5312"].variation.sold_out
    imports = len(shop.paths("catalog"))

    assert shop.refused(plain_order("ord_1")).reason == "sold_out"
    shop.wait(40)
    shop.till.submit(plain_order("ord_2"))

    assert shop.arrived() == 1
    assert len(shop.paths("catalog")) == imports


def test_lapsed_sold_out_mark_sells_within_cooldown_at_generic() -> None:
    shop = shop_of("generic")
    until = datetime.now(UTC) - timedelta(seconds=1)
    shop.simulator.sell_out("5312", until=until.isoformat())
    assert shop.menu.by_variation["5312"].variation.sold_out_until == until

    shop.till.submit(plain_order("ord_1"))

    assert shop.arrived() == 1
    assert len(shop.paths("/menu")) == 1


@pytest.mark.parametrize(("minutes", "sold_out"), [(-1, False), (0, False), (1, True)])
def test_option_is_sold_out_until_its_time(minutes: int, sold_out: bool) -> None:
    until = NOW + timedelta(minutes=minutes)
    option = ModifierOption(id="oat", name="Oat milk", sold_out=True, sold_out_until=until)
    assert option.is_sold_out(NOW) is sold_out


# ---------------------------------------------------------------- odd objects


@dataclass(frozen=True)
class Odd:
    """A way in which an answer of a menu may be odd, and how the fault names the object."""

    platform: str
    path: str
    change: Callable[[Any], object]
    subject: str
    lost: str = "6105"


def variation_of(page: dict[str, Any], variation_id: str) -> dict[str, Any]:
    """Return a variation of a page of Square's catalogue."""
    for each in page["objects"]:
        for variation in each.get("item_data", {}).get("variations", ()):
            if variation["id"] == variation_id:
                return cast("dict[str, Any]", variation)
    raise LookupError(variation_id)


def data_of(page: dict[str, Any], variation_id: str = "6105") -> dict[str, Any]:
    return cast("dict[str, Any]", variation_of(page, variation_id)["item_variation_data"])


def item_with(page: dict[str, Any], variation_id: str = "6105") -> dict[str, Any]:
    variation = variation_of(page, variation_id)
    (item,) = [
        each
        for each in page["objects"]
        if variation in each.get("item_data", {}).get("variations", ())
    ]
    return cast("dict[str, Any]", item)


def rows_of(body: Any) -> list[dict[str, Any]]:
    """Return the objects of any platform's page."""
    if isinstance(body, list):
        return cast("list[dict[str, Any]]", body)
    return cast("list[dict[str, Any]]", body.get("objects") or body.get("items") or [])


def odd_override(**more: object) -> dict[str, Any]:
    return {"location_overrides": [{"location_id": "L-CAFE", "sold_out": True, **more}]}


def option_of(page: dict[str, Any]) -> dict[str, Any]:
    lists = [each for each in page["objects"] if each["type"] == "MODIFIER_LIST"]
    options = [option for each in lists for option in each["modifier_list_data"]["modifiers"]]
    (found,) = [option for option in options if option["id"] == "229"]
    return cast("dict[str, Any]", found)


def product(rows: list[dict[str, Any]], product_id: int = 6105) -> dict[str, Any]:
    """Return a product of Kounta's list; a stand-in where the page doesn't have it."""
    stand_in: dict[str, Any] = {}
    return next((row for row in rows if row.get("id") == product_id), stand_in)


def generic_item(menu: dict[str, Any], variation_id: str = "6105") -> dict[str, Any]:
    (found,) = [item for item in menu["items"] if item["variations"][0]["id"] == variation_id]
    return cast("dict[str, Any]", found)


def generic_variation(menu: dict[str, Any], **changes: object) -> None:
    generic_item(menu)["variations"][0].update(changes)


CATALOGUE = "/v2/catalog/list"
PRODUCTS = "/products.json"
TAXES = "/taxes.json"
ODDITIES: list[Odd] = [
    Odd("square", CATALOGUE, lambda p: data_of(p).update(price_money={}), "muffin"),
    Odd("square", CATALOGUE, lambda p: data_of(p).update(price_money={"amount": "5.20"}), "muffin"),
    Odd(
        "square",
        CATALOGUE,
        lambda p: data_of(p).update(odd_override(sold_out_valid_until="")),
        "muffin",
    ),
    Odd("square", CATALOGUE, lambda p: variation_of(p, "6105").pop("id"), "muffin"),
    Odd("square", CATALOGUE, lambda p: item_with(p).pop("id"), "muffin"),
    Odd("square", CATALOGUE, lambda p: item_with(p)["item_data"].update(variations="none"), "muff"),
    Odd("square", CATALOGUE, lambda p: p["objects"].append(None), "without a name", ""),
    Odd("square", CATALOGUE, lambda p: p["objects"].append({"type": "TAX"}), "without a name", ""),
    Odd(
        "square",
        CATALOGUE,
        lambda p: option_of(p)["modifier_data"].update(price_money={}),
        "Soy milk",
        "",
    ),
    Odd("kounta", PRODUCTS, lambda p: product(p).update(unit_price_ex_tax="5,20"), "muffin"),
    Odd("kounta", PRODUCTS, lambda p: product(p).update(unit_price_ex_tax=10**11), "muffin"),
    Odd("kounta", PRODUCTS, lambda p: product(p).pop("id", 0), "muffin"),
    Odd("kounta", PRODUCTS, lambda p: product(p).update(availability={"is_available": "?"}), "muf"),
    Odd("kounta", PRODUCTS, lambda p: p.append(None), "without a name", ""),
    Odd("kounta", TAXES, lambda p: p.append({"rate": 0.1}), "without a name", ""),
    Odd("kounta", TAXES, lambda p: p.append({"id": 5, "name": "PST", "rate": "much"}), "PST", ""),
    Odd("generic", "/menu", lambda m: generic_variation(m, price="5.20"), "muffin"),
    Odd("generic", "/menu", lambda m: generic_variation(m, sold_out_until=""), "muffin"),
    Odd("generic", "/menu", lambda m: generic_item(m)["variations"][0].pop("id"), "muffin"),
    Odd("generic", "/menu", lambda m: generic_item(m).pop("id"), "muffin"),
    Odd("generic", "/menu", lambda m: generic_item(m).update(prize=1), "muffin"),
    Odd("generic", "/menu", lambda m: m["items"].append(None), "without a name", ""),
    Odd("generic", "/menu", lambda m: m["taxes"].append({"name": "PST"}), "PST", ""),
    Odd("generic", "/menu", lambda m: m["groups"][0]["options"].append({"id": "x"}), "id x", ""),
    Odd("generic", "/menu", lambda m: m.update(tables=["1", None]), "without a name", ""),
    Odd("generic", "/menu", lambda m: m.update(tables=["1", 7]), "without a name", ""),
    Odd("generic", "/menu", lambda m: m.update(faults=[{"text": "off"}]), "without a name", ""),
]


@pytest.mark.parametrize("odd", ODDITIES)
def test_odd_object_costs_itself_and_not_the_import(odd: Odd) -> None:
    whole = shop_of(odd.platform).menu
    shop = shop_of(odd.platform)

    def spoil(path: str, body: Any) -> Any:
        if path.endswith(odd.path):
            odd.change(body)
        return body

    shop.spoil = spoil
    menu = shop.menu

    left_out = {each for each in whole.by_variation if each not in menu.by_variation}
    assert left_out == ({odd.lost} if odd.lost else set())
    (fault,) = [each for each in menu.faults if each not in whole.faults]
    assert odd.subject in fault.subject
    assert "left out of the menu" in fault.text
    shop.till.submit(plain_order())
    assert shop.arrived() == 1


MUFFIN: dict[str, Any] = {
    "lines": [{"item_id": "6105", "name": "Blueberry muffin", "quantity": 1, "unit_price": 520}],
    "payments": [{"method": "card", "amount": 520}],
}


@pytest.mark.parametrize("odd", [odd for odd in ODDITIES if odd.lost])
def test_order_of_an_odd_object_says_that_it_is_there(odd: Odd) -> None:
    shop = shop_of(odd.platform)

    def spoil(path: str, body: Any) -> Any:
        if path.endswith((odd.path, "batch-retrieve")):
            with contextlib.suppress(LookupError):
                odd.change(body)
        return body

    shop.spoil = spoil
    assert shop.menu
    error = shop.refused(plain_order(**MUFFIN))

    assert (type(error), error.reason, error.lines) == (MenuError, "unreadable", (0,))
    assert "can't be read, so it was left out of the menu" in error.detail
    assert "Add what is missing" not in error.remedy.manager
    assert error.detail in error.remedy.manager


@pytest.mark.parametrize("odd_page", [0, 1])
def test_page_of_odd_objects_costs_no_import_of_square(odd_page: int) -> None:
    shop = shop_of("square")
    odd = [{"type": "ITEM", "item_data": {"name": f"Odd {n}"}} for n in range(4)]
    good: list[Any] = []

    def keep(path: str, body: Any) -> Any:
        if path.endswith(CATALOGUE):
            good.extend(body["objects"])
        return body

    def paged(request: httpx.Request) -> httpx.Response | None:
        if not request.url.path.endswith(CATALOGUE):
            return None
        is_last = "cursor=next" in str(request.url)
        objects = odd if is_last == bool(odd_page) else good
        return httpx.Response(200, json={"objects": objects, "cursor": "" if is_last else "next"})

    shop.spoil = keep
    assert shop.menu
    shop.refuse = paged
    assert len([each for each in shop.menu.faults if "Odd" in each.subject]) == 4
    shop.till.submit(plain_order())
    assert shop.arrived() == 1


# What is odd in a batch of Square's catalogue, and whether the order can be sent all the same.
ODD_BATCHES: list[tuple[str, Callable[[Any], object], bool]] = [
    ("other", lambda variation: variation.update(odd_override(sold_out_valid_until="")), True),
    ("other", lambda variation: variation.update(price_money={}), True),
    ("5312", lambda variation: variation.update(odd_override(sold_out_valid_until="")), False),
]


@pytest.mark.parametrize(("variation_id", "change", "arrives"), ODD_BATCHES)
def test_odd_object_of_a_first_order_is_no_outage(
    variation_id: str, change: Callable[[Any], object], arrives: bool
) -> None:
    """The first order of a taxed charge reads what it names, and nothing else."""
    shop = shop_of("square")

    def spoil(_: str, body: Any) -> Any:
        objects: list[dict[str, Any]] = [
            *body.get("objects", ()),
            *body.get("related_objects", ()),
        ]
        for each in objects:
            item: dict[str, Any] = each.get("item_data") or {}
            sizes: list[dict[str, Any]] = item.get("variations", [])
            if sizes and variation_id == "other" and sizes[0]["id"] == "5312":
                sizes.append({**json.loads(json.dumps(sizes[0])), "id": "other"})
            for variation in (each, *sizes):
                if variation["id"] == variation_id:
                    change(variation["item_variation_data"])
        return body

    shop.spoil = spoil
    order = plain_order(**TAXED_CHARGE)
    if arrives:
        shop.till.submit(order)
        assert shop.arrived() == 1
    else:
        assert not isinstance(shop.refused(order), OutageError)


def test_odd_objects_of_the_simulator_are_each_named() -> None:
    whole = shop_of("square").menu
    menu = shop_of("square", simulator=SquareSimulator(SquareWorld(odd_objects=8))).menu
    assert set(menu.by_variation) == set(whole.by_variation)
    named = sorted(each.subject for each in menu.faults if each not in whole.faults)
    assert len(named) == 8
    for number, subject in enumerate(named, 1):
        assert f"Odd item no. {number}" in subject


@pytest.mark.parametrize("platform", PLATFORMS)
def test_half_of_an_emoji_in_a_menu_costs_nothing(platform: str) -> None:
    shop = shop_of(platform)
    shop.spoil = lambda _, body: json.dumps(body).replace("muffin", "muffin \\ud83d").encode()
    menu = shop.menu
    assert menu.by_variation["6105"].item.name == "Blueberry muffin ?"
    assert not [fault for fault in menu.faults if "left out" in fault.text]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_menu_in_another_format_is_refused(platform: str) -> None:
    shop = shop_of(platform, policy=Policy(retries=0))

    def spoil(_: str, body: Any) -> Any:
        rows = rows_of(body)
        for row in rows:
            row["id"] = {"value": row["id"]}
            row.pop("id_str", None)
        return body

    shop.spoil = spoil
    with pytest.raises(OutageError):
        shop.till.import_menu()
    assert shop.till.menu is None


# ---------------------------------------------------------------- ids that changed


@pytest.mark.parametrize("imports_first", [False, True])
def test_order_heals_where_a_tax_was_built_anew(imports_first: bool) -> None:
    """A taxed charge names the store's tax by its id, which is on no line of the order."""
    shop = shop_of("square", policy=Policy(import_cooldown=0))
    if imports_first:
        assert shop.menu
    shop.till.submit(plain_order("ord_1", **TAXED_CHARGE))
    for tax_id in [each.id for each in shop.simulator.world.catalogue.of(Tax)]:
        shop.simulator.remove_tax(tax_id)
    shop.simulator.add_tax("GST", "10", inclusive=True)

    shop.till.submit(plain_order("ord_2", **TAXED_CHARGE))

    assert shop.arrived() == 2


# ---------------------------------------------------------------- pages


def paged_square(**settings: Any) -> Shop:
    world = SquareWorld(page_size=4, **settings)
    return shop_of("square", policy=Policy(retries=0), simulator=SquareSimulator(world))


def slow(shop: Shop, page: int, seconds: float = 301) -> None:
    """Let time pass before a page of the catalogue is asked for."""

    def before(_: httpx.Request) -> None:
        if len(shop.paths(CATALOGUE)) == page:
            shop.wait(seconds)

    shop.before = before


def test_import_begins_again_when_its_cursor_has_expired() -> None:
    whole = shop_of("square").menu
    shop = paged_square()
    slow(shop, 3)

    menu = shop.menu

    assert menu.items == whole.items
    first_pages = [path for path in shop.paths(CATALOGUE) if "cursor" not in path]
    assert len(first_pages) == 2


def test_import_gives_up_when_cursors_expire_again_and_again() -> None:
    shop = paged_square(cursor_seconds=10)

    def before(request: httpx.Request) -> None:
        if "cursor" in request.url.query.decode():
            shop.wait(11)

    shop.before = before
    with pytest.raises(OutageError, match="expired 3 times"):
        shop.till.import_menu()
    assert len(shop.paths(CATALOGUE)) == 6


def test_search_begins_again_when_its_cursor_has_expired() -> None:
    world = SquareWorld(orders_page_size=2)
    shop = shop_of("square", simulator=SquareSimulator(world))
    for number in range(5):
        shop.till.submit(plain_order(f"ord_{number}"))
    searches: list[httpx.Request] = []

    def before(request: httpx.Request) -> None:
        if request.url.path == "/v2/orders/search":
            searches.append(request)
            if len(searches) == 2:
                shop.wait(301)

    shop.before = before
    found = shop.connect().find(plain_order("ord_0"))
    assert isinstance(found, PosOrder)
    assert len(searches) == 5


@pytest.mark.parametrize("platform", PLATFORMS)
def test_item_that_comes_twice_is_one_item(platform: str) -> None:
    shop = shop_of(platform)

    def spoil(path: str, body: Any) -> Any:
        rows = rows_of(body)
        if rows and path.endswith((CATALOGUE, PRODUCTS, "/menu", TAXES)):
            rows.append(rows[0] | {"name": "As it was read last"})
            rows += rows[1:]
        return body

    shop.spoil = spoil
    menu = shop.menu

    assert len(menu.items) == len({item.id for item in menu.items})
    assert len(menu.groups) == len({group.id for group in menu.groups})
    assert len(menu.taxes) == len({tax.id for tax in menu.taxes})
    shop.till.submit(plain_order())
    assert shop.arrived() == 1


def skipping(platform: str) -> tuple[Shop, str]:
    """Return a shop whose import skips the toastie: something before it disappears meanwhile.

    The toastie is the first of the second page, and becomes the last of the first one. Also
    returned is what further pages have in their requests.
    """
    if platform == "square":
        world = SquareWorld(shifting_pages=True, page_size=2)
        shop = shop_of(platform, simulator=SquareSimulator(world))
        catalogue = shop.simulator.world.catalogue
        listed = [each for each in catalogue.objects.values() if each.type in TYPES]
        place = [each.id for each in listed].index(item_of(shop, "5312"))
        world = replace(world, page_size=place)
        shop = shop_of(platform, simulator=SquareSimulator(world))
    else:
        at_site = KountaSimulator(KountaWorld()).world
        ids = [each.id for each in at_site.products.values() if 2301 in each.sites]
        small = KountaWorld(paging="numbered", page_size=ids.index(5312), oauth_limit=10_000)
        shop = shop_of(platform, simulator=KountaSimulator(small))
    return shop, "cursor" if platform == "square" else "x-page"


def item_of(shop: Shop, variation_id: str) -> str:
    variation = shop.simulator.world.catalogue.objects[variation_id]
    return str(variation.item_id)


@pytest.mark.parametrize("platform", ["square", "kounta"])
def test_skipped_item_is_found_by_a_look_at_what_an_order_names(platform: str) -> None:
    shop, mark = skipping(platform)
    due: list[str] = ["7310"]

    def before(request: httpx.Request) -> None:
        if due and (mark in str(request.url) or mark in request.headers):
            gone = due.pop()
            if platform == "square":
                shop.simulator.remove_variation(gone)
            else:
                shop.simulator.withdraw(int(gone))

    shop.before = before
    assert "5312" not in shop.menu.by_variation
    assert due == []
    reads = len(shop.paths("/products.json")) + len(shop.paths(CATALOGUE))

    shop.till.submit(plain_order())

    assert shop.arrived() == 1
    again = len(shop.paths("/products.json")) + len(shop.paths(CATALOGUE))
    assert again - reads <= 1


@pytest.mark.parametrize("platform", ["square", "kounta"])
def test_item_that_is_gone_stays_gone_after_the_second_look(platform: str) -> None:
    shop = shop_of(platform)
    if platform == "square":
        shop.simulator.remove_variation("5312")
    else:
        shop.simulator.remove_product(5312)
    error = shop.refused(plain_order())
    assert (error.reason, error.lines, shop.arrived()) == ("gone", (0,), 0)


# ---------------------------------------------------------------- prices keyed in at the register


@pytest.mark.parametrize("platform", PLATFORMS)
def test_first_order_of_a_variable_price_arrives_at_its_price(platform: str) -> None:
    shop = shop_of(platform)
    if platform == "kounta":
        no_price = {"unit_price": None, "unit_price_ex_tax": None}
        shop.simulator.spoil_product(5312, no_price)
    elif platform == "square":
        shop.simulator.world.catalogue.objects["5312"].price = None
    else:
        shop.simulator.change_price("5312", None)

    arrived = shop.till.submit(plain_order("ord_1", 3175))

    assert arrived.total == 3175
    assert [entry.paid for entry in shop.simulator.ledger().shown] == [3175]


# ---------------------------------------------------------------- a look at an order's own items


def large_kounta(products: int) -> Shop:
    """Return a shop of many products at Kounta, with its real limit of requests."""
    simulator = KountaSimulator(KountaWorld())
    for number in range(products):
        simulator.add_product(20_000 + number, f"Dish {number}", Decimal(number % 40 + 1), "")
    known = {**simulator.connection_settings(URL)}
    adapter = Kounta(KountaSettings.model_validate(known))
    return Shop(adapter, simulator)


def test_first_order_waits_for_no_import_of_a_large_menu() -> None:
    shop = large_kounta(600)

    arrived = shop.till.submit(plain_order(), is_new=True)

    assert arrived.total == 1450
    assert shop.waited < 5
    assert len(shop.requests) < 12


def test_next_order_of_known_items_asks_for_no_menu() -> None:
    shop = shop_of("kounta")
    shop.till.submit(plain_order("ord_1"), is_new=True)
    reads = len(shop.paths("/products.json"))
    shop.till.submit(plain_order("ord_2"), is_new=True)
    assert len(shop.paths("/products.json")) == reads
    shop.till.submit(an_order(id="ord_3", charges=[], discounts=[], tip=0, payments=PAID))
    assert len(shop.paths("/products.json")) == reads + 1
    assert shop.arrived() == 3


def test_price_that_changed_after_the_first_look_is_read_again() -> None:
    shop = shop_of("kounta")
    shop.till.submit(plain_order("ord_1"), is_new=True)
    shop.simulator.change_price(5312, Decimal("14.5455"))  # 16.00 with its tax
    shop.till.submit(plain_order("ord_2", 1600), is_new=True)
    assert shop.arrived() == 2
    assert shop.refused(plain_order("ord_3", 1450)).reason == "price"
    assert shop.till.menu is None  # nobody waited for a whole import


def test_product_recreated_after_the_first_look_is_healed() -> None:
    shop = shop_of("kounta")
    shop.till.submit(order_of(line("5312", 1450, sku="BLT")), is_new=True)
    shop.simulator.recreate_product(5312, 5399)
    again = order_of(line("5312", 1450, sku="BLT")).model_copy(update={"id": "ord_2"})
    assert shop.till.submit(again, is_new=True).total == 1450
    assert shop.till.menu is not None


@pytest.mark.parametrize("refusal", [REFUSED_IDS, NO_PRODUCTS])
def test_refused_look_at_own_items_imports_the_whole_menu(refusal: httpx.Response) -> None:
    shop = shop_of("kounta")
    shop.refuse = lambda request: refusal if "ids=" in str(request.url) else None
    assert shop.till.submit(plain_order(), is_new=True).total == 1450
    assert shop.till.menu is not None


def test_first_tip_after_orders_without_one_arrives() -> None:
    shop = shop_of("kounta", tip_product=9003)
    shop.till.submit(plain_order("ord_1"), is_new=True)
    paid = [{"method": "card", "amount": 1550}]
    assert shop.till.submit(plain_order("ord_2", tip=100, payments=paid)).total == 1550


def test_taxed_charge_is_sent_alike_after_a_look_and_an_import() -> None:
    """The charge has the store's tax, which no item of the order may have."""
    shop = shop_of("square")
    items = [each["item_id"] for each in TAXED_CHARGE["lines"]]
    shop.simulator.world.catalogue.objects[item_of(shop, items[0])].tax_ids = ()
    order = plain_order(**TAXED_CHARGE)
    imported = shop.connect()
    imported.import_menu()
    imported.submit(order, is_new=True)
    looked_up = shop.connect()
    looked_up.submit(order.model_copy(update={"id": "ord_2"}), is_new=True)

    first, second = (json.loads(each.content) for each in shop.requests if is_create(each))
    assert looked_up.menu is None
    assert second["order"]["taxes"] == first["order"]["taxes"] != []


def test_quote_reads_what_it_needs_of_the_menu() -> None:
    shop = shop_of("square")
    order = plain_order(**TAXED_CHARGE)
    assert shop.till.quote(order) == order.total
    assert shop.till.menu is None
    looks = len(shop.paths("catalog"))
    assert shop.till.submit(order, is_new=True).total == order.total
    assert len(shop.paths("catalog")) == looks
    assert shop.connect().quote(order) == order.total


def test_quote_of_unknown_items_imports_the_whole_menu() -> None:
    shop = shop_of("square")
    gone: dict[str, Any] = {**TAXED_CHARGE["lines"][0], "item_id": "0000", "sku": "BLT"}
    changed: dict[str, Any] = {**TAXED_CHARGE, "lines": [gone]}
    order = plain_order(**changed)
    assert shop.till.quote(order) == order.total
    assert shop.till.menu is not None
    assert shop.arrived() == 0


def is_create(request: httpx.Request) -> bool:
    return request.url.path == "/v2/orders"


@pytest.mark.parametrize("platform", ["square", "kounta"])
def test_first_order_of_an_open_item_with_another_arrives(platform: str) -> None:
    open_item = {"name": "Cake for 8", "quantity": 1, "unit_price": 5000}
    settings: dict[str, Any] = {"open_item_product": 9003} if platform == "kounta" else {}
    shop = shop_of(platform, **settings)
    order = order_of(line("5312", 1450), {**open_item, "modifiers": []})
    assert shop.till.submit(order, is_new=True).total == 6450
    assert shop.till.menu is None


def line(item_id: str, price: int, *modifiers: tuple[str, int], sku: str = "") -> dict[str, Any]:
    chosen = [{"modifier_id": each, "name": each, "unit_price": cost} for each, cost in modifiers]
    named = {"item_id": item_id, "sku": sku, "name": f"Item {item_id}", "modifiers": chosen}
    return {**named, "quantity": 1, "unit_price": price}


def order_of(*lines: dict[str, Any]) -> Order:
    total = sum(
        each["unit_price"] + sum(chosen["unit_price"] for chosen in each["modifiers"])
        for each in lines
    )
    payments = [{"method": "card", "amount": total}]
    return plain_order("ord_1", lines=list(lines), payments=payments)


@pytest.mark.parametrize(
    "lines",
    [
        [line("8196213", 900)],  # at no site
        [line("5312", 1450), line("6104", 1600)],  # at another site
        [line("5312", 1400)],  # another price
        [line("6101", 600)],  # sold out
        [line("5320", 1900)],  # without a required choice
        [line("5320", 1900, ("240", 0), ("241", 0))],  # too many choices
        [line("5320", 1900, ("228", 80))],  # a choice of another item
        [line("7302", 550, ("999", 80))],  # a modifier that isn't there
        [line("7302", 550, ("228", 70))],  # a modifier at another price
        [line("6108", 6950)],  # under two taxes
        [line("5330", 2000, ("250", 0))],  # both option sets and modifiers
        [line("0000", 1450, sku="BLT")],  # found by its SKU
        [line("7302", 550, ("228", 80), ("-3091", 0)), line("5320", 1900, ("240", 0))],  # right
    ],
)
def test_look_at_own_items_finds_what_a_whole_import_finds(lines: list[dict[str, Any]]) -> None:
    whole = shop_of("kounta")
    whole.till.import_menu()
    partial = shop_of("kounta")

    expected = outcome_of(whole, order_of(*lines))
    assert outcome_of(partial, order_of(*lines)) == expected


def outcome_of(shop: Shop, order: Order) -> object:
    try:
        arrived = shop.till.submit(order, is_new=True)
    except PosError as error:
        return type(error), error.reason, error.lines, error.subjects, error.detail
    return arrived.total, [each.modifiers for each in shop.simulator.ledger().shown[0].lines]


# ---------------------------------------------------------------- large menus


@pytest.mark.slow
@pytest.mark.parametrize("platform", PLATFORMS)
def test_large_menu_is_imported_whole(platform: str) -> None:
    shop = shop_of(platform)
    before = len(shop.menu.items)
    add = shop.simulator.add_product if platform == "kounta" else shop.simulator.add_item
    count = 300 if platform == "generic" else 2300
    for number in range(count):
        item_id = 50_000 + number
        price = Decimal(5) if platform == "kounta" else 500
        add(item_id if platform == "kounta" else str(item_id), f"Dish {number}", price)
    assert len(shop.menu.items) == before + count


def test_variation_is_not_sold_where_its_item_is_absent() -> None:
    shop = shop_of("square")
    shop.simulator.withdraw(item_of(shop, "5312"))
    assert "5312" not in shop.menu.by_variation
