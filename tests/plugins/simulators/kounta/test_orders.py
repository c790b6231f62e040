from __future__ import annotations

import json

import pytest

from plugins.simulators.kounta.caller import Caller, Start, line, order_of
from tillpost_simulators.kounta import KountaSettings


def test_order_is_returned_with_everything_that_was_sent(cafe: Caller) -> None:
    sent = order_of(
        line(7302, 2, notes="extra hot", unit_price=5, modifiers=[228, 228, -3091]),
        line(price_variation=0.9),
        notes="Take away",
        order_type="Pickup",
        guests=2,
        customer_id=389427,
        callback_uri="http://third-party.example/callback",
        lock=["PAYMENTS"],
        price_limit=100,
    )
    assert cafe.post("orders", sent).status_code == 201
    order = cafe.order(93824701)
    assert (order["sale_number"], order["status"], order["notes"]) == (
        "ord-1",
        "SUBMITTED",
        "Take away",
    )
    assert (order["order_type"], order["guests"], order["lock"]) == ("Pickup", 2, ["PAYMENTS"])
    assert order["customer"]["first_name"] == "Jamie"
    assert [one["number"] for one in order["lines"]] == [1, 2]
    assert order["lines"][0]["modifiers"] == [228, 228, -3091]
    assert order["lines"][0]["notes"] == "extra hot"
    assert order["lines"][1]["price_variation"] == 0.9
    assert order["payments"][0]["method"] == {"id": 12, "name": "Online"}
    assert (order["payments"][0]["ref"], order["paid"]) == ("ord-1", 14.5)
    assert order["callback_uri"] == "http://third-party.example/callback"


def test_same_order_sent_twice_is_created_twice(cafe: Caller) -> None:
    assert cafe.place() != cafe.place()
    assert cafe.simulator.ledger().twice == ("ord-1",)


def test_created_body_is_null_unless_set(cafe: Caller) -> None:
    assert cafe.post("orders", order_of()).content == b"null"
    cafe.simulator.answer_created_with("empty")
    cafe.simulator.answer_created_with("resource")
    assert cafe.post("orders", order_of()).content == b""
    assert cafe.post("orders", order_of()).json()["id"] == 93824703
    assert cafe.post("orders", order_of()).content == b"null"
    cafe.simulator.answer_created_with("resource", times=None)
    assert [cafe.post("orders", order_of()).json()["id"] for _ in range(2)] == [93824705, 93824706]


def test_setting_leaves_location_out(cafe: Caller, start: Start) -> None:
    cafe.simulator.leave_location_out()
    assert "Location" not in cafe.post("orders", order_of()).headers
    assert "Location" in cafe.post("orders", order_of()).headers
    with start(KountaSettings(sends_location=False, created_body="empty")) as silent:
        answer = silent.post("orders", order_of())
        assert (answer.status_code, answer.content, "Location" in answer.headers) == (
            201,
            b"",
            False,
        )


def test_order_lag_hides_new_order_in_lists_and_searches(start: Start) -> None:
    with start(KountaSettings(order_lag_seconds=8)) as cafe:
        order_id = cafe.place()
        assert cafe.listed() == []
        assert cafe.order(order_id)["id"] == order_id
        cafe.simulator.advance_clock(7)
        assert cafe.listed(value_gte=14, created_gte="2020-01-01") == []
        cafe.simulator.advance_clock(1)
        assert [order["id"] for order in cafe.listed(value_gte=14)] == [order_id]


def test_get_lag_hides_new_order_at_its_own_address(cafe: Caller) -> None:
    cafe.simulator.set_lag(list_seconds=2, get_seconds=1)
    order_id = cafe.place()
    assert cafe.get(f"orders/{order_id}").status_code == 404
    assert cafe.put(f"orders/{order_id}", {"notes": "x"}).status_code == 404
    cafe.simulator.advance_clock(1)
    assert cafe.get(f"orders/{order_id}").status_code == 200
    assert cafe.listed() == []
    cafe.simulator.age_orders(1)
    assert len(cafe.listed()) == 1


def test_total_is_in_lists_and_missing_from_single_order(cafe: Caller, start: Start) -> None:
    order_id = cafe.place()
    assert "total" not in cafe.order(order_id)
    assert cafe.order(order_id)["total_tax"] == 1.32
    assert cafe.listed()[0]["total"] == 14.5
    with start(KountaSettings(total_in_single=True, lines_in_lists=False)) as other:
        assert other.order(other.place())["total"] == 14.5
        assert "lines" not in other.listed()[0]


def test_order_without_status_is_on_hold(cafe: Caller) -> None:
    body = order_of()
    del body["status"]
    cafe.post("orders", body)
    assert cafe.order(93824701)["status"] == "ON_HOLD"


def test_paid_order_with_complete_when_paid_is_complete(cafe: Caller) -> None:
    assert cafe.order(cafe.place(complete_when_paid=True))["status"] == "COMPLETE"
    short = [{"method_id": 12, "amount": 14.49}]
    assert cafe.order(cafe.place(complete_when_paid=True, payments=short))["status"] == "SUBMITTED"
    assert cafe.order(cafe.place(status="COMPLETE"))["status"] == "COMPLETE"


NOT_AT_SITE = "Product #{} is not available at that site."
REFUSED: dict[str, tuple[dict[str, object], str]] = {
    "a product at no site": ({"lines": [line(8196213)]}, NOT_AT_SITE.format(8196213)),
    "a product at another site": ({"lines": [line(), line(6104)]}, NOT_AT_SITE.format(6104)),
    "a product that there isn't": ({"lines": [line(1)]}, NOT_AT_SITE.format(1)),
    "a product that the site marked as unavailable": (
        {"lines": [line(6101)]},
        NOT_AT_SITE.format(6101),
    ),
    "a modifier that there isn't": (
        {"lines": [line(7302, modifiers=[77])]},
        NOT_AT_SITE.format(77),
    ),
    "the removal of something that there isn't": (
        {"lines": [line(7302, modifiers=[-77])]},
        NOT_AT_SITE.format(77),
    ),
    "no lines": ({"lines": []}, "An order must have at least one line."),
    "an unknown site": ({"site_id": 1}, "Site #1 was not found."),
    "an unknown customer": ({"customer_id": 1}, "Customer #1 was not found."),
    "an unknown payment method": (
        {"payments": [{"method_id": 99, "amount": 1}]},
        "Payment method #99 was not found.",
    ),
    "an unknown status": ({"status": "COOKED"}, "COOKED is not a valid status."),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_order_creates_nothing(cafe: Caller, name: str) -> None:
    changes, text = REFUSED[name]
    assert cafe.refusal(**changes) == text
    assert cafe.simulator.ledger().entries == ()


def test_product_without_stock_or_hidden_can_be_ordered(cafe: Caller) -> None:
    assert cafe.place(line(6102))
    assert cafe.place(line(6106))


def test_unavailable_product_is_accepted_by_setting(start: Start) -> None:
    with start(KountaSettings(refuses_unavailable=False)) as cafe:
        assert cafe.place(line(6101))


def test_option_set_limits_are_checked_only_by_setting(cafe: Caller, start: Start) -> None:
    assert cafe.place(line(5320))
    with start(KountaSettings(checks_option_sets=True)) as strict:
        assert "How cooked" in strict.refusal(line(5320))
        assert "How cooked" in strict.refusal(line(5320, modifiers=[240, 241]))
        assert "Sauces" in strict.refusal(line(5320, modifiers=[240, 250, 251, 252]))
        assert strict.place(line(5320, modifiers=[240, 250, 251]))


def test_pass_thru_order_is_refused_while_register_is_offline(cafe: Caller) -> None:
    cafe.simulator.switch_register(online=False)
    assert cafe.refusal(pass_thru_printing=True) == "Pass-thru register POS 1 (1133132) is offline."
    assert cafe.place(pass_thru_printing=False)
    cafe.simulator.switch_register(online=True)
    assert cafe.place(pass_thru_printing=True)
    cafe.simulator.switch_register(online=False)
    cafe.simulator.set_pass_thru(None)
    assert cafe.place(pass_thru_printing=True)


def test_site_with_ordering_off_refuses_orders_only_by_setting(cafe: Caller, start: Start) -> None:
    cafe.simulator.switch_ordering(online=False)
    assert cafe.place()
    with start(KountaSettings(refuses_when_ordering_is_off=True)) as strict:
        strict.simulator.switch_ordering(online=False)
        assert "disabled" in strict.refusal()


def test_order_can_be_changed_until_it_is_deleted(cafe: Caller) -> None:
    order_id = cafe.place()
    changes = {"status": "PENDING", "notes": "n", "order_type": "t", "sale_number": "s"}
    assert (
        cafe.put(
            f"orders/{order_id}", changes | {"fulfil_at": "2030-01-01T00:00:00+10:00"}
        ).status_code
        == 200
    )
    order = cafe.order(order_id)
    assert {name: order[name] for name in changes} == changes
    assert order["fulfil_at"] == "2030-01-01T00:00:00+10:00"
    assert cafe.put(f"orders/{order_id}", {"status": "COOKED"}).status_code == 400
    cafe.delete(f"orders/{order_id}")
    assert cafe.put(f"orders/{order_id}", {"notes": "x"}).status_code == 404
    assert cafe.delete(f"orders/{order_id}").status_code == 404
    assert cafe.order(order_id)["deleted"] is True


@pytest.mark.parametrize(("status", "left"), [("SUBMITTED", 100), ("ON_HOLD", 97), ("PENDING", 97)])
def test_stock_is_taken_on_hold_and_pending_not_submitted(
    cafe: Caller, status: str, left: int
) -> None:
    cafe.place(line(7302, 3, modifiers=[228]), status=status)
    for product_id in (7302, 228):
        assert cafe.get(f"sites/2301/products/{product_id}").json()["stock"] == left


def test_stock_is_taken_on_accept_and_returned_on_reject(
    cafe: Caller,
) -> None:
    order_id = cafe.place(line(7302, 3))
    stock = [cafe.simulator.world.products[7302].sites[2301].stock]
    for status in ("ACCEPTED", "COMPLETE", "REJECTED", "ON_HOLD"):
        cafe.put(f"orders/{order_id}", {"status": status})
        stock.append(cafe.simulator.world.products[7302].sites[2301].stock)
    cafe.delete(f"orders/{order_id}")
    stock.append(cafe.simulator.world.products[7302].sites[2301].stock)
    assert stock == [100, 97, 97, 100, 97, 100]


def test_vendors_sample_order_is_accepted(cafe: Caller) -> None:
    sample = {
        "notes": "Take away, gold member",
        "order_type": "Dine in",
        "guests": 23,
        "customer_id": 389427,
        "site_id": 2301,
        "lines": [
            {"product_id": 7302, "quantity": 6, "notes": "Extra hot", "unit_price": 1.3636},
            {
                "product_id": 5312,
                "quantity": 1,
                "price_variation": 0.9,
                "modifiers": [228, 228, -3091],
            },
        ],
        "price_limit": 100,
        "price_variation": 1.15,
        "payments": [{"method_id": 1, "amount": 5.5, "ref": "9000768"}],
        "complete_when_paid": False,
        "pass_thru_printing": False,
        "lock": ["PAYMENTS"],
        "placed_at": "2013-05-29T11:14:06+10:00",
        "fulfil_at": "2013-05-29T13:00:00+10:00",
    }
    answer = cafe.post("orders", json.loads(json.dumps(sample)))
    order = cafe.ask("GET", answer.headers["Location"]).json()
    assert (order["status"], order["guests"], order["price_variation"]) == ("ON_HOLD", 23, 1.15)
    assert order["lines"][0]["unit_price"] == 1.36
    assert order["lines"][0]["unit_tax"] == 0.14
