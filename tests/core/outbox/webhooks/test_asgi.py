"""Webhooks over real HTTP: what each is answered, mounted in FastAPI and alone, under a proxy's address."""

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
import uvicorn
from fastapi import FastAPI

from core.outbox.hooked import Delivery, Square, Store
from tillpost.adapter.webhooks import LARGEST
from tillpost.outbox import OrderState, Outbox
from tillpost.outbox.webhooks.asgi import webhooks_app
from tillpost.outbox.webhooks.receiver import Receiver

BASE = "https://shop.example/hooks"


@contextmanager
def served(app: Any) -> Generator[str]:
    """Serve an application over real HTTP, and return its address."""
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
    """Where the application is served, mounted in another one, as behind a proxy."""
    shop = FastAPI()
    shop.mount("/hooks", webhooks_app(receiver, base_url=f"{BASE}/"))
    with served(shop) as url:
        yield f"{url}/hooks"


def post(address: str, told: Delivery, name: str = "cafe", query: str = "") -> httpx.Response:
    headers, body, _ = told
    return httpx.post(
        f"{address}/{name}{query}", content=body, headers=dict(headers), trust_env=False
    )


def stands(outbox: Outbox) -> OrderState:
    stored = outbox.get("ord-1")
    assert stored
    return stored.state


def test_a_webhook_is_taken_and_one_that_comes_again_is_answered_the_same(
    outbox: Outbox, store: Store, address: str
) -> None:
    pos_id = store.bring(outbox)
    store.simulator.staff_accept("ord-1")
    told = store.told(pos_id, url=f"{BASE}/cafe")
    assert [post(address, told).status_code for _ in range(3)] == [200, 200, 200]
    assert stands(outbox) is OrderState.ACCEPTED


def test_what_isnt_the_platforms_is_refused(outbox: Outbox, store: Store, address: str) -> None:
    pos_id = store.bring(outbox)
    headers, body, url = store.told(pos_id, url=f"{BASE}/cafe")
    cases = {
        "forged": (401, post(address, (headers, body + b" ", url))),
        "unsigned": (401, post(address, ({}, body, url))),
        "unreadable": (400, post(address, store.signed(b"[1]", f"{BASE}/cafe"))),
        "too_large": (413, post(address, (headers, b"x" * (LARGEST + 1), url))),
        "unknown": (404, post(address, store.told(pos_id, url=f"{BASE}/nowhere"), name="nowhere")),
    }
    assert {
        fault: (answer.status_code, answer.json()["fault"]) for fault, (_, answer) in cases.items()
    } == {fault: (status, fault) for fault, (status, _) in cases.items()}
    for path in ("/hooks/", "/hooks/cafe/more"):
        assert httpx.post(address.removesuffix("/hooks") + path, trust_env=False).status_code == 404
    for method in ("GET", "PUT", "DELETE", "HEAD"):
        answer = httpx.request(method, f"{address}/cafe", trust_env=False)
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert stands(outbox) is OrderState.RECEIVED


def test_a_body_without_an_end_is_read_no_further_than_any_webhook_is_long(address: str) -> None:
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


def test_what_cant_be_looked_up_now_is_to_be_sent_again(
    outbox: Outbox, store: Store, address: str
) -> None:
    pos_id = store.bring(outbox)
    store.simulator.staff_accept("ord-1")
    told = store.told(pos_id, url=f"{BASE}/cafe")
    store.simulator.set_outage()
    answer = post(address, told)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
    store.simulator.set_outage(down=False)
    assert post(address, told).status_code == 200
    assert stands(outbox) is OrderState.ACCEPTED


def test_a_store_that_fails_has_it_sent_again(tmp_path: Path) -> None:
    store = Square()
    with Outbox(f"sqlite:///{tmp_path / 'orders.db'}") as outbox, ExitStack() as opened:
        pos_id = store.bring(outbox)
        address = opened.enter_context(served(webhooks_app(store.receiver(outbox), base_url=BASE)))
        with outbox.database.writing() as db:
            db.exec_driver_sql("ALTER TABLE tillpost_webhooks RENAME TO gone")
        told = store.told(pos_id, url=f"{BASE}/cafe")
        assert post(address, told).status_code == 503
        with outbox.database.writing() as db:
            db.exec_driver_sql("ALTER TABLE gone RENAME TO tillpost_webhooks")
        assert post(address, told).status_code == 200
    store.close()


def test_the_address_is_taken_as_the_platform_knows_it_query_and_all(outbox: Outbox) -> None:
    store = Square()
    pos_id = store.bring(outbox)
    with served(webhooks_app(store.receiver(outbox), base_url=BASE)) as url:
        told = store.told(pos_id, url=f"{BASE}/cafe?shop=1&x=%20")
        assert post(url, told, query="?shop=1&x=%20").status_code == 200
        assert post(url, store.told(pos_id, event_id="e2", url=f"{url}/cafe")).status_code == 401
    store.close()


def test_many_at_once_are_taken_once_each(outbox: Outbox, store: Store, address: str) -> None:
    pos_id = store.bring(outbox)
    store.simulator.staff_accept("ord-1")
    told = store.told(pos_id, url=f"{BASE}/cafe")
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda: answers.append(post(address, told).status_code))
        for _ in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 12
    assert stands(outbox) is OrderState.ACCEPTED


def test_a_websocket_is_closed(receiver: Receiver) -> None:
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
