"""Locks of PostgreSQL that a paused worker holds don't stop the other workers."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest
from sqlalchemy import Connection, event, text

from adapters.square.shop_orders import TOASTIE, paid
from tillpost.outbox import Outbox, OutboxSettings, Processor
from tillpost.outbox.orders.claims import Claim
from tillpost.submission.journal import Event, SubmissionRequested
from waiting import eventually

LEASE = 2.0


def claim_of_a_paused_worker(outbox: Outbox) -> Claim:
    """Return the claim of a worker that has no heartbeat."""
    outbox.add(paid("A-1", [TOASTIE]), connection="cafe", is_new=True)
    (claim,) = outbox.claims.claim(
        "cafe", outbox.workers.enlist(time.time()), time.time(), limit=4, most=1
    )
    return claim


@pytest.mark.slow
def test_heartbeat_goes_on_while_reaping_is_held_up(postgres_url: str) -> None:
    with Outbox(postgres_url, settings=OutboxSettings(lease=LEASE)) as outbox:
        claim = claim_of_a_paused_worker(outbox)
        with Processor(outbox) as processor:
            with outbox.database.writing() as db:
                db.execute(text("SELECT id FROM tillpost_orders FOR UPDATE"))
                (alive,) = set(outbox.workers.beats()) - {claim.worker}
                held_since = time.monotonic()
                while time.monotonic() - held_since < 5 * LEASE:
                    wait_for_another_beat(outbox, alive)
                    db.execute(text("SELECT 1"))

            claims: list[Claim] = []

            def is_released() -> bool:
                claims.extend(processor.claim(1))
                return bool(claims)

            eventually(is_released)
            assert claims[0].crash_count == 1


def wait_for_another_beat(outbox: Outbox, worker: str) -> None:
    """Wait until a worker has beaten again."""
    before = outbox.workers.beats()[worker]
    eventually(lambda: outbox.workers.beats()[worker] > before)


def test_transaction_leaves_no_command_half_sent(postgres_url: str) -> None:
    """No statement is sent for many rows at once.

    The driver sends such a statement in pieces, and PostgreSQL ends no transaction between them.
    """
    with Outbox(postgres_url) as outbox:
        claim = claim_of_a_paused_worker(outbox)
        batches: list[str] = []

        def note(
            _: Connection, __: object, statement: str, ___: object, ____: object, is_batch: bool
        ) -> None:
            if is_batch:
                batches.append(statement)

        event.listen(outbox.database.engine, "before_cursor_execute", note)
        events: Sequence[tuple[Event, None]] = [
            (SubmissionRequested(at=1.0, digest="0" * 64, is_new=True), None)
        ] * 2
        with outbox.claims.recording(claim, events, time.time()):
            pass

        assert batches == []
        assert len(outbox.journal("A-1")) == 2
