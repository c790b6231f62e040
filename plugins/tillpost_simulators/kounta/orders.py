"""Orders: make, read, change and delete (vendor's page: Orders).

There is no idempotency key: the same body sent twice makes two orders. A new order can stay out of
lists, and even out of its own address, for a while (third-party code: "eventual consistency").
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

from tillpost.simulator import Answer, Call
from tillpost_simulators.kounta.responses import created
from tillpost_simulators.kounta.errors import bad_request, not_at_site, not_found
from tillpost_simulators.kounta.order_json import single_order
from tillpost_simulators.kounta.order_pricing import priced
from tillpost_simulators.kounta.register import deliver
from tillpost_simulators.kounta.wire import (
    LineBody,
    OrderBody,
    OrderChange,
    PaymentBody,
    json_answer,
    read,
)
from tillpost_simulators.kounta.world import Event, Line, Order, Payment, Product, Site, World

STATUSES = ("SUBMITTED", "ON_HOLD", "PENDING", "ACCEPTED", "REJECTED", "COMPLETE")
"""The vendor's page; `COMPLETED` is in a sample of its own."""

_TAKES_STOCK = frozenset({"ON_HOLD", "PENDING", "ACCEPTED", "COMPLETE"})


def create_order(world: World, call: Call) -> Answer:
    """Makes an order. Refuses it whole when a line can't be sold at the site."""
    asked = read(OrderBody, call.body)
    site = world.sites.get(asked.site_id)
    if site is None:
        raise bad_request(f"Site #{asked.site_id} was not found.")
    status = asked.status or world.settings.default_status
    _check(world, asked, site, status)
    now = world.clock.now()
    behaviour = world.behaviour
    number = world.settings.first_order_id + len(world.orders)
    order = Order(
        id=number,
        sale_id=hashlib.sha256(str(number).encode()).hexdigest()[:8],
        site_id=site.id,
        register_id=next((register.id for register in world.registers_of(site.id)), 0),
        status=status,
        created=now,
        updated=now,
        visible_at=now + timedelta(seconds=behaviour.order_lag_seconds),
        gettable_at=now + timedelta(seconds=behaviour.get_lag_seconds),
        placed_at=_time(world, asked.placed_at, "placed_at") or world.clock.written(now),
        fulfil_at=_time(world, asked.fulfil_at, "fulfil_at"),
        lines=[_line(world, site, body, place) for place, body in enumerate(asked.lines, 1)],
        payments=[_payment(world, body, place) for place, body in enumerate(asked.payments, 1)],
        sale_number=asked.sale_number or "",
        order_type=asked.order_type,
        guests=asked.guests,
        customer_id=asked.customer_id,
        notes=asked.notes,
        price_variation=asked.price_variation,
        callback_uri=asked.callback_uri,
        lock=asked.lock,
        complete_when_paid=asked.complete_when_paid,
    )
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
    """One order by its id; a deleted one too."""
    return json_answer(single_order(world, _gettable(world, call)))


def update_order(world: World, call: Call) -> Answer:
    """Changes an order's status, notes and times."""
    order = _gettable(world, call)
    asked = read(OrderChange, call.body)
    if order.deleted:
        raise not_found()
    if asked.status is not None and asked.status not in STATUSES:
        raise bad_request(f"{asked.status} is not a valid status.")
    order.notes = asked.notes if asked.notes is not None else order.notes
    order.order_type = asked.order_type if asked.order_type is not None else order.order_type
    order.sale_number = asked.sale_number if asked.sale_number is not None else order.sale_number
    order.fulfil_at = _time(world, asked.fulfil_at, "fulfil_at") or order.fulfil_at
    set_status(world, order, asked.status or order.status)
    return json_answer(single_order(world, order))


def delete_order(world: World, call: Call) -> Answer:
    """Deletes an order.

    unconfirmed: that an order can be deleted through the API; the vendor's page lists orders that
    were deleted at the register, and has DELETE among its patterns. A real call would tell.
    """
    order = _gettable(world, call)
    if order.deleted:
        raise not_found()
    delete(world, order)
    return Answer(204)


def delete(world: World, order: Order) -> None:
    """Takes an order off the registers, as staff or a caller may."""
    order.deleted = True
    order.updated = world.clock.now()
    _return_stock(world, order)
    world.events.append(Event("orders/deleted", order.site_id, order.id))


def set_status(world: World, order: Order, status: str) -> None:
    """Moves an order to a status, its stock with it, and notes that there is something to tell."""
    changed = status != order.status
    order.status, order.updated = status, world.clock.now()
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
    """Stock may fall below 0: the register sold it first, and nobody refuses what a customer has paid for."""
    for line in order.lines:
        for product_id in (
            line.product.id,
            *(modifier for modifier in line.modifiers if modifier > 0),
        ):
            at = (
                world.products[product_id].sites.get(order.site_id)
                if product_id in world.products
                else None
            )
            if at is not None and at.stock is not None:
                at.stock += sign * line.quantity


def _check(world: World, asked: OrderBody, site: Site, status: str) -> None:
    """Refuses what can't be an order at this site.

    unconfirmed: all texts but the product's and the register's, which were seen; a real refusal of
    each would tell.
    """
    if status not in STATUSES:
        raise bad_request(f"{status} is not a valid status.")
    if not asked.lines:
        raise bad_request("An order must have at least one line.")
    if world.settings.refuses_when_ordering_is_off and not site.ordering:
        raise bad_request("Online ordering is currently disabled at that site.")
    register = world.registers.get(site.pass_thru_register_id or 0)
    if asked.pass_thru_printing and register is not None and not register.online:
        raise bad_request(f"Pass-thru register {register.name} ({register.id}) is offline.")
    if asked.customer_id is not None and asked.customer_id not in world.customers:
        raise bad_request(f"Customer #{asked.customer_id} was not found.")
    for payment in asked.payments:
        if payment.method_id not in world.payment_methods:
            raise bad_request(f"Payment method #{payment.method_id} was not found.")
    for line in asked.lines:
        product = sold_at(world, line.product_id, site)
        for modifier in line.modifiers:
            sold_at(world, abs(modifier), site)
        if world.settings.checks_option_sets:
            _check_choices(world, product, line.modifiers)


def sold_at(world: World, product_id: int, site: Site) -> Product:
    """A product that can be sold at a site. Refuses the rest, and does not tell gone from never there."""
    product = world.find(product_id)
    at = product.sites.get(site.id) if product else None
    if (
        product is None
        or at is None
        or (world.settings.refuses_unavailable and not at.is_available)
    ):
        raise not_at_site(product_id)
    return product


def _check_choices(world: World, product: Product, modifiers: Sequence[int]) -> None:
    for each in world.sets_of(product):
        ids = {option.product_id for option in each.options}
        chosen = sum(1 for modifier in modifiers if modifier in ids)
        if chosen < each.minimum or (each.maximum and chosen > each.maximum):
            # unconfirmed: whether Kounta counts choices at all, and this text; an order without a
            # choice would tell.
            raise bad_request(
                f"Option set {each.name} of product #{product.id} has {chosen} options selected."
            )


def _line(world: World, site: Site, body: LineBody, number: int) -> Line:
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
    amount = body.amount.quantize(Decimal("0.01"))
    return Payment(world.new_id(), number, body.method_id, amount, world.clock.now(), body.ref)


def _time(world: World, text: str | None, field: str) -> str | None:
    return None if text is None else world.clock.written(world.clock.read(text, field))


def _gettable(world: World, call: Call) -> Order:
    asked = call.path_values["order"]
    order = world.orders.get(int(asked)) if asked.isdecimal() else None
    if order is None or order.gettable_at > world.clock.now():
        raise not_found()
    return order
