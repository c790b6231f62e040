"""Operation that searches orders, in pages (spec: SearchOrders).

It filters by location, state, time, fulfilment, source and customer. There is no filter by
`reference_id`: a caller who searches for an order of its own reads the location's recent ones and
compares.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
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
from tillpost_simulators.square.wire import Order, parse_body
from tillpost_simulators.square.world import StoredOrder, World, digest_of

_DEFAULT_LIMIT = 500
_CLOSED_STATES = frozenset({"COMPLETED", "CANCELED"})


@dataclass(frozen=True, slots=True)
class Cursor:
    """The end of a page.

    `query` is the digest of the search. Orders after `until`, the time of the first page, are in
    none of its pages. `key` and `number` are the sort key of the page's last order. `issued_at` is
    in epoch seconds.
    """

    query: str
    until: str
    key: str
    number: int
    issued_at: float


_CURSOR = TypeAdapter(Cursor)


def search_orders(world: World, call: Call) -> Answer:
    """Search orders (spec: SearchOrders)."""
    body = parse_body(SearchOrders, call.body)
    query = body.query or OrdersQuery()
    sort_field: SortField = query.sort.sort_field if query.sort else "CREATED_AT"
    is_descending = query.sort is None or query.sort.sort_order != "ASC"
    time_range = _time_range(query, sort_field)
    _check_locations(world, body)
    digest = _digest(body)
    cursor = _read_cursor(world, body.cursor, digest) if body.cursor else None
    until = cursor.until if cursor else written(world.clock.now())

    def sort_key(stored: StoredOrder) -> tuple[str, int]:
        return _time_of(stored, sort_field), stored.number

    found: list[StoredOrder] = []
    for stored in _searchable(world, body.location_ids):
        if not _matches(stored.order, query.filter or OrdersFilter()):
            continue
        if _is_within(_time_of(stored, sort_field), time_range, until):
            found.append(stored)
    found.sort(key=sort_key, reverse=is_descending)
    if cursor is not None:
        last_key = (cursor.key, cursor.number)
        if is_descending:
            found = [stored for stored in found if sort_key(stored) < last_key]
        else:
            found = [stored for stored in found if sort_key(stored) > last_key]
    size = min(body.limit or _DEFAULT_LIMIT, world.settings.orders_page_size)
    page = found[:size]
    answer = _page(page, entries_only=bool(body.return_entries))
    if len(found) > size:
        key, number = sort_key(page[-1])
        issued_at = world.clock.now().timestamp()
        answer["cursor"] = _write_cursor(Cursor(digest, until, key, number, issued_at))
    return Answer.of(answer)


# --- the request ---


def _check_locations(world: World, body: SearchOrders) -> None:
    for index, location_id in enumerate(body.location_ids):
        if location_id not in world.locations:
            # unconfirmed: how a location that isn't the merchant's is refused; a sandbox search
            # would show it.
            detail = f"Location `{location_id}` not found."
            raise bad_request("INVALID_VALUE", detail, f"location_ids[{index}]")


def _digest(body: SearchOrders) -> str:
    """Return a digest of the search, without its page."""
    query = body.model_dump(exclude={"cursor", "limit"}, mode="json")
    return digest_of(json.dumps(query).encode())


def _time_range(query: OrdersQuery, sort_field: SortField) -> TimeRange | None:
    """Return the time range to filter by.

    There can be one, and the search must be sorted by its field (SearchOrdersDateTimeFilter).

    unconfirmed: the codes of these refusals; sandbox searches would show it.
    """
    ranges = _time_ranges(query)
    if len(ranges) > 1:
        detail = "Only one time range can be filtered for."
        raise bad_request("CONFLICTING_PARAMETERS", detail, "query.filter.date_time_filter")
    if ranges and sort_field not in ranges:
        detail = "The sort field must match the field of the date time filter."
        raise bad_request("BAD_REQUEST", detail, "query.sort.sort_field")
    if sort_field == "CLOSED_AT" and not _selects_closed_only(query):
        detail = "Sorting by CLOSED_AT needs a state filter with closed states."
        raise bad_request("BAD_REQUEST", detail, "query.filter.state_filter")
    return next(iter(ranges.values()), None)


def _time_ranges(query: OrdersQuery) -> dict[SortField, TimeRange]:
    times = query.filter.date_time_filter if query.filter else None
    ranges: dict[SortField, TimeRange] = {}
    if times is None:
        return ranges
    if times.created_at is not None:
        ranges["CREATED_AT"] = times.created_at
    if times.updated_at is not None:
        ranges["UPDATED_AT"] = times.updated_at
    if times.closed_at is not None:
        ranges["CLOSED_AT"] = times.closed_at
    return ranges


def _selects_closed_only(query: OrdersQuery) -> bool:
    if query.filter is None or query.filter.state_filter is None:
        return False
    states = set(query.filter.state_filter.states)
    return bool(states) and states <= _CLOSED_STATES


# --- filters ---


def _searchable(world: World, location_ids: Sequence[str]) -> list[StoredOrder]:
    """Return the locations' orders that are old enough to be found."""
    lag = timedelta(seconds=world.settings.search_lag_seconds)
    latest = world.clock.now() - lag
    return [
        stored
        for stored in world.orders.values()
        if stored.order.location_id in location_ids and stored.created <= latest
    ]


def _matches(order: Order, wanted: OrdersFilter) -> bool:
    if wanted.state_filter is not None and order.state not in wanted.state_filter.states:
        return False
    sources = wanted.source_filter.source_names if wanted.source_filter else None
    if sources and (order.source is None or order.source.name not in sources):
        return False
    customers = wanted.customer_filter.customer_ids if wanted.customer_filter else None
    if customers and order.customer_id not in customers:
        return False
    if wanted.fulfillment_filter is None:
        return True
    fulfilments = order.fulfillments or []
    types = wanted.fulfillment_filter.fulfillment_types
    if types and not any(fulfilment.type in types for fulfilment in fulfilments):
        return False
    states = wanted.fulfillment_filter.fulfillment_states
    return not states or any(fulfilment.state in states for fulfilment in fulfilments)


def _is_within(moment: str, time_range: TimeRange | None, until: str) -> bool:
    """Return whether a time is within the range, whose ends belong to it.

    A range without an end ends when the first page was requested.
    """
    field = "query.filter.date_time_filter"
    start = ""
    end = until
    if time_range and time_range.start_at:
        start = written(read_time(time_range.start_at, f"{field}.start_at"))
    if time_range and time_range.end_at:
        end = written(read_time(time_range.end_at, f"{field}.end_at"))
    if end < start:
        raise bad_request("INVALID_TIME_RANGE", "The time range ends before it starts.", field)
    return start <= moment <= end


def _time_of(stored: StoredOrder, field: SortField) -> str:
    order = stored.order
    match field:
        case "CREATED_AT":
            return order.created_at or ""
        case "UPDATED_AT":
            return order.updated_at or ""
        case "CLOSED_AT":
            return order.closed_at or ""


# --- the answer ---


def _page(page: Sequence[StoredOrder], *, entries_only: bool) -> dict[str, object]:
    if not page:
        return {}
    if entries_only:
        return {"order_entries": [_entry(stored) for stored in page]}
    return {"orders": [stored.order.written() for stored in page]}


def _entry(stored: StoredOrder) -> dict[str, object]:
    return {
        "order_id": stored.id,
        "version": stored.order.version,
        "location_id": stored.order.location_id,
    }


def _write_cursor(cursor: Cursor) -> str:
    return base64.urlsafe_b64encode(_CURSOR.dump_json(cursor)).decode()


def _read_cursor(world: World, text: str, query: str) -> Cursor:
    """Read a cursor, which is valid for its own search only, and not for long."""
    try:
        cursor = _CURSOR.validate_json(base64.urlsafe_b64decode(text))
    except (ValidationError, ValueError):
        cursor = None
    if cursor is None or cursor.query != query:
        raise bad_request("INVALID_CURSOR", "The cursor is not valid for this query.", "cursor")
    age = world.clock.now().timestamp() - cursor.issued_at
    if age > world.settings.cursor_seconds:
        raise bad_request("INVALID_CURSOR", "The cursor has expired.", "cursor")
    return cursor
