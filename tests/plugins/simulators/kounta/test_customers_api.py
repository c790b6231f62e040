from __future__ import annotations

import httpx

from plugins.simulators.kounta.caller import Caller, Start, line
from tillpost_simulators.kounta import KountaSettings


def test_search_for_one_customer_redirects_or_gets_404(cafe: Caller) -> None:
    answer = cafe.get("customers", email="jamie@example.com")
    assert answer.status_code == 302
    assert cafe.ask("GET", answer.headers["Location"]).json()["id"] == 389427
    name = {"first_name": "Jamie", "last_name": "McDonald", "phone": "+61287654321"}
    assert cafe.get("customers", **name).headers["Location"] == answer.headers["Location"]
    assert cafe.get("customers", email="nobody@example.com").status_code == 404
    assert cafe.get("customers", **name | {"phone": "0"}).status_code == 404


def test_search_for_one_customer_returns_it_by_setting(start: Start) -> None:
    with start(KountaSettings(redirects_to_customers=False)) as cafe:
        assert cafe.get("customers", email="jamie@example.com").json()["first_name"] == "Jamie"


def test_customer_needs_first_name_and_email_or_phone(cafe: Caller) -> None:
    assert cafe.post("customers", {"first_name": "Mia"}).status_code == 400
    assert cafe.post("customers", {"email": "mia@example.com"}).status_code == 400
    created = cafe.post(
        "customers", {"first_name": "Mia", "phone": "+61400111222", "reference_id": "r1"}
    )
    assert (created.status_code, created.content) == (201, b"null")
    customer = cafe.ask("GET", created.headers["Location"]).json()
    assert (customer["first_name"], customer["reference_id"]) == ("Mia", "r1")
    assert [one["id"] for one in cafe.listed("customers", reference_id="r1")] == [customer["id"]]
    assert cafe.listed("customers", reference_id="r2") == []
    assert (
        cafe.put(f"customers/{customer['id']}", {"last_name": "Chen"}).json()["last_name"] == "Chen"
    )
    order = cafe.order(cafe.place(line(), customer_id=customer["id"]))
    assert order["customer"]["last_name"] == "Chen"
    assert cafe.get("customers/1").status_code == 404


def test_one_email_can_belong_to_two_customers(cafe: Caller) -> None:
    answers: list[httpx.Response] = [
        cafe.post("customers", {"first_name": "Jo", "email": "jo@x.io"}) for _ in range(2)
    ]
    assert len({answer.headers["Location"] for answer in answers}) == 2
