"""A worker that is paused within a transaction delays the others only briefly."""

from __future__ import annotations

import time

import pytest

from adapters.square.shop_orders import TOASTIE, paid
from tillpost.outbox import DatabaseError, Outbox
from tillpost.outbox.orders.queries import read_events

pytestmark = pytest.mark.slow


def test_worker_paused_in_transaction_loses_its_locks(postgres_url: str) -> None:
    with Outbox(postgres_url) as paused, Outbox(postgres_url) as other:
        other.add(paid("A-1", [TOASTIE]), connection="cafe")
        with pytest.raises(DatabaseError) as failure:
            pause_while_another_claims(paused, other)

        assert failure.value.transient
        with paused.database.reading() as db:  # it continues over another connection
            assert read_events(db, "A-1") == []


def pause_while_another_claims(paused: Outbox, other: Outbox) -> None:
    with paused.database.writing() as db:
        paused.connection_rows.lock(db, "cafe")
        began, now = time.monotonic(), time.time()

        claims = other.claims.claim("cafe", other.workers.enlist(now), now, limit=4, most=1)

        assert [claim.order.id for claim in claims] == ["A-1"]
        assert time.monotonic() - began < 20
        paused.connection_rows.lock(db, "cafe")
