"""Random orders in the whole format, with the tax that a careful site charges for them.

Each word of their texts has a number of its own, so that none passes for another.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from fractions import Fraction
from random import Random

from adapters.money_shops import MoneyShop
from tillpost.models.menu import GroupUse, Menu, SoldItem, Tax, display_name
from tillpost.models.order import (
    Address,
    Charge,
    Curbside,
    Customer,
    Delivery,
    DineIn,
    Discount,
    Fulfilment,
    Line,
    Modifier,
    Order,
    OrderTax,
    Payment,
    Pickup,
)
from tillpost.models.tax_terms import option_taxes, tax_terms

SECRET = "stays-with-us"
WORDS = (
    "no onion, crème brûlée “well done” & sauce\u00a0aside 🌶 <b>SEVERE ALLERGY</b> ñandú"
).split(" ")
LONGEST = 120
"""Words of a note; three such notes are more than Square's notes hold."""
OFTEN, SELDOM = 0.3, 0.05


class OrderMaker:
    """A maker of random orders at one shop.

    Their prices include tax as the shop's do, or, with `other_way`, where the shop's exclude it and
    the other way round. Such a site has rounded each price, up or down.
    """

    def __init__(self, shop: MoneyShop, random: Random, *, other_way: bool = False) -> None:
        self._shop = shop
        self._random = random
        self._with_tax = shop.model.included != other_way
        # Of its own, so that names change nothing else of the orders.
        self._naming = Random("names")
        self._words_so_far = 0
        faulty = {fault.subject for fault in shop.menu.faults}
        self._sold = [
            sold
            for sold in shop.menu.by_variation.values()
            if sold.item.online
            and not sold.variation.sold_out
            and sold.item.name not in faulty
            and int(sold.variation.id) < 9000
        ]

    def order(self, order_id: str, *, only_menu: bool = False) -> Order:
        """Return an order that fits the menu and its taxes.

        With `only_menu`, all that is taxed is at the menu's prices: no open item, no discount, and
        no taxed charge.
        """
        random, model = self._random, self._shop.model
        lines = [self._line() for _ in range(random.randint(1, 4))]
        if only_menu:
            lines = [line.model_copy(update={"discounts": ()}) for line in lines if line.item_id]
            lines = lines or [self._sold_line(1)]
        cost = sum(line.discounted for line in lines)
        discounts = [] if only_menu else self._discounts(cost)
        charges = [self._charge() for _ in range(random.choice([0, 0, 1, 2]))]
        if only_menu:
            charges = [charge for charge in charges if not charge.taxed]
        tip = random.choice([0, random.randint(1, 500)])
        taxes = [] if self._with_tax else self._taxes(lines, charges, discounts)
        tax = sum(each.amount for each in taxes)
        total = cost - sum(each.amount for each in discounts)
        total += sum(charge.total for charge in charges) + tip + tax
        if total and not only_menu and random.random() < SELDOM:
            charges.append(Charge(kind="rounding", name="Rounded down", amount=-1))
            total -= 1
        due = random.randint(1, total) if total and random.random() < SELDOM else 0
        first = random.randint(0, total - due)
        parts = (("card", first), ("gift card", total - due - first))
        return Order(
            id=order_id,
            code=random.choice(["B42", self._words(1), f"A code of many words {self._words(3)}"]),
            placed_at=datetime.now(UTC),
            currency=model.currency,
            prices_include_tax=self._with_tax,
            customer=self._customer(),
            fulfilment=self._fulfilment(),
            lines=lines,
            charges=charges,
            discounts=discounts,
            tip=tip,
            tax=tax,
            taxes=taxes if random.random() < 0.5 else [],
            amount_due=due,
            payments=[
                Payment(method=how, amount=amount, reference=f"pi_{how[0]}_{order_id}")
                for how, amount in parts
                if amount
            ],
            note=self._note(),
            metadata={"site": SECRET},
        )

    # ---------------------------------------------------------------- what was ordered

    def _line(self) -> Line:
        random = self._random
        quantity = random.randint(1, 9)
        if random.random() < 0.15:
            price = random.choice([0, random.randint(0, 3000), random.randint(0, 3000)])
            name = f"Corkage {self._words(2)}"
            line = Line(name=name, quantity=quantity, unit_price=price, note=self._note())
        else:
            line = self._sold_line(quantity)
        return line.model_copy(update={"discounts": tuple(self._discounts(line.total))})

    def _sold_line(self, quantity: int) -> Line:
        """Return a line of so many of what is on the menu."""
        random, menu = self._random, self._shop.menu
        sold = random.choice(self._sold)
        on_menu = sold.variation.price
        if on_menu is None:
            price = random.randint(1, 3000)
        else:
            price = self._converted(on_menu, menu.taxes_on(sold.item))
        return Line(
            item_id=sold.variation.id,
            sku=sold.variation.sku,
            name=self._name(display_name(*sold)),
            quantity=quantity,
            unit_price=price,
            modifiers=self._modifiers(menu, sold, price),
            note=self._note(),
        )

    def _converted(self, price: int, taxes: Sequence[Tax]) -> int:
        """Return a price of the menu as the site has it, with tax or without, rounded."""
        terms = tax_terms(taxes, with_tax=self._with_tax)
        if terms.are_equal:
            return price
        rounding = self._random.choice([ROUND_HALF_UP, ROUND_FLOOR, ROUND_CEILING])
        return int(terms.meaning(price).to_integral_value(rounding))

    def _modifiers(self, menu: Menu, sold: SoldItem, price: int) -> Sequence[Modifier]:
        """Return choices within the groups' limits; one may be on another, and on that a third.

        With them a piece, which itself costs the price, costs 0 or more.
        """
        chosen = [each for use in sold.item.groups for each in self._choices(menu, use, sold)]
        if sum(each.total for each in chosen) + (price if sold.variation.price else 0) < 0:
            return [each for each in chosen if each.unit_price >= 0]
        single = [each for each in chosen if each.quantity == 1]
        if len(single) < 2 or self._random.random() > OFTEN:
            return chosen
        others = [each for each in chosen if each.quantity > 1]
        inner = single.pop()
        while single and self._random.random() < 0.7:
            inner = single.pop().model_copy(update={"modifiers": (inner,)})
        return [*others, *single, inner]

    def _choices(self, menu: Menu, use: GroupUse, sold: SoldItem) -> Sequence[Modifier]:
        random = self._random
        options = [
            option
            for option in menu.group_by_id[use.group_id].options
            if not option.sold_out and not option.id.startswith("-")
        ]
        most = 3 if use.maximum is None else use.maximum
        count = random.randint(use.minimum, min(len(options), most))
        chosen = [
            Modifier(
                modifier_id=option.id,
                sku=option.sku,
                name=self._name(option.name),
                unit_price=self._converted(option.price or 0, option_taxes(menu, option, sold)),
            )
            for option in random.sample(options, count)
        ]
        if chosen and not use.once and count < most and random.random() < 2 * OFTEN:
            chosen[-1] = chosen[-1].model_copy(update={"quantity": most - count + 1})
        return chosen

    def _name(self, on_menu: str) -> str:
        """Return the site's name of what the menu calls so: another one now and then."""
        random = self._naming
        if random.random() > OFTEN / 2:
            return on_menu
        return random.choice([f"{on_menu} ({self._word(random)})", f"Site's {self._word(random)}"])

    def _discounts(self, most: int) -> list[Discount]:
        random = self._random
        if not most or random.random() > OFTEN:
            return []
        amount = random.choice([most, random.randint(1, most), random.randint(1, most)])
        if self._naming.random() < SELDOM:
            amount = 0
        return [Discount(name=f"COUPON {self._words(2)}", amount=amount)]

    def _charge(self) -> Charge:
        random = self._random
        kind = random.choice(["delivery", "service", "surcharge", "rounding"])
        if kind == "rounding":
            name = f"Rounded up {self._words(1)}"
            return Charge(kind="rounding", name=name, amount=random.randint(1, 4))
        amount = random.randint(1, 900)
        if self._naming.random() < SELDOM:
            amount = 0
        # At Kounta the product of a charge has the tax, or hasn't.
        taxed = kind == "delivery" if self._shop.platform == "kounta" else random.random() < 0.5
        return Charge.model_validate(
            {
                "kind": kind,
                "name": f"{kind.title()} {self._words(1)}",
                "amount": amount,
                "taxed": taxed,
                "discounts": self._discounts(amount),
            }
        )

    # ---------------------------------------------------------------- the site's tax

    def _taxes(
        self, lines: Sequence[Line], charges: Sequence[Charge], discounts: Sequence[Discount]
    ) -> list[OrderTax]:
        """Return each tax, rounded by line or by order, halves up or to even."""
        cost = sum(line.discounted for line in lines)
        off = sum(discount.amount for discount in discounts)
        left = Fraction(cost - off, cost) if cost else Fraction(0)
        parts = [(line.discounted * left, self._shop.taxes_of(line.item_id)) for line in lines]
        charge_taxes = self._shop.charge_taxes([line.item_id for line in lines])
        parts += [(Fraction(charge.total), charge_taxes) for charge in charges if charge.taxed]
        amounts: defaultdict[str, list[Fraction]] = defaultdict(list)
        rates: dict[str, Decimal] = {}
        for amount, taxes in parts:
            for tax in taxes:
                amounts[tax.name].append(amount * Fraction(tax.rate))
                rates[tax.name] = tax.rate
        by_line, to_even = self._random.random() < 0.5, self._random.random() < 0.5
        return [
            OrderTax(name=name, rate=rates[name], amount=_rounded(each, by_line, to_even))
            for name, each in amounts.items()
        ]

    # ---------------------------------------------------------------- who and how

    def _customer(self) -> Customer | None:
        random = self._random
        if random.random() < OFTEN:
            return None
        phone = random.choice(["", "+61400111222", "0400 111 222 ext. 7", "12345678"])
        email = random.choice(["", "mia@example.com", "mia at home"])
        return Customer(name=f"Mia {self._words(1)} Chen", phone=phone, email=email)

    def _fulfilment(self) -> Fulfilment:
        random = self._random
        due = None
        if random.random() < 0.5:
            due = datetime.now(UTC) + timedelta(days=random.randint(1, 5))
        address = Address(
            line1=f"{random.randint(1, 99)} Wattle St",
            line2=f"Flat {random.randint(1, 99)}",
            city="Ultimo",
            region="NSW",
            postcode="2007",
            country="AU",
        )
        ways: list[Fulfilment] = [
            Pickup(due_at=due),
            Pickup(due_at=due, curbside=Curbside(details=f"White Mazda {self._words(2)}")),
            DineIn(due_at=due, table="7", guests=random.choice([None, random.randint(11, 30)])),
            Delivery(due_at=due, address=address, instructions=self._note()),
        ]
        return random.choice(ways)

    def _note(self) -> str:
        count = self._random.choice([0, 0, 2, 5, 40, LONGEST])
        return self._words(count)

    def _words(self, count: int) -> str:
        return " ".join(self._word(self._random) for _ in range(count))

    def _word(self, random: Random) -> str:
        self._words_so_far += 1
        return f"{random.choice(WORDS)}{self._words_so_far}"


def _rounded(amounts: Sequence[Fraction], by_line: bool, to_even: bool) -> int:
    whole = amounts if by_line else [sum(amounts, Fraction(0))]
    if to_even:
        return sum(round(amount) for amount in whole)
    return sum((amount + Fraction(1, 2)).__floor__() for amount in whole)
