"""Kounta's menu import, order states and check."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import httpx
import pytest

from adapters.kounta.bench import Bench, plain_order
from tillpost import MenuError, OutageError, PosError, RateLimitError, SetupError, TaxError
from tillpost.menus.lint import setup_faults
from tillpost.models.menu import Menu
from tillpost.models.order import PosState, Progress
from tillpost_simulators.kounta import KountaSettings as World


def imported(world: World | None = None, **settings: Any) -> Menu:
    menu = Bench(world, **settings).till.import_menu().menu
    assert isinstance(menu, Menu)
    return menu


@pytest.fixture(scope="module")
def menu() -> Menu:
    return imported()


def test_products_are_items_with_text_ids_and_codes_as_skus(menu: Menu) -> None:
    item, variation = menu.by_variation["7302"]
    assert (item.id, item.name, item.categories, variation.sku) == (
        "7302",
        "Flat white, regular",
        ("Coffee",),
        "FW-R",
    )
    assert [tax.name for tax in menu.taxes_on(item)] == ["GST"]


def test_price_is_in_cents_and_exact_price_keeps_decimals(menu: Menu) -> None:
    toastie = menu.by_variation["5312"][1]
    assert (toastie.price, toastie.exact_price) == (1450, Decimal("13.1818"))


def test_site_with_prices_without_tax_imports_them_so() -> None:
    menu = imported(prices_include_tax=False)
    assert menu.by_variation["5312"][1].price == 1318
    assert not any(tax.included for tax in menu.taxes)


def test_the_price_is_that_of_the_sites_own_price_list(menu: Menu) -> None:
    assert menu.by_variation["6105"][1].exact_price == Decimal("4.7273")


def test_modifiers_and_option_sets_are_groups(menu: Menu) -> None:
    white = menu.options(menu.by_variation["7302"][0])
    assert (white["228"].name, white["228"].price, white["228"].exact_price) == (
        "Oat milk",
        80,
        Decimal("0.7273"),
    )
    assert white["-3091"].name == "No Sugar"
    burger = menu.by_variation["5320"][0]
    assert [(use.minimum, use.maximum) for use in burger.groups] == [(1, 1), (0, 2)]
    assert [menu.group_by_id[use.group_id].name for use in burger.groups] == [
        "How cooked",
        "Sauces",
    ]
    assert menu.options(burger)["252"].price == 50


def test_what_is_at_no_site_or_at_another_isnt_on_the_menu(menu: Menu) -> None:
    assert "8196213" not in menu.by_variation
    assert "6104" not in menu.by_variation
    bench = Bench()
    line = {"item_id": "8196213", "name": "Christmas pudding", "quantity": 1, "unit_price": 900}
    order = plain_order(lines=[line], payments=[{"method": "card", "amount": 900}])
    error = bench.refused(order, is_new=True)
    assert isinstance(error, MenuError)
    assert (error.lines, error.reason, bench.creates()) == ((0,), "gone", [])


def test_what_is_hidden_or_unavailable_is_marked_as_such(menu: Menu) -> None:
    assert menu.by_variation["6106"][0].online is False
    assert menu.by_variation["7302"][0].online is True
    assert menu.by_variation["6101"][1].sold_out is True
    assert menu.by_variation["6102"][1].sold_out is False


def test_setup_that_no_import_can_mend_is_found(menu: Menu) -> None:
    faults = {fault.subject: fault.text for fault in setup_faults(menu)}
    assert "both option sets and modifiers" in faults["Chicken burger"]
    assert "has no tax" in faults["Bread loaf"]


def test_an_option_that_isnt_sold_at_the_site_is_a_fault() -> None:
    bench = Bench()
    bench.simulator.withdraw(252)
    menu = bench.till.import_menu().menu
    assert [fault.subject for fault in menu.faults] == ["Chicken burger", "Chilli sauce"]


def test_an_item_under_two_taxes_arrives_at_its_price(menu: Menu) -> None:
    bench = Bench()
    price = menu.by_variation["6108"].variation.price
    line = {"item_id": "6108", "name": "Gruner Veltliner", "quantity": 1, "unit_price": price}
    order = plain_order(lines=[line], payments=[{"method": "card", "amount": price}])
    bench.till.submit(order, is_new=True)
    (shown,) = bench.simulator.ledger().shown
    assert shown.total == price
    assert {tax.name for tax in shown.taxes} == {"GST", "Wine Equalisation Tax"}


def test_tax_that_the_site_left_out_is_named_before_sending(menu: Menu) -> None:
    bench = Bench()
    with_gst = 5500
    assert menu.by_variation["6108"].variation.price != with_gst
    line = {"item_id": "6108", "name": "Gruner Veltliner", "quantity": 1, "unit_price": with_gst}
    order = plain_order(lines=[line], payments=[{"method": "card", "amount": with_gst}])
    error = bench.refused(order, is_new=True)
    assert isinstance(error, TaxError)
    assert error.subjects == ("Wine Equalisation Tax",)
    assert bench.creates() == []


@pytest.mark.parametrize("paging", ["next", "numbered", "mixed"])
def test_both_styles_of_paging_return_the_whole_menu(menu: Menu, paging: Any) -> None:
    again = imported(World(paging=paging, page_size=7, oauth_limit=10_000))
    assert again.items == menu.items


def test_taxes_come_from_list_or_else_from_product_page(
    menu: Menu,
) -> None:
    bench = Bench(World(taxes_in_lists=True, oauth_limit=10_000))
    assert bench.till.import_menu().menu.taxes == menu.taxes
    assert bench.paths("sites/2301/products/") == []
    bench = Bench()
    bench.till.import_menu()
    alone = {path.rpartition("/")[2] for path in bench.paths("sites/2301/products/")}
    assert {"9001.json", "9003.json", "240.json"} <= alone  # a price of 0 shows no rate
    assert not {"7302.json", "5312.json", "6103.json", "6108.json"} & alone


def test_an_import_gives_way_to_orders() -> None:
    bench = Bench(World(oauth_limit=60), import_pace=0.5)
    bench.till.import_menu()
    assert set(bench.waits) == {0.5, 4.0}


def test_rate_limit_during_import_reports_end_of_its_minute() -> None:
    bench = Bench(World(oauth_limit=10))
    with pytest.raises(RateLimitError) as caught:
        bench.till.import_menu()
    assert caught.value.retry_after
    assert 0 < caught.value.retry_after <= 61


def test_a_list_that_isnt_one_is_an_outage() -> None:
    bench = Bench()
    bench.answer = lambda request, carry_out: (
        httpx.Response(200, content=b"null") if "products.json" in request.url.path else carry_out()
    )
    with pytest.raises(OutageError):
        bench.till.import_menu()


# ---------------------------------------------------------------- states


@pytest.mark.parametrize(
    ("act", "state", "progress", "status"),
    [
        (None, PosState.RECEIVED, Progress.NEW, "SUBMITTED"),
        ("staff_accept", PosState.ACCEPTED, Progress.ACCEPTED, "ACCEPTED"),
        ("staff_complete", PosState.ACCEPTED, Progress.COMPLETED, "COMPLETE"),
        ("staff_reject", PosState.REJECTED, Progress.CANCELLED, "REJECTED"),
        ("staff_delete", PosState.CANCELLED, Progress.CANCELLED, "DELETED"),
    ],
)
def test_only_staff_prove_that_the_register_has_an_order(
    act: str | None, state: PosState, progress: Progress, status: str
) -> None:
    bench = Bench()
    pos_order = bench.till.submit(plain_order(), is_new=True)
    if act == "staff_complete":
        bench.simulator.staff_accept(pos_order.id)
    if act:
        getattr(bench.simulator, act)(pos_order.id)
    now = bench.till.fetch(pos_order)
    assert (now.id, now.reference, now.state, now.progress, now.status) == (
        pos_order.id,
        "ord_1",
        state,
        progress,
        status,
    )


@pytest.mark.parametrize("status", ["ON_HOLD", "PENDING"])
def test_an_order_that_goes_in_quietly_proves_nothing(status: str) -> None:
    bench = Bench(status=status)
    pos_order = bench.till.submit(plain_order(), is_new=True)
    assert (pos_order.state, pos_order.status) == (PosState.RECEIVED, status)


def test_order_only_in_list_of_deleted_is_cancelled() -> None:
    bench = Bench()
    pos_order = bench.till.submit(plain_order(), is_new=True)
    bench.simulator.staff_delete(pos_order.id)
    not_found = httpx.Response(404, json={"error": "not_found", "error_description": "Not Found"})
    bench.answer = lambda r, carry_out: (
        not_found if r.url.path.endswith(f"/{pos_order.id}.json") else carry_out()
    )
    assert bench.till.fetch(pos_order).state is PosState.CANCELLED


def test_an_order_that_is_nowhere_is_a_404() -> None:
    with pytest.raises(PosError) as caught:
        Bench().till.fetch("7")
    assert caught.value.status_code == 404


# ---------------------------------------------------------------- health


def found(bench: Bench) -> dict[str, bool]:
    return {finding.what: finding.ok for finding in bench.till.check().findings}


def test_a_site_in_use_can_take_orders() -> None:
    bench = Bench()
    assert bench.till.check().ready
    assert found(bench) == {
        "devices": True,
        "online ordering": True,
        "pass-through printing register": True,
    }


def test_a_site_whose_devices_are_off_is_the_stores_move() -> None:
    bench = Bench()
    bench.simulator.switch_site(online=False)
    (finding,) = [each for each in bench.till.check().findings if each.what == "devices"]
    assert (finding.ok, finding.text, finding.actor) == (
        False,
        "The site's devices: offline",
        "store",
    )


def test_check_covers_online_ordering_and_printing_register() -> None:
    bench = Bench()
    bench.simulator.switch_ordering(online=False)
    bench.simulator.switch_register(online=False, register_id=1133132)
    assert found(bench) == {
        "devices": True,
        "online ordering": False,
        "pass-through printing register": False,
    }
    bench.simulator.set_pass_thru(None)
    assert "pass-through printing register" not in found(bench)


def test_a_connection_that_is_refused_is_a_finding() -> None:
    bench = Bench()
    bench.simulator.revoke_token()
    (finding,) = bench.till.check().findings
    assert (finding.what, finding.ok, finding.actor) == ("connection", False, "store")


def test_empty_status_is_not_ready() -> None:
    bench = Bench()
    bench.answer = lambda request, carry_out: httpx.Response(200, content=b"null")
    assert found(bench) == {"devices": False, "online ordering": False}


def test_item_with_new_id_during_import_is_on_the_menu() -> None:
    bench = Bench()
    new: list[str] = []

    def recreated_meanwhile(
        request: httpx.Request, carry_out: Callable[[], httpx.Response]
    ) -> httpx.Response:
        if request.url.path.endswith("/products/7302/modifiers.json") and not new:
            new.append(str(bench.simulator.actions()["recreate_product"](product_id=7302)))
        return carry_out()

    bench.answer = recreated_meanwhile
    menu = bench.till.import_menu().menu
    assert menu.by_variation[new[0]][0].name == "Flat white, regular"
    assert "7302" not in menu.by_variation


def test_menu_that_keeps_changing_is_refused_as_a_whole() -> None:
    bench = Bench()
    bench.answer = lambda request, carry_out: (
        httpx.Response(404, json={"error": "not_found"})
        if request.url.path.endswith("/modifiers.json")
        else carry_out()
    )
    with pytest.raises(SetupError):
        bench.till.import_menu()
