"""Operation that updates an order (spec: UpdateOrder).

Source beside the spec: developer documentation, Update orders.

A request has a sparse order, which is merged into the stored one. Entries of a list are matched by
`uid`; those without a match are added. `fields_to_clear` has paths such as `discounts` or
`line_items[uid].note`. A repeated idempotency key is answered with the latest version of the order
and changes nothing, whatever its body is (the same pages).
"""

from __future__ import annotations

import re
from typing import TypeAlias, cast

from pydantic import ValidationError

from tillpost.simulator import Answer, Call
from tillpost_simulators.square.errors import bad_request, malformed
from tillpost_simulators.square.fulfilments import TERMINAL, check_fulfilment, move
from tillpost_simulators.square.order_adjustments import complete_adjustments
from tillpost_simulators.square.order_lines import complete_lines
from tillpost_simulators.square.order_pricing import price
from tillpost_simulators.square.orders import (
    READ_ONLY,
    check_version,
    close,
    find_order,
    mark_changed,
)
from tillpost_simulators.square.request_bodies import UpdateOrder
from tillpost_simulators.square.wire import Order, parse_body
from tillpost_simulators.square.world import Replay, StoredOrder, World

Json: TypeAlias = dict[str, object]

_FIXED_FIELDS = (*READ_ONLY, "source")
_PRICED_FIELDS = ("line_items", "taxes", "discounts", "service_charges", "pricing_options")
_STEP = re.compile(r"^(?P<name>\w+)(?:\[(?P<uid>[^\]]+)\])?$")


def update_order(world: World, call: Call) -> Answer:
    """Update an order (spec: UpdateOrder).

    Needs the current version; a closed order can't be updated.
    """
    body = parse_body(UpdateOrder, call.body)
    stored = find_order(world, call.path_values["order_id"])
    key = ("UpdateOrder", f"{stored.id} {body.idempotency_key}")
    if body.idempotency_key and key in world.replays:
        return Answer.of({"order": stored.order.written()})
    _check_sparse(stored, body.order)
    order = _merged_order(stored, body)
    _apply(world, stored, order, body.order)
    answer = Answer.of({"order": stored.order.written()})
    if body.idempotency_key:
        world.replays[key] = Replay("", answer)
    return answer


def _check_sparse(stored: StoredOrder, sparse: Json) -> None:
    version = sparse.get("version")
    if version is None:
        # Code, text and field as seen (developer forum 13601).
        raise bad_request("BAD_REQUEST", "Missing required parameter.", "order.version")
    if not isinstance(version, int) or isinstance(version, bool):
        raise bad_request("EXPECTED_INTEGER", "Expected an integer value.", "order.version")
    check_version(stored, version, "order.version")
    order = stored.order
    if order.state in ("COMPLETED", "CANCELED"):
        # unconfirmed: the text; a sandbox update of a closed order would show it.
        detail = f"Order is already in state {order.state}."
        raise bad_request("BAD_REQUEST", detail, "order.state")
    if sparse.get("location_id", order.location_id) != order.location_id:
        detail = "An order's location can't be changed."
        raise bad_request("BAD_REQUEST", detail, "order.location_id")


def _merged_order(stored: StoredOrder, body: UpdateOrder) -> Order:
    """Return the stored order with the changes of a request.

    It isn't checked or priced yet.
    """
    sent = body.order.items()
    changes = {name: value for name, value in sent if name not in _FIXED_FIELDS}
    merged = _merge(stored.order.written(), changes)
    for path in body.fields_to_clear or ():
        _clear(merged, path)
    try:
        return Order.model_validate(merged)
    except ValidationError as error:
        raise malformed(error, "order") from error


def _apply(
    world: World,
    stored: StoredOrder,
    order: Order,
    sparse: Json,
) -> None:
    """Check and price the merged order, and store it.

    Its fulfilments and its state are moved.
    """
    current = stored.order
    before = current.written()
    new_state = order.state
    order.state = current.state
    merged = order.written()
    if any(merged.get(name) != before.get(name) for name in _PRICED_FIELDS):
        if stored.settled:
            # Developer forum 9477, word for word.
            detail = "LineItems cannot be modified for finalized tenders."
            raise bad_request("BAD_REQUEST", detail, "order.line_items")
        complete_lines(world, order, unchanged=_unchanged_lines(current, order))
        complete_adjustments(world, order)
        price(world, order)
        order.net_amount_due_money = order.total_money
    _move_fulfilments(world, current, order, sparse)
    if new_state != current.state:
        _change_state(world, stored, order, new_state)
    elif stored.settled and order.fulfillments and not _has_open_fulfilment(order):
        # unconfirmed: that a paid order closes with its last fulfilment; a sandbox update would
        # show it.
        close(world, order, "COMPLETED")
    if order.written() != before:
        mark_changed(world, order)
    stored.order = order


def _unchanged_lines(current: Order, order: Order) -> set[str]:
    """Return the uids of the unchanged lines.

    A changed line is checked against the catalogue as it is now, so its old version is dropped.
    """
    current_lines = {line.uid: line for line in current.line_items or ()}
    unchanged: set[str] = set()
    for line in order.line_items or ():
        old = current_lines.get(line.uid)
        if old is None or line.uid is None:
            continue
        if line.written() == old.written():
            unchanged.add(line.uid)
        elif line.catalog_version == old.catalog_version:
            line.catalog_version = None
    return unchanged


# --- fulfilments and state ---


def _move_fulfilments(
    world: World,
    current: Order,
    order: Order,
    sparse: Json,
) -> None:
    current_fulfilments = {fulfilment.uid: fulfilment for fulfilment in current.fulfillments or ()}
    sent = sparse.get("fulfillments")
    sent_uids: list[object] = []
    if isinstance(sent, list):
        sent_uids = [_uid(entry) for entry in cast("list[object]", sent)]
    for fulfilment in order.fulfillments or ():
        index = sent_uids.index(fulfilment.uid) if fulfilment.uid in sent_uids else 0
        path = f"order.fulfillments[{index}]"
        old = current_fulfilments.get(fulfilment.uid)
        if old is None:
            # unconfirmed: whether a fulfilment may be added later; the spec only limits creation to
            # one, and an UpdateOrder that adds one in a sandbox would show it.
            detail = f"There is no fulfillment `{fulfilment.uid}`."
            raise bad_request("INVALID_VALUE", detail, f"{path}.uid")
        new_state = fulfilment.state
        fulfilment.state = old.state
        if fulfilment.written() != old.written():
            check_fulfilment(world, fulfilment, path)
        if new_state is not None:
            move(world, fulfilment, new_state, path)


def _has_open_fulfilment(order: Order) -> bool:
    return any(fulfilment.state not in TERMINAL for fulfilment in order.fulfillments or ())


def _change_state(
    world: World,
    stored: StoredOrder,
    order: Order,
    state: str | None,
) -> None:
    """Change an order's state.

    A paid order can go from OPEN to COMPLETED, an unpaid one to CANCELED, both with every
    fulfilment in a terminal state. A draft can become OPEN.

    unconfirmed: the texts, and whether a paid order can be cancelled without a refund; sandbox
    updates would show it.
    """
    current_state = stored.order.state
    if state == "OPEN" and current_state == "DRAFT":
        order.state = "OPEN"
        return
    if state not in ("COMPLETED", "CANCELED"):
        detail = f"An order can't go from {current_state} to {state}."
        raise bad_request("INVALID_VALUE", detail, "order.state")
    if _has_open_fulfilment(order):
        detail = f"An order can't be {state} while it has fulfillments that are under way."
        raise bad_request("BAD_REQUEST", detail, "order.state")
    if state == "COMPLETED" and not stored.settled:
        detail = "An order can't be COMPLETED before it is paid for."
        raise bad_request("BAD_REQUEST", detail, "order.state")
    if state == "CANCELED" and stored.settled and stored.paid:
        raise bad_request("BAD_REQUEST", "A paid order can't be CANCELED.", "order.state")
    close(world, order, state)


# --- merging ---


def _merge(stored: Json, sparse: Json) -> Json:
    """Return `stored` with the fields of `sparse`; null clears a field."""
    merged = dict(stored)
    for name, value in sparse.items():
        current = merged.get(name)
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict) and isinstance(current, dict):
            merged[name] = _merge(cast("Json", current), cast("Json", value))
        elif isinstance(value, list) and isinstance(current, list):
            old_entries = cast("list[object]", current)
            new_entries = cast("list[object]", value)
            merged[name] = _merge_entries(old_entries, new_entries)
        else:
            merged[name] = value
    return merged


def _merge_entries(stored: list[object], sparse: list[object]) -> list[object]:
    merged = list(stored)
    for entry in sparse:
        index = _index_of(_uid(entry), merged)
        if index is None:
            merged.append(entry)
        else:
            old = cast("Json", merged[index])
            merged[index] = _merge(old, cast("Json", entry))
    return merged


def _index_of(uid: object, entries: list[object]) -> int | None:
    if uid is None:
        return None
    for index, entry in enumerate(entries):
        if _uid(entry) == uid:
            return index
    return None


def _uid(entry: object) -> object:
    if not isinstance(entry, dict):
        return None
    return cast("Json", entry).get("uid")


# --- clearing ---


def _clear(order: Json, path: str) -> None:
    """Remove a field or an entry of a list.

    Paths are such as `discounts`, `line_items[uid]` or `line_items[uid].note`.
    """
    *steps, last = path.split(".")
    parent: Json | None = order
    for step in steps:
        parent = _descend(parent, step)
    match = _STEP.match(last)
    if parent is None or match is None or match["name"] in READ_ONLY:
        raise bad_request("INVALID_VALUE", f"`{path}` can't be cleared.", "fields_to_clear")
    name = match["name"]
    uid = match["uid"]
    if uid is None:
        parent.pop(name, None)
        return
    entries = parent.get(name)
    if isinstance(entries, list):
        parent[name] = [entry for entry in cast("list[object]", entries) if _uid(entry) != uid]


def _descend(parent: Json | None, step: str) -> Json | None:
    """Return the object at one step of a path, or None if there is none."""
    match = _STEP.match(step)
    if parent is None or match is None:
        return None
    value = parent.get(match["name"])
    uid = match["uid"]
    if uid is not None and isinstance(value, list):
        entries = cast("list[object]", value)
        index = _index_of(uid, entries)
        value = None if index is None else entries[index]
    if not isinstance(value, dict):
        return None
    return cast("Json", value)
