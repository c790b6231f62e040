"""Operations on the catalogue: list, search, retrieve, info (spec: /v2/catalog).

A list has no deleted objects; a search has them on request. Searching by attribute isn't simulated.
"""

from __future__ import annotations

import base64
from bisect import bisect_right
from collections.abc import Iterable, Sequence

from tillpost.simulator import Answer, Call
from tillpost_simulators.square import catalogue as c
from tillpost_simulators.square.catalogue_json import Json, written
from tillpost_simulators.square.clock import read_time
from tillpost_simulators.square.clock import written as time_written
from tillpost_simulators.square.errors import Problem, Refusal, bad_request, not_found
from tillpost_simulators.square.request_bodies import BatchRetrieveCatalog, SearchCatalog
from tillpost_simulators.square.wire import parse_body
from tillpost_simulators.square.world import World

_TOP_LEVEL_TYPES = frozenset({"ITEM", "CATEGORY", "TAX", "MODIFIER_LIST"})
_TYPES = frozenset(
    {
        "AVAILABILITY_PERIOD",
        "CATEGORY",
        "CUSTOM_ATTRIBUTE_DEFINITION",
        "DISCOUNT",
        "IMAGE",
        "ITEM",
        "ITEM_OPTION",
        "ITEM_OPTION_VAL",
        "ITEM_VARIATION",
        "MEASUREMENT_UNIT",
        "MODIFIER",
        "MODIFIER_LIST",
        "PRICING_RULE",
        "PRODUCT_SET",
        "QUICK_AMOUNTS_SETTINGS",
        "SUBSCRIPTION_PLAN",
        "SUBSCRIPTION_PLAN_VARIATION",
        "TAX",
        "TIME_PERIOD",
    }
)
_MAX_OBJECTS = 1000


# --- operations ---


def list_catalog(world: World, call: Call) -> Answer:
    """List the catalogue (spec: ListCatalog).

    `types` are in any case, separated by commas. By default all top-level types are listed.
    """
    names = call.query.get("types", "").split(",")
    named = [name.strip().upper() for name in names if name.strip()]
    types = _checked_types(named, "types") or _TOP_LEVEL_TYPES
    found = [
        entry
        for entry in world.catalogue.objects.values()
        if entry.type in types and not entry.is_deleted
    ]
    listed_types = ",".join(sorted(types))
    query = f"list {listed_types}"
    page_size = world.settings.page_size
    page, cursor = _page(world, found, call.query.get("cursor"), query, page_size)
    body = _body(world, page)
    return Answer.of(body | cursor)


def search_catalog(world: World, call: Call) -> Answer:
    """Search the catalogue (spec: SearchCatalogObjects).

    Finds what changed after `begin_time`, on request deleted objects too.
    """
    body = parse_body(SearchCatalog, call.body)
    _check_search(body)
    types = _checked_types(body.object_types or [], "object_types") or _TOP_LEVEL_TYPES
    begin = time_written(read_time(body.begin_time, "begin_time")) if body.begin_time else ""
    found: list[c.Entry] = []
    for entry in world.catalogue.objects.values():
        if entry.type not in types or entry.updated_at <= begin:
            continue
        if body.include_deleted_objects or not entry.is_deleted:
            found.append(entry)
    query = f"search {','.join(sorted(types))} {begin} {body.include_deleted_objects}"
    size = min(_limit(body), world.settings.page_size)
    page, cursor = _page(world, found, body.cursor, query, size)
    answer: Json = {"latest_time": world.catalogue.latest_time}
    answer |= _body(world, page, related=bool(body.include_related_objects))
    return Answer.of(answer | cursor)


def retrieve_object(world: World, call: Call) -> Answer:
    """Return one object (spec: RetrieveCatalogObject)."""
    object_id = call.path_values["object_id"]
    entry = world.catalogue.objects.get(object_id)
    if entry is None or entry.is_deleted:
        raise not_found(f"Catalog object with ID `{object_id}` not found.", "object_id")
    body: Json = {"object": written(world.catalogue, entry)}
    if call.query.get("include_related_objects") == "true":
        body |= _related_body(world, [entry])
    return Answer.of(body)


def batch_retrieve_objects(world: World, call: Call) -> Answer:
    """Return objects by their ids (spec: BatchRetrieveCatalogObjects).

    Unknown ids are left out.
    """
    body = parse_body(BatchRetrieveCatalog, call.body)
    found: list[c.Entry] = []
    for object_id in body.object_ids:
        entry = world.catalogue.objects.get(object_id)
        if entry is None:
            continue
        if body.include_deleted_objects or not entry.is_deleted:
            found.append(entry)
    return Answer.of(_body(world, found, related=bool(body.include_related_objects)))


def catalog_info(world: World, _: Call) -> Answer:
    """Return the catalogue's limits (spec: CatalogInfo).

    The limits are those of the spec's example.
    """
    limits = {
        "batch_retrieve_max_object_ids": _MAX_OBJECTS,
        "search_max_page_limit": _MAX_OBJECTS,
    }
    return Answer.of({"limits": limits})


# --- requests ---


def _checked_types(names: Sequence[str], field: str) -> frozenset[str]:
    for name in names:
        if name not in _TYPES:
            detail = f"`{name}` is not a valid enum value for `{field}`."
            raise bad_request("INVALID_ENUM_VALUE", detail, field)
    return frozenset(names)


def _check_search(body: SearchCatalog) -> None:
    if body.query is not None:
        detail = "The simulator doesn't search by attribute."
        raise Refusal(501, Problem("NOT_IMPLEMENTED", detail, "query"))
    if body.include_deleted_objects and body.include_category_path_to_root:
        detail = "Deleted objects and the category path can't be asked for together."
        raise bad_request("CONFLICTING_PARAMETERS", detail, "include_category_path_to_root")


def _limit(body: SearchCatalog) -> int:
    """Return the limit.

    One out of range is ignored (spec: SearchCatalogObjectsRequest.limit).
    """
    if body.limit is None or not 0 < body.limit <= _MAX_OBJECTS:
        return _MAX_OBJECTS
    return body.limit


# --- pages ---


def _page(
    world: World,
    found: list[c.Entry],
    cursor: str | None,
    query: str,
    size: int,
) -> tuple[list[c.Entry], Json]:
    """Return the objects of one page, and the cursor of the next page.

    There may be no next page. A cursor names the query, the last object of its page and its
    position, and the time. Unless pages shift, changes in between neither skip nor repeat other
    objects.
    """
    start = _start(world, found, cursor, query) if cursor else 0
    end = start + size
    page = found[start:end]
    if len(found) <= end:
        return page, {}
    now = world.clock.now().timestamp()
    next_cursor = f"{query}\n{page[-1].id}\n{end}\n{now}".encode()
    return page, {"cursor": base64.urlsafe_b64encode(next_cursor).decode()}


def _start(world: World, found: list[c.Entry], cursor: str, query: str) -> int:
    """Return where a cursor's page begins.

    A cursor is valid for its own query, and not for long. The lifetime is that of the developer
    documentation (Pagination).
    """
    try:
        text = base64.urlsafe_b64decode(cursor).decode()
        cursor_query, object_id, end, issued_at = text.split("\n")
        age = world.clock.now().timestamp() - float(issued_at)
        position = int(end)
    except ValueError:
        raise _invalid_cursor("The cursor is not valid.") from None
    if cursor_query != query or object_id not in world.catalogue.objects:
        raise _invalid_cursor("The cursor is not valid for this query.")
    if age > world.settings.cursor_seconds:
        raise _invalid_cursor("The cursor has expired.")
    if world.settings.shifting_pages:
        return position
    last_place = world.catalogue.objects[object_id].place
    return bisect_right(found, last_place, key=lambda entry: entry.place)


def _invalid_cursor(detail: str) -> Refusal:
    return bad_request("INVALID_CURSOR", detail, "cursor")


def _body(world: World, entries: Sequence[c.Entry], *, related: bool = False) -> Json:
    body: Json = {}
    if entries:
        body["objects"] = [written(world.catalogue, entry) for entry in entries]
    if related:
        body |= _related_body(world, entries)
    return body


def _related_body(world: World, entries: Sequence[c.Entry]) -> Json:
    related = _related(world, entries)
    if not related:
        return {}
    return {"related_objects": [written(world.catalogue, entry) for entry in related]}


def _related(world: World, entries: Iterable[c.Entry]) -> list[c.Entry]:
    """Return what the entries refer to, one level deep, each object once."""
    objects = world.catalogue.objects
    given_ids: set[str] = set()
    related_ids: list[str] = []
    for entry in entries:
        given_ids.add(entry.id)
        if isinstance(entry, c.Item):
            related_ids += entry.category_ids
            related_ids += entry.tax_ids
            related_ids += [limits.modifier_list_id for limits in entry.modifier_limits]
        elif isinstance(entry, c.Variation):
            related_ids.append(entry.item_id)
        elif isinstance(entry, c.Modifier):
            related_ids.append(entry.modifier_list_id)
    unique_ids = dict.fromkeys(related_ids)
    return [objects[i] for i in unique_ids if i in objects and i not in given_ids]
