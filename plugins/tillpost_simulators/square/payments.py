"""Payments that were taken elsewhere: EXTERNAL and CASH (spec: the operations under /v2/payments).

A payment for an order must come to the order's total as Square computed it, tips aside; then the
order is settled. Card payments through Square are not simulated.
"""

from __future__ import annotations

from tillpost.simulator import Answer, Call
from tillpost_simulators.square.clock import read_time, written
from tillpost_simulators.square.errors import bad_request, missing, not_found
from tillpost_simulators.square.orders import (
    check_location,
    check_payable,
    check_total,
    find_order,
    settle,
)
from tillpost_simulators.square.request_bodies import CancelPayment, CreatePayment, Payment
from tillpost_simulators.square.wire import read
from tillpost_simulators.square.world import Idempotent, StoredOrder, World

_PAGE = 100


def create_payment(world: World, call: Call) -> Answer:
    """spec: CreatePayment. With `autocomplete` off the payment is only approved, and PayOrder takes it."""
    asked = read(CreatePayment, call.body)
    once = Idempotent(world, "CreatePayment", asked.idempotency_key, call.body)
    if (first := once.replay()) is not None:
        return first
    _check_source(asked)
    stored = find_order(world, asked.order_id) if asked.order_id is not None else None
    location_id = _location(world, asked, stored)
    _check_amounts(world, asked, stored)
    now = written(world.clock.now())
    total = asked.amount_money.amount + (asked.tip_money.amount if asked.tip_money else 0)
    payment = Payment(
        id=world.new_id("payment"),
        created_at=now,
        updated_at=now,
        amount_money=asked.amount_money,
        tip_money=asked.tip_money,
        total_money=world.money(total),
        approved_money=world.money(total),
        # unconfirmed: that an external payment can be held for PayOrder; a sandbox payment would
        # tell.
        status="APPROVED" if asked.autocomplete is False else "COMPLETED",
        source_type="CASH" if asked.source_id == "CASH" else "EXTERNAL",
        location_id=location_id,
        order_id=asked.order_id,
        reference_id=asked.reference_id,
        customer_id=asked.customer_id,
        buyer_email_address=asked.buyer_email_address,
        note=asked.note,
        cash_details=asked.cash_details,
        external_details=asked.external_details,
        version_token=world.new_id("version"),
    )
    world.payments[payment.id] = payment
    world.payment_keys[asked.idempotency_key] = payment.id
    if stored is not None and payment.status == "COMPLETED":
        settle(world, stored, [payment])
    return once.keep(Answer.of({"payment": payment.written()}))


def _check_source(asked: CreatePayment) -> None:
    """An external or a cash payment brings its details (spec: CreatePaymentRequest)."""
    if asked.source_id == "EXTERNAL":
        if asked.external_details is None:
            raise missing("external_details")
    elif asked.source_id == "CASH":
        if asked.cash_details is None:
            raise missing("cash_details")
    else:
        raise not_found("The simulator takes EXTERNAL and CASH payments only.", "source_id")


def _location(world: World, asked: CreatePayment, stored: StoredOrder | None) -> str:
    """The order's location; the one asked for; the main one. An order's can't be contradicted."""
    location_id = asked.location_id or (
        stored.order.location_id if stored else next(iter(world.locations))
    )
    check_location(world, location_id, "location_id")
    if stored is not None and location_id != stored.order.location_id:
        detail = f"The order belongs to location `{stored.order.location_id}`."
        raise bad_request("LOCATION_MISMATCH", detail, "location_id")
    return location_id


def _check_amounts(world: World, asked: CreatePayment, stored: StoredOrder | None) -> None:
    world.check_currency(asked.amount_money, "amount_money")
    world.check_currency(asked.tip_money, "tip_money")
    tip = asked.tip_money.amount if asked.tip_money else 0
    if asked.amount_money.amount < 0 or tip < 0:
        raise bad_request("VALUE_TOO_LOW", "An amount must not be negative.", "amount_money.amount")
    if asked.amount_money.amount + tip == 0:
        # Developer forum 1866; an order of 0 is settled by PayOrder.
        detail = "total requested amount $0 is below the minimum allowed"
        raise bad_request("VALUE_TOO_LOW", detail, "amount_money.amount")
    if stored is not None:
        check_payable(stored)
        check_total(stored, asked.amount_money.amount)


def get_payment(world: World, call: Call) -> Answer:
    """spec: GetPayment."""
    payment = world.payments.get(call.path_values["payment_id"])
    if payment is None:
        raise not_found(
            f"Could not find payment with id: {call.path_values['payment_id']}", "payment_id"
        )
    return Answer.of({"payment": payment.written()})


def list_payments(world: World, call: Call) -> Answer:
    """spec: ListPayments. Newest first unless `sort_order` is ASC; the cursor is the number already given."""
    begin = (
        written(read_time(call.query["begin_time"], "begin_time"))
        if "begin_time" in call.query
        else ""
    )
    end = (
        written(read_time(call.query["end_time"], "end_time")) if "end_time" in call.query else "9"
    )
    location_id = call.query.get("location_id")
    order = call.query.get("sort_order", "DESC")
    if order not in ("ASC", "DESC"):
        raise bad_request("INVALID_SORT_ORDER", f"`{order}` is not a sort order.", "sort_order")
    found = [
        payment
        for payment in world.payments.values()
        if begin <= payment.created_at <= end and location_id in (None, payment.location_id)
    ]
    if order == "DESC":
        found.reverse()
    start, size = _number(call, "cursor", 0), min(_number(call, "limit", _PAGE), _PAGE)
    page = found[start : start + size]
    body: dict[str, object] = {"payments": [payment.written() for payment in page]} if page else {}
    if start + size < len(found):
        body["cursor"] = str(start + size)
    return Answer.of(body)


def _number(call: Call, name: str, default: int) -> int:
    text = call.query.get(name, str(default))
    if not text.isdecimal():
        code = "INVALID_CURSOR" if name == "cursor" else "EXPECTED_INTEGER"
        raise bad_request(code, f"`{text}` is not valid.", name)
    return int(text)


def cancel_payment_by_key(world: World, call: Call) -> Answer:
    """spec: CancelPaymentByIdempotencyKey. A key that is not known is no error; a cancelled one may be used again."""
    asked = read(CancelPayment, call.body)
    payment_id = world.payment_keys.get(asked.idempotency_key)
    if payment_id is None:
        return Answer.of({})
    payment = world.payments[payment_id]
    if payment.status == "COMPLETED":
        # unconfirmed: how a completed external payment answers this; a sandbox call would tell.
        detail = f"The payment {payment_id} is COMPLETED and can't be canceled."
        raise bad_request("BAD_REQUEST", detail, "idempotency_key")
    payment.status, payment.updated_at = "CANCELED", written(world.clock.now())
    del world.payment_keys[asked.idempotency_key]
    world.replays.pop(("CreatePayment", asked.idempotency_key), None)
    return Answer.of({})
