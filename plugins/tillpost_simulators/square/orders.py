"""Orders: create, calculate, retrieve, pay and update (spec: the operations under /v2/orders, but for search).

An order that has been made and not paid for is OPEN and out of the staff's sight. Paying settles
it; an order without a fulfilment then completes by itself (developer forum).
"""

from __future__ import annotations

from decimal import Decimal

from tillpost.simulator import Answer, Call
from tillpost_simulators.square.order_adjustments import complete_adjustments
from tillpost_simulators.square.clock import written
from tillpost_simulators.square.errors import bad_request, not_found
from tillpost_simulators.square.fulfilments import TERMINAL, open_fulfilments
from tillpost_simulators.square.order_lines import complete_lines
from tillpost_simulators.square.order_pricing import price
from tillpost_simulators.square.request_bodies import (
    BatchRetrieveOrders,
    CalculateOrder,
    CreateOrder,
    Payment,
    PayOrder,
)
from tillpost_simulators.square.wire import Order, Source, Tender, read
from tillpost_simulators.square.world import Idempotent, StoredOrder, World

# A caller can't set what Square computes (developer documentation: Update orders).
READ_ONLY = (
    "id",
    "net_amounts",
    "tenders",
    "created_at",
    "updated_at",
    "closed_at",
    "version",
    "total_money",
    "total_tax_money",
    "total_discount_money",
    "total_tip_money",
    "total_service_charge_money",
    "net_amount_due_money",
)

APPLICATION = "Simulated application"
"""Where an order comes from when it doesn't say."""

OTHER_TOTAL = "The payment total does not match the order total."
OTHER_SUM = "The total of the requested payments does not match the total of the sale order."


def create_order(world: World, call: Call) -> Answer:
    """spec: CreateOrder. The order is priced and kept; nobody sees it before it is paid for."""
    asked = read(CreateOrder, call.body)
    once = Idempotent(world, "CreateOrder", asked.idempotency_key, call.body)
    if (first := once.replay()) is not None:
        return first
    order = drawn_up(world, asked.order)
    now = world.clock.now()
    order.id, order.version = world.new_id("order"), 1
    order.created_at = order.updated_at = written(now)
    world.orders[order.id] = StoredOrder(order=order, number=len(world.orders) + 1, created=now)
    return once.keep(Answer.of({"order": order.written()}))


def calculate_order(world: World, call: Call) -> Answer:
    """spec: CalculateOrder. The same answer as creating would give, and nothing is kept."""
    order = drawn_up(world, read(CalculateOrder, call.body).order)
    return Answer.of({"order": order.written()})


def drawn_up(world: World, order: Order) -> Order:
    """A new order, checked against the location, the catalogue and the limits, and priced."""
    for name in READ_ONLY:
        setattr(order, name, None)
    check_location(world, order.location_id, "order.location_id")
    if order.state not in (None, "OPEN", "DRAFT"):
        raise bad_request("INVALID_VALUE", "A new order must be OPEN or DRAFT.", "order.state")
    order.state = order.state or "OPEN"
    if order.source is None or not order.source.name:
        order.source = Source(name=APPLICATION)  # spec: OrderSource.name
    complete_lines(world, order)
    complete_adjustments(world, order)
    open_fulfilments(world, order)
    price(world, order)
    order.net_amount_due_money = order.total_money
    return order


def check_location(world: World, location_id: str, field: str) -> None:
    """Refuses a location that isn't the merchant's, or isn't open for business.

    unconfirmed: the codes of both; a sandbox order for a foreign and for an inactive location would
    tell.
    """
    location = world.locations.get(location_id)
    if location is None:
        raise not_found(f"Location `{location_id}` not found.", field)
    if not location.active:
        raise bad_request("INVALID_LOCATION", f"Location `{location_id}` is not active.", field)


def find_order(world: World, order_id: str, field: str = "order_id") -> StoredOrder:
    """The order under this id, or a 404."""
    stored = world.orders.get(order_id)
    if stored is None:
        raise not_found(f"Order not found for id {order_id}.", field)
    return stored


def retrieve_order(world: World, call: Call) -> Answer:
    """spec: RetrieveOrder."""
    return Answer.of({"order": find_order(world, call.path_values["order_id"]).order.written()})


def batch_retrieve_orders(world: World, call: Call) -> Answer:
    """spec: BatchRetrieveOrders. Ids that aren't known are left out."""
    asked = read(BatchRetrieveOrders, call.body)
    found = [
        world.orders[order_id].order for order_id in asked.order_ids if order_id in world.orders
    ]
    if asked.location_id is not None:
        found = [order for order in found if order.location_id == asked.location_id]
    return Answer.of({"orders": [order.written() for order in found]} if found else {})


def pay_order(world: World, call: Call) -> Answer:
    """spec: PayOrder. Settles an order with approved payments that come to its total, or one of 0 with none at all."""
    asked = read(PayOrder, call.body)
    once = Idempotent(world, "PayOrder", asked.idempotency_key, call.body)
    if (first := once.replay()) is not None:
        return first
    stored = find_order(world, call.path_values["order_id"])
    if asked.order_version is not None:
        check_version(stored, asked.order_version, "order_version")
    check_payable(stored)
    payments = [_approved(world, stored, payment_id) for payment_id in asked.payment_ids or ()]
    if sum(payment.amount_money.amount for payment in payments) != _due(stored):
        raise bad_request("BAD_REQUEST", OTHER_SUM, "payment_ids")
    for payment in world.payments.values():
        if payment.order_id == stored.id and payment.status == "APPROVED":
            payment.status = "COMPLETED" if payment in payments else "CANCELED"
            payment.updated_at = written(world.clock.now())
    settle(world, stored, payments)
    return once.keep(Answer.of({"order": stored.order.written()}))


def _approved(world: World, stored: StoredOrder, payment_id: str) -> Payment:
    payment = world.payments.get(payment_id)
    if payment is None or payment.order_id != stored.id:
        raise not_found(f"The order does not contain the payment {payment_id}.", "payment_ids")
    if payment.status != "APPROVED":
        raise bad_request(
            "BAD_REQUEST", f"The payment {payment_id} is {payment.status}.", "payment_ids"
        )
    return payment


def check_payable(stored: StoredOrder) -> None:
    """Refuses to take money for an order that is closed, a draft, or paid for.

    unconfirmed: the texts; a sandbox payment for each would tell.
    """
    if stored.settled:
        raise bad_request("BAD_REQUEST", f"The order {stored.id} is already paid.", "order_id")
    if stored.order.state != "OPEN":
        raise bad_request(
            "BAD_REQUEST", f"The order {stored.id} is {stored.order.state}.", "order_id"
        )


def check_total(stored: StoredOrder, amount: int) -> None:
    """Refuses an amount, tips aside, that isn't exactly what the order comes to."""
    if amount != _due(stored):
        raise bad_request("BAD_REQUEST", OTHER_TOTAL, "amount_money")


def _due(stored: StoredOrder) -> int:
    assert stored.order.net_amount_due_money is not None
    return stored.order.net_amount_due_money.amount


def settle(world: World, stored: StoredOrder, payments: list[Payment]) -> None:
    """Notes that an order is paid for. A payment's tip joins the order's total; lines of quantity 0 go.

    An order of 0 that was settled without a payment shows no tender and stays as it was (developer
    forum 11715).
    """
    order = stored.order
    order.line_items = [line for line in order.line_items or () if Decimal(line.quantity)] or None
    tip = sum(payment.tip_money.amount for payment in payments if payment.tip_money)
    price(world, order, tip)
    stored.settled = True
    stored.paid = sum(payment.total_money.amount for payment in payments)
    order.tenders = [_tender(world, stored, payment) for payment in payments] or None
    order.net_amount_due_money = world.money(0)
    if all(fulfilment.state in TERMINAL for fulfilment in order.fulfillments or ()):
        close(world, order, "COMPLETED")
    changed(world, order)


def _tender(world: World, stored: StoredOrder, payment: Payment) -> Tender:
    # unconfirmed: the tender type of an external payment. OTHER is the spec's word for what fits no
    # other; an external payment in the sandbox would tell.
    return Tender(
        id=payment.id,
        location_id=stored.order.location_id,
        transaction_id=stored.id,
        created_at=written(world.clock.now()),
        amount_money=payment.total_money,
        tip_money=payment.tip_money,
        type="CASH" if payment.source_type == "CASH" else "OTHER",
        payment_id=payment.id,
        note=payment.note,
    )


def close(world: World, order: Order, state: str) -> None:
    """Ends an order: COMPLETED or CANCELED."""
    order.state = "COMPLETED" if state == "COMPLETED" else "CANCELED"
    order.closed_at = written(world.clock.now())


def changed(world: World, order: Order) -> None:
    """Raises an order's version and notes the time."""
    order.version = (order.version or 0) + 1
    order.updated_at = written(world.clock.now())


def check_version(stored: StoredOrder, supplied: int, field: str) -> None:
    """Refuses a version that isn't the present one. Code, text and field as seen (developer forum 13601).

    VERSION_MISMATCH isn't among the spec's ErrorCode.
    """
    if supplied != stored.order.version:
        detail = (
            f"Supplied version {supplied} does not match the current version {stored.order.version} "
            f"of order {stored.id}."
        )
        raise bad_request("VERSION_MISMATCH", detail, field)
