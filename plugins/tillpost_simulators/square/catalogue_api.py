"""Reading the catalogue: list, search, retrieve and info (spec: the operations under /v2/catalog).

A listing gives no deleted objects; a search gives them when it is asked to. Searching by attribute
is not simulated.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence

from tillpost.simulator import Answer, Call
from tillpost_simulators.square import catalogue as c
from tillpost_simulators.square.catalogue_json import Json, written
from tillpost_simulators.square.clock import read_time
from tillpost_simulators.square.clock import written as time_written
from tillpost_simulators.square.errors import Problem, Refusal, bad_request, not_found
from tillpost_simulators.square.request_bodies import BatchRetrieveCatalog, SearchCatalog
from tillpost_simulators.square.wire import read
from tillpost_simulators.square.world import World

_TOP_LEVEL = frozenset({"ITEM", "CATEGORY", "TAX", "MODIFIER_LIST"})
_TYPES = frozenset(
    "ITEM IMAGE CATEGORY ITEM_VARIATION TAX DISCOUNT MODIFIER_LIST MODIFIER PRICING_RULE PRODUCT_SET TIME_PERIOD "
    "MEASUREMENT_UNIT SUBSCRIPTION_PLAN_VARIATION ITEM_OPTION ITEM_OPTION_VAL CUSTOM_ATTRIBUTE_DEFINITION "
    "QUICK_AMOUNTS_SETTINGS SUBSCRIPTION_PLAN AVAILABILITY_PERIOD".split()
)
_MOST = 1000


def list_catalog(world: World, call: Call) -> Answer:
    """spec: ListCatalog. `types` in any case, separated by commas; all top-level types when it isn't given."""
    named = [
        name.strip().upper() for name in call.query.get("types", "").split(",") if name.strip()
    ]
    types = _checked(named, "types") or _TOP_LEVEL
    found = [
        entry
        for entry in world.catalogue.objects.values()
        if entry.type in types and not entry.is_deleted
    ]
    return _page(
        world,
        found,
        call.query.get("cursor"),
        "list " + ",".join(sorted(types)),
        world.settings.page_size,
    )


def search_catalog(world: World, call: Call) -> Answer:
    """spec: SearchCatalogObjects. What changed after `begin_time`, deleted objects too where they are asked for."""
    asked = read(SearchCatalog, call.body)
    if asked.query is not None:
        raise Refusal(
            501, Problem("NOT_IMPLEMENTED", "The simulator doesn't search by attribute.", "query")
        )
    if asked.include_deleted_objects and asked.include_category_path_to_root:
        detail = "Deleted objects and the category path can't be asked for together."
        raise bad_request("CONFLICTING_PARAMETERS", detail, "include_category_path_to_root")
    types = _checked(asked.object_types or [], "object_types") or _TOP_LEVEL
    begin = time_written(read_time(asked.begin_time, "begin_time")) if asked.begin_time else ""
    found = [
        entry
        for entry in world.catalogue.objects.values()
        if entry.type in types
        and entry.updated_at > begin
        and (asked.include_deleted_objects or not entry.is_deleted)
    ]
    # A limit out of range is ignored (spec: SearchCatalogObjectsRequest.limit).
    wanted = asked.limit if asked.limit is not None and 0 < asked.limit <= _MOST else _MOST
    query = f"search {','.join(sorted(types))} {begin} {asked.include_deleted_objects}"
    size = min(wanted, world.settings.page_size)
    extra: Json = {"latest_time": world.catalogue.latest_time}
    return _page(
        world, found, asked.cursor, query, size, extra, related=bool(asked.include_related_objects)
    )


def _checked(types: Sequence[str], field: str) -> frozenset[str]:
    for name in types:
        if name not in _TYPES:
            raise bad_request(
                "INVALID_ENUM_VALUE", f"`{name}` is not a valid enum value for `{field}`.", field
            )
    return frozenset(types)


def _page(
    world: World,
    found: list[c.Entry],
    cursor: str | None,
    query: str,
    size: int,
    extra: Json | None = None,
    *,
    related: bool = False,
) -> Answer:
    """One page. The cursor names the last object given, so that changes in between neither skip nor repeat others."""
    order = {object_id: place for place, object_id in enumerate(world.catalogue.objects)}
    after = order[_read_cursor(world, cursor, query)] if cursor else -1
    rest = [entry for entry in found if order[entry.id] > after]
    page = rest[:size]
    body: Json = dict(extra or {})
    if page:
        body["objects"] = [written(world.catalogue, entry) for entry in page]
    if related and (others := _related(world, page)):
        body["related_objects"] = [written(world.catalogue, entry) for entry in others]
    if len(rest) > size:
        body["cursor"] = base64.urlsafe_b64encode(f"{query}\n{page[-1].id}".encode()).decode()
    return Answer.of(body)


def _read_cursor(world: World, cursor: str, query: str) -> str:
    try:
        own, _, object_id = base64.urlsafe_b64decode(cursor).decode().partition("\n")
    except ValueError:
        own, object_id = "", ""
    if own != query or object_id not in world.catalogue.objects:
        raise bad_request("INVALID_CURSOR", "The cursor is not valid for this query.", "cursor")
    return object_id


def _related(world: World, entries: Iterable[c.Entry]) -> list[c.Entry]:
    """What the items among `entries` refer to, each once, one level deep."""
    given = list(entries)
    ids: dict[str, None] = {}
    for item in given:
        if isinstance(item, c.Item):
            lists = (limits.modifier_list_id for limits in item.modifier_limits)
            ids.update(dict.fromkeys([*item.category_ids, *item.tax_ids, *lists]))
        elif isinstance(item, c.Variation):
            ids[item.item_id] = None
        elif isinstance(item, c.Modifier):
            ids[item.modifier_list_id] = None
    present = {entry.id for entry in given}
    return [
        world.catalogue.objects[i] for i in ids if i in world.catalogue.objects and i not in present
    ]


def retrieve_object(world: World, call: Call) -> Answer:
    """spec: RetrieveCatalogObject."""
    object_id = call.path_values["object_id"]
    entry = world.catalogue.objects.get(object_id)
    if entry is None or entry.is_deleted:
        raise not_found(f"Catalog object with ID `{object_id}` not found.", "object_id")
    body: Json = {"object": written(world.catalogue, entry)}
    if call.query.get("include_related_objects") == "true" and (others := _related(world, [entry])):
        body["related_objects"] = [written(world.catalogue, other) for other in others]
    return Answer.of(body)


def batch_retrieve_objects(world: World, call: Call) -> Answer:
    """spec: BatchRetrieveCatalogObjects. Ids that aren't known are left out."""
    asked = read(BatchRetrieveCatalog, call.body)
    known = [world.catalogue.objects[i] for i in asked.object_ids if i in world.catalogue.objects]
    found = [entry for entry in known if asked.include_deleted_objects or not entry.is_deleted]
    body: Json = {"objects": [written(world.catalogue, entry) for entry in found]} if found else {}
    if asked.include_related_objects and (others := _related(world, found)):
        body["related_objects"] = [written(world.catalogue, entry) for entry in others]
    return Answer.of(body)


def catalog_info(world: World, _: Call) -> Answer:
    """spec: CatalogInfo. Limits as the spec's example has them."""
    limits = {"batch_retrieve_max_object_ids": _MOST, "search_max_page_limit": _MOST}
    return Answer.of({"limits": limits})
