"""The order that a customer has paid, and what a platform makes of it: `Order` in, `PosOrder` out.

An `Order` is complete and consistent once it exists: its payments add up to its total, its times
carry offsets, it has at least one line. All amounts are minor units of `Order.currency` (see
`money`). `Order.model_validate(json)` reads the canonical JSON format; `tillpost schema order`
prints its JSON Schema.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Literal, TypeAlias

from pydantic import ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import to_json

from tillpost.models.base import Aware, Count, FrozenModel, Id, Text
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
    """A choice made on a line: oat milk, no onion, extra cheese. `quantity` is for one piece of the line."""

    modifier_id: Id
    sku: Text = ""
    name: Text
    quantity: Count = 1
    unit_price: Amount = 0


class Line(FrozenModel):
    """One line of the order. `item_id` is what the platform sells: Square's item variation, Kounta's product."""

    item_id: Id
    sku: Text = ""
    name: Text
    quantity: Count
    unit_price: Amount
    modifiers: tuple[Modifier, ...] = ()
    note: Text = ""

    @property
    def total(self) -> int:
        """What the line costs with its modifiers, in minor units."""
        return self.quantity * (
            self.unit_price + sum(m.quantity * m.unit_price for m in self.modifiers)
        )


class Address(FrozenModel):
    """Where a delivery goes."""

    line1: Text
    line2: Text = ""
    city: Text = ""
    region: Text = ""
    postcode: Text = ""
    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] | None = None

    def __str__(self) -> str:
        """The address in one line, as staff would read it."""
        town = " ".join(part for part in (self.city, self.region, self.postcode) if part)
        return ", ".join(part for part in (self.line1, self.line2, town, self.country) if part)


class Pickup(FrozenModel):
    """The customer fetches it. No `due_at` means as soon as possible."""

    type: Literal["pickup"] = "pickup"
    due_at: Aware | None = None


class Delivery(FrozenModel):
    """A courier takes it to `address`. No `due_at` means as soon as possible."""

    type: Literal["delivery"] = "delivery"
    due_at: Aware | None = None
    address: Address
    instructions: Text = ""


class DineIn(FrozenModel):
    """It is brought to `table`. No `due_at` means as soon as possible."""

    type: Literal["dine_in"] = "dine_in"
    due_at: Aware | None = None
    table: Annotated[Text, Field(min_length=1)]


Fulfilment: TypeAlias = Annotated[Pickup | Delivery | DineIn, Field(discriminator="type")]


class Customer(FrozenModel):
    """Who ordered. Staff call out the name."""

    name: Annotated[Text, Field(min_length=1)]
    phone: Text = ""
    email: Text = ""


class Charge(FrozenModel):
    """Something charged beside the lines."""

    kind: Literal["surcharge", "delivery", "service"]
    name: Annotated[Text, Field(min_length=1)]
    amount: Amount


class Discount(FrozenModel):
    """Something taken off the lines. `amount` is positive."""

    name: Annotated[Text, Field(min_length=1)]
    amount: Amount


class Payment(FrozenModel):
    """Money that the ordering site has captured already. `reference` finds it at the payment provider."""

    method: Annotated[Text, Field(min_length=1)]
    amount: Amount
    reference: Text = ""


class Order(FrozenModel):
    """A paid online order, as the ordering site captured it.

    `id` is the reference at the POS and the root of every idempotency key: one order, one id, for
    ever. `code` is what people say to each other ("B42"). With `prices_include_tax` false, `tax` is
    what the site added on top.
    """

    model_config = ConfigDict(
        defer_build=False
    )  # FastAPI warns of a handler's argument whose build was deferred

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
        # Platforms spread a discount over the lines and cap it there; more would change the total
        # in silence.
        if "lines" in info.data and sum(d.amount for d in discounts) > sum(
            x.total for x in info.data["lines"]
        ):
            raise ValueError("together they take off more than the lines cost")
        return discounts

    @field_validator("tax")
    @classmethod
    def _tax_once(cls, tax: int, info: ValidationInfo) -> int:
        if tax and info.data.get("prices_include_tax"):
            raise ValueError(
                "goes only with prices_include_tax false; here the prices hold the tax already"
            )
        return tax

    @field_validator("payments")
    @classmethod
    def _paid_in_full(
        cls, payments: tuple[Payment, ...], info: ValidationInfo
    ) -> tuple[Payment, ...]:
        known = info.data
        if all(
            name in known for name in ("currency", "lines", "charges", "discounts", "tip", "tax")
        ):
            paid, total = sum(p.amount for p in payments), _owed(**known)
            if paid != total:
                raise ValueError(
                    f"they add up to {format_money(paid, known['currency'])}, "
                    f"but the order's total is {format_money(total, known['currency'])}"
                )
        return payments

    @property
    def due_at(self) -> Aware | None:
        """When it is due; None means as soon as possible."""
        return self.fulfilment.due_at

    @cached_property
    def total(self) -> int:
        """What the customer paid, in minor units: lines, charges and tip, less discounts, plus tax added on top.

        That the payments come to it was seen to when the order came into being.
        """
        return sum(p.amount for p in self.payments)

    @cached_property
    def digest(self) -> str:
        """A fingerprint of the whole content: the same order handed in again has the same."""
        return hashlib.sha256(to_json(self)).hexdigest()


def _owed(
    lines: tuple[Line, ...],
    charges: tuple[Charge, ...],
    discounts: tuple[Discount, ...],
    tip: int,
    tax: int,
    **_: object,
) -> int:
    added = sum(x.total for x in lines) + sum(c.amount for c in charges)
    return added - sum(d.amount for d in discounts) + tip + tax


def describe_lines(order: Order, lines: Iterable[int]) -> tuple[str, ...]:
    """Name lines for people, who count from 1: "BLT toastie (line 2)".

    `lines` are zero-based indices; one that the order doesn't have is left out.
    """
    return tuple(
        f"{order.lines[i].name} (line {i + 1})" for i in lines if 0 <= i < len(order.lines)
    )


class PosState(StrEnum):
    """Where the order is at the POS, once the platform has it.

    `RECEIVED` is the cloud's word alone; `ACCEPTED` means that the register or its staff has shown
    that they have it.
    """

    RECEIVED = "received"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    CANCELLED = "cancelled"


class Progress(StrEnum):
    """What the customer may be told."""

    NEW = "new"
    ACCEPTED = "accepted"
    PREPARING = "preparing"
    READY = "ready"
    ON_BOARD = "on_board"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class PosOrder(FrozenModel):
    """The order as the platform has it.

    `status` is the platform's own word. `total` is what the platform computed, in minor units,
    where it says. `notices` tell what was changed on the way in (a text cut to the platform's
    limit, a price kept as it was paid).
    """

    id: Id
    reference: str = ""
    state: PosState = PosState.RECEIVED
    progress: Progress = Progress.NEW
    status: str = ""
    total: int | None = None
    notices: tuple[str, ...] = ()


class Draft(FrozenModel):
    """An order that is at the platform where staff can't see it (created, not paid): finish it or undo it."""

    id: Id
    total: int
    version: int = 0
