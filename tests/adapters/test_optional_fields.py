"""On every platform: an optional field that is refused doesn't fail a paid order."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from adapters.in_process import InProcess
from adapters.menu_shops import shop_of
from adapters.sample_orders import plain_order
from tillpost import OrderError, Policy, Till
from tillpost.errors.remedies import Actor
from tillpost.models.order import Delivery, Order
from tillpost.simulator import LedgerEntry, Simulator
from tillpost_simulators.generic import GenericSimulator
from tillpost_simulators.kounta import KountaSimulator
from tillpost_simulators.square import SquareSimulator

PHONE = "+61400111222"
EMAIL = "mia@example.com"
NO_WAIT = Policy(first_wait=0, longest_wait=0)
ADDRESSES = {
    "generic": "https://pos.example",
    "kounta": "http://127.0.0.1",
    "square": "https://square.example",
}
SIMULATORS: Mapping[str, Callable[[], Simulator]] = {
    "generic": GenericSimulator,
    "kounta": KountaSimulator,
    "square": SquareSimulator,
}

KOUNTA_REFUSALS = {"customer": "Customer was not found.", "due_at": "fulfil_at is in the past."}


class Store:
    """A simulated store of a platform, which refuses one field of every order that has it."""

    def __init__(
        self, platform: str, refused: str = "", policy: Policy = NO_WAIT, **settings: Any
    ) -> None:
        self.platform = platform
        self.simulator = SIMULATORS[platform]()
        self.refused = refused
        self.creates = 0
        self.refuse: Callable[[httpx.Request], httpx.Response | None] = lambda _: None
        if isinstance(self.simulator, GenericSimulator) and refused:
            self.simulator.refuse_orders("OrderError", order_field=refused)
        if isinstance(self.simulator, SquareSimulator):
            contacts = {"customer.phone": PHONE, "customer.email": EMAIL}
            self.simulator.refuse_contact(contacts.get(refused, ""))
        settings = {**self.simulator.connection_settings(ADDRESSES[platform]), **settings}
        client = httpx.Client(transport=InProcess(self.simulator, self._answer))
        self.till = Till.connect(platform, policy=policy, http_client=client, **settings)

    def _answer(
        self, request: httpx.Request, _: int, carry_out: Callable[[], httpx.Response]
    ) -> httpx.Response:
        is_create = request.method == "POST" and request.url.path.partition(".")[0].endswith(
            "/orders"
        )
        self.creates += is_create
        kounta_field = {"customer": b'"customer_id":', "due_at": b'"fulfil_at"'}
        field = kounta_field.get(self.refused, b"no such field")
        if self.platform == "kounta" and is_create and field in request.content:
            return httpx.Response(400, json={"error_description": KOUNTA_REFUSALS[self.refused]})
        square_time = self.platform == "square" and self.refused == "due_at"
        if square_time and is_create and b'"pickup_at"' in request.content:
            field_name = "order.fulfillments[0].pickup_details.pickup_at"
            error = {"category": "INVALID_REQUEST_ERROR", "code": "INVALID_TIME"}
            return httpx.Response(400, json={"errors": [error | {"field": field_name}]})
        refusal = self.refuse(request) if is_create else None
        return refusal or carry_out()

    @property
    def entry(self) -> LedgerEntry:
        """The one order on the register."""
        (entry,) = self.simulator.ledger().shown
        return entry


@contextmanager
def store(platform: str, refused: str = "", **options: Any) -> Generator[Store]:
    opened = Store(platform, refused, **options)
    with opened.till:
        yield opened


def shown(entry: LedgerEntry) -> str:
    return "\n".join([entry.note, *(line.note for line in entry.lines)])


def due(minutes: float) -> Order:
    at = datetime.now(UTC) + timedelta(minutes=minutes)
    return plain_order(fulfilment={"type": "pickup", "due_at": at.isoformat()})


@pytest.mark.parametrize(
    ("platform", "field", "text"),
    [
        ("square", "customer.phone", PHONE),
        ("square", "customer.email", EMAIL),
        ("kounta", "customer", EMAIL),
        ("generic", "customer", EMAIL),
        ("generic", "customer.phone", PHONE),
        ("generic", "customer.email", EMAIL),
    ],
)
def test_refused_contact_is_in_the_note_of_an_order_that_arrives(
    platform: str, field: str, text: str
) -> None:
    with store(platform, field) as opened:
        made = opened.till.submit(plain_order())
        assert opened.creates == 2
        assert text in shown(opened.entry)
        assert any("in the note" in notice for notice in made.notices)


@pytest.mark.parametrize("platform", SIMULATORS)
@pytest.mark.parametrize("minutes", [-120, 0])
def test_past_time_arrives_as_soon_as_possible(platform: str, minutes: float) -> None:
    with store(platform) as opened:
        made = opened.till.submit(due(minutes))
        assert opened.creates == 1
        assert "now as soon as possible" in shown(opened.entry)
        assert any("as soon as possible" in notice for notice in made.notices)


@pytest.mark.parametrize("platform", SIMULATORS)
def test_refused_time_arrives_as_soon_as_possible(platform: str) -> None:
    """The platform's clock is ahead, or the store needs more time than there is."""
    with store(platform, "due_at") as opened:
        made = opened.till.submit(due(30))
        assert opened.creates == 2
        assert "now as soon as possible" in shown(opened.entry)
        assert any("as soon as possible" in notice for notice in made.notices)


@pytest.mark.parametrize("platform", ["square", "kounta"])
def test_refused_field_that_an_order_lacks_is_sent_once(platform: str) -> None:
    """As soon as possible, and without a customer: neither a time nor a phone number is sent."""
    shop = shop_of(platform)
    creates: list[bytes] = []
    phone = "order.fulfillments[0].pickup_details.recipient.phone_number"
    in_square = {"category": "INVALID_REQUEST_ERROR", "code": "VALUE_TOO_LONG", "field": phone}
    answers = {
        "square": {"errors": [in_square]},
        "kounta": {"error_description": "placed_at is in the past."},
    }

    def refuse(request: httpx.Request) -> httpx.Response | None:
        if request.method != "POST" or not request.url.path.endswith(("orders", "orders.json")):
            return None
        creates.append(request.content)
        return httpx.Response(400, json=answers[platform])

    shop.refuse = refuse
    error = shop.refused(plain_order(customer=None))
    assert isinstance(error, OrderError)
    assert len(creates) == 1
    assert error.remedy.actor is Actor.DEVELOPER
    assert "time" not in error.remedy.manager


@pytest.mark.parametrize("platform", SIMULATORS)
def test_refused_time_weeks_ahead_sends_nothing_to_the_kitchen(platform: str) -> None:
    with store(platform, "due_at") as opened:
        with pytest.raises(OrderError) as caught:
            opened.till.submit(due(21 * 24 * 60))
        assert opened.creates == 1
        assert not opened.simulator.ledger().entries
        assert caught.value.reason == "early"


@pytest.mark.parametrize("platform", SIMULATORS)
def test_policy_refuses_a_past_time_before_sending(platform: str) -> None:
    with store(platform, policy=Policy(past_due="refuse")) as opened:
        with pytest.raises(OrderError, match="has passed") as caught:
            opened.till.submit(due(-1))
        assert opened.creates == 0
        assert caught.value.reason == "late"


@pytest.mark.parametrize("platform", SIMULATORS)
def test_allergy_at_the_end_of_a_long_note_is_on_the_register(platform: str) -> None:
    note = f"{'Please ring the bell twice. ' * 60}SEVERE PEANUT ALLERGY"
    with store(platform) as opened:
        opened.till.submit(plain_order(note=note))
        assert "SEVERE PEANUT ALLERGY" in shown(opened.entry)


def square_refuses(path: str, code: str = "INVALID_VALUE", value: str = "") -> Any:
    """Return what refuses each create that has a text in a field, by the field's path."""
    names = path.split(".")

    def refuse(request: httpx.Request) -> httpx.Response | None:
        order = json.loads(request.content)["order"]
        details: Any = {"ticket_name": order["ticket_name"]}
        for fulfilment in order["fulfillments"]:
            details |= fulfilment.get("delivery_details") or fulfilment["pickup_details"]
        for name in names:
            details = details.get(name) or {}
        if not details or (value and details != value):
            return None
        field = f"order.fulfillments[0].delivery_details.{path}"
        error = {"category": "INVALID_REQUEST_ERROR", "code": code, "field": field}
        return httpx.Response(400, json={"errors": [error]})

    return refuse


DELIVERED = {
    "type": "delivery",
    "address": {
        "line1": "1 High St",
        "line2": "Flat 2",
        "city": "Leeds",
        "region": "Yorks",
        "postcode": "ABC",
        "country": "GB",
    },
    "instructions": "Ring twice",
}
SEATED = {"type": "dine_in", "table": "5", "guests": 120}
CURBSIDE = {"type": "pickup", "curbside": {"details": "red car"}}
MIA = {"name": "Mia \U0001f600", "phone": PHONE}
SQUARE_PARTS = [
    ("recipient.address.country", "INVALID_ENUM_VALUE", DELIVERED, "Country: GB"),
    ("recipient.address.postal_code", "INVALID_POSTAL_CODE", DELIVERED, "Postcode: ABC"),
    ("recipient.address.locality", "INVALID_VALUE", DELIVERED, "City: Leeds"),
    ("recipient.address.address_line_1", "VALUE_TOO_LONG", DELIVERED, "1 High St, Flat 2, Leeds"),
    ("dropoff_notes", "VALUE_TOO_LONG", DELIVERED, "Ring twice"),
    ("curbside_pickup_details.curbside_details", "VALUE_TOO_LONG", CURBSIDE, "red car"),
]


@pytest.mark.parametrize(("path", "code", "fulfilment", "text"), SQUARE_PARTS)
def test_refused_part_of_the_handover_is_in_squares_note(
    path: str, code: str, fulfilment: dict[str, Any], text: str
) -> None:
    with store("square", delivery_as_pickup=False) as opened:
        opened.refuse = square_refuses(path, code)
        made = opened.till.submit(plain_order(customer=MIA, fulfilment=fulfilment))
        assert opened.creates == 2
        (entry,) = opened.simulator.ledger().entries
        assert text in shown(entry)
        assert any("in the note" in notice for notice in made.notices)


def test_refused_name_is_in_squares_note() -> None:
    with store("square") as opened:
        opened.refuse = square_refuses("recipient.display_name", value=MIA["name"])
        opened.till.submit(plain_order(customer=MIA))
        assert f"Name: {MIA['name']}" in shown(opened.entry)


def test_refused_table_is_in_squares_note() -> None:
    with store("square") as opened:
        opened.refuse = square_refuses("ticket_name", value="B42 table 5")
        opened.till.submit(plain_order(fulfilment=SEATED))
        assert "TABLE: 5\nGUESTS: 120" in shown(opened.entry)


def test_refused_guests_are_in_kountas_note() -> None:
    def refuse(request: httpx.Request) -> httpx.Response | None:
        too_many = (json.loads(request.content).get("guests") or 0) > 99
        text = {"error_description": "guests must be at most 99"}
        return httpx.Response(400, json=text) if too_many else None

    with store("kounta") as opened:
        opened.refuse = refuse
        opened.till.submit(plain_order(fulfilment=SEATED))
        assert "GUESTS: 120" in shown(opened.entry)


@pytest.mark.parametrize(
    ("field", "fulfilment", "text"),
    [
        ("fulfilment.address", DELIVERED, "1 High St, Flat 2, Leeds"),
        ("fulfilment.address.country", DELIVERED, "Country: GB"),
        ("fulfilment.table", SEATED, "TABLE: 5"),
        ("fulfilment.guests", SEATED, "GUESTS: 120"),
        ("fulfilment.curbside", CURBSIDE, "CURBSIDE: red car"),
        ("customer.name", CURBSIDE, f"Name: {MIA['name']}"),
    ],
)
def test_refused_part_is_in_the_remarks_of_a_generic_pos(
    field: str, fulfilment: dict[str, Any], text: str
) -> None:
    with store("generic", field) as opened:
        opened.till.submit(plain_order(customer=MIA, fulfilment=fulfilment))
        assert opened.creates == 2
        assert text in shown(opened.entry)


def test_country_is_sent_by_its_code_in_iso_3166() -> None:
    in_uk = {"type": "delivery", "address": {"line1": "1 High St", "country": "UK"}}
    order = plain_order(customer=MIA, fulfilment=in_uk)
    with store("square", delivery_as_pickup=False) as opened:
        opened.refuse = square_refuses("recipient.address.country", "INVALID_ENUM_VALUE", "UK")
        opened.till.submit(order)
        assert opened.creates == 1
    assert isinstance(order.fulfilment, Delivery)
    assert order.fulfilment.address.country == "GB"
