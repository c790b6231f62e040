"""What Kounta's cassettes are recorded from: the vendor's samples, else the simulator.

The samples come first, since a recording of our simulator proves nothing about Kounta. They are
answers that went well: no sample of a refusal, of a site's status or of a customer's look-up is
known. What the adapter doesn't ask for, such as lists of categories and price lists, can't stand in
a cassette."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from adapters.cassette_orders import CANARY_TOKEN, FLAT_WHITE, MOMENT, TOASTIE, Simulated, order
from adapters.cassette_refusals import NEVER, Refusal, on_create
from tillpost.errors import (
    DoubtError,
    MenuError,
    OrderError,
    OutageError,
    Outcome,
    PermissionsError,
    PosError,
    RateLimitError,
    RegisterOfflineError,
    SetupError,
    StoreClosedError,
    TaxError,
    UnknownPosError,
)
from tillpost.models.menu import GroupUse, Item, Menu, ModifierGroup, ModifierOption, Tax, Variation
from tillpost.models.order import Line
from tillpost.simulator import Call, Fault, FaultKind, FaultPlan
from tillpost.testing import Cassettes, Origin, Sample, sampled
from tillpost_simulators.kounta import KountaSettings as World
from tillpost_simulators.kounta import KountaSimulator
from tillpost_simulators.kounta.orders import create_order
from vendor_documents import kounta_sample as sample

KOUNTA = Cassettes(
    "kounta",
    folder=Path(__file__).parents[3] / "cassettes" / "kounta",
    settings={
        "access_token": CANARY_TOKEN,
        "company_id": "5678",
        "site_id": "2301",
        "payment_method_id": "12",
        "charge_products": {"surcharge": "9001", "delivery": "9002"},
        "tip_product": "9003",
        "discount_product": "9004",
        "attention_product": "9005",
        "import_pace": 0,
        "look_after": (0.0,),
        "check_first": False,
    },
    api_version="v1",
    public_headers=frozenset({"location", "x-next-page", "x-pages"}),
    public_query=frozenset({"fields", "cursor", "ids"}),
    public_fields=frozenset("name online_ordering pass_thru_printing_register".split()),
)
DOCUMENT = "Lightspeed's API documentation of Kounta: the sample of"
PUBLISHED_PEOPLE = (
    "Lucy",
    "Lavender",
    "lucy@kounta.com",
    "Ricky",
    "McDonald",
    "rocky@rara.kom",
    "Mutton Street",
)
"""Texts of the vendor's samples in the places of people's names."""
NO_SAMPLE = "There is no sample of this."
ONLY_SIMULATED = (
    "There is no sample of a refusal. "
    "The texts for product, register and token were seen by others."
)


# The vendor's samples
# ------------------------------------------------------------------------------------------


def from_samples(
    samples: Callable[[], Sequence[Sample]],
    *,
    subject: str,
    adapted: Sequence[str] = (),
    note: str = "",
) -> Origin:
    """Return the origin of the vendor's samples of a subject, in their own company and site."""
    settings = {"company_id": "162", "site_id": "2301"}
    return sampled(
        samples, origin=f"{DOCUMENT} {subject}", adapted=adapted, note=note, settings=settings
    )


COMPANY, SITE = "/v1/companies/162", "/v1/companies/162/sites/2301"
LATTES = order(
    Line(item_id="7302", name="Caffé Latte", quantity=6, unit_price=150, note="Extra sugar please"),
    Line(item_id="5312", name="Salmon Sandwich", quantity=1, unit_price=900),
    customer=None,
)
"""An order such as the sample's: six at 1.50 with tax, and a sandwich."""
LATTES_ID = "93824701"


OURS: Mapping[str, Any] = {
    "sale_number": LATTES.id,
    "placed_at": LATTES.placed_at.isoformat(),
}
"""What makes a sample's order ours."""


def the_order(order_id: int = int(LATTES_ID), **changes: Any) -> Sample:
    order = sample("order") | {"id": order_id} | changes
    return Sample("GET", f"{COMPANY}/orders/{order_id}.json", order)


def the_orders(**first: object) -> Sample:
    """The list of the site's orders; the first of them with changes."""
    one, *others = sample("orders")
    return Sample("GET", f"{SITE}/orders.json", [one | first, *others])


def made() -> Sample:
    location = f"https://{KOUNTA.host}{COMPANY}/orders/{LATTES_ID}.json"
    return Sample("POST", f"{COMPANY}/orders.json", None, 201, {"Location": location})


def a_menu() -> list[Sample]:
    """The company, its taxes, the first product of the list, and that product whole."""
    return [
        Sample("GET", f"{COMPANY}.json", sample("companies_me")),
        Sample("GET", f"{COMPANY}/taxes.json", sample("taxes")),
        Sample("GET", f"{SITE}/products.json", sample("products")[:1]),
        Sample("GET", f"{SITE}/products/1.json", sample("product")),
        Sample("GET", f"{COMPANY}/products/1/modifiers.json", []),
    ]


# The simulator
# ------------------------------------------------------------------------------------------


def _simulator(faults: FaultPlan | None, **world: Any) -> KountaSimulator:
    return KountaSimulator(World(access_token=CANARY_TOKEN, **world), faults)


# In the years to come, or an order made now would be older than the time from which it is looked
# for.
from_simulator = Simulated(
    "Kounta", _simulator, ["tillpost_simulators.kounta.clock"], MOMENT.replace(year=2036)
)


def small_shop(kounta: KountaSimulator) -> None:
    """Stock an empty shop with the items of these orders, so that a menu import is short."""
    kounta.add_product(228, "Oat milk", Decimal("0.7273"), "M-OAT")
    kounta.add_product(7302, "Flat white, regular", Decimal(5), "FW-R")
    kounta.set_options_of(7302, modifier_ids=[228])
    kounta.add_product(5312, "BLT toastie", Decimal("13.1818"), "BLT")


def place(kounta: KountaSimulator) -> None:
    """Have an order there: one toastie."""
    body = (
        b'{"site_id": 2301, "status": "SUBMITTED", "sale_number": "ord-1",'
        b' "lines": [{"product_id": 5312}]}'
    )
    path = "/v1/companies/5678/orders"
    headers = {"content-type": "application/json", "authorization": f"Bearer {CANARY_TOKEN}"}
    with kounta.lock:
        create_order(
            kounta.world,
            Call(method="POST", path=path, body=body, headers=headers, query={}, path_values={}),
        )


def sold(
    product_id: str,
    name: str,
    price: int,
    exact: str,
    *,
    sku: str = "",
    groups: tuple[GroupUse, ...] = (),
) -> Item:
    """A product of a menu."""
    variation = Variation(id=product_id, sku=sku, price=price, exact_price=Decimal(exact))
    taxes = () if name == "Tip" else ("829",)
    return Item(id=product_id, name=name, variations=(variation,), groups=groups, tax_ids=taxes)


def menu_of(*items: Item) -> Menu:
    """A menu of the site, imported long ago."""
    oat = ModifierOption(
        id="228", sku="M-OAT", name="Oat milk", price=80, exact_price=Decimal("0.7273")
    )
    return Menu(
        site="2301",
        currency="AUD",
        imported_at=MOMENT,
        items=items,
        groups=(ModifierGroup(id="modifiers-7302", name="Modifiers", options=(oat,)),),
        taxes=(Tax(id="829", name="GST", rate=Decimal("0.1"), included=True),),
    )


SMALL_MENU = menu_of(
    sold(
        "7302",
        "Flat white, regular",
        550,
        "5",
        sku="FW-R",
        groups=(GroupUse(group_id="modifiers-7302"),),
    ),
    sold("228", "Oat milk", 80, "0.7273", sku="M-OAT"),
    sold("5312", "BLT toastie", 1450, "13.1818", sku="BLT"),
)
MENU = menu_of(
    *SMALL_MENU.items,
    sold("9001", "Weekend surcharge", 0, "0"),
    sold("9002", "Delivery", 0, "0"),
    sold("9003", "Tip", 0, "0"),
    sold("9004", "Online discount", 0, "0"),
)
"""The menu of the simulator's shop, as an import has it; a Till that is handed it imports none."""
LATTE_MENU = menu_of(
    sold("7302", "Caffé Latte", 150, "1.3636"), sold("5312", "Salmon Sandwich", 900, "8.1818")
)


# How it refuses
# ------------------------------------------------------------------------------------------

refused = partial(Refusal[KountaSimulator], order=order(FLAT_WHITE, TOASTIE, customer=None))
_UNKNOWN, _CREATED = Outcome.UNKNOWN, Outcome.CREATED


def every(kind: FaultKind, **more: Any) -> FaultPlan:
    """Every create meets the fault."""
    return on_create(r"/orders\.json$", Fault(kind=kind, **more))


def with_two_taxes(kounta: KountaSimulator) -> None:
    kounta.set_taxes_of(
        5312, [829, kounta.add_tax("Weekend", Decimal("0.15"), on_every_product=False)]
    )


REFUSALS: Sequence[Refusal[KountaSimulator]] = (
    refused(
        "error-menu-gone",
        MenuError,
        "invalid_request",
        lines=(1,),
        reason="gone",
        subjects=("BLT toastie (line 2)",),
        prepare=lambda kounta: kounta.remove_product(5312),
    ),
    refused(
        "error-menu-created",
        MenuError,
        status=None,
        reason="created",
        outcome=_CREATED,
        prepare=lambda kounta: kounta.change_price(228, Decimal("1.5")),
    ),
    refused(
        "error-tax",
        TaxError,
        status=None,
        reason="created",
        subjects=("GST", "Weekend"),
        outcome=_CREATED,
        prepare=with_two_taxes,
    ),
    refused(
        "error-outage",
        OutageError,
        "server_error",
        status=503,
        outcome=_UNKNOWN,
        prepare=lambda kounta: kounta.set_outage(),
    ),
    refused(
        "error-outage-html", OutageError, status=502, outcome=_UNKNOWN, faults=every(FaultKind.HTML)
    ),
    refused(
        "error-rate-limit",
        RateLimitError,
        "too_many_requests",
        status=429,
        retry_after=7.0,
        faults=every(FaultKind.RATE_LIMITED, retry_after=7),
    ),
    refused(
        "error-register-offline",
        RegisterOfflineError,
        "invalid_request",
        settings={"pass_thru_printing": True},
        prepare=lambda kounta: kounta.switch_register(online=False),
    ),
    refused(
        "error-register-offline-status",
        RegisterOfflineError,
        status=None,
        settings={"pass_thru_printing": True, "check_first": True},
        prepare=lambda kounta: kounta.switch_register(online=False),
    ),
    refused(
        "error-store-closed",
        StoreClosedError,
        status=None,
        settings={"check_first": True},
        prepare=lambda kounta: kounta.switch_ordering(online=False),
    ),
    refused(
        "error-doubt",
        DoubtError,
        status=None,
        outcome=_UNKNOWN,
        prepare=lambda kounta: kounta.leave_location_out(),
    ),
    refused(
        "error-permissions-expired",
        PermissionsError,
        "invalid_token",
        status=400,
        reason="expired",
        prepare=lambda kounta: kounta.expire_token(),
    ),
    refused(
        "error-permissions-unauthorized",
        PermissionsError,
        "invalid_token",
        status=401,
        settings={"access_token": f"{CANARY_TOKEN}-of-nobody"},
    ),
    refused(
        "error-permissions-demoted",
        PermissionsError,
        "insufficient_permissions",
        status=403,
        reason="demoted",
        prepare=lambda kounta: kounta.take_permission(),
    ),
    refused("error-setup", SetupError, "invalid_request", settings={"payment_method_id": "99"}),
    refused(
        "error-unknown",
        UnknownPosError,
        status=418,
        outcome=_UNKNOWN,
        faults=every(FaultKind.HTML, status=418),
    ),
)

IMPOSSIBLE: Mapping[type[PosError], str] = {
    OrderError: (
        "no refusal of an order's own content is known; the table's row for one goes by guesses."
    ),
    **NEVER,
}
"""Kinds of error of which there can be no cassette, and why."""
