"""Operations on orders: create, read, change and delete (vendor's page: Orders).

There is no idempotency key: the same body sent twice creates two orders. A new order can be missing
from lists, and even from its own address, for a while (third-party code: "eventual consistency").
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import timedelta

from tillpost.simulator import Answer, Call
from tillpost_simulators.kounta.errors import bad_request, not_at_site, not_found
from tillpost_simulators.kounta.order_json import single_order
from tillpost_simulators.kounta.order_pricing import priced, rounded
from tillpost_simulators.kounta.register import deliver
from tillpost_simulators.kounta.resources import created, find_in_path
from tillpost_simulators.kounta.wire import (
    LineBody,
    OrderBody,
    OrderChange,
    PaymentBody,
    json_answer,
    parse_body,
)
from tillpost_simulators.kounta.world import (
    ZERO,
    Event,
    Line,
    Order,
    Payment,
    Product,
    Site,
    World,
)

STATUSES = ("SUBMITTED", "ON_HOLD", "PENDING", "ACCEPTED", "REJECTED", "COMPLETE")
"""The vendor's page; `COMPLETED` is in a sample of its own."""

_TAKES_STOCK = frozenset({"ON_HOLD", "PENDING", "ACCEPTED", "COMPLETE"})


# --- operations ---


def create_order(world: World, call: Call) -> Answer:
    """Create an order, or refuse all of it when a line can't be sold at the site."""
    body = parse_body(OrderBody, call.body)
    site = world.sites.get(body.site_id)
    if site is None:
        raise bad_request(f"Site #{body.site_id} was not found.")
    status = body.status or world.settings.default_status
    _check_order(world, body, site, status)
    order = _new_order(world, body, site, status)
    world.orders[order.id] = order
    if order.complete_when_paid and order.paid >= priced(world, order).total:
        set_status(world, order, "COMPLETE")
    else:
        set_status(world, order, status)
        if status == "COMPLETE":
            world.events.append(Event("orders/completed", order.site_id, order.id))
    deliver(world)
    path = f"/v1/companies/{world.settings.company_id}/orders/{order.id}"
    return created(world, call, path, single_order(world, order))


def get_order(world: World, call: Call) -> Answer:
    """Return one order by its id, also a deleted one."""
    order = _order_in_path(world, call)
    return json_answer(single_order(world, order))


def update_order(world: World, call: Call) -> Answer:
    """Change status, notes and times of an order."""
    order = _order_in_path(world, call)
    change = parse_body(OrderChange, call.body)
    if order.deleted:
        raise not_found()
    if change.status is not None:
        _check_status(change.status)
    if change.notes is not None:
        order.notes = change.notes
    if change.order_type is not None:
        order.order_type = change.order_type
    if change.sale_number is not None:
        order.sale_number = change.sale_number
    order.fulfil_at = _time(world, change.fulfil_at, "fulfil_at") or order.fulfil_at
    set_status(world, order, change.status or order.status)
    return json_answer(single_order(world, order))


def delete_order(world: World, call: Call) -> Answer:
    """Delete an order.

    unconfirmed: that an order can be deleted through the API; the vendor's page lists orders that
    were deleted at the register, and has DELETE among its patterns. A real call would show it.
    """
    order = _order_in_path(world, call)
    if order.deleted:
        raise not_found()
    delete(world, order)
    return Answer(204)


def _order_in_path(world: World, call: Call) -> Order:
    order = find_in_path(call, "order", world.orders)
    if order.gettable_at > world.clock.now():
        raise not_found()
    return order


# --- changes by callers and staff ---


def delete(world: World, order: Order) -> None:
    """Delete an order, as staff or a caller does."""
    order.deleted = True
    order.updated = world.clock.now()
    _return_stock(world, order)
    world.events.append(Event("orders/deleted", order.site_id, order.id))


def set_status(world: World, order: Order, status: str) -> None:
    """Set an order's status, move stock accordingly and record an event if it changed."""
    changed = status != order.status
    order.status = status
    order.updated = world.clock.now()
    if status in _TAKES_STOCK and not order.stock_taken:
        _move_stock(world, order, -1)
        order.stock_taken = True
    elif status == "REJECTED":
        _return_stock(world, order)
    if changed:
        topic = "orders/completed" if status == "COMPLETE" else "orders/updated"
        world.events.append(Event(topic, order.site_id, order.id))


def _return_stock(world: World, order: Order) -> None:
    if order.stock_taken:
        _move_stock(world, order, 1)
        order.stock_taken = False


def _move_stock(world: World, order: Order, sign: int) -> None:
    """Add the order's products to the site's stock, or subtract them.

    Stock may fall below 0: the register has sold the product first, and Kounta doesn't refuse what
    a customer has paid for.
    """
    for line in order.lines:
        added = [modifier for modifier in line.modifiers if modifier > 0]
        for product_id in (line.product.id, *added):
            product = world.products.get(product_id)
            at_site = product.sites.get(order.site_id) if product else None
            if at_site is not None and at_site.stock is not None:
                at_site.stock += sign * line.quantity


# --- checks ---


def _check_order(
    world: World,
    body: OrderBody,
    site: Site,
    status: str,
) -> None:
    """Refuse what can't be an order at this site.

    unconfirmed: all texts but the product's and the register's, which were seen; a real refusal of
    each would show it.
    """
    settings = world.settings
    _check_status(status)
    if not body.lines:
        raise bad_request("An order must have at least one line.")
    if settings.refuses_when_ordering_is_off and not site.ordering:
        raise bad_request("Online ordering is currently disabled at that site.")
    register = world.registers.get(site.pass_thru_register_id or 0)
    if body.pass_thru_printing and register is not None and not register.online:
        raise bad_request(f"Pass-thru register {register.name} ({register.id}) is offline.")
    if body.customer_id is not None and body.customer_id not in world.customers:
        raise bad_request(f"Customer #{body.customer_id} was not found.")
    for payment in body.payments:
        if payment.method_id not in world.payment_methods:
            raise bad_request(f"Payment method #{payment.method_id} was not found.")
    for line in body.lines:
        product = _product_at(world, line.product_id, site)
        for modifier in line.modifiers:
            _product_at(world, abs(modifier), site)
        if settings.checks_option_sets:
            _check_choices(world, product, line.modifiers)


def _check_status(status: str) -> None:
    if status not in STATUSES:
        raise bad_request(f"{status} is not a valid status.")


def _product_at(world: World, product_id: int, site: Site) -> Product:
    """Return a product that the site sells.

    The refusal is the same whether the product is gone, never existed, or is not at the site.
    """
    product = world.find_product(product_id)
    at_site = product.sites.get(site.id) if product else None
    if product is None or at_site is None:
        raise not_at_site(product_id)
    if world.settings.refuses_unavailable and not at_site.is_available:
        raise not_at_site(product_id)
    return product


def _check_choices(world: World, product: Product, modifiers: Sequence[int]) -> None:
    for option_set in world.option_sets_of(product):
        option_ids = {option.product_id for option in option_set.options}
        chosen = len([modifier for modifier in modifiers if modifier in option_ids])
        too_few = chosen < option_set.minimum
        too_many = option_set.maximum and chosen > option_set.maximum
        if too_few or too_many:
            # unconfirmed: whether Kounta counts choices at all, and this text; an order without a
            # choice would show it.
            raise bad_request(
                f"Option set {option_set.name} of product #{product.id} "
                f"has {chosen} options selected."
            )


# --- a new order ---


def _new_order(
    world: World,
    body: OrderBody,
    site: Site,
    status: str,
) -> Order:
    now = world.clock.now()
    behaviour = world.behaviour
    order_id = world.settings.first_order_id + len(world.orders)
    registers = world.registers_of(site.id)
    placed_at = _time(world, body.placed_at, "placed_at") or world.clock.written(now)
    fulfil_at = _time(world, body.fulfil_at, "fulfil_at")
    numbered_lines = enumerate(body.lines, 1)
    lines = [_line(world, site, line, number) for number, line in numbered_lines]
    numbered_payments = enumerate(body.payments, 1)
    payments = [_payment(world, payment, number) for number, payment in numbered_payments]
    return Order(
        id=order_id,
        sale_id=hashlib.sha256(str(order_id).encode()).hexdigest()[:8],
        site_id=site.id,
        register_id=registers[0].id if registers else 0,
        status=status,
        created=now,
        updated=now,
        visible_at=now + timedelta(seconds=behaviour.order_lag_seconds),
        gettable_at=now + timedelta(seconds=behaviour.get_lag_seconds),
        placed_at=placed_at,
        fulfil_at=fulfil_at,
        lines=lines,
        payments=payments,
        sent_paid=sum((payment.amount for payment in payments), ZERO),
        sale_number=body.sale_number or "",
        order_type=body.order_type,
        guests=body.guests,
        customer_id=body.customer_id,
        notes=body.notes,
        price_variation=body.price_variation,
        callback_uri=body.callback_uri,
        lock=body.lock,
        complete_when_paid=body.complete_when_paid,
    )


def _line(
    world: World,
    site: Site,
    body: LineBody,
    number: int,
) -> Line:
    product = world.products[body.product_id]
    price = world.price_of(product, site) if body.unit_price is None else body.unit_price
    decimals = world.settings.unit_price_decimals
    return Line(
        id=world.new_id(),
        number=number,
        product=product,
        quantity=body.quantity,
        unit_price=price if decimals is None else round(price, decimals),
        price_sent=body.unit_price is not None,
        notes=body.notes,
        price_variation=body.price_variation,
        modifiers=list(body.modifiers),
    )


def _payment(world: World, body: PaymentBody, number: int) -> Payment:
    return Payment(
        id=world.new_id(),
        number=number,
        method_id=body.method_id,
        amount=rounded(world, body.amount),
        created=world.clock.now(),
        ref=body.ref,
    )


def _time(world: World, text: str | None, field: str) -> str | None:
    """Return a time as Kounta writes it, or None; refuse an invalid one."""
    if text is None:
        return None
    return world.clock.written(world.clock.read(text, field))
