"""A read that fails while the platform answers others is repeated within the same run."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from adapters.kounta.bench import SUBSTITUTES
from core.outbox.corner_shop import lunch
from tillpost.client.base import adapter_for
from tillpost.outbox import OrderState, Outbox, OutboxConnection, Processor, from_mapping
from tillpost.simulator import Fault, FaultKind, FaultPlan, FaultRule, Running, serve_in_thread
from tillpost_simulators.kounta import KountaSettings, KountaSimulator

Site = Running[KountaSimulator]


@pytest.fixture
def site(shop_outbox: Outbox) -> Iterator[Site]:
    """A site that lists one order a page. It has three orders."""
    settings = KountaSettings(page_size=1, oauth_limit=10**9)
    with serve_in_thread(KountaSimulator(settings)) as running:
        for number in range(3):
            assert run_once(shop_outbox, running, f"ord-{number}") is OrderState.RECEIVED
        yield running


def run_once(outbox: Outbox, site: Site, order_id: str) -> OrderState:
    """Add an order that is searched for first, run it once, and return its state."""
    settings: dict[str, object] = {**site.settings, **SUBSTITUTES, "import_pace": 0.0}
    adapter = adapter_for("kounta", settings)
    connections = from_mapping({"cafe": OutboxConnection(adapter)})
    outbox.add(lunch(order_id, placed_at=datetime.now(UTC)), connection="cafe")
    with Processor(outbox, connections=connections) as processor:
        (claim,) = processor.claim(1)
        processor.handle(claim)
    stored = outbox.get(order_id)
    assert stored
    return stored.state


@pytest.mark.parametrize(
    ("page", "failures", "state", "sent"),
    [
        (0, 1, OrderState.DUE, 1),
        (1, 2, OrderState.RECEIVED, 5),
        (2, 1, OrderState.RECEIVED, 4),
        (2, 3, OrderState.DUE, 5),
    ],
)
def test_page_that_fails_is_read_again_after_another(
    shop_outbox: Outbox, site: Site, page: int, failures: int, state: OrderState, sent: int
) -> None:
    """The first page isn't: nothing shows that the platform is there."""
    down = Fault(kind=FaultKind.SERVER_ERROR, status=503)
    path = "/orders.json$"
    rule = FaultRule(fault=down, method="GET", path=path, skip=page, times=failures)
    site.simulator.set_faults(FaultPlan(rules=(rule,)))
    before = searches(site)

    assert run_once(shop_outbox, site, "ord-4") is state
    assert searches(site) - before == sent


def searches(site: Site) -> int:
    """Return how many pages of the site's orders were asked for."""
    return sum(
        seen.method == "GET" and seen.path.endswith("/orders.json")
        for seen in site.simulator.requests
    )
