"""Orders as JSON: complete when read one by one, abridged in lists.

Field names are those of the vendor's samples. Beside those, `sale_number`, `total_tax`, `paid`,
`tips`, `taxes`, `line_total_ex_tax`, `line_total_tax`, `part_of_option_set` and a payment's
`number` are from third-party code, and `id_str` from the vendor's text. `total` is in lists, and
missing from the single order (third-party code).
"""

from __future__ import annotations

from decimal import Decimal

from tillpost_simulators.kounta.order_pricing import PricedLine, priced
from tillpost_simulators.kounta.wire import Json
from tillpost_simulators.kounta.world import Line, Order, Payment, Tax, World

IMAGE = "http://127.0.0.1/images/none.png"


def single_order(world: World, order: Order) -> Json:
    """Return an order with all its fields."""
    amounts = priced(world, order)
    lines = [
        _single_line(line, amount) for line, amount in zip(order.lines, amounts.lines, strict=True)
    ]
    variation = Decimal(1) if order.price_variation is None else order.price_variation
    more: Json = {
        "register_id": order.register_id,
        "lines": lines,
        "payments": _payments(world, order),
        "total_tax": amounts.total_tax,
        "tips": 0,
        "price_variation": variation,
        "lock": order.lock,
    }
    if order.guests is not None:
        more["guests"] = order.guests
    if order.callback_uri is not None:
        more["callback_uri"] = order.callback_uri
    if world.settings.total_in_single:
        more["total"] = amounts.total
    return _common(world, order) | more


def listed_order(world: World, order: Order) -> Json:
    """Return an order as in lists."""
    amounts = priced(world, order)
    body = _common(world, order) | {"total": amounts.total, "total_tax": amounts.total_tax}
    if world.settings.lines_in_lists:
        body["lines"] = [
            _line(line, amount) for line, amount in zip(order.lines, amounts.lines, strict=True)
        ]
        body["payments"] = _payments(world, order)
    return body


def _common(world: World, order: Order) -> Json:
    clock = world.clock
    body: Json = {
        "id": order.id,
        "id_str": str(order.id),
        "company_id": world.settings.company_id,
        "site_id": order.site_id,
        "status": order.status,
        "sale_number": order.sale_number,
        "paid": order.paid,
        "deleted": order.deleted,
        "customer": _customer(world, order),
        "placed_at": order.placed_at,
        "created_at": clock.written(order.created),
        "updated_at": clock.written(order.updated),
    }
    for name in ("notes", "order_type", "fulfil_at"):
        value: str | None = getattr(order, name)
        if value is not None:
            body[name] = value
    return body


def _single_line(line: Line, amount: PricedLine) -> Json:
    taxes = [_tax(tax_amount.tax) for tax_amount in amount.taxes]
    more: Json = {
        "line_total_ex_tax": amount.total_ex_tax,
        "line_total_tax": amount.total_tax,
        "taxes": taxes,
        "modifiers": line.modifiers,
        "part_of_option_set": False,
    }
    return _line(line, amount) | more


def _tax(tax: Tax) -> Json:
    return {"id": tax.id, "name": tax.name, "rate": tax.rate}


def _line(line: Line, amount: PricedLine) -> Json:
    body: Json = {
        "id": line.id,
        "number": line.number,
        "product": {"id": line.product.id, "name": line.product.name},
        "quantity": line.quantity,
    }
    if line.notes is not None:
        body["notes"] = line.notes
    if line.price_variation is not None:
        body["price_variation"] = line.price_variation
    body["unit_price"] = amount.unit_price
    body["unit_tax"] = amount.unit_tax
    return body


def _payments(world: World, order: Order) -> list[Json]:
    return [_payment(world, payment) for payment in order.payments]


def _payment(world: World, payment: Payment) -> Json:
    body: Json = {
        "id": payment.id,
        "number": payment.number,
        "method": {"id": payment.method_id, "name": world.payment_methods[payment.method_id]},
        "amount": payment.amount,
        "created_at": world.clock.written(payment.created),
    }
    if payment.ref is not None:
        body["ref"] = payment.ref
    return body


def _customer(world: World, order: Order) -> Json | None:
    customer = world.customers.get(order.customer_id or 0)
    if customer is None:
        return None
    return {
        "id": customer.id,
        "first_name": customer.first_name,
        "last_name": customer.last_name,
        "email": customer.email,
        "image": IMAGE,
    }
