"""A list that never ends, sent page by page, holds no thread for longer than the limit."""

from __future__ import annotations

import json

import pytest

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
    page = {"cursor": "more", "objects": [], "orders": []}
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
