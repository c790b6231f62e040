"""The registers: which orders staff see, what they read there, and what they do with them.

An order in the cloud isn't on a register: a device must be in use at the site, and fetch it. On iOS
the app is known to stop fetching; the order then stays as it was, in sight of nobody (vendor's help
page).
"""

from __future__ import annotations

from decimal import Decimal

from tillpost.simulator import Ledger, LedgerAmount, LedgerEntry, LedgerLine, LedgerModifier
from tillpost_simulators.kounta.order_pricing import cents, priced
from tillpost_simulators.kounta.world import Line, Order, Product, Site, World


def deliver(world: World) -> None:
    """Lets every site whose devices are in use and fetch orders have those that wait for it."""
    for order in world.orders.values():
        site = world.sites[order.site_id]
        if (
            not order.deleted
            and order.status != "REJECTED"
            and site.syncing
            and world.in_use(site.id)
        ):
            order.reached = True


def is_shown(order: Order) -> bool:
    """Whether a register shows an order, or has shown it: a rejected one stays, a deleted one goes."""
    return order.reached and not order.deleted


def on_register(order: Order) -> Order:
    """An order that staff can act on. Raises LookupError when no register shows it."""
    if not is_shown(order):
        raise LookupError(f"no register shows the order {order.id}")
    return order


def ledger(world: World) -> Ledger:
    """All orders as staff would read them. Prices include tax, as they do on the register."""
    return Ledger(entries=tuple(_entry(world, order) for order in world.orders.values()))


def _entry(world: World, order: Order) -> LedgerEntry:
    amounts = priced(world, order)
    site = world.sites[order.site_id]
    charges, discounts = _variation(world, order)
    return LedgerEntry(
        reference=order.sale_number,
        order_id=str(order.id),
        shown=is_shown(order),
        settled=order.paid >= amounts.total,
        cancelled=order.deleted or order.status == "REJECTED",
        state=order.status,
        total=_minor(amounts.total),
        paid=_minor(order.paid),
        currency=world.settings.currency,
        lines=tuple(_line(world, site, line) for line in order.lines),
        charges=charges,
        discounts=discounts,
        taxes=tuple(
            LedgerAmount(name=name, amount=_minor(tax)) for name, tax in amounts.taxes.items()
        ),
        note=_note(world, order),
        fulfilment=order.order_type or "",
        fulfilment_state=order.status,
        due_at=order.fulfil_at or "",
    )


def _variation(
    world: World, order: Order
) -> tuple[tuple[LedgerAmount, ...], tuple[LedgerAmount, ...]]:
    """What the order's own multiplier adds or takes off."""
    variation = order.price_variation
    if variation is None or variation in (0, 1):
        return (), ()
    total = priced(world, order).total
    amount = _minor(total - total / variation)
    entry = (LedgerAmount(name="price_variation", amount=abs(amount)),)
    return (entry, ()) if amount > 0 else ((), entry)


def _line(world: World, site: Site, line: Line) -> LedgerLine:
    counted: dict[int, int] = {}
    for modifier in line.modifiers:
        counted[abs(modifier)] = counted.get(abs(modifier), 0) + (1 if modifier > 0 else -1)
    return LedgerLine(
        name=line.product.name,
        quantity=line.quantity,
        unit_price=_minor(_with_tax(world, line.product, line.unit_price)),
        modifiers=tuple(
            LedgerModifier(
                name=world.products[product_id].name,
                quantity=Decimal(count),
                unit_price=_minor(_modifier_price(world, site, line, world.products[product_id])),
                modifier_id=str(product_id),
            )
            for product_id, count in counted.items()
        ),
        note=line.notes or "",
        item_id=str(line.product.id),
    )


def _modifier_price(world: World, site: Site, line: Line, modifier: Product) -> Decimal:
    return _with_tax(world, modifier, world.choice_price(line.product, modifier, site))


def _with_tax(world: World, product: Product, price: Decimal) -> Decimal:
    return price * (1 + sum((tax.rate for tax in world.taxes_of(product)), Decimal(0)))


def _note(world: World, order: Order) -> str:
    """What staff read beside the lines: the notes, the customer, and the payments' references."""
    customer = world.customers.get(order.customer_id or 0)
    who = f"{customer.first_name} {customer.last_name} {customer.phone}".strip() if customer else ""
    return "\n".join(
        part for part in (order.notes, who, *(payment.ref for payment in order.payments)) if part
    )


def _minor(amount: Decimal) -> int:
    return int(cents(amount) * 100)
