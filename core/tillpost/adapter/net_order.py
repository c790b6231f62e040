"""Orders for platforms that know nothing but products at prices without tax.

Such a platform has no field for a charge, a discount or a tip: each is sent as a product that a
setting names (`SubstituteProducts`). `net_order_lines` returns all lines, at prices from which the
platform computes what the customer paid. `verify_total` compares what it did compute. Nothing is
dropped: a part of the order without a product is a `SetupError`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import chain, combinations
from typing import Annotated, Literal, NamedTuple, TypeAlias

from pydantic import Field

from tillpost.adapter.net_prices import Linear, NetLine, all_fit, net_values, shares, shifted
from tillpost.errors import MenuError, PosError, SetupError, TaxError
from tillpost.models.docket import (
    charge_text,
    destination,
    discount_text,
    nested_choices,
    payment_text,
)
from tillpost.models.field_texts import WithFieldTexts
from tillpost.models.menu import Menu, ModifierOption, Tax
from tillpost.models.money import exponent, format_money, nearest_minor
from tillpost.models.order import (
    Delivery,
    Discount,
    FlatModifier,
    Line,
    Order,
    PosOrder,
    PosState,
)
from tillpost.models.safe_text import one_line
from tillpost.models.tax_rounding import (
    TaxedAmount,
    TaxRange,
    other_rates,
    stated_tax,
    tax_difference,
    tax_range,
)
from tillpost.models.tax_terms import most_rounding, total_rate

__all__ = [
    "BilledLine",
    "NetOrderLine",
    "ProductId",
    "SubstituteProducts",
    "billing_error",
    "missing_products",
    "net_order_lines",
    "order_note",
    "reference_in_note",
    "staff_notes",
    "tax_notices",
    "verify_total",
]

ProductId = Annotated[str, Field(min_length=1, max_length=192, coerce_numbers_to_str=True)]
"""A platform's id of a product, as a setting."""

Taxes: TypeAlias = Sequence[Tax]
"""The taxes on one line."""

_REFERENCE_LABEL = "Ref: "
_LINE_BREAK_TAG = re.compile(r"<br ?/?>", re.IGNORECASE)
_ZERO = Decimal(0)
_HALF = Decimal("0.5")
_ROUNDING = "rounding"
_CHARGES = "charge_products"
_DISCOUNTS = "discount_product"
_OPEN_ITEMS = "open_item_product"
_TIP = "tip_product"


class SubstituteProducts(WithFieldTexts):
    """Settings: the products that are sent for what a platform has no field for."""

    charge_products: dict[str, ProductId] = Field(default={})
    """The products that charges are sent as.

    They are found by a charge's name or, for all others, by its kind.
    """

    tip_product: ProductId | None = None
    """The product that a tip is sent as."""

    discount_product: ProductId | None = None
    """The product that a discount is sent as, at a negative price."""

    open_item_product: ProductId | None = None
    """The product that items without an id are sent as, at the order's price.

    Without it, an order with such an item is refused.
    """

    discounts: Literal["product", "multiplier"] = "product"
    """How a discount on the order is sent.

    It is sent as the `discount_product`, or as a multiplier that lowers each line's price. A
    discount on a line or a charge always lowers the price of that.
    """


class NetOrderLine(NamedTuple):
    """A line of one product, as it is sent.

    Attributes:
        product_id: The platform's id of the product.
        quantity: How many.
        price: For one, in major units, without tax and without its modifiers' own prices.
        note: For staff.
        modifiers: The ids of its modifiers, repeated by quantity.
        multiplier: The factor that takes a discount off the line, None for no discount.
        is_rounding: Whether it isn't of the order, but makes up for a rounding.
        is_shifted: Whether it comes to a minor unit more or less than was paid.
    """

    product_id: str
    quantity: int
    price: Decimal
    note: str
    modifiers: tuple[str, ...]
    multiplier: Decimal | None
    is_rounding: bool = False
    is_shifted: bool = False


class BilledLine(NamedTuple):
    """A line as the platform computed it.

    Attributes:
        product_id: The platform's id of the product.
        net: Its amount without tax in major units, None if the platform doesn't say.
        tax: The tax on it in major units, None if the platform doesn't say.
        taxes: The names of its taxes.
    """

    product_id: str
    net: Decimal | None
    tax: Decimal | None
    taxes: Sequence[str] = ()


class _Part(NamedTuple):
    """A part of the order, and the product that it is sent as.

    `paid` is what the customer paid for it in minor units, after the `discount` on it. `is_taxed`
    says that the site charged tax on it; otherwise only its product tells. `setting` is the one
    that names the product, empty if the product is what was ordered. `field` is the order's.
    `is_shared` says that a discount on the order was divided among this part and others.
    """

    product_id: str
    quantity: int
    paid: int
    name: str
    note: str = ""
    modifiers: Sequence[FlatModifier] = ()
    discount: int = 0
    is_taxed: bool = False
    setting: str = ""
    field: str = ""
    is_shared: bool = False


# Sending
# -------------------------------------------------------------------------------------------------


def net_order_lines(
    order: Order, menu: Menu, substitutes: SubstituteProducts
) -> list[NetOrderLine]:
    """Return every line of an order: its own, then charges, discounts and the tip.

    Some amounts have no price without tax that comes to them however it is rounded (3 at 20 %).
    Then a line goes a minor unit lower or higher, and another one makes up for it, or else the
    product of `charge_products` for `rounding` on a line of its own, the last.

    Raises:
        SetupError: No setting names a product for a part of the order.
        MenuError: A product isn't on the menu.
        TaxError: The order's added tax isn't what the menu's taxes come to.
    """
    refusal = missing_products(order, substitutes)
    if refusal is not None:
        raise refusal
    parts = _parts(order, substitutes)
    taxes = [_taxes_on(part, menu) for part in parts]
    dues = _dues(order, parts, taxes, menu)
    lines: list[NetOrderLine] = []
    equations: list[NetLine] = []
    for part, part_taxes, due in zip(parts, taxes, dues, strict=True):
        rate = total_rate(part_taxes)
        options = _chosen_options(part, menu)
        equation = _price_equation(part, options, menu, rate, due, order.currency)
        price = _ZERO
        if part.discount:
            added_rate = 0 if order.prices_include_tax else rate
            taxed_discount = part.discount * (1 + added_rate)
            undiscounted = equation._replace(due=due + round(taxed_discount))
            price = net_values([undiscounted])[0]
            equation = _multiplier_equation(equation, price)
        line = NetOrderLine(
            product_id=part.product_id,
            quantity=part.quantity,
            price=price,
            note=part.note,
            modifiers=tuple(option.id for option in options),
            multiplier=None,
        )
        lines.append(line)
        equations.append(equation)
    # All values are found together, since the sums over the order must be right as well.
    rounding = _rounding_equation(order, menu, substitutes)
    found = _values(equations, rounding)
    settled: list[NetOrderLine] = []
    for line, part, value, is_shifted in zip(
        lines,
        parts,
        found.values,
        found.is_shifted,
        strict=True,
    ):
        if part.discount:
            settled_line = line._replace(multiplier=value)
        else:
            settled_line = line._replace(price=value)
        settled.append(settled_line._replace(is_shifted=is_shifted))
    if found.rounding:
        rounding_line = NetOrderLine(
            product_id=substitutes.charge_products[_ROUNDING],
            quantity=1,
            price=found.rounding,
            note="Rounding",
            modifiers=(),
            multiplier=None,
            is_rounding=True,
        )
        settled.append(rounding_line)
    return settled


def tax_notices(order: Order, menu: Menu, substitutes: SubstituteProducts) -> list[str]:
    """Return a notice for each part that is taxed otherwise than it was charged.

    What it comes to is right, since its product's price makes up for it, and its tax isn't. Where
    prices exclude tax, such an order is refused (`net_order_lines`), but for a tip.
    """
    notices: list[str] = []
    parts = _parts(order, substitutes)
    on_items: list[str] = []
    for line in order.lines:
        sold = menu.by_variation.get(line.item_id)
        if sold:
            item_taxes = menu.taxes_on(sold.item)
            on_items.append(_with_rates(item_taxes))
    for part in parts:
        product = menu.by_variation.get(part.product_id)
        if product is None or not part.paid:
            continue
        its_taxes = _with_rates(menu.taxes_on(product.item))
        its_tax = its_taxes or "no tax"
        where = f"its product {product.item.name} ({part.product_id}) has {its_tax}"
        is_rounding = part.setting == _CHARGES and part.paid < 0
        is_untaxed_charge = part.setting == _CHARGES and not part.is_taxed
        if part.setting == _TIP or is_untaxed_charge:
            if its_taxes and (order.prices_include_tax or part.setting == _TIP):
                how = "taken off" if is_rounding else "charged"
                notices.append(
                    f"{part.name} has tax at the register, and was {how} without: {where}"
                )
        elif part.setting == _DISCOUNTS and order.prices_include_tax:
            others = [taxes or "no tax" for taxes in on_items if taxes != its_taxes]
            if others:
                listed = ", ".join(dict.fromkeys(others))
                notices.append(
                    f"{part.name} takes other tax off at the register than the items have: "
                    f"{where}, items have {listed}"
                )
    return notices


class _Values(NamedTuple):
    """The values of an order's lines.

    Attributes:
        values: Each line's price or multiplier.
        is_shifted: Whether each line is a minor unit away from what was paid.
        rounding: The price of one more line, which makes up for a rounding; 0 for none.
    """

    values: Sequence[Decimal]
    is_shifted: Sequence[bool]
    rounding: Decimal = _ZERO


def _rounding_equation(order: Order, menu: Menu, substitutes: SubstituteProducts) -> NetLine | None:
    """Return the equation of the product that makes up for roundings.

    It is None if there is no such product.
    """
    product_id = substitutes.charge_products.get(_ROUNDING, "")
    product = menu.by_variation.get(product_id)
    if product is None:
        return None
    minor_units = _minor_units(order.currency)
    rate = total_rate(menu.taxes_on(product.item))
    return NetLine(
        due=0,
        net=Linear(_ZERO, minor_units),
        tax=Linear(_ZERO, minor_units * rate),
    )


def _minor_units(currency: str) -> Decimal:
    """Return how many minor units a major unit has."""
    return Decimal(10) ** exponent(currency)


def _values(equations: Sequence[NetLine], rounding: NetLine | None) -> _Values:
    """Return each line's value, and that of one more line if that helps."""
    count = len(equations)
    values = net_values(equations)
    unchanged = _Values(values, [False] * count)
    if all_fit(equations, values):
        return unchanged
    due = sum(equation.due for equation in equations)
    for candidate in shifted(equations):
        rest = due - sum(equation.due for equation in candidate)
        if rest and rounding is None:
            continue  # nothing makes up for it
        all_equations = [*candidate]
        if rest and rounding:
            all_equations.append(rounding._replace(due=rest))
        found = net_values(all_equations)
        if not all_fit(all_equations, found):
            continue
        pairs = zip(equations, candidate, strict=True)
        return _Values(
            values=found[:count],
            is_shifted=[after.due != before.due for before, after in pairs],
            rounding=found[-1] if rest else _ZERO,
        )
    return unchanged


def _parts(order: Order, substitutes: SubstituteProducts) -> list[_Part]:
    """Return the order's lines, then its charges, discounts and tip as products."""
    parts = _own_parts(order, substitutes)
    products = substitutes.charge_products
    for index, charge in enumerate(order.charges):
        product_id = products.get(charge.name) or products.get(charge.kind)
        where = _Substituted(f"charges[{index}]", _CHARGES, charge.name)
        for part in _substitute(product_id, where, charge.amount):
            discount_notes = _discount_notes(charge.discounts, order.currency)
            discounted = part._replace(
                paid=charge.total,
                discount=charge.discount,
                note=_joined(charge.name, *discount_notes),
                is_taxed=charge.taxed,
            )
            parts.append(discounted)
    if substitutes.discounts == "product":
        for index, discount in enumerate(order.discounts):
            where = _Substituted(f"discounts[{index}]", _DISCOUNTS, discount.name)
            parts += _substitute(substitutes.discount_product, where, -discount.amount)
    tip = _Substituted("tip", _TIP, "Tip")
    parts += _substitute(substitutes.tip_product, tip, order.tip)
    return parts


def _own_parts(order: Order, substitutes: SubstituteProducts) -> list[_Part]:
    """Return the order's lines.

    Their own discounts lower their prices, whatever the settings.
    """
    discount = 0
    if substitutes.discounts == "multiplier":
        discount = sum(each.amount for each in order.discounts)
    discount_shares = shares(discount, [line.discounted for line in order.lines])
    shared_lines = zip(order.lines, discount_shares, strict=True)
    return [
        _Part(
            product_id=substitutes.open_item_product or "" if line.is_open else line.item_id,
            quantity=line.quantity,
            paid=line.discounted - share,
            name=line.name,
            note=_line_note(line, order.currency),
            modifiers=line.flat_modifiers(),
            discount=line.discount + share,
            setting=_OPEN_ITEMS if line.is_open else "",
            field=f"lines[{index}].item_id",
            is_shared=bool(discount),
        )
        for index, (line, share) in enumerate(shared_lines)
    ]


def _line_note(line: Line, currency: str) -> str:
    """Return what the customer wrote, then what such a platform has no field for.

    That is an open item's name, what belongs to what among the modifiers, and the discounts' names.
    """
    own_name = line.name if line.is_open else ""
    return _joined(
        line.note,
        own_name,
        nested_choices(line),
        *_discount_notes(line.discounts, currency),
    )


def _discount_notes(discounts: Sequence[Discount], currency: str) -> list[str]:
    return [discount_text(each, currency) for each in discounts]


def _joined(*texts: str) -> str:
    return "\n".join(text for text in texts if text)


class _Substituted(NamedTuple):
    """A charge, discount or tip.

    It has its field in the order, the setting that names its product, and its name.
    """

    field: str
    setting: str
    name: str


def _substitute(product_id: str | None, what: _Substituted, amount: int) -> list[_Part]:
    """Return a charge, discount or tip as a product, nothing if it amounts to nothing."""
    if not amount:
        return []
    part = _Part(
        product_id or "",
        quantity=1,
        paid=amount,
        name=what.name,
        note=what.name,
        setting=what.setting,
        field=what.field,
    )
    return [part]


def missing_products(order: Order, substitutes: SubstituteProducts) -> SetupError | None:
    """Return the error of an order with parts for which no setting names a product.

    It names them all; None if there are none. The menu doesn't matter, so that such an order is
    refused before the menu is read.
    """
    parts = _parts(order, substitutes)
    missing = [index for index, part in enumerate(parts) if not part.product_id]
    if not missing:
        return None
    texts: list[str] = []
    subjects: list[str] = []
    for index in missing:
        part = parts[index]
        text = f"the setting {part.setting} names no product for {part.name!r}"
        subject = part.name
        if part.setting == _OPEN_ITEMS:
            text = (
                f"{part.name!r} isn't on the menu, and the setting {part.setting} names no product"
            )
            text = f"{text} for it"
            subject = f"{part.name} (line {index + 1})"
        texts.append(f"{part.field}: {text}")
        subjects.append(subject)
    return SetupError(
        "; ".join(texts),
        lines=tuple(index for index in missing if parts[index].setting == _OPEN_ITEMS),
        subjects=tuple(dict.fromkeys(subjects)),
        reason="product",
    )


def _taxes_on(part: _Part, menu: Menu) -> Taxes:
    product = menu.by_variation.get(part.product_id)
    if product is None:
        subjects = (part.name,)
        if not part.setting:
            text = f"{part.name} isn't on the menu"
            raise MenuError(text, subjects=subjects, reason="gone")
        fault = menu.left_out(part.product_id, part.name)
        why = fault.text if fault else "isn't on the menu"
        text = f"the product {part.product_id}, which {part.name} is sent as, {why}"
        raise MenuError(text, subjects=subjects, reason="product")
    taxes = menu.taxes_on(product.item)
    if part.is_taxed and not taxes:
        raise _other_product(part, taxes, menu)
    return taxes


def _other_product(part: _Part, taxes: Taxes, menu: Menu) -> SetupError:
    """Return the error of a part whose product is taxed otherwise than it."""
    done = "taken off" if part.paid < 0 else "charged"
    with_tax = "without" if taxes else "with"
    its_tax = ", ".join(_names([taxes])) or "none"
    subject = _with_product(part, taxes, menu)
    return SetupError(
        f"{part.name!r} was {done} {with_tax} tax, but its product {part.product_id} has "
        f"{its_tax}; name another in the setting {part.setting}",
        subjects=(subject,),
        reason="product_tax",
    )


def _with_product(part: _Part, taxes: Taxes, menu: Menu) -> str:
    """Return a part and the product that it goes as, with what tax each has."""
    product = menu.by_variation[part.product_id].item.name
    if taxes:
        return f"{part.name} without tax, which goes as the product {product} with tax"
    return f"{part.name} with tax, which goes as the product {product} without tax"


def _dues(
    order: Order,
    parts: Sequence[_Part],
    taxes: Sequence[Taxes],
    menu: Menu,
) -> list[int]:
    """Return what each part must come to with its tax, in minor units.

    If prices exclude tax, the order's tax is spread over all parts but the tip.
    """
    paid = [part.paid for part in parts]
    if order.prices_include_tax:
        return paid
    amounts = _taxed_amounts(parts, taxes)
    possible = _tax_range_of_all(amounts)
    if not _comes_to_order(order, possible, parts, taxes):
        amounts = _taxed_amounts(parts, taxes, menu)
        by_choices = _tax_range_of_all(amounts)
        if not _comes_to_order(order, by_choices, parts, taxes):
            raise _other_tax(order, possible, parts, taxes, menu)
    weights: list[Decimal] = []
    for on_part in amounts:
        possible_on_part = tax_range(on_part)
        weights.append(_as_decimal(possible_on_part.exact))
    tax_shares = shares(order.tax, weights)
    return [amount + share for amount, share in zip(paid, tax_shares, strict=True)]


def _tax_range_of_all(amounts: Sequence[Sequence[TaxedAmount]]) -> TaxRange:
    """Return the taxes that all parts may come to."""
    of_all = list(chain.from_iterable(amounts))
    return tax_range(of_all)


def _as_decimal(fraction: Fraction) -> Decimal:
    return Decimal(fraction.numerator) / fraction.denominator


def _taxed_amounts(
    parts: Sequence[_Part],
    taxes: Sequence[Taxes],
    menu: Menu | None = None,
) -> list[list[TaxedAmount]]:
    """Return what the taxes on each part are on.

    A choice may be a product with taxes of its own: sites charge these, or those of the item. With
    a menu the choices have their own.
    """
    amounts: list[list[TaxedAmount]] = []
    for part, part_taxes in zip(parts, taxes, strict=True):
        if part.setting == _TIP:
            amounts.append([])
            continue
        rates = tuple(tax.rate for tax in part_taxes)
        paid_by_rates = {rates: Fraction(part.paid)}
        if menu is not None:
            for cost, own_rates in _choices(part, menu):
                paid_by_rates[rates] -= cost
                paid_by_rates.setdefault(own_rates, Fraction(0))
                paid_by_rates[own_rates] += cost
        taxed: list[TaxedAmount] = []
        for each, paid in paid_by_rates.items():
            fractions = [Fraction(rate) for rate in each]
            amount = TaxedAmount(paid, fractions, slack=int(part.is_shared))
            taxed.append(amount)
        amounts.append(taxed)
    return amounts


def _choices(part: _Part, menu: Menu) -> Iterator[tuple[Fraction, tuple[Decimal, ...]]]:
    """Yield what is paid for each choice that is a product, and its taxes' rates."""
    undiscounted = part.paid + part.discount
    left = _fraction(part.paid, undiscounted)
    item, _ = menu.by_variation[part.product_id]
    options = menu.options(item)
    for flat in part.modifiers:
        option = options[flat.modifier.modifier_id]
        own = menu.by_variation.get(option.id)
        if own is None:
            continue
        count = part.quantity * flat.quantity
        cost = count * flat.modifier.unit_price * left
        own_taxes = menu.taxes_on(own.item)
        yield cost, tuple(tax.rate for tax in own_taxes)


def _fraction(amount: int, whole: int) -> Fraction:
    """Return how much of a whole an amount is, 0 of nothing."""
    if not whole:
        return Fraction(0)
    return Fraction(amount, whole)


def _comes_to_order(
    order: Order,
    possible: TaxRange,
    parts: Sequence[_Part],
    taxes: Sequence[Taxes],
) -> bool:
    """Return whether the products' taxes come to the order's, but for rounding."""
    if possible.holds(order.tax):
        is_exact = abs(possible.exact - order.tax) < 1
        return is_exact or not other_rates(order, _rates(taxes))
    divided = _divided(order, parts, taxes)
    if divided is None or not divided.holds(order.tax):
        return False
    return divided.exact == possible.exact


def _divided(
    order: Order,
    parts: Sequence[_Part],
    taxes: Sequence[Taxes],
) -> TaxRange | None:
    """Return the taxes with the order's discounts divided among its items.

    Sites do so. It is None where they aren't sent as products of their own.
    """
    if all(part.setting != _DISCOUNTS for part in parts):
        return None
    cost = sum(line.discounted for line in order.lines)
    discounts = sum(discount.amount for discount in order.discounts)
    left = _fraction(cost - discounts, cost)
    line_count = len(order.lines)
    amounts: list[TaxedAmount] = []
    taxed_parts = zip(parts, taxes, strict=True)
    for index, (part, part_taxes) in enumerate(taxed_parts):
        if part.setting in (_DISCOUNTS, _TIP):
            continue
        is_line = index < line_count
        paid = Fraction(part.paid)
        if is_line:
            paid *= left
        rates = [Fraction(tax.rate) for tax in part_taxes]
        amount = TaxedAmount(paid, rates, slack=int(is_line))
        amounts.append(amount)
    return tax_range(amounts)


def _other_tax(
    order: Order,
    possible: TaxRange,
    parts: Sequence[_Part],
    taxes: Sequence[Taxes],
    menu: Menu,
) -> PosError:
    """Return the error of an order whose tax isn't what the menu's taxes come to."""
    most_taxes = max(map(len, taxes), default=0) or 1
    tolerance = most_rounding(len(parts), most_taxes)
    menu_tax = _as_decimal(possible.exact)
    difference = order.tax - menu_tax
    otherwise = _taxed_otherwise(difference, tolerance, parts, taxes)
    if otherwise:
        first = otherwise[0]
        return _other_product(parts[first], taxes[first], menu)
    in_order = format_money(order.tax, order.currency)
    by_menu = format_money(round(menu_tax), order.currency)
    divided = _divided(order, parts, taxes)
    if divided is not None and divided.holds(order.tax):
        settings = [part.setting for part in parts]
        number = settings.index(_DISCOUNTS)
        product_tax = _with_rates(taxes[number]) or "none"
        discounts = [discount.name for discount in order.discounts if discount.amount]
        return SetupError(
            f"discounts: the order has {in_order} of tax, its discounts divided among items of "
            f"different taxes; as the product {parts[number].product_id} of the setting "
            f"{_DISCOUNTS} they have one tax ({product_tax}), and the tax comes to {by_menu}; "
            "the setting discounts='multiplier' divides them",
            subjects=tuple(discounts),
            reason="discounts",
        )
    names = _names(taxes)
    what = ", ".join(names) or "the menu's tax"
    listed = ""
    if order.taxes:
        stated = ", ".join(_with_rate(tax.name, tax.rate) for tax in order.taxes)
        listed = f" ({stated})"
        all_taxes = list(chain.from_iterable(taxes))
        what = _with_rates(all_taxes) or what
    text = f"the order has {in_order} of tax{listed}, but {what} comes to {by_menu}"
    return TaxError(text, subjects=names)


def _rates(taxes: Sequence[Taxes]) -> list[Decimal]:
    return [tax.rate for each in taxes for tax in each]


def _with_rates(taxes: Taxes) -> str:
    """Return the taxes with their rates, each once."""
    texts = [_with_rate(tax.name, tax.rate) for tax in taxes]
    return ", ".join(dict.fromkeys(texts))


def _with_rate(name: str, rate: Decimal | None) -> str:
    if rate is None or "%" in name:
        return name
    percentage = (100 * rate).normalize()
    return f"{name} {percentage:f} %"


def _taxed_otherwise(
    difference: Decimal,
    tolerance: int,
    parts: Sequence[_Part],
    taxes: Sequence[Taxes],
) -> Sequence[int]:
    """Return the parts whose products explain a difference of tax, by their indices.

    A setting names these products. One that has tax where the part has none, or the other way
    round, makes the platform's tax differ, though the store's taxes are right. Where a part has
    tax and its product none, the part's is that of what was ordered.
    """
    own_rate = _rate_of_ordered(parts, taxes)
    changes: dict[int, Decimal] = {}
    by_setting: dict[str, list[int]] = {}
    for index, part in enumerate(parts):
        if part.setting in ("", _TIP) or part.is_taxed:
            continue
        rate = total_rate(taxes[index])
        other_rate = own_rate
        # Of a charge without tax it is known that it has none.
        if rate or part.setting == _CHARGES:
            other_rate = _ZERO
        if other_rate != rate:
            changes[index] = part.paid * (other_rate - rate)
            by_setting.setdefault(part.setting, []).append(index)
    groups = list(by_setting.values())
    # One setting is likelier to be wrong than several.
    for count in range(1, len(groups) + 1):
        for chosen in combinations(groups, count):
            indices = list(chain.from_iterable(chosen))
            change = sum(changes[index] for index in indices)
            if abs(difference - change) <= tolerance:
                return indices
    return ()


def _rate_of_ordered(parts: Sequence[_Part], taxes: Sequence[Taxes]) -> Decimal:
    """Return the average rate of tax on the items that were ordered from the menu."""
    paid = 0
    tax = _ZERO
    for part, part_taxes in zip(parts, taxes, strict=True):
        if not part.setting:
            paid += part.paid
            tax += part.paid * total_rate(part_taxes)
    if not paid:
        return _ZERO
    return tax / paid


def _chosen_options(part: _Part, menu: Menu) -> list[ModifierOption]:
    """Return the options of a part, repeated by quantity."""
    item, _ = menu.by_variation[part.product_id]
    options = menu.options(item)
    chosen: list[ModifierOption] = []
    for flat in part.modifiers:
        option = options[flat.modifier.modifier_id]
        chosen += [option] * flat.quantity
    return chosen


def _price_equation(
    part: _Part,
    options: Sequence[ModifierOption],
    menu: Menu,
    rate: Decimal,
    due: int,
    currency: str,
) -> NetLine:
    """Return the equation whose value is the price of one.

    Modifiers add their own net prices.
    """
    _, variation = menu.by_variation[part.product_id]
    minor_units = part.quantity * _minor_units(currency)
    added_net = _ZERO
    added_tax = _ZERO
    for option in options:
        net = minor_units * (option.exact_price or 0)
        added_net += net
        added_tax += net * _option_rate(option, menu, rate)
    return NetLine(
        due=due,
        net=Linear(added_net, minor_units),
        tax=Linear(added_tax, minor_units * rate),
        own=variation.exact_price,
    )


def _multiplier_equation(equation: NetLine, price: Decimal) -> NetLine:
    """Return the equation whose value is the multiplier, at a price that is settled."""
    net, tax = equation.at(price)
    return NetLine(
        due=equation.due,
        net=Linear(_ZERO, net),
        tax=Linear(_ZERO, tax),
    )


def _option_rate(option: ModifierOption, menu: Menu, line_rate: Decimal) -> Decimal:
    """Return the rate of tax on an option: its own if a product, else its line's."""
    product = menu.by_variation.get(option.id)
    if product is None:
        return line_rate
    return total_rate(menu.taxes_on(product.item))


# Verifying
# -------------------------------------------------------------------------------------------------


def verify_total(
    order: Order,
    substitutes: SubstituteProducts,
    billed: Sequence[BilledLine],
    menu: Menu | None,
    found: PosOrder,
    total_tax: Decimal | None = None,
) -> PosOrder:
    """Return an order with the platform's computed total, if that is what was paid.

    A tax that isn't the order's has a notice.

    Args:
        order: The order as it was sent.
        substitutes: The settings that it was sent with.
        billed: The lines as the platform computed them.
        menu: The menu, if it is known: its taxes distinguish a wrong tax from a wrong price.
        found: The order as the platform has it. One that staff rejected or deleted isn't compared.
        total_tax: The platform's tax on the order in major units, None if only its lines have it.

    Raises:
        PosError: As `billing_error` returns it, with the order that exists.
    """
    error = billing_error(order, substitutes, billed, menu)
    if error and found.state in (PosState.RECEIVED, PosState.ACCEPTED):
        error.pos_order = found
        raise error
    total = _billed_total(billed, order.currency)
    notice: str | None
    if total is None:
        notice = "The POS doesn't report the order's total, so it couldn't be verified"
    else:
        notice = _tax_notice(order, billed, total_tax)
    notices = found.notices
    if notice is not None:
        notices = (*notices, notice)
    return found.model_copy(update={"total": total, "notices": notices})


def _tax_notice(
    order: Order,
    billed: Sequence[BilledLine],
    total_tax: Decimal | None,
) -> str | None:
    """Return a notice if the platform computed another tax, None if it didn't.

    Where its lines' taxes end in half a minor unit, only the platform knows how it rounds their
    sum.
    """
    if total_tax is not None:
        billed_tax = nearest_minor(total_tax, order.currency)
        return tax_difference(order, billed_tax)
    stated = stated_tax(order)
    tax = _exact_tax(billed)
    exact = tax.scaleb(exponent(order.currency))
    if stated is not None and abs(exact - stated) == _HALF:
        ordered = format_money(stated, order.currency)
        return (
            f"The register has {tax.normalize():f} {order.currency} of tax on this order before it "
            f"rounds it, the ordering site has {ordered}"
        )
    billed_tax = _billed_tax(billed, order.currency)
    return tax_difference(order, billed_tax)


def billing_error(
    order: Order,
    substitutes: SubstituteProducts,
    billed: Sequence[BilledLine],
    menu: Menu | None,
) -> PosError | None:
    """Return the error of an order as the platform computed it, None if it is right.

    The error says that the order was created. A total that the platform doesn't report isn't
    compared. The difference counts as one of taxes if the menu's taxes on the platform's own prices
    come to what was paid, or, without a menu, if a lower tax on them would. One of at most a minor
    unit for each line and tax is a rounding, if the lines have the menu's taxes.
    """
    line_count = len(_parts(order, substitutes))
    if not _is_complete(line_count, billed, substitutes):
        text = f"the POS has the order with {len(billed)} lines instead of {line_count}"
        return MenuError(text, reason="created")
    total = _billed_total(billed, order.currency)
    if total is None or total == order.total:
        return None
    taxes = [_menu_taxes(line, menu) for line in billed]
    most_taxes = max((len(line.taxes) for line in billed), default=0) or 1
    difference = abs(total - order.total)
    only_rounding = difference <= most_rounding(line_count, most_taxes)
    if only_rounding and menu is not None:
        only_rounding = _taxed_by_menu(billed, taxes, order.currency)

    at_pos = format_money(total, order.currency)
    tax = format_money(_billed_tax(billed, order.currency), order.currency)
    paid = format_money(order.total, order.currency)
    computed = f"the POS computed {at_pos}, of which {tax} is tax"
    if only_rounding or _is_explained_by_tax(order, billed, taxes, menu):
        names = _billed_names(billed) or _names(taxes)
        if names:
            listed = ", ".join(names)
            computed = f"{computed} ({listed})"
        return TaxError(
            f"{computed}; the customer paid {paid}",
            subjects=names,
            reason="rounding_created" if only_rounding else "created",
        )
    return MenuError(f"{computed}; the customer paid {paid}", reason="created")


def _is_complete(
    line_count: int,
    billed: Sequence[BilledLine],
    substitutes: SubstituteProducts,
) -> bool:
    """Return whether the platform has as many lines as were sent.

    One that makes up for a rounding is beyond those of the order.
    """
    own = len(billed)
    if own == line_count + 1:
        own -= billed[-1].product_id == substitutes.charge_products.get(_ROUNDING)
    return own == line_count


def _taxed_by_menu(
    billed: Sequence[BilledLine],
    taxes: Sequence[Taxes],
    currency: str,
) -> bool:
    """Return whether each line has the menu's taxes, but for rounding."""
    minor_units = _minor_units(currency)
    for line, line_taxes in zip(billed, taxes, strict=True):
        net = line.net or _ZERO
        tax = line.tax or _ZERO
        by_menu = net * total_rate(line_taxes)
        difference = abs(tax - by_menu) * minor_units
        if difference >= 1:
            return False
    return True


def _is_explained_by_tax(
    order: Order,
    billed: Sequence[BilledLine],
    taxes: Sequence[Taxes],
    menu: Menu | None,
) -> bool:
    """Return whether another tax on the platform's prices would come to what was paid."""
    tolerance = len(billed)  # each line may be rounded by up to a minor unit
    by_menu = _total_by_menu(billed, taxes, order.currency)
    if abs(by_menu - order.total) <= tolerance:
        return True
    if menu is not None:
        return False
    minor_units = _minor_units(order.currency)
    net = sum((line.net or _ZERO for line in billed), _ZERO) * minor_units
    gross = net + _exact_tax(billed) * minor_units
    return net < order.total < gross


def _billed_total(billed: Sequence[BilledLine], currency: str) -> int | None:
    """Return what the lines come to in minor units, None if one isn't reported."""
    total = _ZERO
    for line in billed:
        if line.net is None or line.tax is None:
            return None
        total += line.net + line.tax
    return nearest_minor(total, currency)


def _billed_tax(billed: Sequence[BilledLine], currency: str) -> int:
    """Return the tax that the platform computed, in minor units."""
    return nearest_minor(_exact_tax(billed), currency)


def _exact_tax(billed: Sequence[BilledLine]) -> Decimal:
    """Return the tax that the platform computed, in major units and not rounded."""
    tax = _ZERO
    for line in billed:
        tax += line.tax or _ZERO
    return tax


def _billed_names(billed: Sequence[BilledLine]) -> tuple[str, ...]:
    """Return the names of the taxes that the platform put on lines, each once."""
    names: dict[str, None] = {}
    for line in billed:
        names |= dict.fromkeys(line.taxes)
    return tuple(names)


def _menu_taxes(line: BilledLine, menu: Menu | None) -> Taxes:
    if menu is None:
        return ()
    product = menu.by_variation.get(line.product_id)
    if product is None:
        return ()
    return menu.taxes_on(product.item)


def _total_by_menu(
    billed: Sequence[BilledLine],
    taxes: Sequence[Taxes],
    currency: str,
) -> Decimal:
    """Return what the platform's own prices come to with the menu's taxes.

    It is in minor units.
    """
    total = _ZERO
    for line, line_taxes in zip(billed, taxes, strict=True):
        net = line.net or _ZERO
        total += net * (1 + total_rate(line_taxes))
    return total * _minor_units(currency)


def _names(taxes: Sequence[Taxes]) -> tuple[str, ...]:
    """Return the taxes' names, each once."""
    names: dict[str, None] = {}
    for line_taxes in taxes:
        names |= dict.fromkeys(tax.name for tax in line_taxes)
    return tuple(names)


# Notes
# -------------------------------------------------------------------------------------------------


def staff_notes(order: Order) -> list[str]:
    """Return what staff need and such a platform has no field for, a line each.

    The customer, the address or table, charges and discounts of 0, and the payments. A payment's
    reference is included, since it finds the payment at its provider.
    """
    currency = order.currency
    who = [order.code]
    if order.customer:
        who += [order.customer.name, order.customer.phone]
    lines = [" ".join(part for part in who if part)]
    lines.append(destination(order.fulfilment))
    if isinstance(order.fulfilment, Delivery):
        lines.append(order.fulfilment.instructions)
    # What costs nothing isn't sent as a product.
    free_charges = [charge for charge in order.charges if not charge.amount]
    lines += [charge_text(charge, currency) for charge in free_charges]
    free_discounts = [discount for discount in order.discounts if not discount.amount]
    lines += _discount_notes(free_discounts, currency)
    for payment in order.payments:
        paid = payment_text(payment, currency)
        lines.append(f"PAID: {paid}")
    if order.amount_due:
        amount_due = format_money(order.amount_due, currency)
        lines.append(f"TO PAY AT THE STORE: {amount_due}")
    return [one_line(line) for line in lines if line]


def order_note(order: Order, remarks: Sequence[str] = ()) -> str:
    """Return everything that goes into an order's free text, a line each.

    The reference comes first, since look-ups read it there, and what the customer wrote next.
    """
    reference = f"{_REFERENCE_LABEL}{order.id}"
    lines = [reference, one_line(order.note)]
    lines += staff_notes(order)
    lines += [one_line(remark) for remark in remarks]
    return "\n".join(line for line in lines if line)


def reference_in_note(note: str) -> str:
    """Return the reference that `order_note` begins with, else an empty text.

    It is the first word after its label: a platform may join lines, and staff may add words.
    """
    label, _, rest = note.strip().partition(_REFERENCE_LABEL)
    words = _LINE_BREAK_TAG.sub(" ", rest).split(maxsplit=1)
    if words and not label:
        return words[0]
    return ""
