"""The answers of Square's API, as far as the adapter reads them.

Other fields are ignored. Field names and types are those of the OpenAPI document of release
2025-08-20. A field that Square may leave out or send as null has a default here. `total_money`, for
example, is null on an order that contains returns only (developer forum, thread 24765). An order of
a search that can't be read all the same is passed over, unless it may be the one that is looked
for.

The catalogue's parts are dataclasses with slots, because a menu has 100,000 of them: a model keeps
a dict and a set beside itself, and the garbage collector then has twice as much to look through.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from tillpost.adapter import Exact, Id, OptionalList

__all__ = [
    "BATCH_OBJECTS",
    "CATALOG_OBJECTS",
    "AppliedTax",
    "Calculated",
    "Calculation",
    "CatalogBatch",
    "CatalogObject",
    "CatalogPage",
    "CreatedOrder",
    "ErrorBody",
    "ErrorEntry",
    "Fulfillment",
    "Item",
    "LineItem",
    "Location",
    "LocationAnswer",
    "Modifier",
    "ModifierList",
    "ModifierListInfo",
    "Money",
    "OneOrder",
    "OrdersPage",
    "Page",
    "Paid",
    "PricedOrder",
    "SquareOrder",
    "Tax",
    "TokenStatus",
    "Variation",
]


class Wire(BaseModel):
    """A part of an answer."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


class _OnlyText:
    """Has pydantic read whatever isn't a text as an empty one."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        text = core_schema.str_schema(strict=True)
        return core_schema.with_default_schema(text, default="", on_error="default")


OptionalText = Annotated[str, _OnlyText()]
"""A text that may be left out or null; then it is empty.

So is anything that isn't a text.
"""


class ErrorEntry(Wire):
    """One entry of `errors`."""

    code: OptionalText = ""
    field: OptionalText = ""
    detail: OptionalText = ""


class ErrorBody(Wire):
    """The `errors` of any answer."""

    errors: OptionalList[ErrorEntry] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """An amount in minor units."""

    amount: Annotated[int, Field(ge=-(10**12), le=10**12)]
    currency: OptionalText = ""


class Page(Wire):
    """A page of a longer answer.

    `cursor` requests the next page, and is empty on the last.
    """

    cursor: OptionalText = ""


# Orders
# -------------------------------------------------------------------------------------------------


class AppliedTax(Wire):
    """A tax on an order. A percentage of 10 is ten per cent."""

    uid: OptionalText = ""
    name: OptionalText = ""
    type: OptionalText = ""
    scope: OptionalText = ""
    percentage: Exact | None = None
    applied_money: Money | None = None


class TaxOfLine(Wire):
    """A line's or a charge's reference to a tax of the order."""

    tax_uid: OptionalText = ""


class Adjustment(Wire):
    """A discount or a service charge of an order.

    Its `uid` is Square's if we sent none.
    """

    uid: OptionalText = ""
    name: OptionalText = ""
    amount_money: Money | None = None
    applied_taxes: OptionalList[TaxOfLine] = ()


class NamedModifier(Wire):
    """A modifier on a line, by the name that the register shows."""

    catalog_object_id: OptionalText = ""
    name: OptionalText = ""


class NamedLine(Wire):
    """A line with the names that the register shows.

    `uid` is the one that was sent with it.
    """

    uid: OptionalText = ""
    name: OptionalText = ""
    variation_name: OptionalText = ""
    note: OptionalText = ""
    modifiers: OptionalList[NamedModifier] = ()


class LineModifier(NamedModifier):
    """A modifier on a line, with the price that Square took for it."""

    base_price_money: Money | None = None


class LineItem(NamedLine):
    """A line as Square priced it."""

    base_price_money: Money | None = None
    modifiers: OptionalList[LineModifier] = ()  # pyright: ignore[reportIncompatibleVariableOverride]
    applied_taxes: OptionalList[TaxOfLine] = ()


class Details(Wire):
    """The note of a pickup or a delivery, and when the register accepted or began it."""

    note: OptionalText = ""
    accepted_at: OptionalText = ""
    in_progress_at: OptionalText = ""


class Fulfillment(Wire):
    """How an order gets to the customer, and its progress."""

    uid: OptionalText = ""
    state: OptionalText = ""
    pickup_details: Details | None = None
    delivery_details: Details | None = None

    @property
    def acknowledged(self) -> bool:
        """Whether somebody at the register has marked it as in progress."""
        details = self.pickup_details or self.delivery_details
        return bool(details and (details.accepted_at or details.in_progress_at))


class Tender(Wire):
    """A payment of an order. `amount_money` includes the tip."""

    amount_money: Money | None = None


class SquareOrder(Wire):
    """An order as Square has it."""

    id: Id
    state: OptionalText = ""
    version: int = 1
    reference_id: OptionalText = ""
    total_money: Money | None = None
    line_items: OptionalList[LineItem] = ()
    taxes: OptionalList[AppliedTax] = ()
    discounts: OptionalList[Adjustment] = ()
    service_charges: OptionalList[Adjustment] = ()
    tenders: OptionalList[Tender] = ()
    fulfillments: OptionalList[Fulfillment] = ()


class PricedOrder(SquareOrder):
    """An order whose total is required, because a decision depends on it."""

    total_money: Money  # pyright: ignore[reportGeneralTypeIssues, reportIncompatibleVariableOverride]


class OneOrder(Wire):
    """The answer of RetrieveOrder and UpdateOrder."""

    order: PricedOrder


class CreatedOrder(Wire):
    """The fields of a created order that its payment needs.

    The answer repeats the whole order, and reading all of it takes time.
    """

    id: Id
    reference_id: OptionalText = ""
    version: int = 1
    total_money: Money
    taxes: OptionalList[AppliedTax] = ()
    created_at: OptionalText = ""
    line_items: OptionalList[NamedLine] = ()
    fulfillments: OptionalList[Fulfillment] = ()


class OneCreated(Wire):
    """The answer of CreateOrder and PayOrder."""

    order: CreatedOrder


class CancelledOrder(PricedOrder):
    """An order that is cancelled for certain.

    With any other state the answer is unreadable.
    """

    state: Literal["CANCELED"]  # pyright: ignore[reportGeneralTypeIssues, reportIncompatibleVariableOverride]


class OneCancelled(Wire):
    """The answer of the UpdateOrder that cancels an order."""

    order: CancelledOrder


class OrdersPage(Page):
    """A page of SearchOrders. If nothing was found, `orders` is left out."""

    orders: OptionalList[SquareOrder] = ()


class Calculation(Wire):
    """An order that was only calculated; it may have no id."""

    total_money: Money
    line_items: OptionalList[LineItem] = ()
    taxes: OptionalList[AppliedTax] = ()
    discounts: OptionalList[Adjustment] = ()
    service_charges: OptionalList[Adjustment] = ()


class Calculated(Wire):
    """The answer of CalculateOrder."""

    order: Calculation


class Payment(Wire):
    """A payment as Square recorded it.

    The spec lets Square leave out whose order it pays.
    """

    id: Id
    order_id: OptionalText = ""
    status: OptionalText = ""


class Paid(Wire):
    """The answer of CreatePayment."""

    payment: Payment


# The catalogue
# -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """What differs at one location."""

    location_id: OptionalText = ""
    price_money: Money | None = None
    pricing_type: OptionalText = ""
    sold_out: bool | None = None
    sold_out_valid_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Variation:
    """`item_variation_data`."""

    name: OptionalText = ""
    sku: OptionalText = ""
    ordinal: int | None = None
    pricing_type: OptionalText = ""
    price_money: Money | None = None
    location_overrides: OptionalList[Override] = ()
    sellable: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModifierListInfo:
    """How one item uses a modifier list. A limit of -1 isn't set."""

    modifier_list_id: Id
    min_selected_modifiers: int | None = None
    max_selected_modifiers: int | None = None
    allow_quantities: OptionalText = ""
    enabled: bool | None = None
    ordinal: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The id of another object."""

    id: OptionalText = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """`item_data`.

    unconfirmed: `hidden_online` on an item; the spec has it on modifiers only. An item that is
    hidden in the dashboard, read from a sandbox, would show it.
    """

    name: OptionalText = ""
    is_taxable: bool | None = None
    is_archived: bool | None = None
    category_id: OptionalText = ""
    categories: OptionalList[Reference] = ()
    tax_ids: OptionalList[Id] = ()
    modifier_list_info: OptionalList[ModifierListInfo] = ()
    variations: OptionalList[CatalogObject] = ()
    hidden_online: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Modifier:
    """`modifier_data`."""

    name: OptionalText = ""
    ordinal: int | None = None
    price_money: Money | None = None
    location_overrides: OptionalList[Override] = ()
    hidden_online: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModifierList:
    """`modifier_list_data`."""

    name: OptionalText = ""
    selection_type: OptionalText = ""
    modifier_type: OptionalText = ""
    text_required: bool | None = None
    min_selected_modifiers: int | None = None
    max_selected_modifiers: int | None = None
    allow_quantities: bool | None = None
    modifiers: OptionalList[CatalogObject] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    """`category_data`."""

    name: OptionalText = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tax:
    """`tax_data`. `percentage` is a decimal as text: "7.5" is 7.5 per cent."""

    name: OptionalText = ""
    percentage: Exact | None = None
    inclusion_type: OptionalText = ""
    calculation_phase: OptionalText = ""
    enabled: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogObject:
    """One object of the catalogue. Only the data of its own type is set."""

    type: OptionalText = ""
    id: Id
    updated_at: OptionalText = ""
    is_deleted: bool | None = None
    present_at_all_locations: bool | None = None
    present_at_location_ids: OptionalList[str] = ()
    absent_at_location_ids: OptionalList[str] = ()
    item_data: Item | None = None
    item_variation_data: Variation | None = None
    modifier_list_data: ModifierList | None = None
    modifier_data: Modifier | None = None
    category_data: Category | None = None
    tax_data: Tax | None = None


class CatalogPage(Page):
    """A page of ListCatalog or SearchCatalogObjects."""

    objects: OptionalList[CatalogObject] = ()
    latest_time: OptionalText = ""


class CatalogBatch(Wire):
    """The answer of BatchRetrieveCatalogObjects, with the objects that those refer to."""

    objects: OptionalList[CatalogObject] = ()
    related_objects: OptionalList[CatalogObject] = ()


CATALOG_OBJECTS = {
    "objects": CatalogObject,
    "objects.item_data.variations": CatalogObject,
    "objects.modifier_list_data.modifiers": CatalogObject,
}
"""The lists of a page whose objects may be left out on their own.

One that can't be read costs no other.
"""

BATCH_OBJECTS = {
    **CATALOG_OBJECTS,
    **{f"related_{path}": kind for path, kind in CATALOG_OBJECTS.items()},
}
"""Those of a `CatalogBatch`."""


# The connection
# -------------------------------------------------------------------------------------------------


class Location(Wire):
    """A store's location."""

    id: Id
    name: OptionalText = ""
    status: OptionalText = ""
    currency: OptionalText = ""
    capabilities: OptionalList[str] = ()


class LocationAnswer(Wire):
    """The answer of RetrieveLocation."""

    location: Location


class LocationsAnswer(Wire):
    """The answer of ListLocations."""

    locations: OptionalList[Location] = ()


class Merchant(Wire):
    """The business that a token belongs to."""

    id: Id
    business_name: OptionalText = ""


class MerchantAnswer(Wire):
    """The answer of RetrieveMerchant."""

    merchant: Merchant


class TokenStatus(Wire):
    """The answer of RetrieveTokenStatus. An empty `expires_at`: never."""

    scopes: OptionalList[str] = ()
    expires_at: datetime | None = None


for _model in (CatalogPage, CatalogBatch):
    _model.model_rebuild()


class ChangedOrder(Wire):
    """The order that a notification is about."""

    order_id: OptionalText = ""
    location_id: OptionalText = ""


class ChangedObject(Wire):
    """The object of a notification. Each type has its own name for it."""

    order_created: ChangedOrder | None = None
    order_updated: ChangedOrder | None = None
    order_fulfillment_updated: ChangedOrder | None = None


class NotificationData(Wire):
    """The data of a notification."""

    id: OptionalText = ""
    object: ChangedObject | None = None


class Notification(Wire):
    """A webhook's body."""

    type: str
    merchant_id: OptionalText = ""
    event_id: Id
    created_at: AwareDatetime
    data: NotificationData = Field(default_factory=NotificationData)

    @property
    def changed_order(self) -> ChangedOrder | None:
        """The order that it is about, None if it is about something else."""
        thing = self.data.object
        if thing is None:
            return None
        return thing.order_created or thing.order_updated or thing.order_fulfillment_updated
