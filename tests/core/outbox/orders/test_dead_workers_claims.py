"""A reaped worker claims nothing, since nobody would release it again."""

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
from waiting import AGES


def open_outbox(url: str) -> Outbox:
    """Return an outbox with one order that is due."""
    outbox = Outbox(url)
    outbox.add(paid("A-1", [TOASTIE]), connection="cafe", is_new=True)
    return outbox


def holder(outbox: Outbox) -> str | None:
    stored = outbox.get("A-1")
    assert stored
    return stored.worker


def test_reaped_worker_claims_nothing(tmp_path: Path) -> None:
    with open_outbox(f"sqlite:///{tmp_path / 'orders.db'}") as outbox:
        worker = outbox.workers.enlist(time.time())
        outbox.workers.reap(worker, 0, time.time())

        assert outbox.claims.claim("cafe", worker, time.time(), limit=4, most=1) == []
        assert holder(outbox) is None


def test_reaped_worker_begins_no_menu_import(tmp_path: Path) -> None:
    with open_outbox(f"sqlite:///{tmp_path / 'orders.db'}") as outbox:
        worker = outbox.workers.enlist(time.time())
        outbox.workers.reap(worker, 0, time.time())

        with pytest.raises(MenuImportRunning):
            Menus(outbox.workers, outbox.connection_rows, time.time).importing(
                "cafe", worker, MenuCache(), lambda: pytest.fail("it has begun")
            )

        with outbox.database.writing() as db:
            assert outbox.connection_rows.lock(db, "cafe")["importer"] is None


def test_closed_processor_claims_nothing(tmp_path: Path) -> None:
    with open_outbox(f"sqlite:///{tmp_path / 'orders.db'}") as outbox:
        with Processor(outbox) as processor:
            pass

        assert processor.claim(1) == []
        assert holder(outbox) is None


def test_worker_reaped_during_claim_holds_nothing(postgres_url: str) -> None:
    with open_outbox(postgres_url) as outbox:
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
        reaping = threading.Thread(target=lambda: workers.reap(worker, 0, now))
        with outbox.database.writing() as db:
            rows.lock(db, "cafe")  # creates the row
        with outbox.database.writing() as db:
            rows.lock(db, "cafe")  # so that the claim must wait
            for thread in (claiming, reaping):
                thread.start()
                wait_for_lock(outbox, 1 if thread is claiming else 2)
        for thread in (claiming, reaping):
            thread.join(timeout=AGES)

        assert workers.beats() == {}
        assert holder(outbox) is None


def wait_for_lock(outbox: Outbox, waiters: int) -> None:
    """Wait until so many transactions wait for a lock, for a minute at most.

    Without the lock under test, fewer would wait.
    """
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    deadline = time.monotonic() + AGES
    while time.monotonic() < deadline:
        with outbox.database.reading() as db:
            if db.scalar(waiting) == waiters:
                return
        time.sleep(0.02)
    if waiters == 1:
        pytest.fail("the claim didn't wait for the lock")
