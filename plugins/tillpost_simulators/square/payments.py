"""Operations on payments that were taken elsewhere (spec: /v2/payments).

They are EXTERNAL and CASH. A payment for an order must come to the order's total as Square computed
it, without tips; then it settles the order. Card payments through Square aren't simulated.
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
from tillpost_simulators.square.wire import parse_body
from tillpost_simulators.square.world import IdempotencyKey, StoredOrder, World

_MAX_PAGE = 100


# --- create ---


def create_payment(world: World, call: Call) -> Answer:
    """Create a payment (spec: CreatePayment).

    With `autocomplete` off the payment is only approved, and PayOrder completes it.
    """
    body = parse_body(CreatePayment, call.body)
    key = IdempotencyKey(world, "CreatePayment", body.idempotency_key, call.body)
    first_answer = key.replay()
    if first_answer is not None:
        return first_answer
    _check_source(body)
    stored = find_order(world, body.order_id) if body.order_id is not None else None
    location_id = _location_id(world, body, stored)
    _check_amounts(world, body, stored)
    payment = _new_payment(world, body, location_id)
    world.payments[payment.id] = payment
    world.payment_keys[body.idempotency_key] = payment.id
    if stored is not None and payment.status == "COMPLETED":
        settle(world, stored, [payment])
    return key.store(Answer.of({"payment": payment.written()}))


def _check_source(body: CreatePayment) -> None:
    """Check that an external or a cash payment has its details.

    Source: CreatePaymentRequest in the spec.
    """
    if body.source_id == "EXTERNAL":
        if body.external_details is None:
            raise missing("external_details")
    elif body.source_id == "CASH":
        if body.cash_details is None:
            raise missing("cash_details")
    else:
        raise not_found("The simulator takes EXTERNAL and CASH payments only.", "source_id")


def _location_id(world: World, body: CreatePayment, stored: StoredOrder | None) -> str:
    """Return the requested location, or the order's, or the main one.

    A requested location must be the order's.
    """
    main_location_id = next(iter(world.locations))
    order_location_id = stored.order.location_id if stored else None
    location_id = body.location_id or order_location_id or main_location_id
    check_location(world, location_id, "location_id")
    if order_location_id is not None and location_id != order_location_id:
        detail = f"The order belongs to location `{order_location_id}`."
        raise bad_request("LOCATION_MISMATCH", detail, "location_id")
    return location_id


def _check_amounts(world: World, body: CreatePayment, stored: StoredOrder | None) -> None:
    world.check_currency(body.amount_money, "amount_money")
    world.check_currency(body.tip_money, "tip_money")
    amount = body.amount_money.amount
    tip = _tip(body)
    if amount < 0 or tip < 0:
        detail = "An amount must not be negative."
        raise bad_request("VALUE_TOO_LOW", detail, "amount_money.amount")
    if amount + tip == 0:
        # Developer forum 1866; an order of 0 is settled by PayOrder.
        detail = "total requested amount $0 is below the minimum allowed"
        raise bad_request("VALUE_TOO_LOW", detail, "amount_money.amount")
    if stored is not None:
        check_payable(stored)
        check_total(stored, amount)


def _tip(body: CreatePayment) -> int:
    if not body.tip_money:
        return 0
    return body.tip_money.amount


def _new_payment(world: World, body: CreatePayment, location_id: str) -> Payment:
    now = written(world.clock.now())
    total = world.money(body.amount_money.amount + _tip(body))
    return Payment(
        id=world.new_id("payment"),
        created_at=now,
        updated_at=now,
        amount_money=body.amount_money,
        tip_money=body.tip_money,
        total_money=total,
        approved_money=total,
        # unconfirmed: that an external payment can be held for PayOrder; a sandbox payment would
        # show it.
        status="APPROVED" if body.autocomplete is False else "COMPLETED",
        source_type="CASH" if body.source_id == "CASH" else "EXTERNAL",
        location_id=location_id,
        order_id=body.order_id,
        reference_id=body.reference_id,
        customer_id=body.customer_id,
        buyer_email_address=body.buyer_email_address,
        note=body.note,
        cash_details=body.cash_details,
        external_details=body.external_details,
        version_token=world.new_id("version"),
    )


# --- read ---


def get_payment(world: World, call: Call) -> Answer:
    """Return one payment (spec: GetPayment)."""
    payment_id = call.path_values["payment_id"]
    payment = world.payments.get(payment_id)
    if payment is None:
        raise not_found(f"Could not find payment with id: {payment_id}", "payment_id")
    return Answer.of({"payment": payment.written()})


def list_payments(world: World, call: Call) -> Answer:
    """List payments (spec: ListPayments), newest first unless `sort_order` is ASC."""
    # Without an end there is no limit: "9" is after every time.
    begin = _time(call, "begin_time", default="")
    end = _time(call, "end_time", default="9")
    location_id = call.query.get("location_id")
    order = call.query.get("sort_order", "DESC")
    if order not in ("ASC", "DESC"):
        raise bad_request("INVALID_SORT_ORDER", f"`{order}` is not a sort order.", "sort_order")
    found: list[Payment] = []
    for payment in world.payments.values():
        is_in_time = begin <= payment.created_at <= end
        if is_in_time and location_id in (None, payment.location_id):
            found.append(payment)
    if order == "DESC":
        found.reverse()
    start = _position(world, call)
    size = min(_number(call, "limit", _MAX_PAGE), _MAX_PAGE)
    page = found[start : start + size]
    body: dict[str, object] = {}
    if page:
        body["payments"] = [payment.written() for payment in page]
    if start + size < len(found):
        body["cursor"] = f"{start + size}-{int(world.clock.now().timestamp())}"
    return Answer.of(body)


def _position(world: World, call: Call) -> int:
    """Return how many payments the pages before have listed.

    A cursor is that number and its time; it isn't valid for long.
    """
    text = call.query.get("cursor", "")
    if not text:
        return 0
    position, _, issued_at = text.partition("-")
    if not (position.isdecimal() and issued_at.isdecimal()):
        raise bad_request("INVALID_CURSOR", f"`{text}` is not valid.", "cursor")
    if world.clock.now().timestamp() - int(issued_at) > world.settings.cursor_seconds:
        raise bad_request("INVALID_CURSOR", "The cursor has expired.", "cursor")
    return int(position)


def _time(call: Call, name: str, default: str) -> str:
    if name not in call.query:
        return default
    return written(read_time(call.query[name], name))


def _number(call: Call, name: str, default: int) -> int:
    text = call.query.get(name, str(default))
    if not text.isdecimal():
        raise bad_request("EXPECTED_INTEGER", f"`{text}` is not valid.", name)
    return int(text)


# --- cancel ---


def cancel_payment_by_key(world: World, call: Call) -> Answer:
    """Cancel a payment by its key (spec: CancelPaymentByIdempotencyKey).

    An unknown key is no error. The key of a cancelled payment can be used again.
    """
    body = parse_body(CancelPayment, call.body)
    key = body.idempotency_key
    payment_id = world.payment_keys.get(key)
    if payment_id is None:
        return Answer.of({})
    payment = world.payments[payment_id]
    if payment.status == "COMPLETED":
        # unconfirmed: how a completed external payment answers this; a sandbox call would show it.
        detail = f"The payment {payment_id} is COMPLETED and can't be canceled."
        raise bad_request("BAD_REQUEST", detail, "idempotency_key")
    payment.status = "CANCELED"
    payment.updated_at = written(world.clock.now())
    del world.payment_keys[key]
    world.replays.pop(("CreatePayment", key), None)
    return Answer.of({})
