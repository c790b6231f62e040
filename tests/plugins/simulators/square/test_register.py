from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from plugins.simulators.square.shop import Shop, pickup
from tillpost.simulator import Fault, FaultKind, FaultPlan, FaultRule, serve_in_thread
from tillpost_simulators.square import SquareSimulator, WorldSettings


def test_staff_accept_prepare_and_complete_an_order(shop: Shop) -> None:
    paid = shop.paid()
    shop.simulator.staff_accept("ord-1")
    fulfilment = shop.fetch(paid["id"])["fulfillments"][0]
    assert (fulfilment["state"], bool(fulfilment["pickup_details"]["accepted_at"])) == (
        "RESERVED",
        True,
    )
    shop.simulator.staff_prepare(paid["id"])
    assert shop.fetch(paid["id"])["fulfillments"][0]["pickup_details"]["ready_at"]
    shop.simulator.staff_complete("ord-1")
    done = shop.fetch(paid["id"])
    assert (done["state"], done["fulfillments"][0]["state"], "closed_at" in done) == (
        "COMPLETED",
        "COMPLETED",
        True,
    )
    assert done["version"] == paid["version"] + 3


def test_staff_reject_an_order(shop: Shop) -> None:
    paid = shop.paid()
    shop.simulator.staff_reject("ord-1")
    fulfilment = shop.fetch(paid["id"])["fulfillments"][0]
    assert (fulfilment["state"], bool(fulfilment["pickup_details"]["rejected_at"])) == (
        "FAILED",
        True,
    )


def test_staff_cannot_change_unshown_order(shop: Shop) -> None:
    shop.create(pickup())
    with pytest.raises(LookupError, match="doesn't show"):
        shop.simulator.staff_accept("ord-1")
    with pytest.raises(LookupError, match="no order"):
        shop.simulator.staff_accept("ord-2")


def test_reset_restores_the_remembered_world(shop: Shop) -> None:
    shop.simulator.add_item("9001", "Pie", 900)
    shop.simulator.remember()
    shop.paid()
    shop.simulator.remove_variation("9001")
    shop.simulator.reset()
    assert shop.simulator.ledger().entries == ()
    assert shop.get("/v2/catalog/object/9001").status == 200


def test_every_action_is_on_the_control_address(shop: Shop) -> None:
    answer = shop.ask(
        "POST", "/_simulator/change", {"action": "add_tax", "name": "Surcharge", "percentage": "2"}
    )
    tax_id = answer.body["result"]
    assert (
        shop.get(f"/v2/catalog/object/{tax_id}").body["object"]["tax_data"]["name"] == "Surcharge"
    )
    assert (
        shop.ask("POST", "/_simulator/change", {"action": "remove_tax", "tax_id": tax_id}).status
        == 200
    )
    assert (
        shop.ask("POST", "/_simulator/change", {"action": "remove_tax", "tax_id": "none"}).status
        == 400
    )
    assert shop.ask("POST", "/_simulator/change", {"action": "sell_out"}).status == 400


def test_log_has_no_personal_data_and_no_tokens(shop: Shop) -> None:
    shop.paid()
    log = json.dumps(shop.get("/_simulator/requests").body)
    assert "POST /v2/payments" in log
    assert "Mia" not in log
    assert shop.settings["access_token"] not in log


def test_payment_with_lost_answer_is_replayed_on_repetition(shop: Shop) -> None:
    lost = FaultRule(method="POST", path="/v2/payments$", fault=Fault(kind=FaultKind.LOST_ANSWER))
    created = shop.create(pickup()).order
    shop.simulator.set_faults(FaultPlan(rules=(lost,)))
    with pytest.raises(Exception, match="disconnected"):
        shop.pay(created, key="k")
    assert len(shop.simulator.ledger().shown) == 1
    assert shop.pay(created, key="k").status == 200
    assert shop.simulator.ledger().twice == ()


def test_fault_answers_have_squares_format(shop: Shop) -> None:
    shop.simulator.set_faults(
        FaultPlan(rules=(FaultRule(fault=Fault(kind=FaultKind.RATE_LIMITED, retry_after=3)),))
    )
    answer = shop.client.get("/v2/locations")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "3")
    assert answer.json()["errors"][0]["category"] == "RATE_LIMIT_ERROR"


def test_refusal_uses_up_its_key_by_setting() -> None:
    with serve_in_thread(SquareSimulator(WorldSettings(refusals_burn_keys=True))) as running:
        shop = Shop(running)
        refused = shop.create(pickup(reference="x" * 41), key="k")
        assert shop.create(pickup(reference="x" * 41), key="k") == refused
        assert shop.create(pickup(), key="k").error[0] == "IDEMPOTENCY_KEY_REUSED"
        shop.client.close()


def test_concurrent_calls_with_one_key_create_one_order(shop: Shop) -> None:
    start = threading.Barrier(16)

    def call(number: int) -> str:
        start.wait()
        created = shop.create(pickup(reference=f"o{number % 4}"), key=f"k{number % 4}").order
        return str(created["id"])

    with ThreadPoolExecutor(16) as pool:
        ids = set(pool.map(call, range(16)))
    assert len(ids) == len(shop.simulator.ledger().entries) == 4
