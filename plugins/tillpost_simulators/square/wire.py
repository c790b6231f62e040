"""Square's objects as they are sent and received, and the spec's limits on fields.

The same classes parse requests, hold the simulator's state and write answers. Names are the spec's.
A field that isn't listed is dropped: Square ignores what it doesn't know (developer forum 1259: a
misspelt `fulfillment` was answered with 200 and no change). Amounts are in the currency's minor
unit.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from tillpost_simulators.square.errors import malformed


class Wire(BaseModel):
    """An object of Square's API. It is strict: a number in a string is no number."""

    model_config = ConfigDict(strict=True, extra="ignore")

    def written(self) -> dict[str, object]:
        """Return the object as JSON has it, without unset fields."""
        return self.model_dump(mode="json", exclude_none=True)


W = TypeVar("W", bound=Wire)


def parse_body(model: type[W], body: bytes) -> W:
    """Parse the body of a request, or refuse it with every field that doesn't fit."""
    try:
        return model.model_validate_json(body or b"{}")
    except ValidationError as error:
        raise malformed(error) from error


# The spec's limits on the length of a text.
Str17 = Annotated[str, StringConstraints(max_length=17)]
Str30 = Annotated[str, StringConstraints(max_length=30)]
Str40 = Annotated[str, StringConstraints(max_length=40)]
Str50 = Annotated[str, StringConstraints(max_length=50)]
Str60 = Annotated[str, StringConstraints(max_length=60)]
Str100 = Annotated[str, StringConstraints(max_length=100)]
Str191 = Annotated[str, StringConstraints(max_length=191)]
Str192 = Annotated[str, StringConstraints(max_length=192)]
Str250 = Annotated[str, StringConstraints(max_length=250)]
Str255 = Annotated[str, StringConstraints(max_length=255)]
Str400 = Annotated[str, StringConstraints(max_length=400)]
Str500 = Annotated[str, StringConstraints(max_length=500)]
Str512 = Annotated[str, StringConstraints(max_length=512)]
Str550 = Annotated[str, StringConstraints(max_length=550)]
Str2000 = Annotated[str, StringConstraints(max_length=2000)]
Str2048 = Annotated[str, StringConstraints(max_length=2048)]
NonEmptyStr = Annotated[str, StringConstraints(min_length=1)]
RequiredUid = Annotated[str, StringConstraints(min_length=1, max_length=60)]
Key45 = Annotated[str, StringConstraints(min_length=1, max_length=45)]

Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
Percentage = Annotated[str, StringConstraints(max_length=10, pattern=r"^\d+(\.\d+)?$")]
Count = Annotated[str, StringConstraints(max_length=12, pattern=r"^\d+$")]
# unconfirmed: whether a sign, an exponent or more than five decimals is let through; a sandbox call
# would show it.
Quantity = Annotated[
    str, StringConstraints(min_length=1, max_length=12, pattern=r"^\d+(\.\d{1,5})?$")
]

MetadataKey = Annotated[str, StringConstraints(max_length=60, pattern=r"^[a-zA-Z0-9_:-]+$")]
Metadata: TypeAlias = Annotated[dict[MetadataKey, Str255], Field(max_length=10)]

Scope: TypeAlias = Literal["ORDER", "LINE_ITEM"]
Schedule: TypeAlias = Literal["SCHEDULED", "ASAP"]
OrderState: TypeAlias = Literal["OPEN", "COMPLETED", "CANCELED", "DRAFT"]
FulfilmentType: TypeAlias = Literal["PICKUP", "SHIPMENT", "DELIVERY"]
FulfilmentState: TypeAlias = Literal[
    "PROPOSED", "RESERVED", "PREPARED", "COMPLETED", "CANCELED", "FAILED"
]
DiscountType: TypeAlias = Literal[
    "FIXED_PERCENTAGE", "FIXED_AMOUNT", "VARIABLE_PERCENTAGE", "VARIABLE_AMOUNT"
]
CalculationPhase: TypeAlias = Literal[
    "SUBTOTAL_PHASE",
    "TOTAL_PHASE",
    "APPORTIONED_PERCENTAGE_PHASE",
    "APPORTIONED_AMOUNT_PHASE",
]


class Money(Wire):
    """An amount in the currency's minor unit."""

    amount: int
    currency: Currency


class AppliedTax(Wire):
    """A tax on a line (spec: OrderLineItemAppliedTax)."""

    uid: Str60 | None = None
    tax_uid: RequiredUid
    applied_money: Money | None = None


class AppliedDiscount(Wire):
    """A discount on a line (spec: OrderLineItemAppliedDiscount)."""

    uid: Str60 | None = None
    discount_uid: RequiredUid
    applied_money: Money | None = None


class AppliedServiceCharge(Wire):
    """An apportioned service charge on a line.

    Source: OrderLineItemAppliedServiceCharge in the spec.
    """

    uid: Str60 | None = None
    service_charge_uid: RequiredUid
    applied_money: Money | None = None


class Modifier(Wire):
    """A modifier on a line (spec: OrderLineItemModifier)."""

    uid: Str60 | None = None
    catalog_object_id: Str192 | None = None
    catalog_version: int | None = None
    name: Str255 | None = None
    quantity: Count | None = None
    base_price_money: Money | None = None
    total_price_money: Money | None = None
    metadata: Metadata | None = None


class BlockedTax(Wire):
    """A tax that isn't applied to a line automatically.

    spec: OrderLineItemPricingBlocklistsBlockedTax.
    """

    uid: Str60 | None = None
    tax_uid: Str60 | None = None
    tax_catalog_object_id: Str192 | None = None


class Blocklists(Wire):
    """What isn't applied to a line automatically.

    spec: OrderLineItemPricingBlocklists.
    """

    blocked_taxes: list[BlockedTax] | None = None


class LineItem(Wire):
    """A line of an order (spec: OrderLineItem)."""

    uid: Str60 | None = None
    name: Str512 | None = None
    quantity: Quantity
    quantity_unit: dict[str, object] | None = None
    note: Str2000 | None = None
    catalog_object_id: Str192 | None = None
    catalog_version: int | None = None
    variation_name: Str400 | None = None
    item_type: Literal["ITEM", "CUSTOM_AMOUNT", "GIFT_CARD"] | None = None
    metadata: Metadata | None = None
    modifiers: list[Modifier] | None = None
    applied_taxes: list[AppliedTax] | None = None
    applied_discounts: list[AppliedDiscount] | None = None
    applied_service_charges: list[AppliedServiceCharge] | None = None
    base_price_money: Money | None = None
    variation_total_price_money: Money | None = None
    gross_sales_money: Money | None = None
    total_tax_money: Money | None = None
    total_discount_money: Money | None = None
    total_money: Money | None = None
    total_service_charge_money: Money | None = None
    pricing_blocklists: Blocklists | None = None


class Tax(Wire):
    """A tax of an order (spec: OrderLineItemTax)."""

    uid: Str60 | None = None
    catalog_object_id: Str192 | None = None
    catalog_version: int | None = None
    name: Str255 | None = None
    type: Literal["ADDITIVE", "INCLUSIVE"] | None = None
    percentage: Percentage | None = None
    metadata: Metadata | None = None
    applied_money: Money | None = None
    scope: Scope | None = None
    auto_applied: bool | None = None


class Discount(Wire):
    """A discount of an order (spec: OrderLineItemDiscount)."""

    uid: Str60 | None = None
    catalog_object_id: Str192 | None = None
    catalog_version: int | None = None
    name: Str255 | None = None
    type: DiscountType | None = None
    percentage: Percentage | None = None
    amount_money: Money | None = None
    applied_money: Money | None = None
    metadata: Metadata | None = None
    scope: Scope | None = None


class ServiceCharge(Wire):
    """A service charge of an order (spec: OrderServiceCharge)."""

    uid: Str60 | None = None
    name: Str512 | None = None
    catalog_object_id: Str192 | None = None
    catalog_version: int | None = None
    percentage: Percentage | None = None
    amount_money: Money | None = None
    applied_money: Money | None = None
    total_money: Money | None = None
    total_tax_money: Money | None = None
    calculation_phase: CalculationPhase | None = None
    taxable: bool | None = None
    applied_taxes: list[AppliedTax] | None = None
    metadata: Metadata | None = None
    type: Literal["AUTO_GRATUITY", "CUSTOM"] | None = None
    treatment_type: Literal["LINE_ITEM_TREATMENT", "APPORTIONED_TREATMENT"] | None = None
    scope: Scope | None = None


class Address(Wire):
    """A postal address (spec: Address)."""

    address_line_1: str | None = None
    address_line_2: str | None = None
    address_line_3: str | None = None
    locality: str | None = None
    sublocality: str | None = None
    administrative_district_level_1: str | None = None
    administrative_district_level_2: str | None = None
    postal_code: str | None = None
    country: Country | None = None
    first_name: str | None = None
    last_name: str | None = None


class Recipient(Wire):
    """The recipient of a fulfilment (spec: FulfillmentRecipient)."""

    customer_id: Str191 | None = None
    display_name: Str255 | None = None
    email_address: Str255 | None = None
    phone_number: Str17 | None = None
    address: Address | None = None


class CurbsideDetails(Wire):
    """Where the car is (spec: FulfillmentPickupDetailsCurbsidePickupDetails)."""

    curbside_details: Str250 | None = None
    buyer_arrived_at: str | None = None


class PickupDetails(Wire):
    """When and by whom an order is picked up (spec: FulfillmentPickupDetails).

    Times are RFC 3339.
    """

    recipient: Recipient | None = None
    expires_at: str | None = None
    auto_complete_duration: str | None = None
    schedule_type: Schedule | None = None
    pickup_at: str | None = None
    pickup_window_duration: str | None = None
    prep_time_duration: str | None = None
    note: Str500 | None = None
    placed_at: str | None = None
    accepted_at: str | None = None
    rejected_at: str | None = None
    ready_at: str | None = None
    expired_at: str | None = None
    picked_up_at: str | None = None
    canceled_at: str | None = None
    cancel_reason: Str100 | None = None
    is_curbside_pickup: bool | None = None
    curbside_pickup_details: CurbsideDetails | None = None


class DeliveryDetails(Wire):
    """When and where an order is delivered (spec: FulfillmentDeliveryDetails).

    Times are RFC 3339.
    """

    recipient: Recipient | None = None
    schedule_type: Schedule | None = None
    placed_at: str | None = None
    deliver_at: str | None = None
    prep_time_duration: str | None = None
    delivery_window_duration: str | None = None
    note: Str550 | None = None
    completed_at: str | None = None
    in_progress_at: str | None = None
    rejected_at: str | None = None
    ready_at: str | None = None
    delivered_at: str | None = None
    canceled_at: str | None = None
    cancel_reason: Str100 | None = None
    courier_pickup_at: str | None = None
    courier_pickup_window_duration: str | None = None
    is_no_contact_delivery: bool | None = None
    dropoff_notes: Str550 | None = None
    courier_provider_name: Str255 | None = None
    courier_support_phone_number: Str17 | None = None
    external_delivery_id: Str50 | None = None
    managed_delivery: bool | None = None


class Fulfilment(Wire):
    """How an order reaches its buyer (spec: Fulfillment). SHIPMENT is not simulated."""

    uid: Str60 | None = None
    type: FulfilmentType | None = None
    state: FulfilmentState | None = None
    metadata: Metadata | None = None
    pickup_details: PickupDetails | None = None
    delivery_details: DeliveryDetails | None = None


class Tender(Wire):
    """What an order was paid with (spec: Tender)."""

    id: str
    location_id: str
    transaction_id: str
    created_at: str
    amount_money: Money
    tip_money: Money | None = None
    type: str
    payment_id: str
    note: str | None = None


class MoneyAmounts(Wire):
    """A summary of an order's amounts (spec: OrderMoneyAmounts)."""

    total_money: Money
    tax_money: Money
    discount_money: Money
    tip_money: Money
    service_charge_money: Money


class Source(Wire):
    """Where an order comes from, as staff see it (spec: OrderSource)."""

    name: str | None = None


class PricingOptions(Wire):
    """What is applied to an order automatically (spec: OrderPricingOptions)."""

    auto_apply_discounts: bool | None = None
    auto_apply_taxes: bool | None = None


class Order(Wire):
    """An order (spec: Order)."""

    id: str | None = None
    location_id: NonEmptyStr
    reference_id: Str40 | None = None
    source: Source | None = None
    customer_id: Str191 | None = None
    line_items: list[LineItem] | None = None
    taxes: list[Tax] | None = None
    discounts: list[Discount] | None = None
    service_charges: list[ServiceCharge] | None = None
    fulfillments: list[Fulfilment] | None = None
    net_amounts: MoneyAmounts | None = None
    tenders: list[Tender] | None = None
    metadata: Metadata | None = None
    created_at: str | None = None
    updated_at: str | None = None
    closed_at: str | None = None
    state: OrderState | None = None
    version: int | None = None
    total_money: Money | None = None
    total_tax_money: Money | None = None
    total_discount_money: Money | None = None
    total_tip_money: Money | None = None
    total_service_charge_money: Money | None = None
    ticket_name: Str30 | None = None
    pricing_options: PricingOptions | None = None
    net_amount_due_money: Money | None = None
