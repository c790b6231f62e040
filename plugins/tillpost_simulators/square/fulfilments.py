"""Fulfilments: what they need, and how their state may move.

A pickup or a delivery needs it when it is created. The register shows an order with a fulfilment
only once it is paid; see `register.py`.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from tillpost_simulators.square.clock import read_duration, read_time, written
from tillpost_simulators.square.errors import bad_request, missing
from tillpost_simulators.square.wire import (
    DeliveryDetails,
    Fulfilment,
    FulfilmentState,
    Order,
    PickupDetails,
    Recipient,
)
from tillpost_simulators.square.world import World

TERMINAL = frozenset({"COMPLETED", "CANCELED", "FAILED"})
"""The states that a fulfilment can't leave."""

_MAX_EXPIRY = timedelta(days=7)
_PHONE = re.compile(r"^\+?[ ().-]*([0-9][ ().-]*){9,16}$", re.ASCII)
_EMAIL = re.compile(r"^[^@\s]+@[^@\s]+$")
_PROGRESS: tuple[FulfilmentState, ...] = ("PROPOSED", "RESERVED", "PREPARED", "COMPLETED")

# The time that is set when a fulfilment reaches a state (spec: FulfillmentPickupDetails,
# FulfillmentDeliveryDetails).
_PICKUP_TIMES = {
    "RESERVED": "accepted_at",
    "PREPARED": "ready_at",
    "COMPLETED": "picked_up_at",
    "CANCELED": "canceled_at",
    "FAILED": "rejected_at",
}
_DELIVERY_TIMES = {
    "RESERVED": "in_progress_at",
    "PREPARED": "ready_at",
    "COMPLETED": "completed_at",
    "CANCELED": "canceled_at",
    "FAILED": "rejected_at",
}

_PICKUP_DURATIONS = (
    "auto_complete_duration",
    "pickup_window_duration",
    "prep_time_duration",
)
_DELIVERY_DURATIONS = (
    "prep_time_duration",
    "delivery_window_duration",
    "courier_pickup_window_duration",
)


# --- start ---


def open_fulfilments(world: World, order: Order) -> None:
    """Check the fulfilment of a new order and start it.

    There can be at most one (spec: Order.fulfillments).
    """
    fulfilments = order.fulfillments or []
    if len(fulfilments) > 1:
        detail = "Orders can only be created with at most one fulfillment."
        raise bad_request("ARRAY_LENGTH_TOO_LONG", detail, "order.fulfillments")
    for index, fulfilment in enumerate(fulfilments):
        path = f"order.fulfillments[{index}]"
        if fulfilment.state not in (None, "PROPOSED"):
            # unconfirmed: whether an order may be made with a fulfilment under way; a sandbox order
            # would show it.
            detail = "A new fulfillment must be PROPOSED."
            raise bad_request("INVALID_VALUE", detail, f"{path}.state")
        fulfilment.uid = fulfilment.uid or world.new_uid()
        fulfilment.state = "PROPOSED"
        check_fulfilment(world, fulfilment, path)
        now = world.clock.now()
        if fulfilment.pickup_details is not None:
            _start_pickup(fulfilment.pickup_details, now)
        if fulfilment.delivery_details is not None:
            _start_delivery(fulfilment.delivery_details, now)


def _start_pickup(details: PickupDetails, now: datetime) -> None:
    details.placed_at = written(now)
    details.schedule_type = details.schedule_type or "SCHEDULED"
    if details.schedule_type == "ASAP":
        preparation = timedelta()
        if details.prep_time_duration:
            preparation = read_duration(details.prep_time_duration, "")
        details.pickup_at = written(now + preparation)


def _start_delivery(details: DeliveryDetails, now: datetime) -> None:
    details.placed_at = written(now)
    details.schedule_type = details.schedule_type or "SCHEDULED"
    if details.schedule_type == "ASAP" and details.prep_time_duration:
        preparation = read_duration(details.prep_time_duration, "")
        details.deliver_at = written(now + preparation)


# --- checks ---


def check_fulfilment(world: World, fulfilment: Fulfilment, path: str) -> None:
    """Refuse a fulfilment that lacks what its type needs."""
    match fulfilment.type:
        case None:
            raise missing(f"{path}.type")
        case "PICKUP":
            if fulfilment.pickup_details is None:
                raise missing(f"{path}.pickup_details")
            _check_pickup(world, fulfilment.pickup_details, f"{path}.pickup_details")
        case "DELIVERY":
            if fulfilment.delivery_details is None:
                raise missing(f"{path}.delivery_details")
            _check_delivery(world, fulfilment.delivery_details, f"{path}.delivery_details")
        case "SHIPMENT":
            raise bad_request("NOT_IMPLEMENTED", "The simulator has no shipments.", f"{path}.type")


def _check_pickup(world: World, details: PickupDetails, path: str) -> None:
    _check_recipient(world, details.recipient, f"{path}.recipient", is_delivery=False)
    if details.schedule_type != "ASAP":
        if details.pickup_at is None:
            raise missing(f"{path}.pickup_at")
        _check_is_future(world, details.pickup_at, f"{path}.pickup_at")
    if details.expires_at is not None:
        expires = read_time(details.expires_at, f"{path}.expires_at")
        if expires > world.clock.now() + _MAX_EXPIRY:
            detail = "The expiration time can only be up to 7 days in the future."
            raise bad_request("INVALID_TIME", detail, f"{path}.expires_at")
    _check_durations(details, _PICKUP_DURATIONS, path)
    if details.curbside_pickup_details is not None and not details.is_curbside_pickup:
        detail = "Curbside details need `is_curbside_pickup`."
        raise bad_request("INVALID_VALUE", detail, f"{path}.curbside_pickup_details")


def _check_delivery(world: World, details: DeliveryDetails, path: str) -> None:
    _check_recipient(world, details.recipient, f"{path}.recipient", is_delivery=True)
    if details.schedule_type == "ASAP":
        if details.prep_time_duration is None:
            raise missing(f"{path}.prep_time_duration")
    elif details.deliver_at is None:
        raise missing(f"{path}.deliver_at")
    else:
        _check_is_future(world, details.deliver_at, f"{path}.deliver_at")
    _check_durations(details, _DELIVERY_DURATIONS, path)


def _check_durations(
    details: PickupDetails | DeliveryDetails, names: tuple[str, ...], path: str
) -> None:
    for name in names:
        duration: str | None = getattr(details, name)
        if duration is not None:
            read_duration(duration, f"{path}.{name}")


def _check_is_future(world: World, text: str, field: str) -> None:
    # unconfirmed: whether a time in the past is refused, and by how much it may lie back; a sandbox
    # order would show it.
    if read_time(text, field) < world.clock.now():
        raise bad_request("INVALID_TIME", f"`{text}` is in the past.", field)


def _check_recipient(
    world: World, recipient: Recipient | None, path: str, *, is_delivery: bool
) -> None:
    """Check a recipient (spec: FulfillmentRecipient).

    A name is needed; a delivery also needs a phone number and an address. A phone number has the
    form of a payment's `buyer_phone_number`: 9 to 16 digits. Well-formed ones have been refused as
    well (developer forum, thread 20906): see `refuse_contact`.

    unconfirmed: how closely phone numbers and addresses of e-mail are checked; sandbox orders would
    show it.
    """
    if recipient is None:
        raise missing(path)
    if recipient.customer_id is None:
        if not recipient.display_name:
            raise missing(f"{path}.display_name")
        if is_delivery and not recipient.phone_number:
            raise missing(f"{path}.phone_number")
        if is_delivery and recipient.address is None:
            raise missing(f"{path}.address")
    phone = recipient.phone_number
    if phone and (not _PHONE.match(phone) or phone in world.refused_contacts):
        detail = f"`{phone}` is not a valid phone number."
        raise bad_request("INVALID_PHONE_NUMBER", detail, f"{path}.phone_number")
    email = recipient.email_address
    if email and (not _EMAIL.match(email) or email in world.refused_contacts):
        detail = f"`{email}` is not a valid e-mail address."
        raise bad_request("INVALID_EMAIL_ADDRESS", detail, f"{path}.email_address")


# --- states ---


def move(world: World, fulfilment: Fulfilment, state: FulfilmentState, path: str) -> None:
    """Move a fulfilment to a state and set the time of that.

    It moves forward only, and not out of a terminal state.

    unconfirmed: whether steps may be left out, as they may be here; sandbox updates would show it.
    """
    current = fulfilment.state or "PROPOSED"
    if current == state:
        return
    if current in TERMINAL or _is_backward(current, state):
        detail = f"A fulfillment can't go from {current} to {state}."
        raise bad_request("BAD_REQUEST", detail, f"{path}.state")
    fulfilment.state = state
    now = written(world.clock.now())
    if fulfilment.pickup_details is not None and state in _PICKUP_TIMES:
        setattr(fulfilment.pickup_details, _PICKUP_TIMES[state], now)
    if fulfilment.delivery_details is not None and state in _DELIVERY_TIMES:
        setattr(fulfilment.delivery_details, _DELIVERY_TIMES[state], now)


def _is_backward(current: FulfilmentState, state: FulfilmentState) -> bool:
    """Return whether `state` comes before `current`, which isn't terminal."""
    return state in _PROGRESS and _PROGRESS.index(state) < _PROGRESS.index(current)
