"""Updating an order: a sparse order laid over the stored one (spec: UpdateOrder; documentation: Update orders).

Entries of a list are matched by `uid`; those without a match are added. `fields_to_clear` holds
paths such as `discounts` or `line_items[uid].note`. A repeated key is answered with the latest
version of the order and changes nothing, whatever its body says (the same pages).
"""

from __future__ import annotations

import re
from typing import TypeAlias, cast

from pydantic import ValidationError

from tillpost.simulator import Answer, Call
from tillpost_simulators.square.order_adjustments import complete_adjustments
from tillpost_simulators.square.errors import bad_request, malformed
from tillpost_simulators.square.fulfilments import TERMINAL, check_fulfilment, move
from tillpost_simulators.square.order_lines import complete_lines
from tillpost_simulators.square.orders import READ_ONLY, changed, check_version, close, find_order
from tillpost_simulators.square.order_pricing import price
from tillpost_simulators.square.request_bodies import UpdateOrder
from tillpost_simulators.square.wire import Fulfilment, Order, read
from tillpost_simulators.square.world import Replay, StoredOrder, World

Json: TypeAlias = dict[str, object]

_FIXED = (*READ_ONLY, "source")
_PRICED = ("line_items", "taxes", "discounts", "service_charges", "pricing_options")
_STEP = re.compile(r"^(?P<name>\w+)(?:\[(?P<uid>[^\]]+)\])?$")


def update_order(world: World, call: Call) -> Answer:
    """spec: UpdateOrder. Needs the present version; a closed order can't be updated."""
    asked = read(UpdateOrder, call.body)
    stored = find_order(world, call.path_values["order_id"])
    seen = ("UpdateOrder", f"{stored.id} {asked.idempotency_key}")
    if asked.idempotency_key and seen in world.replays:
        return Answer.of({"order": stored.order.written()})
    _check_sparse(stored, asked.order)
    before = stored.order.written()
    wanted = _laid_over(
        before, {name: value for name, value in asked.order.items() if name not in _FIXED}
    )
    for path in asked.fields_to_clear or ():
        _clear(wanted, path)
    try:
        order = Order.model_validate(wanted)
    except ValidationError as error:
        raise malformed(error, "order") from error
    _apply(world, stored, order, before, asked.order)
    answer = Answer.of({"order": stored.order.written()})
    if asked.idempotency_key:
        world.replays[seen] = Replay("", answer)
    return answer


def _check_sparse(stored: StoredOrder, sparse: Json) -> None:
    version = sparse.get("version")
    if version is None:
        raise bad_request(
            "BAD_REQUEST", "Missing required parameter.", "order.version"
        )  # developer forum 13601
    if not isinstance(version, int) or isinstance(version, bool):
        raise bad_request("EXPECTED_INTEGER", "Expected an integer value.", "order.version")
    check_version(stored, version, "order.version")
    if stored.order.state in ("COMPLETED", "CANCELED"):
        # unconfirmed: the text; a sandbox update of a closed order would tell.
        raise bad_request(
            "BAD_REQUEST", f"Order is already in state {stored.order.state}.", "order.state"
        )
    if sparse.get("location_id", stored.order.location_id) != stored.order.location_id:
        raise bad_request(
            "BAD_REQUEST", "An order's location can't be changed.", "order.location_id"
        )


def _apply(world: World, stored: StoredOrder, order: Order, before: Json, sparse: Json) -> None:
    """Carries out what the caller wants of the order: first its parts, then its own state."""
    present = stored.order
    state_wanted, order.state = order.state, present.state
    if any(order.written().get(name) != before.get(name) for name in _PRICED):
        if stored.settled:
            # Developer forum 9477, word for word.
            detail = "LineItems cannot be modified for finalized tenders."
            raise bad_request("BAD_REQUEST", detail, "order.line_items")
        complete_lines(world, order, settled=_unchanged_lines(present, order))
        complete_adjustments(world, order)
        price(world, order)
        order.net_amount_due_money = order.total_money
    _move_fulfilments(world, present, order, sparse)
    if state_wanted != present.state:
        _change_state(world, stored, order, state_wanted)
    elif (
        stored.settled
        and order.fulfillments
        and all(f.state in TERMINAL for f in order.fulfillments)
    ):
        # unconfirmed: that a paid order closes with its last fulfilment; a sandbox update would
        # tell.
        close(world, order, "COMPLETED")
    if order.written() != before:
        changed(world, order)
    stored.order = order


def _unchanged_lines(present: Order, order: Order) -> set[str]:
    """The uids of the lines that are as they were. A changed one is looked up in the catalogue as it is now."""
    known = {line.uid: line for line in present.line_items or ()}
    unchanged: set[str] = set()
    for line in order.line_items or ():
        old = known.get(line.uid)
        if old is None or line.uid is None:
            continue
        if line.written() == old.written():
            unchanged.add(line.uid)
        elif line.catalog_version == old.catalog_version:
            line.catalog_version = None
    return unchanged


def _move_fulfilments(world: World, present: Order, order: Order, sparse: Json) -> None:
    known = {fulfilment.uid: fulfilment for fulfilment in present.fulfillments or ()}
    sent = sparse.get("fulfillments")
    places = [_uid(entry) for entry in cast("list[object]", sent)] if isinstance(sent, list) else []
    for fulfilment in order.fulfillments or ():
        path = (
            f"order.fulfillments[{places.index(fulfilment.uid) if fulfilment.uid in places else 0}]"
        )
        old = known.get(fulfilment.uid)
        if old is None:
            # unconfirmed: whether a fulfilment may be added later; the spec only limits creation to
            # one, and an UpdateOrder that adds one in a sandbox would tell.
            raise bad_request(
                "INVALID_VALUE", f"There is no fulfillment `{fulfilment.uid}`.", f"{path}.uid"
            )
        wanted, fulfilment.state = fulfilment.state, old.state
        if _differs(fulfilment, old):
            check_fulfilment(world, fulfilment, path)
        if wanted is not None:
            move(world, fulfilment, wanted, path)


def _differs(fulfilment: Fulfilment, old: Fulfilment) -> bool:
    return fulfilment.written() != old.written()


def _change_state(world: World, stored: StoredOrder, order: Order, wanted: str | None) -> None:
    """OPEN to COMPLETED when paid for, OPEN to CANCELED when not; in both cases with every fulfilment at its end.

    unconfirmed: the texts, and whether a paid order can be cancelled without a refund; sandbox
    updates would tell.
    """
    if wanted not in ("COMPLETED", "CANCELED", "OPEN") or (
        wanted == "OPEN" and stored.order.state != "DRAFT"
    ):
        raise bad_request(
            "INVALID_VALUE",
            f"An order can't go from {stored.order.state} to {wanted}.",
            "order.state",
        )
    if wanted == "OPEN":
        order.state = "OPEN"
        return
    if any(fulfilment.state not in TERMINAL for fulfilment in order.fulfillments or ()):
        detail = f"An order can't be {wanted} while it has fulfillments that are under way."
        raise bad_request("BAD_REQUEST", detail, "order.state")
    if wanted == "COMPLETED" and not stored.settled:
        raise bad_request(
            "BAD_REQUEST", "An order can't be COMPLETED before it is paid for.", "order.state"
        )
    if wanted == "CANCELED" and stored.settled and stored.paid:
        raise bad_request("BAD_REQUEST", "A paid order can't be CANCELED.", "order.state")
    close(world, order, wanted)


def _laid_over(stored: Json, sparse: Json) -> Json:
    """`stored` with the fields of `sparse` in place of its own; null clears."""
    result = dict(stored)
    for name, value in sparse.items():
        present = result.get(name)
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict) and isinstance(present, dict):
            result[name] = _laid_over(cast("Json", present), cast("Json", value))
        elif isinstance(value, list) and isinstance(present, list):
            result[name] = _entries_over(cast("list[object]", present), cast("list[object]", value))
        else:
            result[name] = value
    return result


def _entries_over(stored: list[object], sparse: list[object]) -> list[object]:
    result = list(stored)
    for entry in sparse:
        place = next(
            (
                i
                for i, old in enumerate(result)
                if _uid(old) is not None and _uid(old) == _uid(entry)
            ),
            None,
        )
        if place is None:
            result.append(entry)
        else:
            result[place] = _laid_over(cast("Json", result[place]), cast("Json", entry))
    return result


def _uid(entry: object) -> object:
    return cast("Json", entry).get("uid") if isinstance(entry, dict) else None


def _clear(order: Json, path: str) -> None:
    """Takes a field out, or an entry of a list: `discounts`, `line_items[uid]`, `line_items[uid].note`."""
    *steps, last = path.split(".")
    inside: Json | None = order
    for step in steps:
        inside = _step(inside, step)
    match = _STEP.match(last)
    if inside is None or match is None or match["name"] in READ_ONLY:
        raise bad_request("INVALID_VALUE", f"`{path}` can't be cleared.", "fields_to_clear")
    if match["uid"] is None:
        inside.pop(match["name"], None)
        return
    entries = inside.get(match["name"])
    if isinstance(entries, list):
        inside[match["name"]] = [
            entry for entry in cast("list[object]", entries) if _uid(entry) != match["uid"]
        ]


def _step(inside: Json | None, step: str) -> Json | None:
    match = _STEP.match(step)
    value = inside.get(match["name"]) if inside is not None and match is not None else None
    if match is not None and match["uid"] is not None and isinstance(value, list):
        value = next(
            (entry for entry in cast("list[object]", value) if _uid(entry) == match["uid"]), None
        )
    return cast("Json", value) if isinstance(value, dict) else None
