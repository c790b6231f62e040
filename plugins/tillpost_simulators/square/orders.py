"""Operations on orders: create, calculate, retrieve and pay (spec: /v2/orders).

A created order that isn't paid is OPEN, and staff don't see it. Payment settles it; an order
without a fulfilment is then completed automatically (developer forum).
"""

from __future__ import annotations

from decimal import Decimal

from tillpost.simulator import Answer, Call
from tillpost_simulators.square.clock import written
from tillpost_simulators.square.errors import bad_request, not_found
from tillpost_simulators.square.fulfilments import TERMINAL, open_fulfilments
from tillpost_simulators.square.order_adjustments import complete_adjustments
from tillpost_simulators.square.order_lines import complete_lines
from tillpost_simulators.square.order_pricing import price
from tillpost_simulators.square.request_bodies import (
    BatchRetrieveOrders,
    CalculateOrder,
    CreateOrder,
    Payment,
    PayOrder,
)
from tillpost_simulators.square.wire import Order, Source, Tender, parse_body
from tillpost_simulators.square.world import IdempotencyKey, StoredOrder, World

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
"""The fields that a caller can't set (developer documentation: Update orders)."""

_DEFAULT_SOURCE = "Simulated application"

_TOTAL_MISMATCH = "The payment total does not match the order total."
_SUM_MISMATCH = "The total of the requested payments does not match the total of the sale order."


# --- create and read ---


def create_order(world: World, call: Call) -> Answer:
    """Create an order (spec: CreateOrder).

    The order is priced and stored; staff don't see it before it is paid.
    """
    body = parse_body(CreateOrder, call.body)
    key = IdempotencyKey(world, "CreateOrder", body.idempotency_key, call.body)
    first_answer = key.replay()
    if first_answer is not None:
        return first_answer
    order = _complete_new_order(world, body.order)
    now = world.clock.now()
    order.id = world.new_id("order")
    order.version = 1
    order.created_at = written(now)
    order.updated_at = order.created_at
    number = len(world.orders) + 1
    world.orders[order.id] = StoredOrder(order=order, number=number, created=now)
    return key.store(Answer.of({"order": order.written()}))


def calculate_order(world: World, call: Call) -> Answer:
    """Return an order's amounts (spec: CalculateOrder).

    Answers as CreateOrder would, and stores nothing.
    """
    body = parse_body(CalculateOrder, call.body)
    order = _complete_new_order(world, body.order)
    return Answer.of({"order": order.written()})


def retrieve_order(world: World, call: Call) -> Answer:
    """Return one order (spec: RetrieveOrder)."""
    stored = find_order(world, call.path_values["order_id"])
    answer = Answer.of({"order": stored.order.written()})
    _raise_version_by_itself(world, stored.order)
    return answer


def _raise_version_by_itself(world: World, order: Order) -> None:
    """Raise the version of an order that was just read, as often as the settings say.

    Square processes orders in the background, and a version that was read can be out of date
    before it is used (developer forum 9477, 13601).
    """
    every = world.settings.version_rises_every
    world.order_reads += 1
    if every and world.order_reads % every == 1 % every:
        mark_changed(world, order)


def batch_retrieve_orders(world: World, call: Call) -> Answer:
    """Return orders by their ids (spec: BatchRetrieveOrders).

    Unknown ids are left out.
    """
    body = parse_body(BatchRetrieveOrders, call.body)
    found: list[dict[str, object]] = []
    for order_id in body.order_ids:
        stored = world.orders.get(order_id)
        if stored is None:
            continue
        if body.location_id in (None, stored.order.location_id):
            found.append(stored.order.written())
    return Answer.of({"orders": found} if found else {})


def _complete_new_order(world: World, order: Order) -> Order:
    """Check a new order, complete it and price it.

    It is checked against location, catalogue and limits.
    """
    for name in READ_ONLY:
        setattr(order, name, None)
    check_location(world, order.location_id, "order.location_id")
    if order.state not in (None, "OPEN", "DRAFT"):
        raise bad_request("INVALID_VALUE", "A new order must be OPEN or DRAFT.", "order.state")
    order.state = order.state or "OPEN"
    if order.source is None or not order.source.name:
        # spec: OrderSource.name is the application's by default.
        order.source = Source(name=_DEFAULT_SOURCE)
    complete_lines(world, order)
    complete_adjustments(world, order)
    open_fulfilments(world, order)
    price(world, order)
    order.net_amount_due_money = order.total_money
    return order


# --- pay ---


def pay_order(world: World, call: Call) -> Answer:
    """Settle an order with payments (spec: PayOrder).

    The payments are approved and come to its total.

    An order of 0 is settled without a payment.
    """
    body = parse_body(PayOrder, call.body)
    key = IdempotencyKey(world, "PayOrder", body.idempotency_key, call.body)
    first_answer = key.replay()
    if first_answer is not None:
        return first_answer
    stored = find_order(world, call.path_values["order_id"])
    if body.order_version is not None:
        check_version(stored, body.order_version, "order_version")
    check_payable(stored)
    payments = [_approved(world, stored, payment_id) for payment_id in body.payment_ids or ()]
    if sum(payment.amount_money.amount for payment in payments) != _due(stored):
        raise bad_request("BAD_REQUEST", _SUM_MISMATCH, "payment_ids")
    for payment in world.payments.values():
        if payment.order_id == stored.id and payment.status == "APPROVED":
            payment.status = "COMPLETED" if payment in payments else "CANCELED"
            payment.updated_at = written(world.clock.now())
    settle(world, stored, payments)
    return key.store(Answer.of({"order": stored.order.written()}))


def _approved(world: World, stored: StoredOrder, payment_id: str) -> Payment:
    payment = world.payments.get(payment_id)
    if payment is None or payment.order_id != stored.id:
        raise not_found(f"The order does not contain the payment {payment_id}.", "payment_ids")
    if payment.status != "APPROVED":
        detail = f"The payment {payment_id} is {payment.status}."
        raise bad_request("BAD_REQUEST", detail, "payment_ids")
    return payment


def settle(world: World, stored: StoredOrder, payments: list[Payment]) -> None:
    """Settle an order with these payments.

    Their tips are added to its total, and lines of quantity 0 are removed. An order of 0 that is
    settled without a payment has no tender and stays as it was (developer forum 11715).
    """
    order = stored.order
    lines = [line for line in order.line_items or () if Decimal(line.quantity)]
    order.line_items = lines or None
    tip = sum(payment.tip_money.amount for payment in payments if payment.tip_money)
    price(world, order, tip)
    stored.settled = True
    stored.paid = sum(payment.total_money.amount for payment in payments)
    order.tenders = [_tender(world, stored, payment) for payment in payments] or None
    order.net_amount_due_money = world.money(0)
    if all(fulfilment.state in TERMINAL for fulfilment in order.fulfillments or ()):
        close(world, order, "COMPLETED")
    mark_changed(world, order)


def _tender(world: World, stored: StoredOrder, payment: Payment) -> Tender:
    # unconfirmed: the tender type of an external payment. OTHER is the spec's word for what fits no
    # other; an external payment in the sandbox would show it.
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


# --- shared with updates and payments ---


def find_order(world: World, order_id: str, field: str = "order_id") -> StoredOrder:
    """Return the order with this id, or raise a 404."""
    stored = world.orders.get(order_id)
    if stored is None:
        raise not_found(f"Order not found for id {order_id}.", field)
    return stored


def check_location(world: World, location_id: str, field: str) -> None:
    """Refuse a location that isn't the merchant's, or is inactive.

    unconfirmed: the codes of both; a sandbox order for a foreign and for an inactive location would
    show it.
    """
    location = world.locations.get(location_id)
    if location is None:
        raise not_found(f"Location `{location_id}` not found.", field)
    if not location.active:
        raise bad_request("INVALID_LOCATION", f"Location `{location_id}` is not active.", field)


def check_payable(stored: StoredOrder) -> None:
    """Refuse a payment for an order that is closed, a draft, or paid.

    unconfirmed: the texts; a sandbox payment for each would show it.
    """
    if stored.settled:
        raise bad_request("BAD_REQUEST", f"The order {stored.id} is already paid.", "order_id")
    state = stored.order.state
    if state != "OPEN":
        raise bad_request("BAD_REQUEST", f"The order {stored.id} is {state}.", "order_id")


def check_total(stored: StoredOrder, amount: int) -> None:
    """Refuse an amount, without tips, that isn't exactly the order's total."""
    if amount != _due(stored):
        raise bad_request("BAD_REQUEST", _TOTAL_MISMATCH, "amount_money")


def check_version(stored: StoredOrder, version: int, field: str) -> None:
    """Refuse a version that isn't the current one.

    Code, text and field are as seen (developer forum 13601); VERSION_MISMATCH isn't among the
    spec's ErrorCode.
    """
    current = stored.order.version
    if version != current:
        detail = (
            f"Supplied version {version} does not match the current version {current} "
            f"of order {stored.id}."
        )
        raise bad_request("VERSION_MISMATCH", detail, field)


def close(world: World, order: Order, state: str) -> None:
    """Close an order as COMPLETED or CANCELED."""
    order.state = "COMPLETED" if state == "COMPLETED" else "CANCELED"
    order.closed_at = written(world.clock.now())


def mark_changed(world: World, order: Order) -> None:
    """Increment an order's version and set the time of its last update."""
    order.version = (order.version or 0) + 1
    order.updated_at = written(world.clock.now())


def _due(stored: StoredOrder) -> int:
    assert stored.order.net_amount_due_money is not None
    return stored.order.net_amount_due_money.amount
