"""The order that a customer placed, and the order as the platform has it.

The first is an `Order`, the second a `PosOrder`. An `Order` is complete and consistent once it
exists: what was paid and what is due add up to its total, its times carry offsets, it has at least
one line. All amounts are minor units of `Order.currency` (see `money`).
`Order.model_validate(json)` reads the canonical JSON format; `tillpost schema order` prints its
JSON Schema.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, Literal, NamedTuple, Self, TypeAlias

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticKnownError

from tillpost.models.base import (
    Aware,
    Count,
    FrozenModel,
    Id,
    Members,
    Metadata,
    OptionalId,
    OutsideId,
    OutsideWords,
    ReadOnlyDict,
    Text,
)
from tillpost.models.field_texts import WithFieldTexts
from tillpost.models.money import Amount, Currency, Exact, SignedAmount
from tillpost.models.sums import (
    WrongSum,
    wrong_discounts,
    wrong_payments,
    wrong_piece,
    wrong_tax,
    wrong_taxes,
)

__all__ = [
    "UNCHECKED_SUMS",
    "Address",
    "Charge",
    "Curbside",
    "Customer",
    "Delivery",
    "DineIn",
    "Discount",
    "Draft",
    "FlatModifier",
    "Fulfilment",
    "Line",
    "Modifier",
    "Order",
    "OrderTax",
    "Payment",
    "Pickup",
    "PosOrder",
    "PosState",
    "Progress",
    "describe_lines",
]

DEEPEST_MODIFIER = 5
"""How many levels of modifiers a line may have."""

MOST_OF_ONE = 9999
"""How many of an option one piece may have, multiplied through its nesting."""

UNCHECKED_SUMS = object()
"""The context of a validation that takes an order with any sums; see `arithmetic`."""


def left_out_at(default: object) -> Any:
    """Return the annotation of a field that the first version of the format lacked.

    JSON leaves it out at its default. So an order from then keeps its JSON and its digest.
    """
    return Field(exclude_if=lambda value: bool(value == default))


class OrderModel(FrozenModel, WithFieldTexts):
    """A part of an order. The text below a field describes it in the JSON Schema, too."""


class Modifier(OrderModel):
    """An option chosen on a line: oat milk, no onion, extra cheese.

    An option may have choices of its own: half of a pizza, a part of a combo. Nested so, at most
    five levels deep, `quantity` and `unit_price` are for one piece of what the option is on.

    A menu lists an item's options, and not those of an option. So a nested choice is counted for no
    group of the item as one too many, and may be absent from the menu: the platform judges it. A
    platform that nests no choices, such as Square, may count it with the item's own.
    """

    modifier_id: Id
    """The platform's id of the option."""

    sku: Text = ""
    """The store's own code of the option.

    It finds the option again if the id has changed.
    """

    name: Text
    """What the customer read. Staff read it on the docket."""

    quantity: Count = 1
    """How many of it are on one piece of what it is chosen on."""

    unit_price: SignedAmount = 0
    """The price of one, without its own choices.

    Negative if it makes the item cheaper.
    """

    modifiers: Annotated[Members[Modifier], left_out_at(())] = ()
    """What was chosen on this option, for one of it."""

    @field_validator("modifiers")
    @classmethod
    def _not_too_deep(cls, modifiers: tuple[Modifier, ...]) -> tuple[Modifier, ...]:
        if max(map(_depth, modifiers), default=0) >= DEEPEST_MODIFIER:
            raise ValueError(f"choices are nested more than {DEEPEST_MODIFIER} levels deep")
        return modifiers

    @property
    def total(self) -> int:
        """What it adds to one piece of what it is on, with its choices, in minor units."""
        return self.quantity * (self.unit_price + _sum_of_totals(self.modifiers))


def _refuse(wrong: WrongSum | None, info: ValidationInfo) -> None:
    """Raise what is wrong with a sum, unless the order is read with any sums."""
    if wrong and info.context is not UNCHECKED_SUMS:
        raise ValueError(wrong.text)


def _depth(modifier: Modifier) -> int:
    return 1 + max(map(_depth, modifier.modifiers), default=0)


class Discount(OrderModel):
    """An amount that is taken off an order, a line or a charge."""

    name: Annotated[Text, Field(min_length=1)]
    """What it is called, such as "HAPPY HOUR". Staff read it on the docket."""

    amount: Amount
    """What it takes off: a positive amount, or 0."""


class Line(OrderModel):
    """One line of the order.

    What it comes to is `quantity * (unit_price + modifiers) - discounts`.
    """

    item_id: OptionalId = ""
    """The id of what the platform sells.

    That is Square's item variation, Kounta's product. An empty id is an open item, which isn't on
    the menu: it has only a name and a price, and no modifiers.
    """

    sku: Text = ""
    """The store's own code of the item. It finds the item again if the id has changed."""

    name: Text
    """What the customer read. Staff read it on the docket."""

    quantity: Count
    """How many pieces."""

    unit_price: Amount
    """The price of one piece without its modifiers, before discounts."""

    modifiers: Members[Modifier] = ()
    """What was chosen on one piece. With their prices, a piece costs 0 or more."""

    note: Text = ""
    """What the customer wrote about this line, for the kitchen."""

    discounts: Annotated[Members[Discount], left_out_at(())] = ()
    """What is taken off the whole line, all its pieces together.

    It is at most what the line costs.
    """

    @field_validator("modifiers")
    @classmethod
    def _for_one_piece(
        cls, modifiers: tuple[Modifier, ...], info: ValidationInfo
    ) -> tuple[Modifier, ...]:
        known = info.data
        if modifiers and known.get("item_id") == "":
            raise ValueError("an item without an id has no options to choose from")
        if "unit_price" in known:
            _refuse(wrong_piece(known["unit_price"] + _sum_of_totals(modifiers)), info)
        if max((each.quantity for each in _flat(modifiers, 1, ())), default=0) > MOST_OF_ONE:
            raise ValueError(f"one piece has more than {MOST_OF_ONE} of an option")
        return modifiers

    @field_validator("discounts")
    @classmethod
    def _at_most_the_line(
        cls, discounts: tuple[Discount, ...], info: ValidationInfo
    ) -> tuple[Discount, ...]:
        known = info.data
        if {"quantity", "unit_price", "modifiers"} <= known.keys():
            for_one = known["unit_price"] + _sum_of_totals(known["modifiers"])
            most = known["quantity"] * for_one
            _refuse(wrong_discounts(_sum_of_amounts(discounts), most, "the line costs"), info)
        return discounts

    @model_validator(mode="after")
    def _named_if_open(self) -> Self:
        if not self.item_id and not self.name:
            raise ValueError("an item without an id needs a name")
        return self

    @property
    def total(self) -> int:
        """The price of the line with its modifiers, before discounts, in minor units."""
        return self.quantity * (self.unit_price + _sum_of_totals(self.modifiers))

    @property
    def discount(self) -> int:
        """The sum of the line's own discounts, in minor units."""
        return _sum_of_amounts(self.discounts)

    @property
    def discounted(self) -> int:
        """What the line comes to after its own discounts, in minor units."""
        return self.total - self.discount

    @property
    def is_open(self) -> bool:
        """Whether the item isn't on the menu, and has only a name and a price."""
        return not self.item_id

    def flat_modifiers(self) -> Sequence[FlatModifier]:
        """Return every modifier on one piece, nested ones as well.

        Each comes before its own choices. That is what a platform gets that doesn't nest modifiers.
        """
        return self._flat_modifiers

    @cached_property
    def _flat_modifiers(self) -> Sequence[FlatModifier]:
        return _flat(self.modifiers, 1, ())


class FlatModifier(NamedTuple):
    """A modifier of a line, taken out of its nesting.

    Attributes:
        modifier: The modifier.
        quantity: How many of it one piece of the line has, multiplied through.
        parents: The modifiers that it is nested in, the outermost first.
    """

    modifier: Modifier
    quantity: int
    parents: tuple[Modifier, ...]


def _flat(
    modifiers: Sequence[Modifier], times: int, parents: tuple[Modifier, ...]
) -> list[FlatModifier]:
    flat: list[FlatModifier] = []
    for modifier in modifiers:
        quantity = times * modifier.quantity
        flat.append(FlatModifier(modifier, quantity, parents))
        if modifier.modifiers:
            flat += _flat(modifier.modifiers, quantity, (*parents, modifier))
    return flat


_ISO_COUNTRIES = {"UK": "GB", "EL": "GR"}
"""Codes that are in use for a country, and its code in ISO 3166."""


def _iso_country(code: str) -> str:
    return _ISO_COUNTRIES.get(code, code)


Country: TypeAlias = Annotated[str, Field(pattern=r"^[A-Z]{2}$"), AfterValidator(_iso_country)]


class Address(OrderModel):
    """The address of a delivery."""

    line1: Text
    """Street and number."""

    line2: Text = ""
    """Flat, floor or entrance."""

    city: Text = ""
    """City, town or suburb."""

    region: Text = ""
    """State, province or county."""

    postcode: Text = ""
    """Postcode or ZIP code."""

    country: Country | None = None
    """The country's two-letter code (ISO 3166), such as AU.

    UK is read as GB, and EL as GR.
    """

    def __str__(self) -> str:
        """Return the address in one line, as staff would read it."""
        town = " ".join(part for part in (self.city, self.region, self.postcode) if part)
        parts = (self.line1, self.line2, town, self.country)
        return ", ".join(part for part in parts if part)


class Curbside(OrderModel):
    """The customer waits in a car, and staff bring the order out."""

    details: Text = ""
    """How staff find the car.

    That is its make, colour or number plate, or the number of the bay.
    """


class Pickup(OrderModel):
    """The customer collects the order."""

    type: Literal["pickup"] = "pickup"
    """Always `pickup`."""

    due_at: Aware | None = None
    """When the customer comes. Without it, the order is due as soon as possible."""

    curbside: Annotated[Curbside | None, left_out_at(None)] = None
    """Where the customer waits, if staff bring the order out to a car."""


class Delivery(OrderModel):
    """The order is delivered."""

    type: Literal["delivery"] = "delivery"
    """Always `delivery`."""

    due_at: Aware | None = None
    """When the order is to be there. Without it, it is due as soon as possible."""

    address: Address
    """Where it is delivered to."""

    instructions: Text = ""
    """What the customer wrote for the courier."""


_Guests: TypeAlias = Annotated[int, Field(strict=True, ge=1, le=999)]


class DineIn(OrderModel):
    """The order is served at a table."""

    type: Literal["dine_in"] = "dine_in"
    """Always `dine_in`."""

    due_at: Aware | None = None
    """When it is to be served. Without it, the order is due as soon as possible."""

    table: Annotated[Text, Field(min_length=1)]
    """The table, by the name that staff use."""

    guests: Annotated[_Guests | None, left_out_at(None)] = None
    """How many people sit there."""


Fulfilment: TypeAlias = Annotated[Pickup | Delivery | DineIn, Field(discriminator="type")]


class Customer(OrderModel):
    """The customer. Staff call out the name."""

    name: Annotated[Text, Field(min_length=1)]
    """The name that staff call out."""

    phone: Text = ""
    """A phone number, as the customer typed it."""

    email: Text = ""
    """An e-mail address."""


class Charge(OrderModel):
    """A charge beside the lines.

    What it comes to is `amount - discounts`.
    """

    kind: Literal["surcharge", "delivery", "service", "rounding"]
    """What it is for.

    A `rounding` makes the total round, and is neither taxed nor discounted.
    """

    name: Annotated[Text, Field(min_length=1)]
    """What the customer read, such as "Delivery fee"."""

    amount: SignedAmount
    """What it costs before discounts. Only a `rounding` may be negative."""

    taxed: Annotated[bool, left_out_at(False)] = False
    """Whether the site charged tax on it.

    Where prices include tax, its amount includes that tax; otherwise the order's `tax` does.
    """

    discounts: Annotated[Members[Discount], left_out_at(())] = ()
    """What is taken off this charge, such as free delivery; at most its amount."""

    @field_validator("amount")
    @classmethod
    def _signed_if_rounding(cls, amount: int, info: ValidationInfo) -> int:
        if amount < 0 and info.data.get("kind") != "rounding":
            raise ValueError("only a charge of the kind rounding may be negative")
        return amount

    @field_validator("taxed")
    @classmethod
    def _rounding_untaxed(cls, taxed: bool, info: ValidationInfo) -> bool:
        if taxed and info.data.get("kind") == "rounding":
            raise ValueError("a rounding isn't taxed")
        return taxed

    @field_validator("discounts")
    @classmethod
    def _at_most_the_amount(
        cls, discounts: tuple[Discount, ...], info: ValidationInfo
    ) -> tuple[Discount, ...]:
        if discounts and info.data.get("kind") == "rounding":
            raise ValueError("a rounding isn't discounted")
        if "amount" in info.data:
            most = max(info.data["amount"], 0)
            _refuse(wrong_discounts(_sum_of_amounts(discounts), most, "the charge"), info)
        return discounts

    @property
    def discount(self) -> int:
        """The sum of the charge's own discounts, in minor units."""
        return _sum_of_amounts(self.discounts)

    @property
    def total(self) -> int:
        """What the charge comes to after its discounts, in minor units."""
        return self.amount - self.discount


class OrderTax(OrderModel):
    """One tax of the order, as the ordering site computed it."""

    name: Annotated[Text, Field(min_length=1)]
    """What it is called, such as "GST"."""

    rate: Annotated[Exact, Field(ge=0)] | None = None
    """Its rate as a fraction: 0.1 is ten per cent."""

    amount: Amount
    """What it comes to on the whole order."""


class Payment(OrderModel):
    """A payment that the ordering site has captured."""

    method: Annotated[Text, Field(min_length=1)]
    """How the customer paid, such as "card" or "gift card"."""

    amount: Amount
    """What was paid so."""

    reference: Text = ""
    """Its id at the payment provider."""


def _not_empty(lines: Sequence[Line]) -> Sequence[Line]:
    """Refuse an order without lines.

    A least length of the field is judged without the lines that are at fault, so that one bad line
    would be two faults.
    """
    if not lines:
        least = {"field_type": "Tuple", "min_length": 1, "actual_length": 0}
        raise PydanticKnownError("too_short", least)
    return lines


_Lines: TypeAlias = Annotated[
    Members[Line], AfterValidator(_not_empty), Field(json_schema_extra={"minItems": 1})
]


class Order(OrderModel):
    """An online order, as the ordering site took it.

    Its total is lines and charges, each after its own discounts, less the order's discounts, plus
    the tip and the added tax. `payments` and `amount_due` add up to it.
    """

    # FastAPI's description of a handler warns about an argument whose model isn't built yet.
    model_config = ConfigDict(defer_build=False)

    format: Annotated[Literal["1"], left_out_at("1")] = "1"
    """The version of this format."""

    id: Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,40}$")]
    """The reference at the POS and the root of every idempotency key.

    One order has one id, for ever. It has 1 to 40 visible ASCII characters, without spaces.
    """

    code: Annotated[Text, Field(min_length=1, pattern=r"^[^\x00-\x1f\x7f]*$")]
    """What people call the order, such as "B42", in one line."""

    placed_at: Aware
    """When the customer placed the order."""

    currency: Currency
    """The currency of all amounts: its ISO 4217 code, such as AUD."""

    prices_include_tax: bool = True
    """Whether the prices of lines and charges include tax.

    If not, `tax` is added to them.
    """

    customer: Customer | None = None
    """Who ordered, if the site knows."""

    fulfilment: Fulfilment = Field(default_factory=Pickup)
    """How and when the customer gets the order.

    Without it, a pickup as soon as possible.
    """

    lines: _Lines
    """What was ordered."""

    charges: Members[Charge] = ()
    """What is charged beside the lines: delivery, service, a surcharge, a rounding."""

    discounts: Members[Discount] = ()
    """What is taken off all lines together.

    It is at most what they come to after their own discounts.
    """

    tip: Amount = 0
    """What the customer gives to the staff or the courier. It isn't taxed."""

    tax: Amount = 0
    """All tax that the site added on top; only with `prices_include_tax` false."""

    taxes: Annotated[Members[OrderTax], left_out_at(())] = ()
    """The site's own breakdown of the taxes.

    They add up to `tax`, or, where prices include tax, say how much of the total is tax. The POS
    computes its own.
    """

    amount_due: Annotated[Amount, left_out_at(0)] = 0
    """What the customer still has to pay at the store.

    Nothing of it is booked as paid.
    """

    payments: Annotated[Members[Payment], Field(validate_default=True)] = ()
    """What was paid online. With `amount_due` they add up to the total."""

    note: Text = ""
    """What the customer wrote about the whole order."""

    metadata: Annotated[Metadata, left_out_at({})] = Field(default_factory=ReadOnlyDict)
    """Names and values of your own.

    They stay in your database and are never sent to a platform. An order with other metadata is the
    same order, of which an outbox keeps what it got first.
    """

    @field_validator("discounts")
    @classmethod
    def _not_below_zero(
        cls, discounts: tuple[Discount, ...], info: ValidationInfo
    ) -> tuple[Discount, ...]:
        # Platforms spread a discount over the lines and cap it there, so a larger one would
        # silently change the total.
        if "lines" in info.data:
            most = sum(line.discounted for line in info.data["lines"])
            _refuse(wrong_discounts(_sum_of_amounts(discounts), most, "the lines cost"), info)
        return discounts

    @field_validator("tax")
    @classmethod
    def _tax_once(cls, tax: int, info: ValidationInfo) -> int:
        is_included = bool(info.data.get("prices_include_tax"))
        _refuse(wrong_tax(tax, prices_include_tax=is_included), info)
        return tax

    @field_validator("taxes")
    @classmethod
    def _taxes_in_sum(
        cls, taxes: tuple[OrderTax, ...], info: ValidationInfo
    ) -> tuple[OrderTax, ...]:
        known = info.data
        if taxes and known.keys() >= _PRICED:
            wrong = wrong_taxes(
                _sum_of_amounts(taxes),
                known["tax"],
                _total_of(known),
                known["currency"],
                prices_include_tax=known["prices_include_tax"],
            )
            _refuse(wrong, info)
        return taxes

    @field_validator("payments")
    @classmethod
    def _whole_total(
        cls, payments: tuple[Payment, ...], info: ValidationInfo
    ) -> tuple[Payment, ...]:
        known = info.data
        if (_PRICED | {"amount_due"}) <= known.keys():  # else another field's fault is reported
            paid = _sum_of_amounts(payments)
            total = _total_of(known)
            _refuse(wrong_payments(paid, known["amount_due"], total, known["currency"]), info)
        return payments

    def __hash__(self) -> int:
        """Hash the id, since metadata can't be hashed."""
        return hash(self.id)

    @property
    def due_at(self) -> Aware | None:
        """When the order is due; None means as soon as possible."""
        return self.fulfilment.due_at

    @cached_property
    def total(self) -> int:
        """What the order costs, in minor units, whether it is paid yet or not.

        That is lines, charges and tip, less discounts, plus tax added on top. Validation has made
        sure that the payments and the amount due add up to it.
        """
        return self.paid + self.amount_due

    @cached_property
    def paid(self) -> int:
        """What was paid online, in minor units."""
        return _sum_of_amounts(self.payments)

    @cached_property
    def digest(self) -> str:
        """A fingerprint of the content but `metadata`: equal orders have equal digests."""
        content = self.canonical_json()
        if self.metadata != {}:
            content = self._json(exclude={"metadata"})
        return hashlib.sha256(content.encode()).hexdigest()

    def canonical_json(self) -> str:
        """Return the order in the canonical JSON format.

        Fields that the first version of the format lacked are left out at their default. So an
        order from then keeps its JSON and its digest.
        """
        return self._canonical_json

    @cached_property
    def _canonical_json(self) -> str:
        return self._json(exclude=None)

    def _json(self, *, exclude: set[str] | None) -> str:
        # No warnings, since what `model_copy` was given isn't validated.
        return self.model_dump_json(exclude=exclude, warnings=False)


_PRICED = frozenset("currency prices_include_tax lines charges discounts tip tax".split())
"""The fields that make an order's total."""


def _total_of(known: Mapping[str, Any]) -> int:
    """Return what an order with these fields costs, in minor units."""
    lines = sum(line.discounted for line in known["lines"])
    charges = _sum_of_totals(known["charges"])
    discounts = _sum_of_amounts(known["discounts"])
    total: int = lines + charges - discounts + known["tip"] + known["tax"]
    return total


def _sum_of_totals(parts: Iterable[Modifier] | Iterable[Charge]) -> int:
    return sum(part.total for part in parts)


def _sum_of_amounts(parts: Iterable[Discount] | Iterable[OrderTax] | Iterable[Payment]) -> int:
    return sum(part.amount for part in parts)


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
