"""The order that a customer has paid, and the order as the platform has it.

The first is an `Order`, the second a `PosOrder`. An `Order` is complete and consistent once it
exists: its payments add up to its total, its times carry offsets, it has at least one line. All
amounts are minor units of `Order.currency` (see `money`). `Order.model_validate(json)` reads the
canonical JSON format; `tillpost schema order` prints its JSON Schema.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Literal, TypeAlias

from pydantic import ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import to_json

from tillpost.models.base import Aware, Count, FrozenModel, Id, OutsideId, OutsideWords, Text
from tillpost.models.money import Amount, Currency, format_money

__all__ = [
    "Address",
    "Charge",
    "Customer",
    "Delivery",
    "DineIn",
    "Discount",
    "Draft",
    "Fulfilment",
    "Line",
    "Modifier",
    "Order",
    "Payment",
    "Pickup",
    "PosOrder",
    "PosState",
    "Progress",
    "describe_lines",
]


class Modifier(FrozenModel):
    """An option chosen on a line: oat milk, no onion, extra cheese.

    `quantity` and `unit_price` are for one piece of the line.
    """

    modifier_id: Id
    sku: Text = ""
    name: Text
    quantity: Count = 1
    unit_price: Amount = 0


class Line(FrozenModel):
    """One line of the order.

    `item_id` is the id of what the platform sells: Square's item variation, Kounta's product.
    `unit_price` is without modifiers.
    """

    item_id: Id
    sku: Text = ""
    name: Text
    quantity: Count
    unit_price: Amount
    modifiers: tuple[Modifier, ...] = ()
    note: Text = ""

    @property
    def total(self) -> int:
        """The price of the line with its modifiers, in minor units."""
        modifiers = sum(modifier.quantity * modifier.unit_price for modifier in self.modifiers)
        return self.quantity * (self.unit_price + modifiers)


class Address(FrozenModel):
    """The address of a delivery."""

    line1: Text
    line2: Text = ""
    city: Text = ""
    region: Text = ""
    postcode: Text = ""
    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] | None = None

    def __str__(self) -> str:
        """Return the address in one line, as staff would read it."""
        town = " ".join(part for part in (self.city, self.region, self.postcode) if part)
        parts = (self.line1, self.line2, town, self.country)
        return ", ".join(part for part in parts if part)


class Pickup(FrozenModel):
    """The customer collects the order. No `due_at` means as soon as possible."""

    type: Literal["pickup"] = "pickup"
    due_at: Aware | None = None


class Delivery(FrozenModel):
    """The order is delivered to `address`. No `due_at` means as soon as possible."""

    type: Literal["delivery"] = "delivery"
    due_at: Aware | None = None
    address: Address
    instructions: Text = ""


class DineIn(FrozenModel):
    """The order is served at `table`. No `due_at` means as soon as possible."""

    type: Literal["dine_in"] = "dine_in"
    due_at: Aware | None = None
    table: Annotated[Text, Field(min_length=1)]


Fulfilment: TypeAlias = Annotated[Pickup | Delivery | DineIn, Field(discriminator="type")]


class Customer(FrozenModel):
    """The customer. Staff call out the name."""

    name: Annotated[Text, Field(min_length=1)]
    phone: Text = ""
    email: Text = ""


class Charge(FrozenModel):
    """A charge beside the lines."""

    kind: Literal["surcharge", "delivery", "service"]
    name: Annotated[Text, Field(min_length=1)]
    amount: Amount


class Discount(FrozenModel):
    """A discount on the lines. `amount` is positive."""

    name: Annotated[Text, Field(min_length=1)]
    amount: Amount


class Payment(FrozenModel):
    """A payment that the ordering site has captured.

    `reference` is its id at the payment provider.
    """

    method: Annotated[Text, Field(min_length=1)]
    amount: Amount
    reference: Text = ""


class Order(FrozenModel):
    """A paid online order, as the ordering site captured it.

    Attributes:
        id: The reference at the POS and the root of every idempotency key: one order, one id, for
            ever.
        code: What people call the order, such as "B42".
        tax: The tax that the site added on top; only with `prices_include_tax` false.
    """

    # FastAPI warns about a handler's argument whose model isn't built yet.
    model_config = ConfigDict(defer_build=False)

    id: Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,40}$")]
    code: Annotated[Text, Field(min_length=1, pattern=r"^[^\x00-\x1f\x7f]*$")]
    placed_at: Aware
    currency: Currency
    prices_include_tax: bool = True
    customer: Customer | None = None
    fulfilment: Fulfilment = Field(default_factory=Pickup)
    lines: Annotated[tuple[Line, ...], Field(min_length=1)]
    charges: tuple[Charge, ...] = ()
    discounts: tuple[Discount, ...] = ()
    tip: Amount = 0
    tax: Amount = 0
    payments: tuple[Payment, ...]
    note: Text = ""

    @field_validator("discounts")
    @classmethod
    def _not_below_zero(
        cls, discounts: tuple[Discount, ...], info: ValidationInfo
    ) -> tuple[Discount, ...]:
        # Platforms spread a discount over the lines and cap it there, so a larger one would
        # silently change the total.
        if "lines" in info.data:
            lines = sum(line.total for line in info.data["lines"])
            if sum(discount.amount for discount in discounts) > lines:
                raise ValueError("together they take off more than the lines cost")
        return discounts

    @field_validator("tax")
    @classmethod
    def _tax_once(cls, tax: int, info: ValidationInfo) -> int:
        if tax and info.data.get("prices_include_tax"):
            raise ValueError(
                "goes only with prices_include_tax false; here the prices include the tax"
            )
        return tax

    @field_validator("payments")
    @classmethod
    def _paid_in_full(
        cls, payments: tuple[Payment, ...], info: ValidationInfo
    ) -> tuple[Payment, ...]:
        known = info.data
        needed = ("currency", "lines", "charges", "discounts", "tip", "tax")
        if not all(name in known for name in needed):
            return payments  # another field's fault is reported instead
        paid = sum(payment.amount for payment in payments)
        total = _owed(**known)
        if paid != total:
            currency = known["currency"]
            raise ValueError(
                f"they add up to {format_money(paid, currency)}, "
                f"but the order's total is {format_money(total, currency)}"
            )
        return payments

    @property
    def due_at(self) -> Aware | None:
        """When the order is due; None means as soon as possible."""
        return self.fulfilment.due_at

    @cached_property
    def total(self) -> int:
        """What the customer paid, in minor units.

        That is lines, charges and tip, less discounts, plus tax added on top. Validation has made
        sure that the payments add up to it.
        """
        return sum(payment.amount for payment in self.payments)

    @cached_property
    def digest(self) -> str:
        """A fingerprint of the whole content: equal orders have equal digests."""
        return hashlib.sha256(to_json(self)).hexdigest()


def _owed(
    lines: tuple[Line, ...],
    charges: tuple[Charge, ...],
    discounts: tuple[Discount, ...],
    tip: int,
    tax: int,
    **_: object,
) -> int:
    """Return what an order with these parts costs, in minor units."""
    subtotal = sum(line.total for line in lines)
    charged = sum(charge.amount for charge in charges)
    discounted = sum(discount.amount for discount in discounts)
    return subtotal + charged - discounted + tip + tax


def describe_lines(order: Order, lines: Iterable[int]) -> tuple[str, ...]:
    """Return names of lines for people, who count from 1: "BLT toastie (line 2)".

    `lines` are zero-based indices; those that the order doesn't have are left out.
    """
    texts: list[str] = []
    for index in lines:
        if not 0 <= index < len(order.lines):
            continue
        name = order.lines[index].name
        number = index + 1
        texts.append(f"{name} (line {number})")
    return tuple(texts)


class PosState(StrEnum):
    """The state of an order at the POS, once the platform has it.

    `RECEIVED`: the platform's cloud has it. `ACCEPTED`: the register or its staff has shown that
    they have it.
    """

    RECEIVED = "received"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    CANCELLED = "cancelled"


class Progress(StrEnum):
    """The progress of an order, as a customer may see it."""

    NEW = "new"
    ACCEPTED = "accepted"
    PREPARING = "preparing"
    READY = "ready"
    ON_BOARD = "on_board"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


MOST_NOTICES = 200
"""Notices of an order that are kept; the last one says how many more there were."""


class PosOrder(FrozenModel):
    """The order as the platform has it.

    Attributes:
        id: The platform's id of the order.
        reference: Our `Order.id`, as the platform has it.
        status: The platform's own word for the order's state.
        total: The platform's total, in minor units, where it gives one.
        notices: What was changed on the way in: a text cut to the platform's limit, a price kept
            as it was paid.
    """

    id: Id
    reference: OutsideId = ""
    state: PosState = PosState.RECEIVED
    progress: Progress = Progress.NEW
    status: OutsideWords = ""
    total: int | None = None
    notices: tuple[OutsideWords, ...] = ()

    @field_validator("notices")
    @classmethod
    def _not_too_many(cls, notices: tuple[str, ...]) -> tuple[str, ...]:
        if len(notices) <= MOST_NOTICES:
            return notices
        shown = notices[: MOST_NOTICES - 1]
        return (*shown, f"... and {len(notices) - len(shown)} more")


class Draft(FrozenModel):
    """An order at the platform that staff can't see yet: created, but not paid.

    It has to be finished or undone.
    """

    id: Id
    total: int
    version: int = 0
