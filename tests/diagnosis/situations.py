"""The labelled set: what can go wrong, by platform and cause, and what has to be said of it. One row a situation.

`hop` and `kind` are labels, made from the cause and not from what the program says; `whose` is the
label of an outage. An order that is refused before it is sent is at the platform's hop, since that
is where it has to be mended."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from adapters.square.shop_orders import FLAT_WHITE, TOASTIE, paid
from diagnosis.stage import (
    GENERIC,
    ID,
    KOUNTA,
    SQUARE,
    Situation,
    Stage,
    due_at,
    lunch,
    nothing,
    toastie,
)
from tillpost import Order
from tillpost.models.order import DineIn, Line
from tillpost.models.outage import Whose
from tillpost.simulator import Fault, FaultKind, FaultPlan, FaultRule
from tillpost.support.diagnosis import Hop

__all__ = ["SITUATIONS"]

CREATE = {SQUARE: r"/v2/orders$", KOUNTA: r"/orders\.json$", GENERIC: r"/orders$"}


def does(action: str, *args: Any, **more: Any) -> Callable[[Stage], object]:
    """Something that happens at the platform: one of its simulator's actions."""
    return lambda stage: getattr(stage.simulator, action)(*args, **more)


def staff(action: str) -> Callable[[Stage], object]:
    """Something that staff do with the order."""
    return does(f"staff_{action}", ID)


def create(platform: str, kind: FaultKind, **more: Any) -> Callable[[Stage], object]:
    """Let all requests that make an order fail so."""
    fault = Fault.model_validate({"kind": kind, "hang_seconds": 0.4, **more})
    rule = FaultRule(method="POST", path=CREATE[platform], times=None, fault=fault)
    return lambda stage: stage.simulator.set_faults(FaultPlan(rules=(rule,)))


def every(kind: FaultKind, **more: Any) -> Callable[[Stage], object]:
    """Let every request fail so."""
    rule = FaultRule(times=None, fault=Fault.model_validate({"kind": kind, **more}))
    return lambda stage: stage.simulator.set_faults(FaultPlan(rules=(rule,)))


def in_turn(*acts: Callable[[Stage], object]) -> Callable[[Stage], object]:
    """Several things, one after the other."""

    def all_of(stage: Stage) -> None:
        for act in acts:
            act(stage)

    return all_of


def one(item_id: str, name: str, price: int) -> Callable[[], Order]:
    """An order of one thing."""
    return lambda: paid(ID, [Line(item_id=item_id, name=name, quantity=1, unit_price=price)])


def at_table(name: str) -> Callable[[], Order]:
    """An order that is brought to a table."""
    return lambda: toastie(fulfilment=DineIn(table=name))


def later(hours: float) -> Callable[[], datetime]:
    """A time so far ahead."""
    return lambda: datetime.now(UTC) + timedelta(hours=hours)


BURGER = one("5320", "Cheeseburger", 1900)
LONG = "x" * 40
P, R, C, N = Hop.PLATFORM, Hop.REGISTER, Hop.CAPTURED, Hop.NONE
S = Situation

MENU = (
    S("an item is gone", SQUARE, P, "MenuError", does("remove_variation", "5312")),
    S("an item is gone", KOUNTA, P, "MenuError", does("remove_product", 5312)),
    S("an item is gone", GENERIC, P, "MenuError", does("remove_variation", "5312")),
    S("a modifier is gone", SQUARE, P, "MenuError", does("remove_modifier", "228")),
    S("a modifier is gone", KOUNTA, P, "MenuError", does("remove_product", 228)),
    S("a modifier is gone", GENERIC, P, "MenuError", does("remove_modifier", "228")),
    S("an item is sold out", SQUARE, P, "MenuError", does("sell_out", "5312"), fresh_menu=True),
    S("an item is sold out", KOUNTA, P, "MenuError", does("sell_out", 5312)),
    S("an item is sold out", GENERIC, P, "MenuError", does("sell_out", "5312")),
    S("a price has changed", SQUARE, P, "MenuError", does("change_price", "5312", 1500)),
    S(
        "a price has changed",
        KOUNTA,
        P,
        "MenuError",
        does("change_price", 5312, Decimal(14)),
        fresh_menu=True,
    ),
    S("a price has changed", GENERIC, P, "MenuError", does("change_price", "5312", 1500)),
    S(
        "an item is at another site only",
        SQUARE,
        P,
        "MenuError",
        order=one("6104", "Avocado toast", 1600),
    ),
    S(
        "an item is at another site only",
        KOUNTA,
        P,
        "MenuError",
        order=one("6104", "Avocado toast", 1600),
    ),
    S(
        "an item is taken off the site",
        SQUARE,
        P,
        "MenuError",
        does("withdraw", "5312"),
        fresh_menu=True,
    ),
    S("an item is taken off the site", KOUNTA, P, "MenuError", does("withdraw", 5312)),
    S("a choice that has to be made isn't", SQUARE, P, "MenuError", order=BURGER, fresh_menu=True),
    S("a choice that has to be made isn't", GENERIC, P, "MenuError", order=BURGER),
    S(
        "an option set asks for more than it has",
        KOUNTA,
        P,
        "MenuError",
        in_turn(does("add_option_set", 63, "Sides", [250], 3), does("set_options_of", 5312, [63])),
        fresh_menu=True,
    ),
    S(
        "option sets are mixed with modifiers",
        KOUNTA,
        P,
        "MenuError",
        in_turn(
            does("add_option_set", 64, "Breads", [250, 251], 1),
            does("set_options_of", 5312, [64], [231]),
        ),
        fresh_menu=True,
    ),
    S(
        "an item has no tax, and is sold with one",
        KOUNTA,
        P,
        "MenuError",
        order=one("6103", "Bread loaf", 880),
    ),
    S("more is ordered than may be", GENERIC, P, "MenuError", does("limit_quantity", "7302", 1)),
    S(
        "the table is gone",
        GENERIC,
        P,
        "MenuError",
        does("remove_table", "12"),
        order=at_table("12"),
    ),
    S(
        "the menu has lost so much that its import is held",
        GENERIC,
        P,
        "MenuError",
        before=lambda stage: _lose_menu(stage),
    ),
)

TAXES = (
    S(
        "a surcharge is a second tax",
        SQUARE,
        P,
        "TaxError",
        does("add_tax", "Weekend surcharge", "10"),
    ),
    S(
        "two taxes, one in the price",
        SQUARE,
        P,
        "TaxError",
        does("add_tax", "Levy", "5", inclusive=True),
        fresh_menu=True,
    ),
    S(
        "a second tax on an item",
        KOUNTA,
        P,
        "TaxError",
        does("set_taxes_of", 5312, [829, 844]),
        fresh_menu=True,
    ),
    S(
        "a second tax adds up at the register",
        KOUNTA,
        N,
        "TaxError",
        does("set_taxes_of", 5312, [829, 844]),
    ),
    S(
        "a surcharge is a second tax",
        GENERIC,
        P,
        "TaxError",
        does("add_tax", "Weekend surcharge", "10"),
    ),
)

ACCESS = (
    S("the token is revoked", SQUARE, P, "PermissionsError", does("revoke_token")),
    S("the token is revoked", KOUNTA, P, "PermissionsError", does("revoke_token")),
    S("the token is revoked", GENERIC, P, "PermissionsError", does("revoke_token")),
    S(
        "the token has expired, and nothing renews it",
        SQUARE,
        P,
        "PermissionsError",
        does("expire_token"),
    ),
    S(
        "the token has expired, and nothing renews it",
        KOUNTA,
        P,
        "PermissionsError",
        does("expire_token"),
    ),
    S(
        "the admin who connected it was removed",
        SQUARE,
        P,
        "PermissionsError",
        does("revoke_authorisation"),
    ),
    S(
        "the admin who connected it was removed",
        KOUNTA,
        P,
        "PermissionsError",
        does("revoke_authorisation"),
    ),
    S(
        "the admin who connected it was demoted",
        KOUNTA,
        P,
        "PermissionsError",
        does("take_permission"),
    ),
    S("a scope is missing", SQUARE, P, "PermissionsError", does("drop_scope", "ORDERS_WRITE")),
    S(
        "the scope to pay is missing",
        SQUARE,
        P,
        "PermissionsError",
        does("drop_scope", "PAYMENTS_WRITE"),
    ),
    S(
        "the signing key was changed",
        GENERIC,
        P,
        "PermissionsError",
        does("change_signing_key", "another-key"),
    ),
)


def failing(
    name: str, platform: str, before: Callable[[Stage], object] = nothing, **more: Any
) -> Situation:
    """An outage that is the provider's."""
    return S(name, platform, P, "OutageError", before, whose=Whose.PLATFORM, **more)


def unreached(
    name: str, platform: str, whose: Whose, unplugged: tuple[str, ...], **more: Any
) -> Situation:
    """No connection to the platform comes about, and that isn't known to be its fault."""
    return S(name, platform, C, "OutageError", whose=whose, unplugged=unplugged, **more)


OUTAGES = (
    failing("it answers 503", SQUARE, does("set_outage")),
    failing("it answers 503", KOUNTA, does("set_outage")),
    failing("it answers 503", GENERIC, does("set_outage")),
    failing("an outage that all orders meet", SQUARE, does("set_outage"), times=3),
    failing("an outage that all orders meet", KOUNTA, does("set_outage"), times=3),
    failing("a page of maintenance", SQUARE, every(FaultKind.HTML, status=503)),
    failing("a page of maintenance", KOUNTA, every(FaultKind.HTML, status=503)),
    failing("no answer in time", SQUARE, create(SQUARE, FaultKind.TIMEOUT), read=0.3),
    failing("no answer in time", KOUNTA, create(KOUNTA, FaultKind.TIMEOUT), read=0.3),
    failing("no answer in time", GENERIC, create(GENERIC, FaultKind.TIMEOUT), read=0.3),
    S(
        "too many requests",
        SQUARE,
        P,
        "RateLimitError",
        create(SQUARE, FaultKind.RATE_LIMITED, retry_after=60),
    ),
    S(
        "too many requests",
        KOUNTA,
        P,
        "RateLimitError",
        create(KOUNTA, FaultKind.RATE_LIMITED, retry_after=60),
    ),
    S(
        "too many requests",
        GENERIC,
        P,
        "RateLimitError",
        create(GENERIC, FaultKind.RATE_LIMITED, retry_after=60),
    ),
    failing("the answer is lost, the order isn't made", KOUNTA, create(KOUNTA, FaultKind.RESET)),
    failing("the answer is lost, the order is made", SQUARE, create(SQUARE, FaultKind.LOST_ANSWER)),
    S(
        "the answer is lost, the order is made",
        KOUNTA,
        R,
        "",
        create(KOUNTA, FaultKind.LOST_ANSWER),
    ),
    S(
        "the answer is lost, the order is made",
        GENERIC,
        R,
        "",
        create(GENERIC, FaultKind.LOST_ANSWER),
    ),
    S(
        "the answer names no order, and no list has it yet",
        KOUNTA,
        P,
        "DoubtError",
        in_turn(does("leave_location_out", 9), does("set_lag", 600.0)),
    ),
    failing(
        "it refuses connections, and another answers", SQUARE, unplugged=(SQUARE,), also=(GENERIC,)
    ),
    failing(
        "it refuses connections, and another answers", KOUNTA, unplugged=(KOUNTA,), also=(SQUARE,)
    ),
)

OURS, UNKNOWN = Whose.OURS, Whose.UNKNOWN
DNS = "https://platform.invalid"
BOTH = (SQUARE, KOUNTA)
NETWORK = (
    unreached("our network: all are refused", SQUARE, OURS, BOTH, also=(KOUNTA,)),
    unreached("our network: all are refused", KOUNTA, OURS, BOTH, also=(SQUARE,), times=3),
    unreached("our network: all are refused", GENERIC, OURS, (GENERIC, SQUARE), also=(SQUARE,)),
    unreached("our network: no name is resolved", SQUARE, OURS, BOTH, also=(KOUNTA,), nowhere=DNS),
    unreached("our network: no name is resolved", KOUNTA, OURS, BOTH, also=(SQUARE,), nowhere=DNS),
    unreached("one platform alone, and it isn't reached", SQUARE, UNKNOWN, (SQUARE,)),
    unreached("one platform alone, and no order gets through", KOUNTA, UNKNOWN, (KOUNTA,), times=3),
    unreached(
        "our network failed after the other had answered", SQUARE, UNKNOWN, BOTH, earlier=(KOUNTA,)
    ),
    unreached(
        "our network failed after both had answered",
        SQUARE,
        OURS,
        BOTH,
        earlier=BOTH,
        also=(KOUNTA,),
    ),
)

OFFLINE = "RegisterOfflineError"
PRINTS = {"pass_thru_printing": True}
BLIND = {**PRINTS, "check_first": False}
REGISTER = (
    S("the register's app is shut", SQUARE, R, ""),
    S("the app has stopped syncing", KOUNTA, R, "", does("stop_syncing")),
    S("all devices are off", KOUNTA, R, OFFLINE, does("switch_site", online=False)),
    S(
        "it came, and then the register went offline",
        GENERIC,
        R,
        OFFLINE,
        after=does("connect_register", online=False),
    ),
    S("nobody has touched it yet", GENERIC, R, ""),
    S("the platform fails after it came", SQUARE, R, "", after=does("set_outage")),
    S(
        "the printing register is offline",
        KOUNTA,
        R,
        OFFLINE,
        does("switch_register", online=False),
        settings=PRINTS,
    ),
    S(
        "it refuses: that register is offline",
        KOUNTA,
        R,
        OFFLINE,
        does("switch_register", online=False),
        settings=BLIND,
    ),
    S("the register is offline", GENERIC, R, OFFLINE, does("connect_register", online=False)),
    S("it is on the register, and no docket comes", SQUARE, N, "", after=staff("accept")),
    S("it is on the register, and no docket comes", KOUNTA, N, "", after=staff("accept")),
    S("it is on the register, and no docket comes", GENERIC, N, "", after=staff("accept")),
    S("it was handed over", SQUARE, N, "", after=staff("complete")),
    S("staff turn it down", SQUARE, N, "OrderError", after=staff("reject")),
    S("staff turn it down", KOUNTA, N, "OrderError", after=staff("reject")),
    S("staff turn it down", GENERIC, N, "OrderError", after=staff("reject")),
    S("staff delete it", KOUNTA, N, "OrderError", after=staff("delete")),
    S(
        "online ordering is switched off",
        KOUNTA,
        P,
        "StoreClosedError",
        does("switch_ordering", online=False),
    ),
    S("the store is closed", GENERIC, P, "StoreClosedError", does("open_store", is_open=False)),
    S(
        "closed, and due in a while",
        GENERIC,
        P,
        "StoreClosedError",
        does("open_store", is_open=False),
        order=due_at(later(0.4)),
    ),
)

OTHERWISE = (
    S(
        "the location is none of the store's",
        SQUARE,
        P,
        "SetupError",
        settings={"location_id": "L-NOWHERE"},
    ),
    S(
        "the payment method is none of the company's",
        KOUNTA,
        P,
        "SetupError",
        settings={"payment_method_id": "99"},
    ),
    S("the site is none of the company's", KOUNTA, P, "SetupError", settings={"site_id": "4711"}),
    S(
        "no product stands for a tip",
        KOUNTA,
        P,
        "SetupError",
        settings={"tip_product": None},
        order=lambda: lunch(tip=100),
    ),
    S(
        "the store takes another currency",
        GENERIC,
        P,
        "SetupError",
        order=lambda: toastie().model_copy(update={"currency": "NZD"}),
    ),
    S("the address isn't public", GENERIC, P, "SetupError", settings={"allow_private": False}),
    S("nobody knows the connection", SQUARE, C, "SetupError", connection="cafe-99"),
    S("its time has passed", SQUARE, P, "OrderError", order=due_at(later(-2))),
    S(
        "it is due before it was placed",
        GENERIC,
        P,
        "OrderError",
        order=due_at(lambda: datetime(2020, 1, 1, tzinfo=UTC)),
    ),
    S(
        "the payment's reference is too long",
        SQUARE,
        P,
        "OrderError",
        order=lambda: _with_reference(LONG * 10),
    ),
    S(
        "an answer that nobody knows",
        KOUNTA,
        P,
        "UnknownPosError",
        create(KOUNTA, FaultKind.HTML, status=418),
    ),
    S(
        "an answer that nobody knows",
        SQUARE,
        P,
        "UnknownPosError",
        create(SQUARE, FaultKind.HTML, status=418),
    ),
    S(
        "a problem of no known kind",
        GENERIC,
        P,
        "UnknownPosError",
        does("refuse_orders", "TeapotError", status=418),
    ),
    S("it is scheduled for tonight", SQUARE, N, "", order=due_at(later(5))),
    S("it is scheduled for tonight", KOUNTA, N, "", order=due_at(later(5))),
    S("no worker is at work", SQUARE, C, "", worker=False),
    S("no worker is at work", GENERIC, C, "", worker=False),
    S(
        "another worker imports the menu",
        KOUNTA,
        C,
        "",
        before=lambda stage: stage.import_elsewhere(),
    ),
)


def _lose_menu(stage: Stage) -> None:
    """Let the store's menu be nearly empty."""
    for variation in ("5312", "7310", "5320", "6105", "6102", "6103"):
        stage.simulator.remove_variation(variation)


def _with_reference(text: str) -> Order:
    order = paid(ID, [TOASTIE, FLAT_WHITE])
    (payment,) = order.payments
    return order.model_copy(update={"payments": (payment.model_copy(update={"reference": text}),)})


SITUATIONS = (*MENU, *TAXES, *ACCESS, *OUTAGES, *NETWORK, *REGISTER, *OTHERWISE)
