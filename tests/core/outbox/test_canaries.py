"""No table, log, journal or export holds a secret in clear, on any platform."""

from __future__ import annotations

import json
import logging
from collections.abc import Generator, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from core.canaries import ACCESS, CLIENT, HOOK, REFRESH
from core.canary_worlds import world as world  # a fixture
from core.outbox.corner_shop import QUICK, lunch
from tillpost import Outbox
from tillpost.adapter.webhooks import WebhookError
from tillpost.outbox import Processor, Worker
from tillpost.outbox.connections.credentials import Grant
from tillpost.outbox.connections.encryption import new_key
from tillpost.outbox.operations.connections import Connections
from tillpost.outbox.operations.diagnosis import diagnose_order
from tillpost.outbox.operations.orders import ActError, OrderOperations
from tillpost.outbox.operations.status import overview
from tillpost.simulator import Fault, FaultKind, FaultPlan, FaultRule
from tillpost.testing.world import World

SECRETS = (ACCESS, REFRESH, CLIENT, HOOK)


@pytest.fixture
def connections(
    world: World[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Connections]:
    """An outbox with one store, connected with all the secrets that its platform has."""
    monkeypatch.setenv("TILLPOST_KEY", new_key())
    renewal = world.renewal() if "refresh" in world.adapter.capabilities() else {}
    settings = {**world.settings, **renewal, **world.webhook_settings()}
    with Outbox(f"sqlite:///{tmp_path / 'orders.db'}", settings=QUICK) as outbox:
        connections = Connections(outbox)
        connections.connect("cafe", world.adapter.platform, settings, Grant("Mia Chen"))
        yield connections


ORDER_IDS = [f"ord-{number}" for number in range(4)]
BAD_HEADERS: list[dict[str, str]] = [
    {},
    {"x-square-hmacsha256-signature": "forged", "x-kounta-signature": "00"},
]


def outputs(connections: Connections, world: World[Any]) -> Generator[object]:
    """Process orders through faults, refused webhooks and people's acts; yield every output."""
    outbox = connections.outbox
    outage = FaultRule(fault=Fault(kind=FaultKind.SERVER_ERROR, status=503), skip=4, times=4)
    lost_answers = FaultRule(method="POST", fault=Fault(kind=FaultKind.LOST_ANSWER), times=2)
    world.running.simulator.set_faults(FaultPlan(rules=(outage, lost_answers)))
    for order_id in ORDER_IDS:
        outbox.add(lunch(order_id), connection="cafe")
    with Processor(outbox) as processor:
        Worker(processor).run(until_idle=True)

    for headers in BAD_HEADERS:
        with pytest.raises(WebhookError) as refused:
            outbox.receive("cafe", headers, b'{"id": 1}', "https://shop.example/hooks/cafe")
        yield str(refused.value)

    for order_id in ORDER_IDS:
        yield from outputs_about(outbox, order_id)

    yield overview(outbox).model_dump(mode="json")
    yield [state.model_dump(mode="json") for state in connections.states()]
    yield outbox.availability("cafe").model_dump(mode="json")


def outputs_about(outbox: Outbox, order_id: str) -> Generator[object]:
    operations = OrderOperations(outbox, "mia")
    yield operations.export(order_id)
    yield diagnose_order(outbox, order_id).model_dump(mode="json")
    for entry in outbox.entries(order_id):
        yield asdict(entry.event)
        yield repr(entry.exchange)
    acts = (operations.accept, operations.resubmit, operations.manual, operations.cancel)
    for act in acts:
        try:
            yield repr(act(order_id))
        except ActError as refused:
            yield str(refused)


def test_no_secret_is_logged_reported_or_stored_in_clear(
    connections: Connections,
    world: World[Any],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    reported = [json.dumps(output, default=str) for output in outputs(connections, world)]
    logged = [caplog.text, *(repr(vars(record)) for record in caplog.records)]
    text = "\n".join([*reported, *logged])
    on_disk = b"".join(path.read_bytes() for path in tmp_path.glob("orders.db*"))
    assert b"ord-3" in on_disk
    assert "ord-3" in text
    for secret in (*SECRETS, "CANARY"):
        assert secret not in text
        assert secret.encode() not in on_disk
