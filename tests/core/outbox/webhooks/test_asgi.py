"""The webhook application over real HTTP, mounted in FastAPI and served alone."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
import uvicorn
from fastapi import FastAPI

from core.outbox.hooked import Delivery, Square, Store
from tillpost.adapter.webhooks import LARGEST
from tillpost.outbox import OrderState, Outbox
from tillpost.outbox.db import schema as t
from tillpost.outbox.webhooks.asgi import webhooks_app
from tillpost.outbox.webhooks.receiver import Receiver

BASE = "https://shop.example/hooks"
CAFE = f"{BASE}/cafe"


@contextmanager
def served(app: Any) -> Generator[str]:
    """Serve an application over real HTTP; yield its address."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        running = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        running.start()
        while not server.started:
            assert running.is_alive()
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            running.join()


@pytest.fixture
def receiver(outbox: Outbox, store: Store) -> Receiver:
    return store.receiver(outbox)


@pytest.fixture
def address(receiver: Receiver) -> Iterator[str]:
    """The address of the application, mounted in another one as behind a proxy."""
    shop = FastAPI()
    shop.mount("/hooks", webhooks_app(receiver, base_url=f"{BASE}/"))
    with served(shop) as url:
        yield f"{url}/hooks"


def post(address: str, webhook: Delivery, name: str = "cafe", query: str = "") -> httpx.Response:
    headers, body, _ = webhook
    return httpx.post(
        f"{address}/{name}{query}", content=body, headers=dict(headers), trust_env=False
    )


def state_of_order(outbox: Outbox) -> OrderState:
    stored = outbox.get("ord-1")
    assert stored
    return stored.state


def test_repeated_webhook_is_answered_like_the_first(
    outbox: Outbox, store: Store, address: str
) -> None:
    pos_id = store.bring(outbox)
    store.simulator.staff_accept("ord-1")
    webhook = store.told(pos_id, url=CAFE)
    assert [post(address, webhook).status_code for _ in range(3)] == [200, 200, 200]
    assert state_of_order(outbox) is OrderState.ACCEPTED


UNREADABLE = {
    "newer-version": ("Newer", "{}"),
    "impossible": ("DoubtResolved", '{"at": 1e300}'),
}


@pytest.mark.parametrize("event", UNREADABLE)
def test_webhook_about_unreadable_journal_is_answered_200(
    outbox: Outbox, square: Square, event: str
) -> None:
    """Sent again, it could be read no better. The order is a person's."""
    pos_id = square.bring(outbox)
    kind, body = UNREADABLE[event]
    row = {"order_id": "ord-1", "number": 99, "kind": kind, "body": body}
    doubtful = {"state": "due", "pos_order": None, "pos_id": None, "due_at": time.time() + 600}
    with outbox.database.writing() as db:
        db.execute(sa.insert(t.events).values(**row))
        db.execute(sa.update(t.orders).values(**doubtful))
    app = webhooks_app(square.receiver(outbox), base_url=BASE)
    with served(app) as address:
        first = post(address, square.told(pos_id, url=CAFE, event_id="e1"))
        stored = outbox.get("ord-1")
        second = post(address, square.told(pos_id, url=CAFE, event_id="e2"))

    assert (first.status_code, second.status_code) == (200, 200)
    assert stored
    assert stored.error
    assert (stored.state, stored.error.reason) == (OrderState.ERROR, "unreadable")
    # A later webhook doesn't put off its escalation.
    assert outbox.get("ord-1") == stored


def test_invalid_webhooks_are_refused_with_their_fault(
    outbox: Outbox, store: Store, address: str
) -> None:
    pos_id = store.bring(outbox)
    headers, body, url = store.told(pos_id, url=CAFE)
    elsewhere = store.told(pos_id, url=f"{BASE}/nowhere")
    answers = {
        "forged": post(address, (headers, body + b" ", url)),
        "unsigned": post(address, ({}, body, url)),
        "unreadable": post(address, store.signed(b"[1]", CAFE)),
        "too_large": post(address, (headers, b"x" * (LARGEST + 1), url)),
        "unknown": post(address, elsewhere, name="nowhere"),
    }
    statuses = {fault: answer.status_code for fault, answer in answers.items()}
    assert statuses == {
        "forged": 401,
        "unsigned": 401,
        "unreadable": 400,
        "too_large": 413,
        "unknown": 404,
    }
    for fault, answer in answers.items():
        assert answer.json()["fault"] == fault

    root = address.removesuffix("/hooks")
    for path in ("/hooks/", "/hooks/cafe/more"):
        assert httpx.post(root + path, trust_env=False).status_code == 404
    for method in ("GET", "PUT", "DELETE", "HEAD"):
        answer = httpx.request(method, f"{address}/cafe", trust_env=False)
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert state_of_order(outbox) is OrderState.RECEIVED


def test_endless_body_is_read_no_further_than_the_limit(address: str) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while sent < 64 * LARGEST:
            sent += 65536
            yield b"x" * 65536

    try:
        answer = httpx.post(f"{address}/cafe", content=endless(), trust_env=False)
        assert answer.status_code == 413
    except httpx.TransportError:  # the server has closed the connection while more was being sent
        pass
    assert sent < 32 * LARGEST


def test_webhook_during_outage_is_answered_503_and_later_200(
    outbox: Outbox, store: Store, address: str
) -> None:
    pos_id = store.bring(outbox)
    store.simulator.staff_accept("ord-1")
    webhook = store.told(pos_id, url=CAFE)

    store.simulator.set_outage()
    answer = post(address, webhook)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")

    store.simulator.set_outage(down=False)
    assert post(address, webhook).status_code == 200
    assert state_of_order(outbox) is OrderState.ACCEPTED


def test_failing_database_is_answered_503(tmp_path: Path) -> None:
    store = Square()
    with Outbox(f"sqlite:///{tmp_path / 'orders.db'}") as outbox, ExitStack() as opened:
        pos_id = store.bring(outbox)
        app = webhooks_app(store.receiver(outbox), base_url=BASE)
        address = opened.enter_context(served(app))
        webhook = store.told(pos_id, url=CAFE)
        with outbox.database.writing() as db:
            db.exec_driver_sql("ALTER TABLE tillpost_webhooks RENAME TO gone")
        assert post(address, webhook).status_code == 503
        with outbox.database.writing() as db:
            db.exec_driver_sql("ALTER TABLE gone RENAME TO tillpost_webhooks")
        assert post(address, webhook).status_code == 200
    store.close()


def test_signed_address_is_the_public_one_with_its_query(outbox: Outbox) -> None:
    store = Square()
    pos_id = store.bring(outbox)
    with served(webhooks_app(store.receiver(outbox), base_url=BASE)) as url:
        query = "?shop=1&x=%20"
        public = store.told(pos_id, url=CAFE + query)
        assert post(url, public, query=query).status_code == 200
        internal = store.told(pos_id, event_id="e2", url=f"{url}/cafe")
        assert post(url, internal).status_code == 401
    store.close()


def test_concurrent_repetitions_are_all_answered_200(
    outbox: Outbox, store: Store, address: str
) -> None:
    pos_id = store.bring(outbox)
    store.simulator.staff_accept("ord-1")
    webhook = store.told(pos_id, url=CAFE)
    statuses: list[int] = []

    def send() -> None:
        statuses.append(post(address, webhook).status_code)

    threads = [threading.Thread(target=send) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 12
    assert state_of_order(outbox) is OrderState.ACCEPTED


def test_websocket_is_closed(receiver: Receiver) -> None:
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(dict(message))

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    app = webhooks_app(receiver, base_url=BASE)
    coroutine = app({"type": "websocket", "path": "/cafe"}, receive, send)
    with pytest.raises(StopIteration):
        coroutine.__await__().__next__()
    assert sent == [{"type": "websocket.close", "code": 1008}]
