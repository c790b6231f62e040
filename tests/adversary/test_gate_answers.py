"""A proxy's refusal is an outage of one order on each platform, and pauses no connection."""

from __future__ import annotations

import httpx
import pytest
import sqlalchemy as sa

from adversary.worlds import PLATFORMS, a_world
from core.outbox.stores import Clock, Heard, work_off
from tillpost.errors import Outcome
from tillpost.outbox import (
    OrderState,
    Outbox,
    OutboxConnection,
    Processor,
    WaitsFor,
    from_mapping,
)
from tillpost.outbox.db import schema as t
from tillpost.testing.adversary import Incoming, answer, hostile_server

REFUSALS = [
    (403, b"<html>Access Denied</html>"),
    (403, b'{"message":"Forbidden"}'),
    (403, b'{"error":"access denied by policy"}'),
    (401, b'{"message":"Unauthorized"}'),
    (401, b'{"error":{"code":401,"message":"blocked"}}'),
]


@pytest.mark.parametrize(("status", "body"), REFUSALS)
@pytest.mark.parametrize("platform", PLATFORMS)
def test_answer_of_a_proxy_pauses_no_connection(
    sqlite_url: str, platform: str, status: int, body: bytes
) -> None:
    """The next answers bring the order to the register, once."""
    heard, clock, gate = Heard(), Clock(), Gate(status, body)
    with (
        a_world(platform) as world,
        hostile_server(
            gate, upstream=world.running.url, only=f"^POST .*{world.create_path}"
        ) as server,
        Outbox(sqlite_url) as outbox,
    ):
        gate.upstream = world.running.url
        settings = {**world.settings, "base_url": server.url}
        adapter = world.adapter(world.adapter.settings.model_validate(settings))
        connections = from_mapping({"cafe": OutboxConnection(adapter)})
        outbox.add(world.order("ord-1"), connection="cafe")
        with Processor(outbox, connections=connections, hooks=(heard,), clock=clock) as processor:
            work_off(processor)
            stored = outbox.get("ord-1")
            assert stored
            assert stored.error
            assert stored.error.reason == "intercepted"
            assert stored.error.outcome is Outcome.UNKNOWN
            assert stored.waits_for in (WaitsFor.RETRY, WaitsFor.LOOK)
            assert not paused(outbox)
            gate.is_open = True
            for _ in range(6):
                clock.ahead += 30
                work_off(processor)
        stored = outbox.get("ord-1")
        assert stored
        assert stored.state is OrderState.RECEIVED
        assert len(world.simulator.ledger().for_reference("ord-1")) == 1
    assert not heard.named("reauthorisation_needed")


class Gate:
    """A proxy that refuses requests until it is open. Then it passes them on."""

    def __init__(self, status: int, body: bytes) -> None:
        self.is_open = False
        self.upstream = ""
        self._refuse = answer(body, status)

    def __call__(self, incoming: Incoming) -> None:
        if not self.is_open:
            self._refuse(incoming)
            return
        kept = {
            name: value
            for name, value in incoming.headers.items()
            if name.lower() not in ("host", "content-length", "connection")
        }
        reply = httpx.request(
            incoming.method, self.upstream + incoming.target, headers=kept, content=incoming.body
        )
        location = {"location": reply.headers["location"]} if "location" in reply.headers else {}
        answer(reply.content, reply.status_code, **location)(incoming)


def paused(outbox: Outbox) -> bool:
    with outbox.database.reading() as db:
        return bool(db.scalar(sa.select(t.connections.c.paused)))
