"""Kounta's JSON, with amounts as decimal numbers, and the bodies of requests.

Amounts are never converted to floats. Fields of a body that aren't listed here are ignored.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tillpost.simulator import Answer

Json = dict[str, object]


def to_json(value: object) -> str:
    """Return a value as JSON.

    A Decimal is written as a number, without trailing zeros.
    """
    match value:
        case Decimal():
            plain = format(value, "f")
            if "." not in plain:
                return plain
            return plain.rstrip("0").rstrip(".") or "0"
        case dict():
            mapping = cast("dict[str, object]", value)
            members: list[str] = []
            for name, item in mapping.items():
                key = json.dumps(name)
                members.append(f"{key}: {to_json(item)}")
            listed = ", ".join(members)
            return f"{{{listed}}}"
        case list() | tuple():
            items = [to_json(item) for item in cast("list[object]", value)]
            return "[" + ", ".join(items) + "]"
        case _:
            return json.dumps(value)


def json_answer(
    value: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Answer:
    """Return an answer whose body is `value` as JSON."""
    return Answer(status, to_json(value).encode(), headers=headers or {})


class Body(BaseModel):
    """The body of a request."""

    model_config = ConfigDict(extra="ignore")


class LineBody(Body):
    """A line of a new order (vendor's sample).

    `unit_price` excludes tax; `modifiers` are product ids, negative to take something off.
    """

    product_id: int
    quantity: Decimal = Decimal(1)
    notes: str | None = None
    unit_price: Decimal | None = None
    price_variation: Decimal | None = None
    modifiers: list[int] = Field(default_factory=list[int])


class PaymentBody(Body):
    """A payment of a new order (vendor's sample)."""

    method_id: int
    amount: Decimal
    ref: str | None = None


class OrderBody(Body):
    """A new order (vendor's sample; `sale_number` and `status` from third-party code)."""

    site_id: int
    status: str | None = None
    sale_number: str | None = None
    order_type: str | None = None
    guests: int | None = None
    customer_id: int | None = None
    notes: str | None = None
    lines: list[LineBody] = Field(default_factory=list[LineBody])
    payments: list[PaymentBody] = Field(default_factory=list[PaymentBody])
    price_variation: Decimal | None = None
    callback_uri: str | None = None
    complete_when_paid: bool = False
    pass_thru_printing: bool = False
    lock: list[str] = Field(default_factory=list[str])
    placed_at: str | None = None
    fulfil_at: str | None = None


class OrderChange(Body):
    """The changes to an order. Fields that are missing don't change."""

    status: str | None = None
    notes: str | None = None
    sale_number: str | None = None
    order_type: str | None = None
    fulfil_at: str | None = None


class CustomerBody(Body):
    """A customer (vendor's page): a first name, and an email or a phone at least."""

    first_name: str = ""
    last_name: str = ""
    email: str = ""
    phone: str = ""
    reference_id: str = ""


class WebhookBody(Body):
    """A webhook (vendor's page)."""

    topic: str | None = None
    address: str | None = None
    format: str | None = None
    filter: dict[str, list[int]] | None = None
    headers: dict[str, str] | None = None


B = TypeVar("B", bound=Body)


class InvalidBody(ValueError):
    """Raised for a body that isn't valid; the text says what is wrong."""


def parse_body(model: type[B], body: bytes) -> B:
    """Parse the body of a request.

    Raises:
        InvalidBody: It isn't JSON, or doesn't fit the model.
    """
    try:
        value: object = json.loads(body, parse_float=Decimal)
    except ValueError:
        raise InvalidBody("The request body is not valid JSON.") from None
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(step) for step in first["loc"])
        raise InvalidBody(f"{field or 'The request body'}: {first['msg']}.") from None
