from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from typing import Any

from square.types.order_fulfillment_updated import OrderFulfillmentUpdated

from plugins.simulators.square.shop import Shop, pickup
from tillpost.simulator import serve_in_thread
from tillpost_simulators.square import SquareSimulator, WebhookSettings, WorldSettings

# Nothing is sent there, since it isn't on this machine.
URL = "https://shop.example/hooks/cafe"


def simulator(**settings: Any) -> SquareSimulator:
    return SquareSimulator(WorldSettings(webhooks=WebhookSettings(url=URL, **settings)))


def bodies(simulator: SquareSimulator) -> Sequence[dict[str, Any]]:
    return [json.loads(sent.body) for sent in simulator.sent]


def kinds(simulator: SquareSimulator) -> Sequence[str]:
    return [sent.topic for sent in simulator.sent]


def test_each_change_of_an_order_is_announced_and_signed() -> None:
    with serve_in_thread(simulator()) as running:
        shop = Shop(running)
        paid = shop.paid()
        shop.simulator.staff_accept("ord-1")
        shop.client.close()
        assert kinds(shop.simulator) == [
            "order.created",
            "order.updated",
            "order.updated",
            "order.fulfillment.updated",
        ]
        first, _, last, _ = shop.simulator.sent
        assert json.loads(first.body)["data"]["id"] == paid["id"]
        updated = json.loads(last.body)["data"]["object"]["order_updated"]
        assert (updated["order_id"], updated["version"]) == (paid["id"], paid["version"] + 1)
        assert (updated["location_id"], updated["state"]) == ("L-CAFE", "OPEN")
        secret = shop.simulator.settings.webhooks.secret.encode()
        digest = hmac.new(secret, URL.encode() + last.body, hashlib.sha256).digest()
        signature = dict(last.headers)["x-square-hmacsha256-signature"]
        assert signature == base64.b64encode(digest).decode()


def test_change_of_a_fulfilment_is_announced_with_its_states() -> None:
    with serve_in_thread(simulator()) as running:
        shop = Shop(running)
        paid = shop.paid()
        shop.simulator.staff_accept("ord-1")
        shop.simulator.staff_reject("ord-1")
        shop.client.close()
    about = [body["data"] for body in bodies(shop.simulator) if "fulfillment" in body["type"]]
    named = {(data["type"], data["id"]) for data in about}
    assert named == {("order_fulfillment_updated", paid["id"])}
    updates = [data["object"]["order_fulfillment_updated"] for data in about]
    assert [OrderFulfillmentUpdated(**update).model_extra for update in updates] == [{}, {}]
    uid = paid["fulfillments"][0]["uid"]
    assert [update["fulfillment_update"] for update in updates] == [
        [{"fulfillment_uid": uid, "old_state": "PROPOSED", "new_state": "RESERVED"}],
        [{"fulfillment_uid": uid, "old_state": "RESERVED", "new_state": "FAILED"}],
    ]


def test_change_of_the_catalogue_is_announced_once() -> None:
    store = simulator()
    store.change_price("5312", 1500)
    store.revoke_token()
    assert kinds(store) == ["catalog.version.updated"]
    (body,) = bodies(store)
    assert body["data"]["object"]["catalog_version"]["updated_at"]


def test_without_a_url_nothing_is_announced() -> None:
    store = SquareSimulator()
    store.change_price("5312", 1500)
    assert not bodies(store)
    store.send_webhooks_to(URL)
    assert not bodies(store)
    store.change_price("5312", 1600)
    assert kinds(store) == ["catalog.version.updated"]


def test_counter_sale_brings_six_updates_of_its_own_order() -> None:
    store = simulator()
    order_id = store.sell_at_counter()
    assert kinds(store).count("order.updated") == 6
    assert {body["data"]["id"] for body in bodies(store)} == {order_id}
    (entry,) = store.ledger().shown
    assert (entry.reference, entry.total, entry.paid) == ("", 500, 500)


def test_counter_sales_come_with_each_online_order() -> None:
    with serve_in_thread(simulator(counter_sales=2)) as running:
        shop = Shop(running)
        online = shop.create(pickup()).order
        shop.client.close()
        others = [body for body in bodies(shop.simulator) if body["data"]["id"] != online["id"]]
        assert len({body["data"]["id"] for body in others}) == 2
        assert len(others) >= 12


def test_burst_waits_and_is_repeated_and_shuffled_by_its_seed() -> None:
    def delivered(seed: int) -> Sequence[str]:
        store = simulator(deliveries=2, burst=3, shuffled=True, seed=seed)
        for price in (1, 2):
            store.change_price("5312", price)
        assert not bodies(store)
        for price in (3, 4):
            store.change_price("5312", price)
        assert len(store.sent) == 6
        store.deliver_webhooks()
        assert len(store.sent) == 8
        return [body["event_id"] for body in bodies(store)]

    first = delivered(1)
    assert [first.count(each) for each in set(first)] == [2, 2, 2, 2]
    assert delivered(1) == first
    assert delivered(2) != first


def test_reset_forgets_webhooks() -> None:
    store = simulator(burst=2)
    store.change_price("5312", 1)
    store.change_price("5312", 2)
    store.change_price("5312", 3)
    assert len(bodies(store)) == 2
    store.reset()
    store.deliver_webhooks()
    assert not bodies(store)
