"""The registers: which orders staff see, and the ledger.

An order in the cloud isn't on a register yet: a device must be online at the site, and fetch it. On
iOS the app is known to stop fetching; the order then stays as it was, and nobody sees it (vendor's
help page).
"""

from __future__ import annotations

from decimal import Decimal

from tillpost.models.money import exponent, nearest_minor
from tillpost.simulator import Ledger, LedgerAmount, LedgerEntry, LedgerLine, LedgerModifier
from tillpost_simulators.kounta.order_pricing import PricedOrder, priced
from tillpost_simulators.kounta.world import Customer, Line, Order, Product, Site, World


def deliver(world: World) -> None:
    """Deliver every waiting order whose site can receive it.

    The site needs a device that is online and fetches orders.
    """
    for order in world.orders.values():
        site = world.sites[order.site_id]
        fetches = site.syncing and world.has_device_online(site.id)
        if fetches and not order.deleted and order.status != "REJECTED":
            order.reached = True


def is_shown(order: Order) -> bool:
    """Return whether a register shows an order.

    A rejected one stays, a deleted one goes.
    """
    return order.reached and not order.deleted


def on_register(order: Order) -> Order:
    """Return the order, which staff can act on.

    Raises:
        LookupError: No register shows it.
    """
    if not is_shown(order):
        raise LookupError(f"no register shows the order {order.id}")
    return order


def ledger(world: World) -> Ledger:
    """Return all orders. Prices include tax, as on the register.

    An order is settled once it has the payments that it was sent with: staff take what is still
    due.
    """
    return Ledger(entries=tuple(_entry(world, order) for order in world.orders.values()))


def _entry(world: World, order: Order) -> LedgerEntry:
    amounts = priced(world, order)
    site = world.sites[order.site_id]
    charge, discount = _variation(world, order, amounts)
    return LedgerEntry(
        reference=order.sale_number,
        order_id=str(order.id),
        shown=is_shown(order),
        settled=order.paid >= order.sent_paid,
        cancelled=order.deleted or order.status == "REJECTED",
        state=order.status,
        total=_minor(world, amounts.total),
        paid=_minor(world, order.paid),
        currency=world.settings.currency,
        exponent=exponent(world.settings.currency),
        lines=tuple(_line(world, site, line) for line in order.lines),
        charges=(charge,) if charge else (),
        discounts=(discount,) if discount else (),
        taxes=_taxes(world, amounts),
        note=_note(world, order),
        fulfilment=order.order_type or "",
        fulfilment_state=order.status,
        due_at=order.fulfil_at or "",
    )


def _variation(
    world: World, order: Order, amounts: PricedOrder
) -> tuple[LedgerAmount | None, LedgerAmount | None]:
    """Return the order's own multiplier as a charge or as a discount, if it has one."""
    variation = order.price_variation
    if variation is None or variation in (0, 1):
        return None, None
    before = amounts.total / variation
    amount = _minor(world, amounts.total - before)
    entry = LedgerAmount(name="price_variation", amount=abs(amount))
    if amount > 0:
        return (entry, None)
    return (None, entry)


def _taxes(world: World, amounts: PricedOrder) -> tuple[LedgerAmount, ...]:
    return tuple(
        LedgerAmount(name=name, amount=_minor(world, amount))
        for name, amount in amounts.taxes.items()
    )


def _line(world: World, site: Site, line: Line) -> LedgerLine:
    unit_price = _with_tax(world, line.product, line.unit_price)
    count_by_id: dict[int, int] = {}
    for modifier in line.modifiers:
        # A negative id takes the product off.
        product_id = abs(modifier)
        step = 1 if modifier > 0 else -1
        count_by_id[product_id] = count_by_id.get(product_id, 0) + step
    modifiers = [
        _modifier(world, site, line, product_id, count) for product_id, count in count_by_id.items()
    ]
    return LedgerLine(
        name=line.product.name,
        quantity=line.quantity,
        unit_price=_minor(world, unit_price),
        modifiers=tuple(modifiers),
        note=line.notes or "",
        item_id=str(line.product.id),
    )


def _modifier(
    world: World,
    site: Site,
    line: Line,
    product_id: int,
    count: int,
) -> LedgerModifier:
    product = world.products[product_id]
    price = world.choice_price(line.product, product, site)
    return LedgerModifier(
        name=product.name,
        quantity=Decimal(count),
        unit_price=_minor(world, _with_tax(world, product, price)),
        modifier_id=str(product_id),
    )


def _with_tax(world: World, product: Product, price: Decimal) -> Decimal:
    return price * (1 + world.tax_rate_of(product))


def _note(world: World, order: Order) -> str:
    """Return what staff read beside the lines: notes, customer, payment references."""
    customer = world.customers.get(order.customer_id or 0)
    guests = f"GUESTS {order.guests}" if order.guests else None
    parts = [order.notes, guests, _customer(customer)]
    parts += [payment.ref for payment in order.payments]
    return "\n".join(part for part in parts if part)


def _customer(customer: Customer | None) -> str:
    if customer is None:
        return ""
    return f"{customer.first_name} {customer.last_name} {customer.phone}".strip()


def _minor(world: World, amount: Decimal) -> int:
    return nearest_minor(amount, world.settings.currency)
