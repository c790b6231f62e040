"""A list that never ends, sent page by page, costs neither much time nor much memory."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from adversary.judging import forget_peak, peak_megabytes
from adversary.worlds import OPERATIONS, a_world, connected_to
from core.both import KINDS, Kind
from tillpost import Limits
from tillpost.adapter.exchange import MOST_PAGES
from tillpost.errors import OutageError
from tillpost.testing.adversary import Incoming, answer, hostile_server

LISTS = r"catalog/|orders/search|products|orders\.json"
LIMITS = Limits(menu_import=0.3, operation=0.3)


def pages_for_ever(incoming: Incoming) -> None:
    """Answer as one page of a list, in Square's and in Kounta's way, after a moment."""
    incoming.stopped.wait(0.01)
    if incoming.method == "GET" and "catalog" not in incoming.target:
        answer(b"[]", x_next_page="/v1/next?page=2")(incoming)
        return
    page: dict[str, object] = {"cursor": "more", "objects": [], "orders": []}
    answer(json.dumps(page).encode())(incoming)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("operation", ["import_menu", "find"])
@pytest.mark.parametrize("platform", ["square", "kounta"])
def test_endless_list_ends_after_the_longest_time(
    platform: str, operation: str, kind: Kind
) -> None:
    with a_world(platform) as world:
        upstream = str(world.settings["base_url"])
        with (
            hostile_server(pages_for_ever, upstream=upstream, only=LISTS) as server,
            connected_to(kind, world, server.url, limits=LIMITS) as till,
            pytest.raises(OutageError, match=r"takes longer than 0\.3 s"),
        ):
            OPERATIONS[operation](till, world)
        assert 1 < len(server.received) < MOST_PAGES


def wide(count: int, row: str) -> str:
    """Return the rows of a page, which take little on the wire."""
    return ",".join(row % number for number in range(count))


def in_list(member: str, rows: str) -> str:
    return '{"cursor":"more","' + member + '":[' + rows + "]}"


DENSE = {
    ("kounta", "find"): "[" + wide(24_900, '{"id":%d}') + "]",
    ("kounta", "find ours"): "[" + wide(19_900, '{"id":%d,"sale_number":"hostile-1"}') + "]",
    ("kounta", "import_menu"): "[" + wide(70_000, '{"id":%d,"name":"a"}') + "]",
    ("square", "find"): in_list("orders", wide(24_900, '{"id":"%d"}')),
    ("square", "find ours"): in_list(
        "orders", wide(19_900, '{"id":"%d","reference_id":"hostile-1"}')
    ),
    ("square", "import_menu"): in_list("objects", wide(70_000, '{"id":"%d","type":"ITEM"}')),
}
"""Pages of as many small rows as one answer may have, by the platform and what is read."""

MOST_MEGABYTES = 200


def dense_pages(page: bytes) -> Callable[[Incoming], None]:
    def behave(incoming: Incoming) -> None:
        answer(page, x_next_page="/v1/next?page=2")(incoming)

    return behave


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("platform", "read"), list(DENSE))
def test_endless_list_of_small_rows_takes_little_memory(platform: str, read: str) -> None:
    operation, page = read.partition(" ")[0], DENSE[platform, read].encode()
    with (
        a_world(platform) as world,
        hostile_server(
            dense_pages(page), upstream=str(world.settings["base_url"]), only=LISTS
        ) as server,
        # The time that an operation may take isn't what ends this one, however busy the machine is.
        connected_to("sync", world, server.url, limits=Limits(operation=3_600)) as till,
    ):
        forget_peak()
        at_start = peak_megabytes()
        with pytest.raises(OutageError, match=r"more than 500000 objects|after 50000 rows"):
            OPERATIONS[operation](till, world)
        assert peak_megabytes() - at_start < MOST_MEGABYTES


def large_menu(incoming: Incoming) -> None:
    """Answer as ten pages of a catalogue of 10,000 items, as large as real ones are."""
    page = int(incoming.target.rpartition("cursor=")[2]) if "cursor=" in incoming.target else 0
    items = [item(page * 1000 + number) for number in range(1000)]
    cursor = {"cursor": str(page + 1)} if page < 9 else {}
    answer(json.dumps({"objects": items, **cursor}).encode())(incoming)


def item(number: int) -> dict[str, object]:
    variations = [
        {
            "type": "ITEM_VARIATION",
            "id": f"V{number}-{size}",
            "present_at_all_locations": True,
            "item_variation_data": {
                "name": size,
                "price_money": {"amount": 1450, "currency": "AUD"},
                "location_overrides": [{"location_id": "L1"}, {"location_id": "L2"}],
            },
        }
        for size in ("Small", "Large", "Huge")
    ]
    data = {
        "name": f"Item {number}",
        "variations": variations,
        "categories": [{"id": "C1"}, {"id": "C2"}],
        "modifier_list_info": [{"modifier_list_id": f"M{each}"} for each in range(3)],
    }
    return {"type": "ITEM", "id": f"I{number}", "item_data": data}


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_menu_of_ten_thousand_items_is_imported() -> None:
    with (
        a_world("square") as world,
        hostile_server(
            large_menu, upstream=str(world.settings["base_url"]), only="catalog/list"
        ) as server,
        connected_to("sync", world, server.url, limits=Limits()) as till,
    ):
        imported = till.import_menu()
    assert imported.menu
    assert len(imported.menu.items) == 10_000
