"""No secret of a store is in any table, log, journal or export in clear, on any platform, whatever happens."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from core.canaries import ACCESS, CLIENT, HOOK, REFRESH
from core.client.test_platform_secrets import OPENERS
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
Opener = Callable[[], AbstractContextManager[World[Any]]]


@pytest.fixture(params=OPENERS, ids=lambda opener: opener.__name__)
def world(request: pytest.FixtureRequest) -> Iterator[World[Any]]:
    """A platform whose every secret is a canary."""
    with request.param() as opened:
        yield opened


@pytest.fixture
def known(
    world: World[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Connections]:
    """A store that was connected here, with all the secrets that its platform has."""
    monkeypatch.setenv("TILLPOST_KEY", new_key())
    renewal = world.renewal() if "refresh" in world.adapter.capabilities() else {}
    settings = {**world.settings, **renewal, **world.webhook_settings()}
    with Outbox(f"sqlite:///{tmp_path / 'orders.db'}", settings=QUICK) as outbox:
        made = Connections(outbox)
        made.keep("cafe", world.adapter.platform, settings, Grant("Mia Chen"))
        yield made


def rush(known: Connections, world: World[Any]) -> Generator[object]:
    """Let orders arrive, be refused, meet lost answers and an outage, and people act; yield all that is told."""
    outbox = known.outbox
    down = FaultRule(fault=Fault(kind=FaultKind.SERVER_ERROR, status=503), skip=4, times=4)
    lost = FaultRule(method="POST", fault=Fault(kind=FaultKind.LOST_ANSWER), times=2)
    world.running.simulator.set_faults(FaultPlan(rules=(down, lost)))
    for number in range(4):
        outbox.add(lunch(f"ord-{number}"), connection="cafe")
    with Processor(outbox) as processor:
        Worker(processor).run(until_idle=True)
    for headers in ({}, {"x-square-hmacsha256-signature": "forged", "x-kounta-signature": "00"}):
        with pytest.raises(WebhookError) as refused:
            outbox.receive("cafe", headers, b'{"id": 1}', "https://shop.example/hooks/cafe")
        yield str(refused.value)
    desk = OrderOperations(outbox, "mia")
    for number in range(4):
        order_id = f"ord-{number}"
        yield desk.export(order_id)
        yield diagnose_order(outbox, order_id).model_dump(mode="json")
        yield [
            asdict(entry.event) | {"exchange": repr(entry.exchange)}
            for entry in outbox.entries(order_id)
        ]
        for act in (desk.accept, desk.resubmit, desk.manual, desk.cancel):
            try:
                yield repr(act(order_id))
            except ActError as misfit:
                yield str(misfit)
    yield overview(outbox).model_dump(mode="json")
    yield [state.model_dump(mode="json") for state in known.states()]
    yield outbox.availability("cafe").model_dump(mode="json")


def test_no_secret_is_told_or_kept_in_clear(
    known: Connections, world: World[Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    told = [json.dumps(each, default=str) for each in rush(known, world)]
    said = "\n".join((*told, caplog.text, *(repr(vars(record)) for record in caplog.records)))
    on_disk = b"".join(path.read_bytes() for path in tmp_path.glob("orders.db*"))
    assert b"ord-3" in on_disk
    assert "ord-3" in said
    for secret in (*SECRETS, "CANARY"):
        assert secret not in said
        assert secret.encode() not in on_disk
