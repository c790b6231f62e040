from __future__ import annotations

from plugins.simulators.kounta.caller import Caller, Start, line
from tillpost_simulators.kounta import KountaSettings


def test_search_for_one_customer_redirects_or_gets_404(cafe: Caller) -> None:
    by_email = cafe.get("customers", email="jamie@example.com")
    assert by_email.status_code == 302
    location = by_email.headers["Location"]
    assert cafe.ask("GET", location).json()["id"] == 389427

    name = {"first_name": "Jamie", "last_name": "McDonald"}
    by_name = cafe.get("customers", phone="+61287654321", **name)
    assert by_name.headers["Location"] == location

    unknown_email = cafe.get("customers", email="nobody@example.com")
    assert unknown_email.status_code == 404
    other_phone = cafe.get("customers", phone="0", **name)
    assert other_phone.status_code == 404


def test_search_for_one_customer_returns_it_by_setting(start: Start) -> None:
    settings = KountaSettings(redirects_to_customers=False)
    with start(settings) as cafe:
        answer = cafe.get("customers", email="jamie@example.com")
        assert answer.json()["first_name"] == "Jamie"


def test_customer_needs_first_name_and_email_or_phone(cafe: Caller) -> None:
    only_name = cafe.post("customers", {"first_name": "Mia"})
    assert only_name.status_code == 400
    only_email = cafe.post("customers", {"email": "mia@example.com"})
    assert only_email.status_code == 400
    enough = {
        "first_name": "Mia",
        "phone": "+61400111222",
        "reference_id": "r1",
    }
    created = cafe.post("customers", enough)
    assert created.status_code == 201
    assert created.content == b"null"

    location = created.headers["Location"]
    customer = cafe.ask("GET", location).json()
    assert customer["first_name"] == "Mia"
    assert customer["reference_id"] == "r1"
    (found,) = cafe.listed("customers", reference_id="r1")
    assert found["id"] == customer["id"]
    assert cafe.listed("customers", reference_id="r2") == []

    customer_id = customer["id"]
    changed = cafe.put(f"customers/{customer_id}", {"last_name": "Chen"})
    assert changed.json()["last_name"] == "Chen"
    order_id = cafe.place(line(), customer_id=customer_id)
    order = cafe.order(order_id)
    assert order["customer"]["last_name"] == "Chen"
    assert cafe.get("customers/1").status_code == 404


def test_one_email_can_belong_to_two_customers(cafe: Caller) -> None:
    customer = {"first_name": "Jo", "email": "jo@x.io"}
    first = cafe.post("customers", customer)
    second = cafe.post("customers", customer)
    assert first.headers["Location"] != second.headers["Location"]
