"""What an order reads of a menu that can be read in part."""

from __future__ import annotations

from core.stand_in import (
    Keyed,
    MenuAnswer,
    Platform,
    Run,
    StandInSettings,
    an_order,
    fail_on,
    menu_of,
    refusal,
)
from tillpost import MenuError, Order, PosOrder
from tillpost.adapter.exchange import Exchange, Request, ask, reading
from tillpost.models.menu import Menu


class ReadsParts(Keyed):
    """Needs the menu, and can read of it what an order names."""

    needs_menu = True

    def menu_for(self, order: Order) -> Exchange[Menu | None]:
        answer = yield from ask(Request("GET", "/menu/part", reading(MenuAnswer)))
        ordered = {line.item_id for line in order.lines}
        sold = {item: value.split("/") for item, value in answer.items.items() if item in ordered}
        return menu_of({item: (sku, int(price)) for item, (sku, price) in sold.items()})


class Imports(Keyed):
    """Needs the menu, and can only import all of it."""

    needs_menu = True


def paths(run: Run) -> list[str]:
    return [f"{request.method} {request.path}" for request in run.requests]


def test_adapter_that_reads_no_parts_imports_the_menu() -> None:
    run = Run(Platform(), adapter=Imports(StandInSettings()))
    assert isinstance(run.attempt(an_order()), PosOrder)
    assert paths(run)[:2] == ["GET /menu", "POST /orders"]


def test_part_that_has_all_of_a_refused_order_is_enough() -> None:
    run = Run(Platform(), adapter=ReadsParts(StandInSettings()))
    run.submit(an_order("ord_1"))
    run.requests.clear()
    run.failing = fail_on("/orders", ("before", refusal(400, "GONE", "line 0")))
    assert isinstance(run.attempt(an_order("ord_2")), MenuError)
    assert paths(run) == ["POST /orders", "GET /menu/part"]


def test_part_that_lacks_an_item_of_the_order_imports_the_menu() -> None:
    run = Run(Platform(), adapter=ReadsParts(StandInSettings()))
    run.submit(an_order("ord_1"))
    run.platform.items = {"i9": ("S1", 1000)}
    run.requests.clear()
    assert isinstance(run.attempt(an_order("ord_2")), PosOrder)
    sent = ["POST /orders", "GET /menu/part", "GET /menu", "POST /orders"]
    assert paths(run)[:4] == sent


def test_item_that_an_import_skipped_is_looked_up() -> None:
    run = Run(Platform(), adapter=ReadsParts(StandInSettings()))
    run.connection.menu_cache.menu = menu_of({"i8": ("S8", 900)})
    run.plugin_menu = menu_of({"i9": ("S9", 900)})
    assert isinstance(run.attempt(an_order("ord_1")), PosOrder)
    assert "GET /menu/part" in paths(run)


def test_platform_that_refuses_to_read_a_part_has_none_of_it() -> None:
    run = Run(Platform(), adapter=ReadsParts(StandInSettings()))
    run.failing = fail_on("/menu/part", ("before", refusal(400, "BAD", "ids")))
    assert isinstance(run.attempt(an_order()), PosOrder)
    assert paths(run)[:3] == ["GET /menu/part", "GET /menu", "POST /orders"]


def test_item_that_neither_import_nor_look_has_is_named() -> None:
    run = Run(Platform(), adapter=ReadsParts(StandInSettings()))
    run.connection.menu_cache.menu = menu_of({"i8": ("S8", 900)})
    run.plugin_menu = menu_of({"i9": ("S9", 900)})
    run.failing = fail_on("/menu/part", ("before", refusal(400, "BAD", "ids")))
    error = run.attempt(an_order("ord_1"))
    assert isinstance(error, MenuError)
    assert error.subjects == ("S1 (line 1)",)
