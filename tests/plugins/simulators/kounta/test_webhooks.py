from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from plugins.simulators.kounta.caller import Caller, line

SECRET = b"not-a-real-webhook-secret"


class Mailbox:
    """A server that stores the requests that it receives."""

    def __init__(self, server: HTTPServer) -> None:
        self.url = f"http://127.0.0.1:{server.server_port}"
        self.received: list[tuple[str, dict[str, str], bytes]] = []


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    class Keeper(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            box.received.append((self.path, dict(self.headers.items()), body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            pass

    server = HTTPServer(("127.0.0.1", 0), Keeper)
    box = Mailbox(server)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield box
    server.shutdown()
    server.server_close()
    thread.join()


def test_callback_gets_every_status_change(cafe: Caller, mailbox: Mailbox) -> None:
    order_id = cafe.place(callback_uri=f"{mailbox.url}/callback?id=1")
    cafe.simulator.staff_accept("ord-1")
    cafe.put(f"orders/{order_id}", {"status": "COMPLETE"})
    cafe.simulator.wait_for_sending()
    assert [path for path, _, _ in mailbox.received] == ["/callback?id=1"] * 2
    assert [json.loads(body)["status"] for _, _, body in mailbox.received] == [
        "ACCEPTED",
        "COMPLETE",
    ]
    for _, headers, body in mailbox.received:
        assert headers["X-Kounta-Signature"] == hmac.new(SECRET, body, hashlib.sha256).hexdigest()


def test_webhook_gets_completed_orders_of_its_sites(cafe: Caller, mailbox: Mailbox) -> None:
    hook = {
        "topic": "orders/completed",
        "address": f"{mailbox.url}/hook",
        "format": "json",
        "filter": {"site_ids": [2301]},
        "headers": {"Authorization": "letmein"},
    }
    assert cafe.post("webhooks", hook).status_code == 201
    cafe.place(sale_number="here")
    cafe.place(line(7302), sale_number="kiosk", site_id=985)
    for number in ("here", "kiosk"):
        cafe.simulator.staff_accept(number)
        cafe.simulator.staff_complete(number)
    cafe.simulator.wait_for_sending()
    ((path, headers, body),) = mailbox.received
    assert (path, headers["Authorization"], json.loads(body)["sale_number"]) == (
        "/hook",
        "letmein",
        "here",
    )


def test_webhook_gets_site_that_switches_online_ordering(cafe: Caller) -> None:
    hook = {
        "topic": "sites/updated",
        "address": "http://127.0.0.1:9/",
        "format": "json",
        "filter": {"site_ids": [2301]},
    }
    cafe.post("webhooks", hook)
    cafe.simulator.switch_ordering(online=False)
    cafe.simulator.switch_ordering(online=False, site_id=985)
    (sent,) = cafe.simulator.sent
    assert (sent.topic, json.loads(sent.body)["id"]) == ("sites/updated", 2301)


def test_requests_are_recorded_and_sent_to_loopback_only(cafe: Caller) -> None:
    cafe.place(callback_uri="http://third-party.example/callback")
    cafe.simulator.staff_reject("ord-1")
    (sent,) = cafe.simulator.sent
    assert (sent.url, sent.topic) == ("http://third-party.example/callback", "")
    assert json.loads(sent.body)["status"] == "REJECTED"
    cafe.simulator.reset()
    assert cafe.simulator.sent == ()


def test_failed_callback_changes_nothing(cafe: Caller) -> None:
    order_id = cafe.place(callback_uri="http://127.0.0.1:9/callback")
    cafe.simulator.staff_accept("ord-1")
    cafe.simulator.wait_for_sending()
    assert cafe.order(order_id)["status"] == "ACCEPTED"


def test_webhooks_are_listed_changed_and_deleted(cafe: Caller) -> None:
    hook = {"topic": "sites/updated", "address": "http://127.0.0.1:9/", "format": "json"}
    created = cafe.post("webhooks", hook)
    hook_id = cafe.ask("GET", created.headers["Location"]).json()["id"]
    assert [one["id"] for one in cafe.listed("webhooks")] == [hook_id]
    changed = cafe.put(f"webhooks/{hook_id}", {"topic": "orders/completed"}).json()
    assert (changed["topic"], changed["address"]) == ("orders/completed", "http://127.0.0.1:9/")
    assert cafe.put(f"webhooks/{hook_id}", {"topic": "weather"}).status_code == 400
    assert cafe.delete(f"webhooks/{hook_id}").status_code == 204
    assert cafe.get(f"webhooks/{hook_id}").status_code == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"topic": "weather"},
        {"format": "csv"},
        {"address": ""},
        {"headers": {"X-Kounta-Signature": "x"}},
    ],
)
def test_invalid_webhook_is_refused(cafe: Caller, wrong: dict[str, object]) -> None:
    hook = {"topic": "orders/completed", "address": "http://127.0.0.1:9/", "format": "json"}
    assert cafe.post("webhooks", hook | wrong).status_code == 400
