"""Searching orders (spec: SearchOrders): by location, state, time, fulfilment, source and customer, in pages.

There is no filter by `reference_id`: who looks for an order of theirs reads the location's recent
ones and compares.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from pydantic import TypeAdapter, ValidationError

from tillpost.simulator import Answer, Call
from tillpost_simulators.square.clock import read_time, written
from tillpost_simulators.square.errors import bad_request
from tillpost_simulators.square.request_bodies import (
    OrdersFilter,
    OrdersQuery,
    SearchOrders,
    SortField,
    TimeRange,
)
from tillpost_simulators.square.wire import read
from tillpost_simulators.square.world import StoredOrder, World, digest_of


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ended, and of which query. What came after the first page began isn't in any of them."""

    query: str
    until: str
    key: str
    number: int


def search_orders(world: World, call: Call) -> Answer:
    """spec: SearchOrders."""
    asked = read(SearchOrders, call.body)
    query = asked.query or OrdersQuery()
    sort_field: SortField = query.sort.sort_field if query.sort else "CREATED_AT"
    descending = query.sort is None or query.sort.sort_order != "ASC"
    time_range = _time_range(query, sort_field)
    for index, location_id in enumerate(asked.location_ids):
        if location_id not in world.locations:
            # unconfirmed: how a location that isn't the merchant's is refused; a sandbox search
            # would tell.
            raise bad_request(
                "INVALID_VALUE", f"Location `{location_id}` not found.", f"location_ids[{index}]"
            )
    same = digest_of(
        json.dumps(asked.model_dump(exclude={"cursor", "limit"}, mode="json")).encode()
    )
    place = _read_cursor(asked.cursor, same) if asked.cursor else None
    until = place.until if place else written(world.clock.now())

    def key(stored: StoredOrder) -> tuple[str, int]:
        return _time_of(stored, sort_field), stored.number

    found = [
        stored
        for stored in world.orders.values()
        if stored.order.location_id in asked.location_ids
        and stored.created + timedelta(seconds=world.settings.search_lag_seconds)
        <= world.clock.now()
        and _matches(stored, query.filter or OrdersFilter())
        and _within(key(stored)[0], time_range, until)
    ]
    found.sort(key=key, reverse=descending)
    if place is not None:
        after = (place.key, place.number)
        found = [
            stored
            for stored in found
            if (key(stored) < after if descending else key(stored) > after)
        ]
    size = min(asked.limit or 500, world.settings.orders_page_size)
    page = found[:size]
    body: dict[str, object] = _page(page, entries=bool(asked.return_entries))
    if len(found) > size:
        last = key(page[-1])
        body["cursor"] = _write_cursor(Place(same, until, last[0], last[1]))
    return Answer.of(body)


def _page(page: Iterable[StoredOrder], *, entries: bool) -> dict[str, object]:
    if not entries:
        orders = [stored.order.written() for stored in page]
        return {"orders": orders} if orders else {}
    listed = [
        {
            "order_id": stored.id,
            "version": stored.order.version,
            "location_id": stored.order.location_id,
        }
        for stored in page
    ]
    return {"order_entries": listed} if listed else {}


def _time_range(query: OrdersQuery, sort_field: SortField) -> TimeRange | None:
    """The range to filter by. One at a time, and the sort must be by the same field (spec: SearchOrdersDateTimeFilter).

    unconfirmed: the codes of these refusals; sandbox searches would tell.
    """
    times = query.filter.date_time_filter if query.filter else None
    given = {
        name: value
        for name, value in (
            ("CREATED_AT", times.created_at if times else None),
            ("UPDATED_AT", times.updated_at if times else None),
            ("CLOSED_AT", times.closed_at if times else None),
        )
        if value is not None
    }
    if len(given) > 1:
        detail = "Only one time range can be filtered for."
        raise bad_request("CONFLICTING_PARAMETERS", detail, "query.filter.date_time_filter")
    if given and sort_field not in given:
        detail = "The sort field must match the field of the date time filter."
        raise bad_request("BAD_REQUEST", detail, "query.sort.sort_field")
    states = query.filter.state_filter.states if query.filter and query.filter.state_filter else []
    if sort_field == "CLOSED_AT" and (not states or not set(states) <= {"COMPLETED", "CANCELED"}):
        detail = "Sorting by CLOSED_AT needs a state filter with closed states."
        raise bad_request("BAD_REQUEST", detail, "query.filter.state_filter")
    return next(iter(given.values()), None)


def _within(moment: str, asked: TimeRange | None, until: str) -> bool:
    """Both ends are inside; without an end, it is the time of the first request for the cursor."""
    field = "query.filter.date_time_filter"
    start = (
        written(read_time(asked.start_at, f"{field}.start_at")) if asked and asked.start_at else ""
    )
    end = written(read_time(asked.end_at, f"{field}.end_at")) if asked and asked.end_at else until
    if end < start:
        raise bad_request("INVALID_TIME_RANGE", "The time range ends before it starts.", field)
    return start <= moment <= end


def _time_of(stored: StoredOrder, field: SortField) -> str:
    order = stored.order
    times = {
        "CREATED_AT": order.created_at,
        "UPDATED_AT": order.updated_at,
        "CLOSED_AT": order.closed_at,
    }
    return times[field] or ""


def _matches(stored: StoredOrder, asked: OrdersFilter) -> bool:
    order = stored.order
    if asked.state_filter is not None and order.state not in asked.state_filter.states:
        return False
    names = asked.source_filter.source_names if asked.source_filter else None
    if names and (order.source is None or order.source.name not in names):
        return False
    customers = asked.customer_filter.customer_ids if asked.customer_filter else None
    if customers and order.customer_id not in customers:
        return False
    wanted = asked.fulfillment_filter
    if wanted is None:
        return True
    fulfilments = order.fulfillments or []
    types, states = wanted.fulfillment_types, wanted.fulfillment_states
    return (not types or any(fulfilment.type in types for fulfilment in fulfilments)) and (
        not states or any(fulfilment.state in states for fulfilment in fulfilments)
    )


_PLACE = TypeAdapter(Place)


def _write_cursor(place: Place) -> str:
    return base64.urlsafe_b64encode(_PLACE.dump_json(place)).decode()


def _read_cursor(cursor: str, query: str) -> Place:
    """A cursor is good for the query that it came with, and no other."""
    try:
        place = _PLACE.validate_json(base64.urlsafe_b64decode(cursor))
    except (ValidationError, ValueError):
        place = None
    if place is None or place.query != query:
        raise bad_request("INVALID_CURSOR", "The cursor is not valid for this query.", "cursor")
    return place
