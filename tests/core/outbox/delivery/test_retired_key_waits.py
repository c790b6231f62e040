"""A worker that can't bury another yet, because that one was paused in a transaction, stays alive itself meanwhile."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import pairwise

import pytest
from sqlalchemy import Connection, event, text

from adapters.square.shop_orders import TOASTIE, paid
from tillpost.outbox import Outbox, OutboxSettings, Processor
from tillpost.outbox.orders.claims import Claim
from tillpost.submission.journal import Event, SubmissionRequested

LEASE = 2.0


def a_paused_workers(outbox: Outbox) -> Claim:
    """An order in the hands of a worker that gives no sign of life."""
    outbox.add(paid("A-1", [TOASTIE]), connection="cafe", is_new=True)
    (claim,) = outbox.claims.claim(
        "cafe", outbox.workers.enlist(time.time()), time.time(), limit=4, most=1
    )
    return claim


@pytest.mark.slow
def test_a_worker_gives_signs_of_life_while_a_burial_is_held_up(postgres_url: str) -> None:
    with Outbox(postgres_url, settings=OutboxSettings(lease=LEASE)) as outbox:
        claim = a_paused_workers(outbox)
        with Processor(outbox) as processor:
            with outbox.database.writing() as db:
                db.execute(text("SELECT id FROM tillpost_orders FOR UPDATE"))
                (alive,) = set(outbox.workers.beats()) - {claim.worker}
                beats = list[int]()
                for _ in range(10):
                    time.sleep(LEASE / 2)
                    db.execute(text("SELECT 1"))
                    beats.append(outbox.workers.beats()[alive])

            assert all(later > before for before, later in pairwise(beats)), beats
            deadline = time.monotonic() + LEASE + 2
            while not (claims := processor.claim(1)):
                assert time.monotonic() < deadline, "the order isn't free"
                time.sleep(0.05)
            assert claims[0].crash_count == 1


def test_what_is_written_in_a_transaction_leaves_no_command_half_sent(postgres_url: str) -> None:
    """The driver sends a statement for many rows in pieces, and PostgreSQL never ends a transaction amid those."""
    with Outbox(postgres_url) as outbox:
        claim, many = a_paused_workers(outbox), list[str]()

        def note(
            _: Connection, __: object, statement: str, ___: object, ____: object, for_many: bool
        ) -> None:
            if for_many:
                many.append(statement)

        event.listen(outbox.database.engine, "before_cursor_execute", note)
        happened: Sequence[tuple[Event, None]] = [
            (SubmissionRequested(at=1.0, digest="0" * 64, is_new=True), None)
        ] * 2
        with outbox.claims.recording(claim, happened, time.time()):
            pass

        assert many == []
        assert len(outbox.journal("A-1")) == 2
