"""A worker that is paused in the middle of a transaction holds the others up for a moment only."""

from __future__ import annotations

import time

import pytest

from adapters.square.shop_orders import TOASTIE, paid
from tillpost.outbox import DatabaseError, Outbox
from tillpost.outbox.orders.queries import read_events

pytestmark = pytest.mark.slow


def test_the_locks_of_a_paused_worker_are_freed_and_it_is_told_so(postgres_url: str) -> None:
    with Outbox(postgres_url) as paused, Outbox(postgres_url) as other:
        other.add(paid("A-1", [TOASTIE]), connection="cafe")
        with pytest.raises(DatabaseError) as told:
            pause_while_another_claims(paused, other)

        assert told.value.passing
        with paused.database.reading() as db:  # and it goes on over another connection
            assert read_events(db, "A-1") == []


def pause_while_another_claims(paused: Outbox, other: Outbox) -> None:
    with paused.database.writing() as db:
        paused.connection_rows.lock(db, "cafe")
        began, now = time.monotonic(), time.time()

        claims = other.claims.claim("cafe", other.workers.enlist(now), now, limit=4, most=1)

        assert [claim.order.id for claim in claims] == ["A-1"]
        assert time.monotonic() - began < 20
        paused.connection_rows.lock(db, "cafe")
