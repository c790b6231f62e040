"""The reasons why Square's total isn't what the customer paid.

`mismatch` is called with the order as Square priced it, before the order is undone. The reason is
a price that has changed, a tax that differs, a rounding, or none of them. Taxes are judged by what
they come to: several are normal. A rounding can be made up for (`rounding`). So can that of
prices which the site converted, because they are without tax in the order and with it in Square, or
the other way round. All amounts are in minor units.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple, TypeAlias

from tillpost.adapter import (
    FlatModifier,
    Line,
    MenuError,
    Order,
    OrderError,
    PosError,
    SetupError,
    TaxedAmount,
    TaxError,
    TaxRange,
    TaxTerms,
    format_money,
    most_rounding,
    other_rates,
    tax_range,
)
from tillpost_square.wire import (
    Adjustment,
    AppliedTax,
    Calculation,
    CreatedOrder,
    LineItem,
    Money,
    PricedOrder,
    SquareOrder,
)

__all__ = ["ADJUSTMENT", "Priced", "has_other_terms", "is_only_rounding", "mismatch", "total_tax"]

ADJUSTMENT = "rounding"
"""The `uid` of what makes up for a rounding (`rounding`)."""

Priced: TypeAlias = PricedOrder | Calculation
"""An order with Square's prices and taxes."""


class _Price(NamedTuple):
    """A price of a line, or of a modifier on it: Square's, and the one that was paid.

    `quantity` is how many one piece of the line has, `pieces` how many the whole line has.
    """

    square: int
    paid: int
    quantity: int
    pieces: int
    terms: TaxTerms

    @property
    def differs(self) -> bool:
        """Whether another price was paid, and not only another tax."""
        return not self.fits and not self.leaves_tax_out

    @property
    def fits(self) -> bool:
        """Whether Square's price was paid, as far as rounding allows."""
        return self.terms.fits(self.paid, self.square)

    @property
    def leaves_tax_out(self) -> bool:
        """Whether Square's own number was paid, to which the store adds tax."""
        return self.terms.leaves_tax_out(self.paid, self.square)

    @property
    def adds_tax_twice(self) -> bool:
        """Whether Square's own number was taken for a price without tax."""
        return self.terms.adds_tax_twice(self.paid, self.square)

    @property
    def converted_by(self) -> Decimal:
        """What the total differs by because the price was converted."""
        for_one = self.terms.converted_by(self.paid, self.square)
        return self.pieces * for_one


def mismatch(order: Order, priced: Priced, due: int) -> PosError | None:
    """Return the error that explains why Square's total isn't `due`, None if it is."""
    other_currency = _other_currency(order, priced.total_money)
    if other_currency or priced.total_money.amount == due:
        return other_currency
    totals = _totals(order, priced, due)
    changed = _changed_prices(order, priced)
    if changed:
        return _price_error(order, totals, changed)
    if is_only_rounding(order, priced, due):
        return _rounding_error(order, priced, totals)
    added = _added_by_square(order, priced, due)
    if added:
        return _added_error(order, totals, added)
    misread = _misread(order, priced)
    if misread:
        return _misread_error(order, misread)
    taxes = _taxes_beside_prices(order, priced)
    if _applied(taxes) != order.tax:
        return _tax_error(order, priced, totals)
    return SetupError(f"{totals}, although neither taxes nor prices differ")


def is_only_rounding(order: Order, priced: Priced, due: int) -> bool:
    """Return whether rounding alone explains why Square's total isn't `due`.

    Square rounds halves to even, once an order and tax. A site may round otherwise, and by line.
    It may have rounded each price, too: one without tax of what Square sells with it.
    """
    prices = _all_prices(order, priced)
    if not all(price.fits for price in prices):
        return False
    if _added_by_square(order, priced, due):
        return False
    difference = priced.total_money.amount - due
    possible = _possible_tax(order, priced, due)
    if possible is None:
        return abs(difference) <= _most_converted(order, priced, prices)
    if order.prices_include_tax:
        return False  # Square includes the tax as well, so no total depends on it
    changed_tax = total_tax(priced) - order.tax
    if difference != changed_tax + _made_up_for(order, priced, due):
        return False  # something else differs, too
    return possible.holds(order.tax) and not _other_rates(order, priced)


def _most_converted(order: Order, priced: Priced, prices: Sequence[_Price]) -> Decimal:
    """Return the most that rounding comes to where the site converted the prices."""
    taxed_charges = sum(charge.taxed for charge in order.charges)
    parts = len(order.lines) + taxed_charges
    taxes = _tax_names(priced)
    most = Decimal(most_rounding(parts, len(taxes)))
    for price in prices:
        most += price.converted_by
    return most


def _possible_tax(order: Order, priced: Priced, due: int) -> TaxRange | None:
    """Return what rounding can make of Square's taxes on the order's amounts.

    It is None where one of Square's and the order's prices include tax and the other's don't, and
    where Square doesn't say which taxes a line has.
    """
    items = {item.uid: item for item in priced.line_items}
    if has_other_terms(order, priced) or len(items) < len(order.lines):
        return None
    cost = sum(line.discounted for line in order.lines)
    discounts = sum(discount.amount for discount in order.discounts)
    left = Fraction(0)
    if cost:
        left = Fraction(cost - discounts, cost)
    slack = int(discounts > 0)
    amounts: list[TaxedAmount] = []
    for index, line in enumerate(order.lines):
        item = items.get(f"line-{index}")
        if item is None:
            return None
        shares = _shares(priced, item)
        amount = line.discounted * left
        amounts.append(TaxedAmount(amount, shares, slack))
    lowered_by = abs(_added_to_charges(order, priced, due))
    for charge in priced.service_charges:
        if charge.amount_money and charge.applied_taxes:
            amount = Fraction(charge.amount_money.amount)
            shares = _shares(priced, charge)
            amounts.append(TaxedAmount(amount, shares, lowered_by))
    return tax_range(amounts)


def _shares(priced: Priced, part: LineItem | Adjustment) -> list[Fraction]:
    taxes = _taxes_of(priced, part)
    return [Fraction(tax.percentage or 0) / 100 for tax in taxes]


def _taxes_of(priced: Priced, part: LineItem | Adjustment) -> list[AppliedTax]:
    uids = {applied.tax_uid for applied in part.applied_taxes}
    return [tax for tax in priced.taxes if tax.scope == "ORDER" or tax.uid in uids]


def _other_rates(order: Order, priced: Priced) -> bool:
    """Return whether the order has taxes of other rates than Square."""
    rates = [(tax.percentage or Decimal(0)) / 100 for tax in priced.taxes]
    return bool(other_rates(order, rates))


def _added_to_charges(order: Order, priced: Priced, due: int) -> int:
    """Return what Square's charges come to beyond the order's.

    It is negative if one was lowered.
    """
    ordered = due - (order.total - order.tip)  # a tip that is sent as a charge
    for charge in order.charges:
        ordered += max(charge.total, 0)
    return _money_of(priced.service_charges) - ordered


def _made_up_for(order: Order, priced: Priced, due: int) -> int:
    """Return what was added to the order, or taken off, to make up for a rounding."""
    discounts = [each for each in priced.discounts if each.uid == ADJUSTMENT]
    return _added_to_charges(order, priced, due) - _money_of(discounts)


def _money_of(adjustments: Sequence[Adjustment]) -> int:
    total = 0
    for each in adjustments:
        if each.amount_money:
            total += each.amount_money.amount
    return total


def _added_by_square(order: Order, priced: Priced, due: int) -> list[Adjustment]:
    """Return the charges that a store's own rules have added."""
    has_tip_on_charge = due != order.total - order.tip
    sent = [charge.name for charge in order.charges if charge.total > 0]
    if has_tip_on_charge:
        sent.append("Tip")
    seen = [charge for charge in priced.service_charges if charge.uid != ADJUSTMENT]
    if len(seen) <= len(sent):
        return []
    for name in sent:
        same = _same_charge(seen, name)
        if same:
            seen.remove(same)
    return seen


def _same_charge(seen: Sequence[Adjustment], name: str) -> Adjustment | None:
    """Return the charge of this name, which Square may have shortened."""
    for charge in seen:
        beginning = charge.name.rstrip("…")
        if name.startswith(beginning):
            return charge
    return None


def has_other_terms(order: Order, seen: SquareOrder | Priced) -> bool:
    """Return whether prices include tax at the site and not at Square, or vice versa."""
    opposite = "INCLUSIVE"
    if order.prices_include_tax:
        opposite = "ADDITIVE"
    return any(tax.type == opposite for tax in seen.taxes)


def total_tax(seen: SquareOrder | CreatedOrder | Priced) -> int:
    """Return all tax on an order, included in its prices or not."""
    return _applied(seen.taxes)


def _applied(taxes: Sequence[AppliedTax]) -> int:
    total = 0
    for tax in taxes:
        if tax.applied_money:
            total += tax.applied_money.amount
    return total


def _misread(order: Order, priced: Priced) -> Mapping[str, str]:
    """Return the parts that have tax at the site and none at Square, by field.

    The catalogue's prices aren't among them, since Square has its own. There are none either if the
    store adds a tax that the site knows nothing of, as far as Square's prices show.
    """
    if not has_other_terms(order, priced) or not _is_shown(order, priced):
        return {}
    if any(price.leaves_tax_out for price in _all_prices(order, priced)):
        return {}
    parts: dict[str, str] = {}
    for index, line in enumerate(order.lines):
        if line.is_open:
            parts[f"lines[{index}]"] = line.name
        elif line.discount:
            parts[f"lines[{index}].discounts"] = f"the discount on {line.name}"
    if any(discount.amount for discount in order.discounts):
        parts["discounts"] = "the discount on the order"
    for index, charge in enumerate(order.charges):
        if charge.taxed or charge.amount < 0:
            parts[f"charges[{index}]"] = charge.name
    return parts


def _is_shown(order: Order, priced: Priced) -> bool:
    """Return whether Square shows a price for each of the order's lines."""
    uids = {item.uid for item in priced.line_items if item.base_price_money}
    return all(f"line-{index}" in uids for index in range(len(order.lines)))


def _other_currency(order: Order, total: Money) -> OrderError | None:
    if total.currency in ("", order.currency):
        return None
    return OrderError(
        f"currency: the order is in {order.currency}, Square's total is in {total.currency}",
        subjects=(order.currency, total.currency),
        reason="currency",
    )


def _totals(order: Order, priced: Priced, due: int) -> str:
    total = format_money(priced.total_money.amount, order.currency)
    paid = format_money(due, order.currency)
    return f"Square's total is {total}, not {paid}"


def _rounding_error(order: Order, priced: Priced, totals: str) -> TaxError:
    rounded = "the tax is"
    if has_other_terms(order, priced):
        rounded = "prices with and without tax are"
    return TaxError(
        f"{totals}: {rounded} rounded differently",
        subjects=_tax_names(priced),
        reason="rounding",
    )


def _misread_error(order: Order, misread: Mapping[str, str]) -> OrderError:
    ordered = "exclude"
    square = "include"
    if order.prices_include_tax:
        ordered = "include"
        square = "exclude"
    listed = ", ".join(misread)
    text = (
        f"prices_include_tax: the order's prices {ordered} tax and Square's {square} it, "
        f"so {listed} would come to another amount there"
    )
    subjects = tuple(misread.values())
    return OrderError(text, subjects=subjects, reason="tax_terms")


def _tax_error(order: Order, priced: Priced, totals: str) -> TaxError:
    taxes = _taxes_beside_prices(order, priced)
    tax = _applied(taxes)
    names = _names(taxes) or _tax_names(priced)
    square = format_money(tax, order.currency)
    ordered = format_money(order.tax, order.currency)
    listed = ""
    if order.taxes:
        listed = f" ({_with_rates(taxes or priced.taxes)})"
        ordered += f" ({_stated_taxes(order)})"
    elif names:
        listed = f" ({', '.join(names)})"
    verb = "adds" if order.prices_include_tax else "has"
    text = f"{totals}: Square {verb} {square} of tax{listed}, the order has {ordered}"
    if tax > order.tax and (len(names) > 1 or not order.tax):
        text += "; what is really a surcharge belongs in a service charge in Square"
    return TaxError(text, subjects=names)


def _added_error(order: Order, totals: str, added: Sequence[Adjustment]) -> SetupError:
    names: list[str] = []
    amounts: list[str] = []
    for charge in added:
        names.append(charge.name or "a charge")
        if charge.amount_money:
            amount = format_money(charge.amount_money.amount, order.currency)
            amounts.append(f"{charge.name} of {amount}")
    subjects = tuple(dict.fromkeys(names))
    what = ", ".join(amounts or subjects)
    return SetupError(
        f"{totals}: Square has added {what}, which the order doesn't have",
        subjects=subjects,
        reason="added",
    )


# Taxes
# -------------------------------------------------------------------------------------------------


def _tax_names(priced: Priced) -> tuple[str, ...]:
    """Return the names of the order's taxes.

    A charge's tax is listed beside the same tax of the lines.
    """
    return _names(priced.taxes)


def _with_rates(taxes: Sequence[AppliedTax]) -> str:
    """Return the taxes' names and rates, each once."""
    texts: list[str] = []
    for tax in taxes:
        name = tax.name or "an unnamed tax"
        texts.append(_with_rate(name, tax.percentage))
    return ", ".join(dict.fromkeys(texts))


def _stated_taxes(order: Order) -> str:
    """Return the names and rates of the order's own taxes."""
    texts: list[str] = []
    for tax in order.taxes:
        percentage = None
        if tax.rate is not None:
            percentage = 100 * tax.rate
        texts.append(_with_rate(tax.name, percentage))
    return ", ".join(texts)


def _with_rate(name: str, percentage: Decimal | None) -> str:
    if percentage is None or "%" in name:
        return name
    return f"{name} {percentage.normalize():f} %"


def _names(taxes: Sequence[AppliedTax]) -> tuple[str, ...]:
    names = [tax.name or "an unnamed tax" for tax in taxes]
    return tuple(dict.fromkeys(names))


def _taxes_beside_prices(order: Order, priced: Priced) -> Sequence[AppliedTax]:
    """Return the taxes to compare with the order's.

    They are those that are added to its prices: all of them, if the order's prices exclude tax.
    """
    if not order.prices_include_tax:
        return priced.taxes
    return [tax for tax in priced.taxes if tax.type == "ADDITIVE"]


def _terms(order: Order, priced: Priced, item: LineItem) -> TaxTerms:
    taxes = _taxes_of(priced, item)
    included = [tax for tax in taxes if tax.type == "INCLUSIVE"]
    added = [tax for tax in taxes if tax.type == "ADDITIVE"]
    return TaxTerms(
        _rate(included),
        _rate(added),
        with_tax=order.prices_include_tax,
    )


def _rate(taxes: Sequence[AppliedTax]) -> Decimal:
    percentages = [tax.percentage or Decimal(0) for tax in taxes]
    return sum(percentages, Decimal(0)) / 100


# Prices
# -------------------------------------------------------------------------------------------------


def _price_error(order: Order, totals: str, changed: dict[int, Sequence[_Price]]) -> MenuError:
    details: list[str] = []
    differing: list[_Price] = []
    for index, prices in changed.items():
        square = _sum(order, [price.square * price.quantity for price in prices])
        paid = _sum(order, [price.paid * price.quantity for price in prices])
        details.append(f"line {index + 1}: {square}, paid {paid}")
        differing += [price for price in prices if price.differs]
    text = f"{totals}: {'; '.join(details)}"
    reason = "price"
    if all(price.adds_tax_twice for price in differing):
        text += ", and tax, which Square's price includes"
        reason = "net_price"
    return MenuError(text, lines=tuple(changed), reason=reason)


def _sum(order: Order, amounts: Sequence[int]) -> str:
    return format_money(sum(amounts), order.currency)


def _changed_prices(order: Order, priced: Priced) -> dict[int, Sequence[_Price]]:
    """Return the prices of lines whose catalogue price isn't the paid one.

    They are by the line's index.
    """
    changed: dict[int, Sequence[_Price]] = {}
    for index, prices in enumerate(_lines(order, priced)):
        is_changed = any(price.differs for price in prices)
        if is_changed:
            changed[index] = prices
    return changed


def _all_prices(order: Order, priced: Priced) -> list[_Price]:
    prices: list[_Price] = []
    for of_line in _lines(order, priced):
        prices += of_line
    return prices


def _lines(order: Order, priced: Priced) -> Iterator[Sequence[_Price]]:
    """Yield the prices of each line with its modifiers'; none where Square gives none.

    An open item's are the order's own.
    """
    items = {item.uid: item for item in priced.line_items}
    is_other = has_other_terms(order, priced)
    for index, line in enumerate(order.lines):
        item = items.get(f"line-{index}")
        is_discounted = bool(line.discount or order.discounts)
        if item is None or line.is_open:
            yield []
        elif is_other and is_discounted and not item.applied_taxes:
            yield []  # nothing is left of it to be taxed, so how its price is meant isn't known
        else:
            terms = _terms(order, priced, item)
            yield list(_prices(line, item, terms))


def _prices(line: Line, item: LineItem, terms: TaxTerms) -> Iterator[_Price]:
    if item.base_price_money is None:
        return
    yield _Price(
        square=item.base_price_money.amount,
        paid=line.unit_price,
        quantity=1,
        pieces=line.quantity,
        terms=terms,
    )
    chosen: dict[str, list[FlatModifier]] = {}
    for flat in line.flat_modifiers():
        same = chosen.setdefault(flat.modifier.modifier_id, [])
        same.append(flat)
    for modifier in item.modifiers:
        ordered = chosen.get(modifier.catalog_object_id)
        if not ordered or modifier.base_price_money is None:
            continue
        one = ordered.pop(0)
        yield _Price(
            square=modifier.base_price_money.amount,
            paid=one.modifier.unit_price,
            quantity=one.quantity,
            pieces=line.quantity * one.quantity,
            terms=terms,
        )
