"""The database fails for a moment: no claim is forgotten, and no worker is reaped for it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from adapters.square.shop_orders import TOASTIE, paid
from databases import PostgresServer
from tillpost.outbox import DatabaseError, Outbox, OutboxSettings, Processor
from tillpost.outbox.orders.heartbeat import BEATS_PER_LEASE
from waiting import eventually

LEASE = 4.0


@contextmanager
def broken(outbox: Outbox, *, after: int, committed: bool) -> Generator[None]:
    """Break the connection at a commit, after so many that succeed.

    `committed` says whether that commit is on disk; the client can't know.
    """
    dialect: Any = outbox.database.engine.dialect
    commit, left = dialect.do_commit, [after]

    def commit_or_break(connection: object) -> None:
        left[0] -= 1
        if left[0] >= 0 or committed:
            commit(connection)
        if left[0] < 0:
            raise sqlite3.OperationalError("the connection was lost")

    dialect.do_commit = commit_or_break
    try:
        yield
    finally:
        dialect.do_commit = commit


def test_claims_made_before_database_failure_are_returned(tmp_path: Path) -> None:
    with Outbox(f"sqlite:///{tmp_path / 'orders.db'}") as outbox, Processor(outbox) as processor:
        outbox.add(paid("A-1", [TOASTIE]), connection="cafe")
        outbox.add(paid("B-1", [TOASTIE]), connection="bar")

        with broken(outbox, after=1, committed=False):
            claims = processor.claim(2)

        assert [claim.order.id for claim in claims] == ["A-1"]
        assert processor.in_flight == 1


def test_claim_committed_without_answer_is_released(tmp_path: Path) -> None:
    with Outbox(f"sqlite:///{tmp_path / 'orders.db'}") as outbox, Processor(outbox) as processor:
        outbox.add(paid("A-1", [TOASTIE]), connection="cafe")
        (claim,) = processor.claim(1)
        outbox.add(paid("A-2", [TOASTIE]), connection="cafe")
        with broken(outbox, after=0, committed=True), pytest.raises(DatabaseError):
            processor.claim(1)
        assert outbox.orders()[0].worker

        processor.release_unfinished()

        holders = {stored.id: stored.worker for stored in outbox.orders()}
        assert holders == {"A-2": None, "A-1": claim.worker}


@pytest.mark.slow
def test_no_worker_is_reaped_after_a_database_outage(
    postgres: PostgresServer, postgres_url: str
) -> None:
    with ExitStack() as workers:
        outbox = workers.enter_context(Outbox(postgres_url, settings=OutboxSettings(lease=LEASE)))
        for _ in range(4):
            workers.enter_context(Processor(outbox))
        eventually(lambda: len(outbox.workers.beats()) == 4)
        before = outbox.workers.beats()

        postgres.stop()
        time.sleep(2 * LEASE)
        postgres.start()
        # Meanwhile each observes the others for longer than a lease.
        eventually(lambda: each_has_beaten(outbox, before, 2 * BEATS_PER_LEASE))

        assert set(outbox.workers.beats()) == set(before)


def each_has_beaten(outbox: Outbox, before: Mapping[str, int], times: int) -> bool:
    """Return whether each worker still there has beaten so many times since."""
    beats = outbox.workers.beats()
    return all(beats[worker] >= before[worker] + times for worker in set(beats) & set(before))
