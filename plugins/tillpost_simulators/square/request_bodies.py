"""The bodies of requests, and the payment (spec: the `*Request` schemas, Payment)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from tillpost_simulators.square.wire import (
    FulfilmentState,
    FulfilmentType,
    Key45,
    Money,
    NonEmptyStr,
    Order,
    OrderState,
    Str40,
    Str191,
    Str192,
    Str255,
    Str500,
    Str2048,
    Wire,
)

RequiredKey192 = Annotated[str, StringConstraints(min_length=1, max_length=192)]
GrantType = Annotated[str, StringConstraints(min_length=10, max_length=20)]
Secret = Annotated[str, StringConstraints(min_length=2, max_length=1024)]
UpToTen = Annotated[list[str], Field(max_length=10)]
PaymentStatus = Literal["APPROVED", "COMPLETED", "CANCELED"]
PaymentSource = Literal["EXTERNAL", "CASH"]

# spec: ExternalPaymentDetails.type
ExternalType = Literal[
    "CHECK",
    "BANK_TRANSFER",
    "OTHER_GIFT_CARD",
    "CRYPTO",
    "SQUARE_CASH",
    "SOCIAL",
    "EXTERNAL",
    "EMONEY",
    "CARD",
    "STORED_BALANCE",
    "FOOD_VOUCHER",
    "OTHER",
]


class CreateOrder(Wire):
    """The body of CreateOrder (spec: CreateOrderRequest)."""

    order: Order
    idempotency_key: Str192 | None = None


class CalculateOrder(Wire):
    """The body of CalculateOrder (spec: CalculateOrderRequest)."""

    order: Order


class UpdateOrder(Wire):
    """The body of UpdateOrder (spec: UpdateOrderRequest).

    The order is sparse, so it is parsed only after it was merged into the stored one.
    """

    order: dict[str, object]
    fields_to_clear: list[str] | None = None
    idempotency_key: Str192 | None = None


class PayOrder(Wire):
    """The body of PayOrder (spec: PayOrderRequest)."""

    idempotency_key: RequiredKey192
    order_version: int | None = None
    payment_ids: list[str] | None = None


class BatchRetrieveOrders(Wire):
    """The body of BatchRetrieveOrders (spec: BatchRetrieveOrdersRequest)."""

    location_id: str | None = None
    order_ids: Annotated[list[str], Field(min_length=1, max_length=100)]


class TimeRange(Wire):
    """A range of time (spec: TimeRange). Both ends belong to it."""

    start_at: str | None = None
    end_at: str | None = None


class DateTimeFilter(Wire):
    """A filter by time (spec: SearchOrdersDateTimeFilter)."""

    created_at: TimeRange | None = None
    updated_at: TimeRange | None = None
    closed_at: TimeRange | None = None


class StateFilter(Wire):
    """A filter by state (spec: SearchOrdersStateFilter)."""

    states: list[OrderState]


class FulfilmentFilter(Wire):
    """A filter by fulfilment (spec: SearchOrdersFulfillmentFilter)."""

    fulfillment_types: list[FulfilmentType] | None = None
    fulfillment_states: list[FulfilmentState] | None = None


class SourceFilter(Wire):
    """A filter by source (spec: SearchOrdersSourceFilter)."""

    source_names: UpToTen | None = None


class CustomerFilter(Wire):
    """A filter by customer (spec: SearchOrdersCustomerFilter)."""

    customer_ids: UpToTen | None = None


class OrdersFilter(Wire):
    """The filters of a search (spec: SearchOrdersFilter).

    There is none for `reference_id`.
    """

    state_filter: StateFilter | None = None
    date_time_filter: DateTimeFilter | None = None
    fulfillment_filter: FulfilmentFilter | None = None
    source_filter: SourceFilter | None = None
    customer_filter: CustomerFilter | None = None


SortField = Literal["CREATED_AT", "UPDATED_AT", "CLOSED_AT"]


class OrdersSort(Wire):
    """The sorting of a search (spec: SearchOrdersSort)."""

    sort_field: SortField
    sort_order: Literal["ASC", "DESC"] | None = None


class OrdersQuery(Wire):
    """The query of a search (spec: SearchOrdersQuery)."""

    filter: OrdersFilter | None = None
    sort: OrdersSort | None = None


class SearchOrders(Wire):
    """The body of SearchOrders (spec: SearchOrdersRequest)."""

    location_ids: Annotated[list[str], Field(min_length=1, max_length=10)]
    cursor: str | None = None
    query: OrdersQuery | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] | None = None
    return_entries: bool | None = None


class ExternalDetails(Wire):
    """The details of an external payment (spec: ExternalPaymentDetails)."""

    type: ExternalType
    source: Str255
    source_id: Str255 | None = None
    source_fee_money: Money | None = None


class CashDetails(Wire):
    """The details of a cash payment (spec: CashPaymentDetails)."""

    buyer_supplied_money: Money
    change_back_money: Money | None = None


class CreatePayment(Wire):
    """The body of CreatePayment (spec: CreatePaymentRequest).

    It is for payments that were taken elsewhere.
    """

    source_id: NonEmptyStr
    idempotency_key: Key45
    amount_money: Money
    tip_money: Money | None = None
    autocomplete: bool | None = None
    order_id: str | None = None
    customer_id: str | None = None
    location_id: str | None = None
    reference_id: Str40 | None = None
    buyer_email_address: Str255 | None = None
    buyer_phone_number: str | None = None
    note: Str500 | None = None
    cash_details: CashDetails | None = None
    external_details: ExternalDetails | None = None


class CancelPayment(Wire):
    """A cancellation by key (spec: CancelPaymentByIdempotencyKeyRequest)."""

    idempotency_key: Key45


class Payment(Wire):
    """A payment (spec: Payment)."""

    id: str
    created_at: str
    updated_at: str
    amount_money: Money
    tip_money: Money | None = None
    total_money: Money
    approved_money: Money
    status: PaymentStatus
    source_type: PaymentSource
    location_id: str
    order_id: str | None = None
    reference_id: str | None = None
    customer_id: str | None = None
    buyer_email_address: str | None = None
    note: str | None = None
    cash_details: CashDetails | None = None
    external_details: ExternalDetails | None = None
    version_token: str


class SearchCatalog(Wire):
    """The body of a search (spec: SearchCatalogObjectsRequest).

    Queries by attribute aren't simulated.
    """

    cursor: str | None = None
    object_types: list[str] | None = None
    include_deleted_objects: bool | None = None
    include_related_objects: bool | None = None
    include_category_path_to_root: bool | None = None
    begin_time: str | None = None
    query: dict[str, object] | None = None
    limit: int | None = None


class BatchRetrieveCatalog(Wire):
    """The body of a retrieval (spec: BatchRetrieveCatalogObjectsRequest)."""

    object_ids: Annotated[list[str], Field(max_length=1000)]
    include_related_objects: bool | None = None
    include_deleted_objects: bool | None = None


class ObtainToken(Wire):
    """The body of ObtainToken (spec: ObtainTokenRequest)."""

    client_id: Str191
    grant_type: GrantType
    client_secret: Secret | None = None
    code: Str191 | None = None
    redirect_uri: Str2048 | None = None
    refresh_token: Secret | None = None
    scopes: list[str] | None = None
    short_lived: bool | None = None


class RevokeToken(Wire):
    """The body of RevokeToken (spec: RevokeTokenRequest)."""

    client_id: Str191 | None = None
    access_token: Secret | None = None
    merchant_id: str | None = None
    revoke_only_access_token: bool | None = None
