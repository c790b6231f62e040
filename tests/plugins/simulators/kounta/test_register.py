from __future__ import annotations

import pytest

from plugins.simulators.kounta.caller import Caller, line, order_of
from tillpost.simulator import Fault, FaultKind, FaultPlan, FaultRule


def test_staff_accept_and_complete_an_order(cafe: Caller) -> None:
    order_id = cafe.place()
    cafe.simulator.staff_accept("ord-1")
    assert cafe.order(order_id)["status"] == "ACCEPTED"
    cafe.simulator.staff_complete(str(order_id))
    assert cafe.order(order_id)["status"] == "COMPLETE"


def test_rejected_order_is_shown_and_cancelled(cafe: Caller) -> None:
    order_id = cafe.place()
    cafe.simulator.staff_reject("ord-1")
    assert cafe.order(order_id)["status"] == "REJECTED"
    (entry,) = cafe.simulator.ledger().entries
    assert (entry.shown, entry.cancelled, entry.state) == (True, True, "REJECTED")


def test_staff_delete_an_order_at_the_register(cafe: Caller) -> None:
    cafe.place()
    cafe.simulator.staff_delete("ord-1")
    assert cafe.listed("orders/deleted")[0]["sale_number"] == "ord-1"
    (entry,) = cafe.simulator.ledger().entries
    assert (entry.shown, entry.cancelled) == (False, True)


def test_order_stays_submitted_while_devices_stop_syncing(cafe: Caller) -> None:
    cafe.simulator.stop_syncing()
    order_id = cafe.place()
    assert cafe.get("sites/2301/status").json()["status"] == "online"
    assert cafe.order(order_id)["status"] == "SUBMITTED"
    assert cafe.simulator.ledger().shown == ()
    with pytest.raises(LookupError, match="no register shows"):
        cafe.simulator.staff_accept("ord-1")
    cafe.simulator.stop_syncing(stopped=False)
    assert len(cafe.simulator.ledger().shown) == 1


def test_order_waits_while_every_device_is_offline(cafe: Caller) -> None:
    cafe.simulator.switch_site(online=False)
    cafe.place()
    assert cafe.simulator.ledger().shown == ()
    cafe.simulator.switch_register(online=True)
    assert len(cafe.simulator.ledger().shown) == 1


def test_order_deleted_before_delivery_never_reaches_register(cafe: Caller) -> None:
    cafe.simulator.stop_syncing()
    cafe.delete(f"orders/{cafe.place(sale_number='a')}")
    cafe.put(f"orders/{cafe.place(sale_number='b')}", {"status": "REJECTED"})
    cafe.simulator.stop_syncing(stopped=False)
    assert cafe.simulator.ledger().shown == ()


def test_order_on_hold_reaches_the_register(cafe: Caller) -> None:
    cafe.place(status="ON_HOLD")
    (entry,) = cafe.simulator.ledger().shown
    assert entry.state == "ON_HOLD"


def test_order_to_pay_at_the_register_is_not_half_done(cafe: Caller) -> None:
    cafe.place(sale_number="unpaid", payments=[])
    cafe.place(sale_number="deposit", payments=[{"method_id": 12, "amount": 5}])
    cafe.place(sale_number="lost", payments=[{"method_id": 12, "amount": 5}])
    (lost,) = (o for o in cafe.simulator.world.orders.values() if o.sale_number == "lost")
    lost.payments.clear()
    ledger = cafe.simulator.ledger()
    assert [entry.paid for entry in ledger.entries] == [0, 500, 0]
    assert [entry.reference for entry in ledger.half_done] == ["lost"]


def test_ledger_has_what_staff_read(cafe: Caller) -> None:
    cafe.place(
        line(7302, 2, notes="extra hot", modifiers=[228, 228, -3091]),
        notes="Please add cutlery",
        customer_id=389427,
        order_type="Pickup",
        fulfil_at="2026-11-23T19:00:00+11:00",
        payments=[{"method_id": 12, "amount": 14.2, "ref": "pi_3PabcDEF"}],
    )
    (entry,) = cafe.simulator.ledger().shown
    (first,) = entry.lines
    assert (first.name, int(first.quantity), first.unit_price, first.note) == (
        "Flat white, regular",
        2,
        550,
        "extra hot",
    )
    assert [
        (modifier.name, int(modifier.quantity), modifier.unit_price) for modifier in first.modifiers
    ] == [
        ("Oat milk", 2, 80),
        ("Sugar", -1, 0),
    ]
    assert (entry.total, entry.paid, entry.currency, entry.settled) == (1420, 1420, "AUD", True)
    assert entry.note == "Please add cutlery\nJamie McDonald +61287654321\npi_3PabcDEF"
    assert (entry.fulfilment, entry.fulfilment_state) == ("Pickup", "SUBMITTED")
    assert entry.due_at == "2026-11-23T18:00:00+10:00"


def test_order_with_lost_answer_is_created(cafe: Caller) -> None:
    rule = FaultRule(method="POST", path="/orders", fault=Fault(kind=FaultKind.NULL, when="after"))
    cafe.simulator.set_faults(FaultPlan(rules=(rule,)))
    answer = cafe.post("orders", order_of())
    assert (answer.status_code, answer.content, "Location" in answer.headers) == (
        200,
        b"null",
        False,
    )
    assert len(cafe.simulator.ledger().shown) == 1


def test_ledger_shows_deleted_products(cafe: Caller) -> None:
    cafe.place(line(7302, modifiers=[228]))
    cafe.simulator.remove_product(7302)
    cafe.simulator.remove_product(228)
    assert cafe.simulator.ledger().entries[0].lines[0].modifiers[0].name == "Oat milk"


def test_reset_restores_the_remembered_world(cafe: Caller) -> None:
    cafe.simulator.remove_product(7310)
    cafe.simulator.remember()
    cafe.place()
    cafe.simulator.remove_product(5312)
    cafe.simulator.reset()
    assert cafe.simulator.ledger().entries == ()
    assert cafe.get("products/5312").status_code == 200
    assert cafe.get("products/7310").status_code == 404


def test_every_action_is_on_the_control_address(cafe: Caller) -> None:
    answer = cafe.ask(
        "POST", "/_simulator/change", json={"action": "recreate_product", "product_id": 5312}
    )
    assert cafe.get(f"products/{answer.json()['result']}").json()["code"] == "BLT"
    change = {"action": "change_price", "product_id": 7302, "price": "6.5"}
    assert cafe.ask("POST", "/_simulator/change", json=change).status_code == 200
    assert cafe.get("products/7302").json()["unit_price"] == 6.5
    assert (
        cafe.ask("POST", "/_simulator/change", json={"action": "remove_product"}).status_code == 400
    )
    with pytest.raises(LookupError, match="no order"):
        cafe.simulator.staff_accept("nobody")
