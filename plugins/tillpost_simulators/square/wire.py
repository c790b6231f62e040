"""Square's objects as they travel: orders, payments and the bodies of requests, with the spec's limits on each field.

The same classes read a request, hold the simulator's state and write an answer. Names are the
spec's. A field that isn't listed is dropped on the way in: Square ignores what it doesn't know
(developer forum 1259: a misspelt `fulfillment` was answered with 200 and no change). Amounts are in
the currency's minor unit.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from tillpost_simulators.square.errors import malformed


class Wire(BaseModel):
    """An object of Square's API. Strict: a number in a string is not a number."""

    model_config = ConfigDict(strict=True, extra="ignore")

    def written(self) -> dict[str, object]:
        """As JSON has it, without what is unset."""
        return self.model_dump(mode="json", exclude_none=True)


W = TypeVar("W", bound=Wire)


def parse_body(model: type[W], body: bytes) -> W:
    """Reads a request's body, or refuses it with every field that doesn't fit."""
    try:
        return model.model_validate_json(body or b"{}")
    except ValidationError as error:
        raise malformed(error) from error


MetadataKey = Annotated[str, StringConstraints(max_length=60, pattern=r"^[a-zA-Z0-9_:-]+$")]
MetadataValue = Annotated[str, StringConstraints(max_length=255)]
Metadata: TypeAlias = Annotated[dict[MetadataKey, MetadataValue], Field(max_length=10)]

Uid = Annotated[str, StringConstraints(max_length=60)]
Percentage = Annotated[str, StringConstraints(max_length=10, pattern=r"^\d+(\.\d+)?$")]
ObjectId = Annotated[str, StringConstraints(max_length=192)]
Key192 = Annotated[str, StringConstraints(max_length=192)]
Key45 = Annotated[str, StringConstraints(min_length=1, max_length=45)]
Str255 = Annotated[str, StringConstraints(max_length=255)]
Str500 = Annotated[str, StringConstraints(max_length=500)]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]


class Money(Wire):
    """An amount in the currency's minor unit."""

    amount: int
    currency: Currency


class AppliedTax(Wire):
    """A tax on a line (spec: OrderLineItemAppliedTax)."""

    uid: Uid | None = None
    tax_uid: Annotated[str, StringConstraints(min_length=1, max_length=60)]
    applied_money: Money | None = None


class AppliedDiscount(Wire):
    """A discount on a line (spec: OrderLineItemAppliedDiscount)."""

    uid: Uid | None = None
    discount_uid: Annotated[str, StringConstraints(min_length=1, max_length=60)]
    applied_money: Money | None = None


class AppliedServiceCharge(Wire):
    """An apportioned service charge on a line (spec: OrderLineItemAppliedServiceCharge)."""

    uid: Uid | None = None
    service_charge_uid: Annotated[str, StringConstraints(min_length=1, max_length=60)]
    applied_money: Money | None = None


class Modifier(Wire):
    """A modifier on a line (spec: OrderLineItemModifier)."""

    uid: Uid | None = None
    catalog_object_id: ObjectId | None = None
    catalog_version: int | None = None
    name: Str255 | None = None
    quantity: Annotated[str, StringConstraints(max_length=12, pattern=r"^\d+$")] | None = None
    base_price_money: Money | None = None
    total_price_money: Money | None = None
    metadata: Metadata | None = None


class BlockedTax(Wire):
    """A tax that must not join a line by itself (spec: OrderLineItemPricingBlocklistsBlockedTax)."""

    uid: Uid | None = None
    tax_uid: Uid | None = None
    tax_catalog_object_id: ObjectId | None = None


class Blocklists(Wire):
    """What must not join a line by itself (spec: OrderLineItemPricingBlocklists)."""

    blocked_taxes: list[BlockedTax] | None = None


class LineItem(Wire):
    """A line of an order (spec: OrderLineItem)."""

    uid: Uid | None = None
    name: Annotated[str, StringConstraints(max_length=512)] | None = None
    # unconfirmed: whether a sign, an exponent or more than five decimals is let through; a sandbox
    # call would tell.
    quantity: Annotated[
        str, StringConstraints(min_length=1, max_length=12, pattern=r"^\d+(\.\d{1,5})?$")
    ]
    quantity_unit: dict[str, object] | None = None
    note: Annotated[str, StringConstraints(max_length=2000)] | None = None
    catalog_object_id: ObjectId | None = None
    catalog_version: int | None = None
    variation_name: Annotated[str, StringConstraints(max_length=400)] | None = None
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

    uid: Uid | None = None
    catalog_object_id: ObjectId | None = None
    catalog_version: int | None = None
    name: Str255 | None = None
    type: Literal["ADDITIVE", "INCLUSIVE"] | None = None
    percentage: Percentage | None = None
    metadata: Metadata | None = None
    applied_money: Money | None = None
    scope: Literal["ORDER", "LINE_ITEM"] | None = None
    auto_applied: bool | None = None


class Discount(Wire):
    """A discount of an order (spec: OrderLineItemDiscount)."""

    uid: Uid | None = None
    catalog_object_id: ObjectId | None = None
    catalog_version: int | None = None
    name: Str255 | None = None
    type: (
        Literal["FIXED_PERCENTAGE", "FIXED_AMOUNT", "VARIABLE_PERCENTAGE", "VARIABLE_AMOUNT"] | None
    ) = None
    percentage: Percentage | None = None
    amount_money: Money | None = None
    applied_money: Money | None = None
    metadata: Metadata | None = None
    scope: Literal["ORDER", "LINE_ITEM"] | None = None


class ServiceCharge(Wire):
    """A service charge of an order (spec: OrderServiceCharge)."""

    uid: Uid | None = None
    name: Annotated[str, StringConstraints(max_length=512)] | None = None
    catalog_object_id: ObjectId | None = None
    catalog_version: int | None = None
    percentage: Percentage | None = None
    amount_money: Money | None = None
    applied_money: Money | None = None
    total_money: Money | None = None
    total_tax_money: Money | None = None
    calculation_phase: (
        Literal[
            "SUBTOTAL_PHASE",
            "TOTAL_PHASE",
            "APPORTIONED_PERCENTAGE_PHASE",
            "APPORTIONED_AMOUNT_PHASE",
        ]
        | None
    ) = None
    taxable: bool | None = None
    applied_taxes: list[AppliedTax] | None = None
    metadata: Metadata | None = None
    type: Literal["AUTO_GRATUITY", "CUSTOM"] | None = None
    treatment_type: Literal["LINE_ITEM_TREATMENT", "APPORTIONED_TREATMENT"] | None = None
    scope: Literal["ORDER", "LINE_ITEM"] | None = None


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
    country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")] | None = None
    first_name: str | None = None
    last_name: str | None = None


class Recipient(Wire):
    """Who a fulfilment is for (spec: FulfillmentRecipient)."""

    customer_id: Annotated[str, StringConstraints(max_length=191)] | None = None
    display_name: Str255 | None = None
    email_address: Str255 | None = None
    phone_number: Annotated[str, StringConstraints(max_length=17)] | None = None
    address: Address | None = None


class CurbsideDetails(Wire):
    """Where the car stands (spec: FulfillmentPickupDetailsCurbsidePickupDetails)."""

    curbside_details: Annotated[str, StringConstraints(max_length=250)] | None = None
    buyer_arrived_at: str | None = None


class PickupDetails(Wire):
    """When and by whom an order is picked up (spec: FulfillmentPickupDetails). Times are RFC 3339."""

    recipient: Recipient | None = None
    expires_at: str | None = None
    auto_complete_duration: str | None = None
    schedule_type: Literal["SCHEDULED", "ASAP"] | None = None
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
    cancel_reason: Annotated[str, StringConstraints(max_length=100)] | None = None
    is_curbside_pickup: bool | None = None
    curbside_pickup_details: CurbsideDetails | None = None


class DeliveryDetails(Wire):
    """When and where an order is delivered (spec: FulfillmentDeliveryDetails). Times are RFC 3339."""

    recipient: Recipient | None = None
    schedule_type: Literal["SCHEDULED", "ASAP"] | None = None
    placed_at: str | None = None
    deliver_at: str | None = None
    prep_time_duration: str | None = None
    delivery_window_duration: str | None = None
    note: Annotated[str, StringConstraints(max_length=550)] | None = None
    completed_at: str | None = None
    in_progress_at: str | None = None
    rejected_at: str | None = None
    ready_at: str | None = None
    delivered_at: str | None = None
    canceled_at: str | None = None
    cancel_reason: Annotated[str, StringConstraints(max_length=100)] | None = None
    courier_pickup_at: str | None = None
    courier_pickup_window_duration: str | None = None
    is_no_contact_delivery: bool | None = None
    dropoff_notes: Annotated[str, StringConstraints(max_length=550)] | None = None
    courier_provider_name: Str255 | None = None
    courier_support_phone_number: Annotated[str, StringConstraints(max_length=17)] | None = None
    external_delivery_id: Annotated[str, StringConstraints(max_length=50)] | None = None
    managed_delivery: bool | None = None


FulfilmentState: TypeAlias = Literal[
    "PROPOSED", "RESERVED", "PREPARED", "COMPLETED", "CANCELED", "FAILED"
]


class Fulfilment(Wire):
    """How an order reaches its buyer (spec: Fulfillment). SHIPMENT is not simulated."""

    uid: Uid | None = None
    type: Literal["PICKUP", "SHIPMENT", "DELIVERY"] | None = None
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
    """A roll-up of an order's amounts (spec: OrderMoneyAmounts)."""

    total_money: Money
    tax_money: Money
    discount_money: Money
    tip_money: Money
    service_charge_money: Money


class Source(Wire):
    """Where an order came from, as staff see it (spec: OrderSource)."""

    name: str | None = None


class PricingOptions(Wire):
    """What may join an order by itself (spec: OrderPricingOptions)."""

    auto_apply_discounts: bool | None = None
    auto_apply_taxes: bool | None = None


class Order(Wire):
    """An order (spec: Order)."""

    id: str | None = None
    location_id: Annotated[str, StringConstraints(min_length=1)]
    reference_id: Annotated[str, StringConstraints(max_length=40)] | None = None
    source: Source | None = None
    customer_id: Annotated[str, StringConstraints(max_length=191)] | None = None
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
    state: Literal["OPEN", "COMPLETED", "CANCELED", "DRAFT"] | None = None
    version: int | None = None
    total_money: Money | None = None
    total_tax_money: Money | None = None
    total_discount_money: Money | None = None
    total_tip_money: Money | None = None
    total_service_charge_money: Money | None = None
    ticket_name: Annotated[str, StringConstraints(max_length=30)] | None = None
    pricing_options: PricingOptions | None = None
    net_amount_due_money: Money | None = None
