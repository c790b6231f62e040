"""Review of held menu imports: a person's decision takes effect for every worker."""

from __future__ import annotations

from typing import Any

import pytest

from core.outbox.corner_shop import connected, lunch
from tillpost import Menu, hookimpl
from tillpost.outbox import DatabaseError, Outbox, Processor, Worker, from_mapping
from tillpost.simulator import Running
from tillpost_simulators.square import SquareSimulator

Shop = Running[SquareSimulator]

REMOVED = ("5312", "7302", "7303", "7310", "5320")


@pytest.fixture
def holding(shop: Shop, shop_outbox: Outbox) -> Outbox:
    """An outbox with a held import of the menu of "cafe", which lacks five items."""
    with Processor(shop_outbox, connections=from_mapping({"cafe": connected(shop)})) as processor:
        assert not processor.import_now("cafe").held
        for variation in REMOVED:
            shop.simulator.remove_variation(variation)
        assert processor.import_now("cafe").held
    return shop_outbox


def test_held_menu_and_its_import_can_be_read(holding: Outbox) -> None:
    held = holding.held_menu("cafe")
    assert isinstance(held, Menu)
    assert "5312" not in held.by_variation
    assert holding.held_connections() == ["cafe"]
    last, first = holding.imports("cafe")
    assert (last.held, last.settled, first.held) == (True, "", False)
    assert "BLT toastie" in " ".join(last.changes.in_words())
    assert holding.imports() == [last, first]
    assert holding.imports(most=1) == [last]
    assert holding.imports("kiosk") == []


def test_running_worker_uses_accepted_menu(shop: Shop, holding: Outbox) -> None:
    with Processor(holding, connections=from_mapping({"cafe": connected(shop)})) as processor:
        processor.menus.refresh("cafe", processor.connections["cafe"].menu_cache)
        before = processor.connections["cafe"].menu_cache.menu
        settled = holding.accept_menu("cafe")
        assert settled
        assert (settled.settled, settled.connection) == ("accepted", "cafe")
        holding.add(lunch(), connection="cafe")
        Worker(processor).run(until_idle=True)
        menu_cache = processor.connections["cafe"].menu_cache
    assert before
    assert "5312" in before.by_variation
    assert menu_cache.menu
    assert menu_cache.held is None
    assert "5312" not in menu_cache.menu.by_variation
    assert holding.held_menu("cafe") is None
    assert holding.imports("cafe", most=1)[0].settled == "accepted"


def test_discarded_menu_leaves_the_previous_one_in_effect(shop: Shop, holding: Outbox) -> None:
    settled = holding.discard_menu("cafe")
    assert settled
    assert settled.settled == "discarded"
    assert holding.held_menu("cafe") is None
    with Processor(holding, connections=from_mapping({"cafe": connected(shop)})) as processor:
        menu_cache = processor.connections["cafe"].menu_cache
        processor.menus.refresh("cafe", menu_cache)
        assert menu_cache.menu
        assert "5312" in menu_cache.menu.by_variation


def test_earlier_held_import_is_superseded(shop: Shop, holding: Outbox) -> None:
    with Processor(holding, connections=from_mapping({"cafe": connected(shop)})) as processor:
        assert processor.import_now("cafe").held
    assert holding.accept_menu("cafe")
    assert [one.settled for one in holding.imports("cafe")] == ["accepted", "superseded", ""]


def test_review_without_held_menu_does_nothing(shop_outbox: Outbox) -> None:
    assert shop_outbox.accept_menu("cafe") is None
    assert shop_outbox.discard_menu("cafe") is None
    assert shop_outbox.held_menu("cafe") is None


def test_review_during_an_import_is_refused(shop: Shop, holding: Outbox) -> None:
    class AcceptingImporter:
        message = ""

        @hookimpl
        def reimport_menu(self, connection: str) -> None:
            with pytest.raises(DatabaseError) as refused:
                holding.accept_menu(connection)
            self.message = str(refused.value)

    importer = AcceptingImporter()
    source = from_mapping({"cafe": connected(shop)})
    with Processor(holding, connections=source, hooks=[importer]) as processor:
        processor.import_now("cafe")
    assert importer.message == "the menu of cafe is being imported now: try again in a moment"
    assert holding.accept_menu("cafe")


def test_accepted_menu_calls_the_import_hook(
    holding: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[Any] = []

    class Plugin:
        @hookimpl
        def menu_imported(self, connection: str, menu: Menu) -> None:
            heard.append((connection, "5312" in menu.by_variation))

    from tillpost.plugins.manager import installed

    manager = installed().manager
    plugin = Plugin()
    manager.register(plugin)
    try:
        holding.accept_menu("cafe")
    finally:
        manager.unregister(plugin)
    assert heard == [("cafe", False)]
