"""What Square's cassettes are recorded from: the OpenAPI document's samples, else the simulator.

The document's samples come first, since a recording of our simulator proves nothing about Square.
They are all of answers that went well: the document has no sample of a refusal, so errors can only
come from the simulator."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from adapters.cassette_orders import CANARY_TOKEN, Simulated, order
from tillpost.models.order import Discount, Line, Modifier
from tillpost.simulator import FaultPlan
from tillpost.testing import Cassettes, Origin, Sample, sampled
from tillpost_simulators.square import SquareSimulator, WorldSettings
from tillpost_square.settings import SquareSettings
from vendor_documents import SQUARE as SQUARE_DOCUMENT
from vendor_documents import vendor_document

PUBLISHED_PEOPLE = (
    "+1 650-354-7217",
    "123 Main St",
    "94114",
    "sq-1-Hxim77tbdcbGejOejnoAklBVJed2YFLTmirfl8Q5XZzObTc8",
)
"""Texts of Square's own samples in the places of a store's and a buyer's."""

SQUARE = Cassettes(
    "square",
    folder=Path(__file__).parents[3] / "cassettes" / "square",
    settings={"access_token": CANARY_TOKEN, "location_id": "L-CAFE"},
    api_version=SquareSettings.model_fields["square_version"].default,
    public_headers=frozenset({"square-version"}),
    public_query=frozenset({"types", "cursor"}),
    public_fields=frozenset(  # ids and Square's own words; they name nobody
        "cursor tax_ids tax_uid discount_uid item_id category_type product_type selection_type "
        "modifier_type source_type absent_at_location_ids present_at_location_ids square_product "
        "delay_action entry_method visibility".split()
    ),
)
DOCUMENT = "Square's OpenAPI document, release 2025-08-20 (Apache 2.0)"


# The document's samples
# ------------------------------------------------------------------------------------------


def example(schema: str) -> Any:
    """Return a schema's example from the document, which recording needs."""
    return json.loads(vendor_document(SQUARE_DOCUMENT).read_bytes())["components"]["schemas"][
        schema
    ]["example"]


def from_document(
    samples: Callable[[], Sequence[Sample]],
    *,
    schemas: str,
    location: str,
    adapted: Sequence[str] = (),
    note: str = "",
) -> Origin:
    """Return the origin of the examples of these schemas, at the location that they name."""
    origin = f"{DOCUMENT}: the example of {schemas}"
    return sampled(
        samples, origin=origin, adapted=adapted, note=note, settings={"location_id": location}
    )


# The simulator, and an order
# ------------------------------------------------------------------------------------------


def _simulator(faults: FaultPlan | None, **world: Any) -> SquareSimulator:
    return SquareSimulator(WorldSettings(access_token=CANARY_TOKEN, **world), faults)


from_simulator = Simulated("Square", _simulator, clocks=["tillpost_simulators.square.clock"])

STEAKS = order(
    Line(item_id="NEW-YORK-STRIP", name="New York Strip Steak", quantity=1, unit_price=1599),
    Line(
        item_id="BEMYCSMIJL46OCDV4KYIKXIB",
        name="New York Steak, Larger",
        quantity=2,
        unit_price=2200,
        modifiers=(Modifier(modifier_id="CHQX7Y4KY6N5KINJKZCFURPZ", name="Well", unit_price=50),),
    ),
    id="my-order-001",
    currency="USD",
    prices_include_tax=False,
    discounts=(
        Discount(name="Labor Day Sale", amount=303),
        Discount(name="Membership Discount", amount=30),
        Discount(name="Sale - $1.00 off", amount=100),
    ),
    tax=510,
)
"""The order of Square's sample of CreateOrder."""
STEAKS_ID = "CAISENgvlJ6jLWAzERDzjyHVybY"
STEAKS_AT = "057P5VYJ4A5X1"
EXTERNALLY = (
    "the payment's order_id, location_id, reference_id and amounts are those of the order",
    "the payment is external: source_type and external_details say so, and what belongs to a card, "
    "an app's fee and a customer's profile is left out",
)


def made() -> Sample:
    return Sample("POST", "/v2/orders", example("CreateOrderResponse"))


def payment_made() -> Sample:
    """CreatePayment's sample, for the steaks and paid elsewhere."""
    answer = example("CreatePaymentResponse")
    payment = answer["payment"]
    for name in ("card_details", "app_fee_money", "customer_id", "risk_evaluation"):
        del payment[name]
    amount = {"amount": STEAKS.total, "currency": "USD"}
    payment |= dict.fromkeys(("amount_money", "approved_money", "total_money"), amount)
    payment |= {"order_id": STEAKS_ID, "location_id": STEAKS_AT, "reference_id": STEAKS.id}
    payment |= {
        "source_type": "EXTERNAL",
        "external_details": {"type": "EXTERNAL", "source": "Online order"},
    }
    return Sample("POST", "/v2/payments", answer)


def now_as(schema: str, **changes: Any) -> Sample:
    """Return a sample's order as RetrieveOrder does, or with changes as UpdateOrder does."""
    answer = example(schema)
    answer["order"] |= changes
    return Sample("PUT" if changes else "GET", f"/v2/orders/{answer['order']['id']}", answer)


def location() -> Sample:
    return Sample("GET", "/v2/locations/18YC4JDH91E1H", example("RetrieveLocationResponse"))


def catalogue_pages() -> list[Sample]:
    """Three pages: a category and a tax; two items; what the items refer to."""
    drinks = example("BatchRetrieveCatalogObjectsResponse")
    pages: Sequence[Mapping[str, Any]] = (
        example("ListCatalogResponse") | {"cursor": "page-2"},
        {"objects": drinks["objects"], "cursor": "page-3"},
        {"objects": drinks["related_objects"]},
    )
    return [location(), *(Sample("GET", "/v2/catalog/list", page) for page in pages)]


def small_shop(square: SquareSimulator) -> None:
    """Stock an empty shop with the items of these orders, so that a menu import is short."""
    square.add_modifier_list("ML-MILK", "Milk", {"228": ("Oat milk", 80)}, maximum=1)
    square.add_item(
        "7302",
        "Flat white",
        550,
        sku="FW-R",
        variation_name="regular",
        modifier_list_ids=["ML-MILK"],
    )
    square.add_item("5312", "BLT toastie", 1450, sku="BLT")
