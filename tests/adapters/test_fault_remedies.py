"""What a restaurant manager is told in each of the faults that people have reported.

Each fault is provoked at a simulated store, through a Till. The manager knows only the register:
the text must say where the order is, as the register itself shows it, and who does what. It never
has the store correct what the ordering site did.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from adapters.kounta.bench import SUBSTITUTES
from adapters.menu_shops import PLATFORMS, Shop, shop_of
from adapters.sample_orders import plain_order
from tillpost import (
    MenuError,
    Order,
    OrderError,
    PermissionsError,
    Policy,
    PosError,
    SetupError,
    TaxError,
)
from tillpost.errors import Outcome
from tillpost.errors.remedies import NOT_THERE, Actor
from tillpost_simulators.generic import GenericSimulator
from tillpost_simulators.generic import WorldSettings as GenericWorld
from tillpost_simulators.kounta import KountaSettings as KountaWorld
from tillpost_simulators.kounta import KountaSimulator
from tillpost_simulators.square import SquareSimulator
from tillpost_simulators.square import WorldSettings as SquareWorld
from tillpost_simulators.square import catalogue as square

ONCE = Policy(first_wait=0, longest_wait=0, retries=0)
NEVER_LATE = Policy(retries=0, past_due="refuse")
BRAKED = Policy(retries=0, import_cooldown=0, import_brake=0.1)
STORE, SITE, SUPPORT = Actor.STORE, Actor.DEVELOPER, Actor.SUPPORT
KEYED_IN = "ey the order in"
SENT_AGAIN = "have the order sent again"
SITES_SUPPORT = "the ordering site's support"

TOASTIE: dict[str, Any] = {
    "item_id": "5312",
    "name": "BLT toastie",
    "quantity": 1,
    "unit_price": 1450,
}
BURGER = {"item_id": "5320", "name": "Burger", "quantity": 1, "unit_price": 1900}
CAKE = {"name": "Cake for 8", "quantity": 1, "unit_price": 5000}
DELIVERY = {"kind": "delivery", "name": "Delivery fee", "amount": 500}
DOWN = {"kind": "rounding", "name": "Rounding", "amount": -2}


@dataclass(frozen=True)
class Fault:
    """A fault: how it is provoked, and what the remedy must be.

    `says` are parts of the manager's text, `never` what it must not say.
    """

    name: str
    platform: str
    shop: Callable[[str], Shop]
    order: Order
    kind: type[PosError]
    reason: str
    actor: Actor
    says: Sequence[str]
    never: Sequence[str] = ()


# ---------------------------------------------------------------- orders


def order_of(*lines: Mapping[str, Any], due: int = 0, **parts: Any) -> Order:
    """An order of these lines, with its payment."""
    charges: Sequence[dict[str, Any]] = parts.get("charges", [])
    discounts: Sequence[dict[str, Any]] = parts.get("discounts", [])
    total = sum(line["quantity"] * line["unit_price"] for line in lines)
    total += sum(charge["amount"] for charge in charges)
    total += parts.get("tip", 0) + parts.get("tax", 0)
    total -= sum(discount["amount"] for discount in discounts) + due
    paid = [{"method": "card", "amount": total, "reference": "pi_1"}] if total else []
    return plain_order(lines=list(lines), payments=paid, amount_due=due, **parts)


def net(price: int, tax: int, **parts: Any) -> Order:
    """A toastie at a price without tax, and the tax that the site added."""
    return order_of({**TOASTIE, "unit_price": price}, prices_include_tax=False, tax=tax, **parts)


# ---------------------------------------------------------------- shops


def shop(platform: str, **settings: Any) -> Shop:
    known: dict[str, Any] = dict(SUBSTITUTES) if platform == "kounta" else {}
    return shop_of(platform, policy=settings.pop("policy", ONCE), **(known | settings))


def bare(platform: str) -> Shop:
    """A shop whose connection names no products for charges and the like."""
    return shop_of(platform, policy=ONCE)


def adding_two_taxes(platform: str) -> Shop:
    """A shop that adds GST of 5 % and PST of 7 % to its prices."""
    return adding(platform, "5", "7")


def adding(platform: str, percentage: str, other: str = "") -> Shop:
    simulator: Any
    if platform == "square":
        world = SquareWorld(tax_percentage=percentage, tax_inclusive=False)
        simulator = SquareSimulator(world)
    elif platform == "generic":
        simulator = GenericSimulator(GenericWorld(tax_percentage=percentage, tax_inclusive=False))
    else:
        rate = Decimal(percentage) / 100
        simulator = KountaSimulator(KountaWorld(tax_rate=rate, oauth_limit=10**9))
        simulator.change_price(5312, Decimal("14.50"))
        if other:
            gst = next(iter(simulator.world.taxes))
            pst = simulator.add_tax("PST", Decimal(other) / 100, on_every_product=False)
            simulator.set_taxes_of(5312, [gst, pst])
        return shop(platform, simulator=simulator, prices_include_tax=False)
    if other:
        simulator.add_tax("PST", other)
    return shop(platform, simulator=simulator)


def refusing_adjustments(platform: str) -> Shop:
    """A shop that rounds 5.45 at 10 % otherwise, and refuses to make up for it."""
    opened = adding(platform, "10")
    opened.simulator.change_price("5312", 545)
    refusal = httpx.Response(400, json={"errors": [{"code": "BAD_REQUEST"}]})
    opened.refuse = lambda request: refusal if b"Rounding" in request.content else None
    return opened


def rounding_kounta(platform: str) -> Shop:
    """A shop whose 9.03 at 20 % has no price without tax, and no product for roundings."""
    simulator = KountaSimulator(KountaWorld(tax_rate=Decimal("0.2"), oauth_limit=10**9))
    simulator.change_price(5312, Decimal("9.03") / Decimal("1.2"))
    return shop_of(platform, policy=ONCE, simulator=simulator)


def with_a_new_tax(platform: str) -> Shop:
    """A shop that got a tax after its menu was imported."""
    opened = shop(platform)
    opened.till.import_menu()
    gst = next(iter(opened.simulator.world.taxes))
    pst = opened.simulator.add_tax("PST", Decimal("0.07"), on_every_product=False)
    opened.simulator.set_taxes_of(5312, [gst, pst])
    return opened


def two_rates(platform: str) -> Shop:
    """A shop whose toastie has another tax than the rest."""
    opened = adding(platform, "10")
    reduced = opened.simulator.add_tax("Reduced", "5", on_every_item=False)
    catalogue = opened.simulator.world.catalogue
    toastie = catalogue.get(square.Item, catalogue.get(square.Variation, "5312").item_id)
    toastie.tax_ids = [reduced]
    return opened


def without_toastie(platform: str) -> Shop:
    opened = shop(platform)
    remove(opened, platform, "5312")
    return opened


def remove(opened: Shop, platform: str, item_id: str) -> None:
    if platform == "kounta":
        opened.simulator.remove_product(int(item_id))
    else:
        opened.simulator.remove_variation(item_id)


def sold_out(platform: str) -> Shop:
    opened = shop(platform)
    opened.simulator.sell_out(5312 if platform == "kounta" else "5312")
    return opened


def held(platform: str) -> Shop:
    """A shop that has lost most of its menu since it was imported."""
    opened = shop(platform, policy=BRAKED)
    menu = opened.menu
    for item_id in list(menu.by_variation)[: len(menu.by_variation) * 2 // 3]:
        remove(opened, platform, item_id)
    return opened


def with_few_toasties(platform: str) -> Shop:
    opened = shop(platform)
    opened.simulator.limit_quantity("5312", 2)
    return opened


def with_cake_under_its_id(platform: str) -> Shop:
    opened = shop(platform)
    variation = opened.simulator.world.catalogue.get(square.Variation, "5312")
    variation.sku = "CAKE"
    opened.simulator.rename_item(variation.item_id, "Chocolate cake")
    opened.till.import_menu()
    return opened


def has_an_earlier_one(platform: str) -> Shop:
    """A shop that has the order already, with another note."""
    opened = shop(platform)
    opened.till.submit(plain_order())
    return opened


def has_cancelled_it(platform: str) -> Shop:
    opened = shop(platform)
    opened.till.cancel(opened.till.submit(plain_order()))
    return opened


def knowing_its_menu(platform: str) -> Shop:
    opened = shop(platform)
    opened.till.import_menu()
    return opened


def of_another_account(platform: str) -> Shop:
    opened = shop(platform)
    opened.simulator.revoke_token()
    return opened


# ---------------------------------------------------------------- faults

PAST = {"type": "pickup", "due_at": (datetime.now(UTC) - timedelta(hours=1)).isoformat()}
ALLERGY = "Please ring twice. " * 600 + "SEVERE PEANUT ALLERGY"
AT_ALL: list[Fault] = [
    fault
    for each in PLATFORMS
    for fault in (
        Fault(
            "other currency",
            each,
            shop,
            plain_order(currency="JPY"),
            OrderError,
            "currency",
            SITE,
            ["the order is in JPY, ", "AUD)", "nothing to correct", SITES_SUPPORT],
        ),
        Fault(
            "price without tax",
            each,
            shop,
            net(1450, 145),
            MenuError,
            "net_price",
            SITE,
            ["nothing to correct", KEYED_IN, SITES_SUPPORT],
        ),
        Fault(
            "another price",
            each,
            shop,
            plain_order(unit_price=1400),
            MenuError,
            "price",
            STORE,
            ["14.00 AUD", "14.50 AUD", SENT_AGAIN, "as it was paid", SITES_SUPPORT],
        ),
        Fault(
            "a tax too few",
            each,
            adding_two_taxes,
            net(1450, 72),
            TaxError,
            "",
            STORE,
            ["GST", "PST", "0.72 AUD", "If all taxes are right", "as it was paid"],
        ),
        Fault(
            "item is gone",
            each,
            without_toastie,
            plain_order(),
            MenuError,
            "gone",
            STORE,
            ["BLT toastie (line 1)", SENT_AGAIN, KEYED_IN],
        ),
        Fault(
            "item is sold out",
            each,
            sold_out,
            plain_order(),
            MenuError,
            "sold_out",
            STORE,
            ["BLT toastie (line 1)", "availability", KEYED_IN],
        ),
        Fault(
            "menu is held",
            each,
            held,
            plain_order(),
            MenuError,
            "held",
            STORE,
            ["held for review", SITES_SUPPORT, SENT_AGAIN],
        ),
        Fault(
            "too few choices",
            each,
            shop,
            order_of(BURGER),
            MenuError,
            "choices",
            STORE,
            ["0 of How cooked", "exactly 1", KEYED_IN],
        ),
        Fault(
            "time has passed",
            each,
            lambda platform: shop(platform, policy=NEVER_LATE),
            plain_order(fulfilment=PAST),
            OrderError,
            "late",
            STORE,
            ["has passed", "another time with the customer", "refund"],
        ),
        Fault(
            "changed after it was sent",
            each,
            has_an_earlier_one,
            plain_order(note="No bacon"),
            OrderError,
            "changed",
            SITE,
            ["what was sent first", "don't key it in", SITES_SUPPORT],
        ),
        Fault(
            "token of another account",
            each,
            of_another_account,
            plain_order(),
            PermissionsError,
            "",
            STORE,
            ["ccess", "After that, the order can be sent again"],
        ),
    )
]

AT_SQUARE: list[Fault] = [
    Fault(
        "money to be paid at the store",
        "square",
        shop,
        order_of(TOASTIE, due=450),
        OrderError,
        "unsupported",
        SITE,
        ["money to be paid at the store", KEYED_IN, SITES_SUPPORT],
    ),
    Fault(
        "rounding off prices without tax",
        "square",
        lambda platform: adding(platform, "10"),
        net(1450, 145, charges=[DOWN]),
        OrderError,
        "unsupported",
        SITE,
        ["a negative charge", KEYED_IN, SITES_SUPPORT],
    ),
    Fault(
        "rounding off free lines",
        "square",
        shop,
        order_of(
            {**TOASTIE, "unit_price": 0, "item_id": ""},
            charges=[DELIVERY, DOWN],
        ),
        OrderError,
        "unsupported",
        SITE,
        ["a negative charge", KEYED_IN],
    ),
    Fault(
        "discount without tax where prices include it",
        "square",
        shop,
        order_of(
            {**TOASTIE, "unit_price": 1318},
            discounts=[{"name": "COUPON", "amount": 500}],
            prices_include_tax=False,
            tax=82,
        ),
        OrderError,
        "tax_terms",
        SITE,
        ["discounts would come to another amount", "nothing to correct", KEYED_IN, SITES_SUPPORT],
    ),
    Fault(
        "taxed charge beside two rates",
        "square",
        two_rates,
        order_of(
            TOASTIE,
            {"item_id": "7302", "name": "Flat white", "quantity": 1, "unit_price": 550},
            charges=[{**DELIVERY, "taxed": True}],
            prices_include_tax=False,
            tax=178,
        ),
        OrderError,
        "unsupported",
        SITE,
        ["a taxed charge beside items of different taxes", KEYED_IN],
    ),
    Fault(
        "note without an end",
        "square",
        shop,
        plain_order(note=ALLERGY),
        OrderError,
        "unsupported",
        SITE,
        ["notes of this length", KEYED_IN],
    ),
    Fault(
        "payment's reference without an end",
        "square",
        shop,
        plain_order(payments=[{"method": "card", "amount": 1450, "reference": "x" * 300}]),
        OrderError,
        "unsupported",
        SITE,
        ["a payment reference of this length", KEYED_IN],
    ),
    Fault(
        "half a cent that nothing makes up for",
        "square",
        refusing_adjustments,
        net(545, 55),
        TaxError,
        "rounding",
        SITE,
        ["5.99 AUD, not 6.00 AUD", "The taxes in Square are right", KEYED_IN],
        ["surcharge", "wrong"],
    ),
    Fault(
        "id of another product",
        "square",
        with_cake_under_its_id,
        order_of({**TOASTIE, "sku": "BLT"}),
        MenuError,
        "gone",
        STORE,
        ["BLT toastie (line 1)", KEYED_IN],
        ["cake"],
    ),
    Fault(
        "cancelled before",
        "square",
        has_cancelled_it,
        plain_order(),
        OrderError,
        "cancelled",
        SITE,
        ["was cancelled", "key it in", SITES_SUPPORT],
    ),
]

AT_KOUNTA = [
    Fault(
        f"{what} without a product",
        "kounta",
        bare,
        order,
        SetupError,
        "product",
        SITE,
        [name, "choose a product in Kounta", KEYED_IN, SITES_SUPPORT],
        ["isn't set up correctly"],
    )
    for what, name, order in (
        ("open item", "Cake for 8 (line 2)", order_of(TOASTIE, CAKE)),
        ("charge", "Delivery fee", order_of(TOASTIE, charges=[DELIVERY])),
        ("rounding", "Rounding", order_of(TOASTIE, charges=[DOWN])),
        ("tip", "Tip", order_of(TOASTIE, tip=100)),
        ("discount", "WELCOME", order_of(TOASTIE, discounts=[{"name": "WELCOME", "amount": 50}])),
    )
] + [
    Fault(
        "product of a charge is gone",
        "kounta",
        lambda platform: shop(platform, charge_products={"delivery": "999999"}),
        order_of(TOASTIE, charges=[DELIVERY]),
        MenuError,
        "product",
        SITE,
        ["Delivery fee", KEYED_IN, SITES_SUPPORT],
        ["customer"],
    ),
    Fault(
        "taxed charge whose product has no tax",
        "kounta",
        lambda platform: shop(platform, charge_products={"delivery": "6103"}),
        order_of(TOASTIE, charges=[{**DELIVERY, "taxed": True}]),
        SetupError,
        "product",
        SITE,
        ["Delivery fee with tax", KEYED_IN],
    ),
    Fault(
        "price that no price without tax comes to",
        "kounta",
        rounding_kounta,
        plain_order(unit_price=903),
        TaxError,
        "rounding_created",
        SITE,
        ["9.04 AUD", "9.03 AUD", "taxes in Kounta are right", "can be served"],
        ["orrect the tax", "wrong"],
    ),
    Fault(
        "tax that is newer than the menu",
        "kounta",
        with_a_new_tax,
        plain_order(),
        TaxError,
        "created",
        STORE,
        ["14.50 AUD", "Correct the total at the register", "if all are right"],
    ),
]

AT_GENERIC: list[Fault] = [
    Fault(
        "too many of one",
        "generic",
        with_few_toasties,
        order_of({**TOASTIE, "quantity": 9}),
        MenuError,
        "quantity",
        STORE,
        ["BLT toastie (line 1)", "smaller quantity", KEYED_IN],
    ),
    Fault(
        "table that isn't there",
        "generic",
        shop,
        plain_order(fulfilment={"type": "dine_in", "table": "99"}),
        MenuError,
        "table",
        STORE,
        ["Table 99", "where they sit", KEYED_IN],
    ),
]

FAULTS = [*AT_ALL, *AT_SQUARE, *AT_KOUNTA, *AT_GENERIC]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.platform}: {fault.name}")
def test_manager_is_told_the_right_thing(fault: Fault) -> None:
    opened = fault.shop(fault.platform)
    error = opened.refused(fault.order)

    assert isinstance(error, fault.kind)
    assert error.reason == fault.reason or fault.kind is PermissionsError
    assert error.remedy.actor is fault.actor
    text = error.remedy.manager
    assert_true(text, opened, error)
    assert_plain(text)
    for part in fault.says:
        assert part in text, text
    for part in fault.never:
        assert part not in text, text
    if fault.actor is not STORE:
        assert not re.search(rf"(Correct|Add|Raise|Update|wrong)\b.* in {error.title}", text), text


def assert_true(text: str, opened: Shop, error: PosError) -> None:
    """Check what the text says of the order against what the register shows."""
    shown = [
        entry
        for entry in opened.simulator.ledger().shown
        if entry.reference == plain_order().id and not entry.cancelled
    ]
    if error.reason == "cancelled":
        return
    if shown:
        assert error.outcome is Outcome.CREATED
        assert re.search("(already )?has the order", text), text
        assert not re.search("sent again", text.replace("mustn't be sent again", "")), text
    elif error.outcome is Outcome.NOT_CREATED:
        assert NOT_THERE in text, text
    else:
        assert "look there before keying it in" in text, text


def assert_plain(text: str) -> None:
    """Check that no name of a field, a setting or a program is in the text."""
    assert not re.search(r"[_`\[\]{}]|\bcharges\b:|None", text), text


# ---------------------------------------------------------------- where there is no order


@pytest.mark.parametrize("platform", ["square", "kounta"])
def test_token_of_another_environment_names_the_address(platform: str) -> None:
    opened = shop(platform, access_token="a-token-of-the-sandbox")
    for operation in (opened.till.import_menu, lambda: opened.till.submit(plain_order())):
        with pytest.raises(PermissionsError) as caught:
            operation()
        remedy = caught.value.remedy
        assert "`base_url` is of the same environment as the token" in remedy.developer
        assert "a test account: ask the ordering site's support" in remedy.manager


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("status", [400, 404])
def test_import_that_is_refused_speaks_of_no_order(platform: str, status: int) -> None:
    opened = shop(platform)
    bodies: Mapping[str, object] = {
        "square": {"errors": [{"code": "NOT_FOUND" if status == 404 else "BAD_REQUEST"}]},
        "kounta": {"error": "invalid_request", "error_description": "The site was not found."},
        "generic": {"kind": "OrderError", "detail": "there is no such site"},
    }
    opened.refuse = lambda _: httpx.Response(status, json=bodies[platform])
    with pytest.raises(SetupError) as caught:
        opened.till.import_menu()
    error = caught.value
    assert not error.concerns_order
    for text in (error.remedy.manager, error.remedy.developer):
        assert not re.search(r"\border(s|ed)?\b", text.replace("ordering site", "")), text


# ---------------------------------------------------------------- an order that was looked at only


@pytest.mark.parametrize("platform", PLATFORMS)
def test_order_that_the_platform_does_not_show_is_not_blamed(platform: str) -> None:
    opened = shop(platform)
    with pytest.raises(OrderError) as caught:
        opened.till.fetch("00000000" if platform != "generic" else "nope")
    error = caught.value
    assert (error.reason, error.outcome) == ("missing", Outcome.UNKNOWN)
    assert "Look for it at the register" in error.remedy.manager
    assert "refused" not in error.remedy.manager


@pytest.mark.parametrize("platform", PLATFORMS)
def test_outage_of_a_look_does_not_send_an_order_again(platform: str) -> None:
    opened = shop(platform)
    made = opened.till.submit(plain_order())
    opened.refuse = lambda _: httpx.Response(503)
    with pytest.raises(PosError) as caught:
        opened.till.fetch(made)
    assert caught.value.outcome is Outcome.UNKNOWN
    assert NOT_THERE not in caught.value.remedy.manager
    with pytest.raises(PosError) as caught:
        opened.till.cancel(made)
    assert "sent again" not in caught.value.remedy.manager
    assert NOT_THERE not in caught.value.remedy.manager


@pytest.mark.parametrize("platform", ["square", "generic"])
def test_order_that_is_done_is_not_called_invalid(platform: str) -> None:
    opened = shop(platform)
    made = opened.till.submit(plain_order())
    opened.simulator.staff_accept(made.reference)
    opened.simulator.staff_prepare(made.reference)
    opened.simulator.staff_complete(made.reference)
    with pytest.raises(OrderError) as caught:
        opened.till.cancel(made)
    error = caught.value
    assert (error.reason, error.outcome) == ("uncancelled", Outcome.CREATED)
    assert "hasn't cancelled this order" in error.remedy.manager
    assert "refund" in error.remedy.manager


# ---------------------------------------------------------------- notices


@pytest.mark.parametrize("platform", PLATFORMS)
def test_kept_price_arrives_with_a_notice(platform: str) -> None:
    opened = shop(platform, policy=Policy(retries=0, prices="keep_paid"))
    opened.till.import_menu()
    made = opened.till.submit(plain_order(unit_price=1400))
    kept = "Price kept as paid: BLT toastie 14.00 AUD (menu 14.50 AUD)"
    assert made.notices == (kept,)
