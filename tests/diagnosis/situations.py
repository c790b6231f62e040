"""The labelled situations: what can go wrong, by platform, and the expected diagnosis.

One row is one situation. `hop`, `kind` and `whose` are labels that follow from the cause, not from
what the program reports. An order that is refused before it is sent belongs to the platform's hop,
because that is where the cause has to be fixed.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from adapters.square.shop_orders import FLAT_WHITE, TOASTIE, paid
from diagnosis.stage import (
    GENERIC,
    KOUNTA,
    ORDER_ID,
    SQUARE,
    Event,
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

PLATFORM, REGISTER_HOP, CAPTURED, NONE = Hop.PLATFORM, Hop.REGISTER, Hop.CAPTURED, Hop.NONE

CREATE_PATHS = {SQUARE: r"/v2/orders$", KOUNTA: r"/orders\.json$", GENERIC: r"/orders$"}


def act(action: str, *args: Any, **more: Any) -> Event:
    """Return an event that calls one of the simulator's actions."""

    def happen(stage: Stage) -> None:
        getattr(stage.simulator, action)(*args, **more)

    return happen


def staff(action: str) -> Event:
    """Return an event in which staff do something with the order."""
    return act(f"staff_{action}", ORDER_ID)


def fail_creates(platform: str, kind: FaultKind, **more: Any) -> Event:
    """Return an event that makes every request that creates an order fail."""
    fault = Fault.model_validate({"kind": kind, **more})
    rule = FaultRule(method="POST", path=CREATE_PATHS[platform], times=None, fault=fault)
    return act("set_faults", FaultPlan(rules=(rule,)))


def fail_all(kind: FaultKind, **more: Any) -> Event:
    """Return an event that makes every request fail."""
    rule = FaultRule(times=None, fault=Fault.model_validate({"kind": kind, **more}))
    return act("set_faults", FaultPlan(rules=(rule,)))


def in_turn(*events: Event) -> Event:
    """Return an event made of several, one after the other."""

    def happen(stage: Stage) -> None:
        for event in events:
            event(stage)

    return happen


def order_of(item_id: str, name: str, price: int) -> Callable[[], Order]:
    """Return a function that builds an order of one item."""
    line = Line(item_id=item_id, name=name, quantity=1, unit_price=price)
    return lambda: paid(ORDER_ID, [line])


def at_table(name: str) -> Callable[[], Order]:
    """Return a function that builds an order for a table."""
    return lambda: toastie(fulfilment=DineIn(table=name))


def later(hours: float) -> Callable[[], datetime]:
    """Return a function that returns the time in so many hours."""
    return lambda: datetime.now(UTC) + timedelta(hours=hours)


def lose_menu(stage: Stage) -> None:
    """Remove most of the store's menu."""
    for variation in ("5312", "7310", "5320", "6105", "6102", "6103"):
        stage.simulator.remove_variation(variation)


def order_with_long_reference() -> Order:
    """Build an order whose payment reference is longer than any platform allows."""
    order = paid(ORDER_ID, [TOASTIE, FLAT_WHITE])
    (payment,) = order.payments
    long_payment = payment.model_copy(update={"reference": "x" * 400})
    return order.model_copy(update={"payments": (long_payment,)})


def order_with_long_note() -> Order:
    """Build an order whose note has more words than Square has room for."""
    return paid(ORDER_ID, [TOASTIE, FLAT_WHITE]).model_copy(update={"note": "no nuts " * 1000})


BURGER = order_of("5320", "Cheeseburger", 1900)


def _need_an_import(stage: Stage) -> None:
    """Recreate the item, which only a whole menu finds again, while another worker imports it."""
    act("recreate_product", 5312)(stage)
    stage.import_elsewhere()


MENU = (
    Situation("item removed", SQUARE, PLATFORM, "MenuError", act("remove_variation", "5312")),
    Situation("item removed", KOUNTA, PLATFORM, "MenuError", act("remove_product", 5312)),
    Situation("item removed", GENERIC, PLATFORM, "MenuError", act("remove_variation", "5312")),
    Situation("modifier removed", SQUARE, PLATFORM, "MenuError", act("remove_modifier", "228")),
    Situation("modifier removed", KOUNTA, PLATFORM, "MenuError", act("remove_product", 228)),
    Situation("modifier removed", GENERIC, PLATFORM, "MenuError", act("remove_modifier", "228")),
    Situation(
        "item sold out", SQUARE, PLATFORM, "MenuError", act("sell_out", "5312"), fresh_menu=True
    ),
    Situation("item sold out", KOUNTA, PLATFORM, "MenuError", act("sell_out", 5312)),
    Situation("item sold out", GENERIC, PLATFORM, "MenuError", act("sell_out", "5312")),
    Situation("price changed", SQUARE, PLATFORM, "MenuError", act("change_price", "5312", 1500)),
    Situation(
        "price changed",
        KOUNTA,
        PLATFORM,
        "MenuError",
        act("change_price", 5312, Decimal(14)),
        fresh_menu=True,
    ),
    Situation("price changed", GENERIC, PLATFORM, "MenuError", act("change_price", "5312", 1500)),
    Situation(
        "item only at another site",
        SQUARE,
        PLATFORM,
        "MenuError",
        order=order_of("6104", "Avocado toast", 1600),
    ),
    Situation(
        "item only at another site",
        KOUNTA,
        PLATFORM,
        "MenuError",
        order=order_of("6104", "Avocado toast", 1600),
    ),
    Situation(
        "item withdrawn from the site",
        SQUARE,
        PLATFORM,
        "MenuError",
        act("withdraw", "5312"),
        fresh_menu=True,
    ),
    Situation("item withdrawn from the site", KOUNTA, PLATFORM, "MenuError", act("withdraw", 5312)),
    Situation(
        "required choice missing", SQUARE, PLATFORM, "MenuError", order=BURGER, fresh_menu=True
    ),
    Situation("required choice missing", GENERIC, PLATFORM, "MenuError", order=BURGER),
    Situation(
        "option set requires more options than it has",
        KOUNTA,
        PLATFORM,
        "MenuError",
        in_turn(act("add_option_set", 63, "Sides", [250], 3), act("set_options_of", 5312, [63])),
        fresh_menu=True,
    ),
    Situation(
        "option sets mixed with modifiers",
        KOUNTA,
        PLATFORM,
        "MenuError",
        in_turn(
            act("add_option_set", 64, "Breads", [250, 251], 1),
            act("set_options_of", 5312, [64], [231]),
        ),
        fresh_menu=True,
    ),
    Situation(
        "item without tax sold with tax",
        KOUNTA,
        PLATFORM,
        "MenuError",
        order=order_of("6103", "Bread loaf", 880),
    ),
    Situation(
        "quantity above the limit", GENERIC, PLATFORM, "MenuError", act("limit_quantity", "7302", 1)
    ),
    Situation(
        "table removed",
        GENERIC,
        PLATFORM,
        "MenuError",
        act("remove_table", "12"),
        order=at_table("12"),
    ),
    Situation(
        "menu import held for review",
        GENERIC,
        PLATFORM,
        "MenuError",
        before=lose_menu,
    ),
)

TAXES = (
    Situation(
        "surcharge set up as a tax",
        SQUARE,
        PLATFORM,
        "TaxError",
        act("add_tax", "Weekend surcharge", "10"),
    ),
    Situation(
        "tax added to prices that include another",
        SQUARE,
        PLATFORM,
        "TaxError",
        act("add_tax", "Levy", "5"),
        fresh_menu=True,
    ),
    Situation(
        "second tax on an item",
        KOUNTA,
        PLATFORM,
        "TaxError",
        act("set_taxes_of", 5312, [829, 844]),
        fresh_menu=True,
    ),
    Situation(
        "second tax found after creating the order",
        KOUNTA,
        NONE,
        "TaxError",
        act("set_taxes_of", 5312, [829, 844]),
    ),
    Situation(
        "surcharge set up as a tax",
        GENERIC,
        PLATFORM,
        "TaxError",
        act("add_tax", "Weekend surcharge", "10"),
    ),
)

ACCESS = (
    Situation("token revoked", SQUARE, PLATFORM, "PermissionsError", act("revoke_token")),
    Situation("token revoked", KOUNTA, PLATFORM, "PermissionsError", act("revoke_token")),
    Situation("token revoked", GENERIC, PLATFORM, "PermissionsError", act("revoke_token")),
    Situation(
        "token expired without a refresh token",
        SQUARE,
        PLATFORM,
        "PermissionsError",
        act("expire_token"),
    ),
    Situation(
        "token expired without a refresh token",
        KOUNTA,
        PLATFORM,
        "PermissionsError",
        act("expire_token"),
    ),
    Situation(
        "authorising admin removed",
        SQUARE,
        PLATFORM,
        "PermissionsError",
        act("revoke_authorisation"),
    ),
    Situation(
        "authorising admin removed",
        KOUNTA,
        PLATFORM,
        "PermissionsError",
        act("revoke_authorisation"),
    ),
    Situation(
        "authorising admin demoted",
        KOUNTA,
        PLATFORM,
        "PermissionsError",
        act("take_permission"),
    ),
    Situation(
        "order scope missing",
        SQUARE,
        PLATFORM,
        "PermissionsError",
        act("drop_scope", "ORDERS_WRITE"),
    ),
    Situation(
        "payment scope missing",
        SQUARE,
        PLATFORM,
        "PermissionsError",
        act("drop_scope", "PAYMENTS_WRITE"),
    ),
    Situation(
        "signing key changed",
        GENERIC,
        PLATFORM,
        "PermissionsError",
        act("change_signing_key", "another-key"),
    ),
)


def failing(name: str, platform: str, before: Event = nothing, **more: Any) -> Situation:
    """Return an outage that is the provider's fault."""
    return Situation(name, platform, PLATFORM, "OutageError", before, whose=Whose.PLATFORM, **more)


def cannot_connect(
    name: str, platform: str, whose: Whose, unplugged: tuple[str, ...], **more: Any
) -> Situation:
    """Return an outage in which the platform can't be reached, and that may be our own fault."""
    return Situation(
        name, platform, CAPTURED, "OutageError", whose=whose, unplugged=unplugged, **more
    )


OUTAGES = (
    failing("503 on every request", SQUARE, act("set_outage")),
    failing("503 on every request", KOUNTA, act("set_outage")),
    failing("503 on every request", GENERIC, act("set_outage")),
    failing("outage affecting several orders", SQUARE, act("set_outage"), times=3),
    failing("outage affecting several orders", KOUNTA, act("set_outage"), times=3),
    failing("maintenance page", SQUARE, fail_all(FaultKind.HTML, status=503)),
    failing("maintenance page", KOUNTA, fail_all(FaultKind.HTML, status=503)),
    failing("request timed out", SQUARE, fail_creates(SQUARE, FaultKind.TIMEOUT), read=1.0),
    failing("request timed out", KOUNTA, fail_creates(KOUNTA, FaultKind.TIMEOUT), read=1.0),
    failing("request timed out", GENERIC, fail_creates(GENERIC, FaultKind.TIMEOUT), read=1.0),
    Situation(
        "rate limited",
        SQUARE,
        PLATFORM,
        "RateLimitError",
        fail_creates(SQUARE, FaultKind.RATE_LIMITED, retry_after=60),
    ),
    Situation(
        "rate limited",
        KOUNTA,
        PLATFORM,
        "RateLimitError",
        fail_creates(KOUNTA, FaultKind.RATE_LIMITED, retry_after=60),
    ),
    Situation(
        "rate limited",
        GENERIC,
        PLATFORM,
        "RateLimitError",
        fail_creates(GENERIC, FaultKind.RATE_LIMITED, retry_after=60),
    ),
    failing("answer lost, order not created", KOUNTA, fail_creates(KOUNTA, FaultKind.RESET)),
    failing("answer lost, order created", SQUARE, fail_creates(SQUARE, FaultKind.LOST_ANSWER)),
    Situation(
        "answer lost, order created",
        KOUNTA,
        REGISTER_HOP,
        "",
        fail_creates(KOUNTA, FaultKind.LOST_ANSWER),
    ),
    Situation(
        "answer lost, order created",
        GENERIC,
        REGISTER_HOP,
        "",
        fail_creates(GENERIC, FaultKind.LOST_ANSWER),
    ),
    Situation(
        "created order can't be identified yet",
        KOUNTA,
        PLATFORM,
        "DoubtError",
        in_turn(act("leave_location_out", 9), act("set_lag", 600.0)),
    ),
    failing(
        "connections refused while another platform answers",
        SQUARE,
        unplugged=(SQUARE,),
        also=(GENERIC,),
    ),
    failing(
        "connections refused while another platform answers",
        KOUNTA,
        unplugged=(KOUNTA,),
        also=(SQUARE,),
    ),
)

OURS, UNKNOWN = Whose.OURS, Whose.UNKNOWN
DNS = "https://platform.invalid"
BOTH = (SQUARE, KOUNTA)
NETWORK = (
    cannot_connect("own network: all connections refused", SQUARE, OURS, BOTH, also=(KOUNTA,)),
    cannot_connect(
        "own network: all connections refused", KOUNTA, OURS, BOTH, also=(SQUARE,), times=3
    ),
    cannot_connect(
        "own network: all connections refused", GENERIC, OURS, (GENERIC, SQUARE), also=(SQUARE,)
    ),
    cannot_connect("own network: DNS fails", SQUARE, OURS, BOTH, also=(KOUNTA,), nowhere=DNS),
    cannot_connect("own network: DNS fails", KOUNTA, OURS, BOTH, also=(SQUARE,), nowhere=DNS),
    cannot_connect("only platform can't be reached", SQUARE, UNKNOWN, (SQUARE,)),
    cannot_connect(
        "only platform can't be reached by any order", KOUNTA, UNKNOWN, (KOUNTA,), times=3
    ),
    cannot_connect(
        "own network failed after the other platform answered",
        SQUARE,
        UNKNOWN,
        BOTH,
        earlier=(KOUNTA,),
    ),
    cannot_connect(
        "own network failed after both platforms answered",
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
    Situation("register app closed", SQUARE, REGISTER_HOP, ""),
    Situation("register app stopped syncing", KOUNTA, REGISTER_HOP, "", act("stop_syncing")),
    Situation(
        "all registers offline", KOUNTA, REGISTER_HOP, OFFLINE, act("switch_site", online=False)
    ),
    Situation(
        "register went offline after the order arrived",
        GENERIC,
        REGISTER_HOP,
        OFFLINE,
        after=act("connect_register", online=False),
    ),
    Situation("staff haven't opened the order yet", GENERIC, REGISTER_HOP, ""),
    Situation("outage after the order arrived", SQUARE, REGISTER_HOP, "", after=act("set_outage")),
    Situation(
        "printing register offline",
        KOUNTA,
        REGISTER_HOP,
        OFFLINE,
        act("switch_register", online=False),
        settings=PRINTS,
    ),
    Situation(
        "order refused while the printing register is offline",
        KOUNTA,
        REGISTER_HOP,
        OFFLINE,
        act("switch_register", online=False),
        settings=BLIND,
    ),
    Situation(
        "register offline", GENERIC, REGISTER_HOP, OFFLINE, act("connect_register", online=False)
    ),
    Situation("accepted but no docket printed", SQUARE, NONE, "", after=staff("accept")),
    Situation("accepted but no docket printed", KOUNTA, NONE, "", after=staff("accept")),
    Situation("accepted but no docket printed", GENERIC, NONE, "", after=staff("accept")),
    Situation("order completed", SQUARE, NONE, "", after=staff("complete")),
    Situation("staff reject the order", SQUARE, NONE, "OrderError", after=staff("reject")),
    Situation("staff reject the order", KOUNTA, NONE, "OrderError", after=staff("reject")),
    Situation("staff reject the order", GENERIC, NONE, "OrderError", after=staff("reject")),
    Situation("staff delete the order", KOUNTA, NONE, "OrderError", after=staff("delete")),
    Situation(
        "online ordering switched off",
        KOUNTA,
        PLATFORM,
        "StoreClosedError",
        act("switch_ordering", online=False),
    ),
    Situation(
        "store closed", GENERIC, PLATFORM, "StoreClosedError", act("open_store", is_open=False)
    ),
    Situation(
        "store closed, order due later",
        GENERIC,
        PLATFORM,
        "StoreClosedError",
        act("open_store", is_open=False),
        order=due_at(later(0.4)),
    ),
)

OTHER = (
    Situation(
        "unknown location",
        SQUARE,
        PLATFORM,
        "SetupError",
        settings={"location_id": "L-NOWHERE"},
    ),
    Situation(
        "unknown payment method",
        KOUNTA,
        PLATFORM,
        "SetupError",
        settings={"payment_method_id": "99"},
    ),
    Situation("unknown site", KOUNTA, PLATFORM, "SetupError", settings={"site_id": "4711"}),
    Situation(
        "no product configured for tips",
        KOUNTA,
        PLATFORM,
        "SetupError",
        settings={"tip_product": None},
        order=lambda: lunch(tip=100),
    ),
    Situation(
        "wrong currency",
        GENERIC,
        PLATFORM,
        "OrderError",
        order=lambda: toastie().model_copy(update={"currency": "NZD"}),
    ),
    Situation(
        "private address not allowed",
        GENERIC,
        PLATFORM,
        "SetupError",
        settings={"allow_private": False},
    ),
    Situation("unknown connection", SQUARE, CAPTURED, "SetupError", connection="cafe-99"),
    Situation("note too long", SQUARE, PLATFORM, "OrderError", order=order_with_long_note),
    Situation(
        "order refused",
        GENERIC,
        PLATFORM,
        "OrderError",
        act("refuse_orders", "OrderError", "this customer gets no deliveries"),
    ),
    Situation(
        "payment reference too long",
        SQUARE,
        PLATFORM,
        "OrderError",
        order=order_with_long_reference,
    ),
    Situation(
        "unknown answer",
        KOUNTA,
        PLATFORM,
        "UnknownPosError",
        fail_creates(KOUNTA, FaultKind.HTML, status=418),
    ),
    Situation(
        "unknown answer",
        SQUARE,
        PLATFORM,
        "UnknownPosError",
        fail_creates(SQUARE, FaultKind.HTML, status=418),
    ),
    Situation(
        "unknown problem type",
        GENERIC,
        PLATFORM,
        "UnknownPosError",
        act("refuse_orders", "TeapotError", status=418),
    ),
    Situation("scheduled for later", SQUARE, NONE, "", order=due_at(later(5))),
    Situation("scheduled for later", KOUNTA, NONE, "", order=due_at(later(5))),
    Situation("no worker running", SQUARE, CAPTURED, "", worker=False),
    Situation("no worker running", GENERIC, CAPTURED, "", worker=False),
    Situation(
        "another worker importing the menu",
        KOUNTA,
        CAPTURED,
        "",
        before=_need_an_import,
    ),
)


SITUATIONS = (*MENU, *TAXES, *ACCESS, *OUTAGES, *NETWORK, *REGISTER, *OTHER)
