"""Fulfilments: what a pickup or a delivery must say when it is made, and how its state may move.

The register shows an order with a fulfilment only once it is paid for; see `register.py`.
"""

from __future__ import annotations

import re
from datetime import timedelta

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

_EXPIRES_WITHIN = timedelta(days=7)
_PHONE = re.compile(r"^\+?[\d ().-]+$")
_EMAIL = re.compile(r"^[^@\s]+@[^@\s]+$")
_PROGRESS: tuple[FulfilmentState, ...] = ("PROPOSED", "RESERVED", "PREPARED", "COMPLETED")

# Which time is set when a fulfilment reaches a state (spec: FulfillmentPickupDetails,
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


def open_fulfilments(world: World, order: Order) -> None:
    """Checks the fulfilment of a new order and starts it. There can be at most one (spec: Order.fulfillments)."""
    fulfilments = order.fulfillments or []
    if len(fulfilments) > 1:
        detail = "Orders can only be created with at most one fulfillment."
        raise bad_request("ARRAY_LENGTH_TOO_LONG", detail, "order.fulfillments")
    for index, fulfilment in enumerate(fulfilments):
        path = f"order.fulfillments[{index}]"
        if fulfilment.state not in (None, "PROPOSED"):
            # unconfirmed: whether an order may be made with a fulfilment under way; a sandbox order
            # would tell.
            raise bad_request(
                "INVALID_VALUE", "A new fulfillment must be PROPOSED.", f"{path}.state"
            )
        fulfilment.uid = fulfilment.uid or world.new_uid()
        fulfilment.state = "PROPOSED"
        check_fulfilment(world, fulfilment, path)
        _start(world, fulfilment)


def check_fulfilment(world: World, fulfilment: Fulfilment, path: str) -> None:
    """Refuses a fulfilment that lacks what its type needs."""
    if fulfilment.type is None:
        raise missing(f"{path}.type")
    if fulfilment.type == "PICKUP":
        if fulfilment.pickup_details is None:
            raise missing(f"{path}.pickup_details")
        _check_pickup(world, fulfilment.pickup_details, f"{path}.pickup_details")
    elif fulfilment.type == "DELIVERY":
        if fulfilment.delivery_details is None:
            raise missing(f"{path}.delivery_details")
        _check_delivery(world, fulfilment.delivery_details, f"{path}.delivery_details")
    else:
        raise bad_request("NOT_IMPLEMENTED", "The simulator has no shipments.", f"{path}.type")


def _check_pickup(world: World, details: PickupDetails, path: str) -> None:
    _check_recipient(details.recipient, f"{path}.recipient", address=False)
    if details.schedule_type != "ASAP" and details.pickup_at is None:
        raise missing(f"{path}.pickup_at")
    if details.schedule_type != "ASAP" and details.pickup_at is not None:
        _check_ahead(world, details.pickup_at, f"{path}.pickup_at")
    if details.expires_at is not None:
        expires = read_time(details.expires_at, f"{path}.expires_at")
        if expires > world.clock.now() + _EXPIRES_WITHIN:
            detail = "The expiration time can only be up to 7 days in the future."
            raise bad_request("INVALID_TIME", detail, f"{path}.expires_at")
    for name in ("auto_complete_duration", "pickup_window_duration", "prep_time_duration"):
        if (duration := getattr(details, name)) is not None:
            read_duration(duration, f"{path}.{name}")
    if details.curbside_pickup_details is not None and not details.is_curbside_pickup:
        detail = "Curbside details need `is_curbside_pickup`."
        raise bad_request("INVALID_VALUE", detail, f"{path}.curbside_pickup_details")


def _check_delivery(world: World, details: DeliveryDetails, path: str) -> None:
    _check_recipient(details.recipient, f"{path}.recipient", address=True)
    if details.schedule_type == "ASAP":
        if details.prep_time_duration is None:
            raise missing(f"{path}.prep_time_duration")
    elif details.deliver_at is None:
        raise missing(f"{path}.deliver_at")
    else:
        _check_ahead(world, details.deliver_at, f"{path}.deliver_at")
    for name in (
        "prep_time_duration",
        "delivery_window_duration",
        "courier_pickup_window_duration",
    ):
        if (duration := getattr(details, name)) is not None:
            read_duration(duration, f"{path}.{name}")


def _check_ahead(world: World, text: str, field: str) -> None:
    # unconfirmed: whether a time in the past is refused, and by how much it may lie back; a sandbox
    # order would tell.
    if read_time(text, field) < world.clock.now():
        raise bad_request("INVALID_TIME", f"`{text}` is in the past.", field)


def _check_recipient(recipient: Recipient | None, path: str, *, address: bool) -> None:
    """spec: FulfillmentRecipient. A name is needed; a delivery needs a phone number and an address as well.

    unconfirmed: how closely phone numbers and addresses of e-mail are checked; sandbox orders would
    tell.
    """
    if recipient is None:
        raise missing(path)
    if recipient.customer_id is None:
        if not recipient.display_name:
            raise missing(f"{path}.display_name")
        if address and not recipient.phone_number:
            raise missing(f"{path}.phone_number")
        if address and recipient.address is None:
            raise missing(f"{path}.address")
    if recipient.phone_number and not _PHONE.match(recipient.phone_number):
        detail = f"`{recipient.phone_number}` is not a valid phone number."
        raise bad_request("INVALID_PHONE_NUMBER", detail, f"{path}.phone_number")
    if recipient.email_address and not _EMAIL.match(recipient.email_address):
        detail = f"`{recipient.email_address}` is not a valid e-mail address."
        raise bad_request("INVALID_EMAIL_ADDRESS", detail, f"{path}.email_address")


def _start(world: World, fulfilment: Fulfilment) -> None:
    now = world.clock.now()
    if (pickup := fulfilment.pickup_details) is not None:
        pickup.placed_at = written(now)
        pickup.schedule_type = pickup.schedule_type or "SCHEDULED"
        if pickup.schedule_type == "ASAP":
            preparation = (
                read_duration(pickup.prep_time_duration, "")
                if pickup.prep_time_duration
                else timedelta()
            )
            pickup.pickup_at = written(now + preparation)
    if (delivery := fulfilment.delivery_details) is not None:
        delivery.placed_at = written(now)
        delivery.schedule_type = delivery.schedule_type or "SCHEDULED"
        if delivery.schedule_type == "ASAP" and delivery.prep_time_duration:
            delivery.deliver_at = written(now + read_duration(delivery.prep_time_duration, ""))


def move(world: World, fulfilment: Fulfilment, state: FulfilmentState, path: str) -> None:
    """Moves a fulfilment to a state and notes the time. Forward only, and not out of a terminal state.

    unconfirmed: whether steps may be left out, as they may be here; sandbox updates would tell.
    """
    present = fulfilment.state or "PROPOSED"
    if present == state:
        return
    backward = state in _PROGRESS and _PROGRESS.index(state) < (
        _PROGRESS.index(present) if present in _PROGRESS else len(_PROGRESS)
    )
    if present in TERMINAL or backward:
        detail = f"A fulfillment can't go from {present} to {state}."
        raise bad_request("BAD_REQUEST", detail, f"{path}.state")
    fulfilment.state = state
    now = written(world.clock.now())
    if fulfilment.pickup_details is not None and state in _PICKUP_TIMES:
        setattr(fulfilment.pickup_details, _PICKUP_TIMES[state], now)
    if fulfilment.delivery_details is not None and state in _DELIVERY_TIMES:
        setattr(fulfilment.delivery_details, _DELIVERY_TIMES[state], now)
