"""The guide's own table of 2,000 stores: listed, delivered from, a token renewed and saved."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from adapters.square.shop_orders import FLAT_WHITE, TOASTIE, paid
from core.outbox.expired_kounta import expired_kounta, settings_of
from docs.pages import DOCS, blocks
from tillpost.outbox import OrderState, Outbox, Processor, Worker
from tillpost.simulator import Running
from tillpost_simulators.kounta import KountaSimulator

PAGE = DOCS / "how-to" / "own-connections.md"
TOKEN = "/v1/token"


@pytest.fixture
def kounta() -> Iterator[Running[KountaSimulator]]:
    """A company whose refresh tokens are good for one use, and whose access token has expired."""
    with expired_kounta() as running:
        yield running


@pytest.fixture
def stores(kounta: Running[KountaSimulator], tmp_path: Path) -> Any:
    """The guide's source, over a table of 2,000 stores."""
    shown = next(block.text for block in blocks(PAGE) if block.language == "python")
    namespace: dict[str, Any] = {"__name__": "our_stores"}
    exec(compile(shown, str(PAGE), "exec", dont_inherit=True), namespace)
    ours = namespace["OurStores"](str(tmp_path / "ours.db"))
    ours.add("store-1", "kounta", **settings_of(kounta))
    with closing(ours.connect()) as db, db:
        db.executemany(
            "INSERT INTO stores SELECT ?, platform, settings FROM stores WHERE name = 'store-1'",
            [(f"store-{number}",) for number in range(2, 2001)],
        )
    return ours


def test_table_of_the_guide_delivers_and_renews(
    stores: Any, kounta: Running[KountaSimulator], sqlite_url: str
) -> None:
    before = stores.get("store-1789").adapter.config.credentials()
    with Outbox(sqlite_url) as outbox, Processor(outbox, connections=stores) as processor:
        assert len(processor.connections.names()) == 2000
        outbox.add(paid("ord-1", [FLAT_WHITE, TOASTIE]), connection="store-1789")
        Worker(processor).run(until_idle=True)
        stored = outbox.get("ord-1")
        assert stored
        assert stored.state is OrderState.RECEIVED
    after = stores.get("store-1789").adapter.config.credentials()
    assert after.access_token != before.access_token
    assert after.refresh_token != before.refresh_token
    assert stores.get("store-2").adapter.config.credentials() == before
    assert kounta.simulator.count("POST", TOKEN) == 1
