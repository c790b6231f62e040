"""A worker that has retired acts for no order any more, not even in a thread that hung when it was stopped."""

from __future__ import annotations

import pytest

from tillpost.outbox import Outbox
from tillpost.outbox.orders.claims import LeaseLostError
from tillpost.outbox.orders.heartbeat import Heartbeat


def test_who_has_retired_may_not_act(shop_outbox: Outbox) -> None:
    shop_outbox.prepare()
    with Heartbeat(shop_outbox.workers, lease=600) as life:
        life.check(life.worker)
    with pytest.raises(LeaseLostError):
        life.check(life.worker)
