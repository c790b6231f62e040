"""A worker that others have taken for dead takes nothing in hand: nobody would ever free it again."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import text

from adapters.square.shop_orders import TOASTIE, paid
from tillpost.outbox import Outbox, Processor
from tillpost.outbox.exceptions import MenuImportRunning
from tillpost.outbox.menus.shared import Menus
from tillpost.submission.context import MenuCache


def an_outbox(url: str) -> Outbox:
    """An outbox with one order that is due."""
    outbox = Outbox(url)
    outbox.add(paid("A-1", [TOASTIE]), connection="cafe", is_new=True)
    return outbox


def held_by(outbox: Outbox) -> str | None:
    stored = outbox.get("A-1")
    assert stored
    return stored.worker


def test_a_buried_worker_takes_no_order_in_hand(tmp_path: Path) -> None:
    with an_outbox(f"sqlite:///{tmp_path / 'orders.db'}") as outbox:
        worker = outbox.workers.enlist(time.time())
        outbox.workers.reap(worker, 0, time.time())

        assert outbox.claims.claim("cafe", worker, time.time(), limit=4, most=1) == []
        assert held_by(outbox) is None


def test_a_buried_worker_begins_no_import_for_which_others_would_wait(tmp_path: Path) -> None:
    with an_outbox(f"sqlite:///{tmp_path / 'orders.db'}") as outbox:
        worker = outbox.workers.enlist(time.time())
        outbox.workers.reap(worker, 0, time.time())

        with pytest.raises(MenuImportRunning):
            Menus(outbox.workers, outbox.connection_rows, time.time).importing(
                "cafe", worker, MenuCache(), lambda: pytest.fail("it has begun")
            )

        with outbox.database.writing() as db:
            assert outbox.connection_rows.lock(db, "cafe")["importer"] is None


def test_a_processor_takes_no_order_in_hand_after_its_end(tmp_path: Path) -> None:
    with an_outbox(f"sqlite:///{tmp_path / 'orders.db'}") as outbox:
        with Processor(outbox) as processor:
            pass

        assert processor.claim(1) == []
        assert held_by(outbox) is None


def test_a_worker_that_is_buried_while_it_claims_keeps_nothing(postgres_url: str) -> None:
    with an_outbox(postgres_url) as outbox:
        claims, workers, rows, now = (
            outbox.claims,
            outbox.workers,
            outbox.connection_rows,
            time.time(),
        )
        worker = workers.enlist(now)
        claiming = threading.Thread(
            target=lambda: claims.claim("cafe", worker, now, limit=4, most=1)
        )
        burying = threading.Thread(target=lambda: workers.reap(worker, 0, now))
        with outbox.database.writing() as db:
            rows.lock(db, "cafe")  # its row is there
        with outbox.database.writing() as db:
            rows.lock(db, "cafe")  # locked, so the claim stops half-way
            for thread in (claiming, burying):
                thread.start()
                wait_for_lock(outbox, 1 if thread is claiming else 2)
        for thread in (claiming, burying):
            thread.join(timeout=10)

        assert workers.beats() == {}
        assert held_by(outbox) is None


def wait_for_lock(outbox: Outbox, waiters: int) -> None:
    """Wait until so many transactions wait for a lock, or a moment: without the lock that matters, fewer do."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        with outbox.database.reading() as db:
            if db.scalar(waiting) == waiters:
                return
        time.sleep(0.02)
    if waiters == 1:
        pytest.fail("the claim wasn't held up")
