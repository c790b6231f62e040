"""JSON as Kounta speaks it: amounts are numbers with decimals, which here never become floats on the way.

And the bodies of requests. What a body holds beyond these fields is ignored.
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
    """A value as JSON; a Decimal is written as the number that it is, without its trailing zeros."""
    match value:
        case Decimal():
            plain = format(value, "f")
            return (plain.rstrip("0").rstrip(".") or "0") if "." in plain else plain
        case dict():
            members = cast("dict[str, object]", value).items()
            return (
                "{"
                + ", ".join(f"{json.dumps(name)}: {to_json(member)}" for name, member in members)
                + "}"
            )
        case list() | tuple():
            return "[" + ", ".join(to_json(item) for item in cast("list[object]", value)) + "]"
        case _:
            return json.dumps(value)


def json_answer(
    value: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Answer:
    """An answer whose body is `value` as JSON."""
    return Answer(status, to_json(value).encode(), headers=headers or {})


class Body(BaseModel):
    """A request's body."""

    model_config = ConfigDict(extra="ignore")


class LineBody(Body):
    """A line of a new order (vendor's sample). `unit_price` excludes tax; `modifiers` are signed product ids."""

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
    """What can be changed of an order. Only what is there is changed."""

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


class Misfit(ValueError):
    """A body that isn't what it should be; the text says what is wrong with it."""


def read(model: type[B], body: bytes) -> B:
    """Reads a request's body. Raises Misfit when it doesn't fit."""
    try:
        value: object = json.loads(body, parse_float=Decimal)
    except ValueError:
        raise Misfit("The request body is not valid JSON.") from None
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        raise Misfit(f"{where or 'The request body'}: {first['msg']}.") from None
