"""A retired worker holds no lease: a thread that hung when it stopped can't act any more."""

from __future__ import annotations

import pytest

from tillpost.outbox import Outbox
from tillpost.outbox.orders.claims import LeaseLostError
from tillpost.outbox.orders.heartbeat import Heartbeat


def test_retired_worker_may_not_act(shop_outbox: Outbox) -> None:
    shop_outbox.prepare()
    with Heartbeat(shop_outbox.workers, lease=600) as heartbeat:
        heartbeat.check(heartbeat.worker)
    with pytest.raises(LeaseLostError):
        heartbeat.check(heartbeat.worker)
