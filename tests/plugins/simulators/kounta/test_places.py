from __future__ import annotations

import httpx

from plugins.simulators.kounta.caller import Caller, Start, line
from tillpost_simulators.kounta import KountaSettings


def test_a_site_is_online_while_a_device_is_in_use(cafe: Caller) -> None:
    online = {
        "status": "online",
        "online_ordering": "online",
        "pass_thru_printing_register": "online",
    }
    assert cafe.get("sites/2301/status").json() == online
    cafe.simulator.switch_register(online=False)
    assert cafe.get("sites/2301/status").json() == online | {
        "pass_thru_printing_register": "offline"
    }
    cafe.simulator.switch_site(online=False)
    assert cafe.get("sites/2301/status").json()["status"] == "offline"
    cafe.simulator.switch_site(online=True)
    assert cafe.get("sites/2301/status").json() == online


def test_online_ordering_is_offline_only_once_it_was_switched_off(cafe: Caller) -> None:
    cafe.simulator.switch_site(online=False)
    assert cafe.get("sites/2301/status").json()["online_ordering"] == "online"
    cafe.simulator.switch_ordering(online=False)
    assert cafe.get("sites/2301/status").json()["online_ordering"] == "offline"


def test_the_pass_through_register_is_told_only_where_such_printing_is_enabled(
    cafe: Caller,
) -> None:
    assert "pass_thru_printing_register" not in cafe.get("sites/985/status").json()
    cafe.simulator.add_register(1, "Tablet", site_id=985)
    cafe.simulator.set_pass_thru(1, site_id=985)
    assert cafe.get("sites/985/status").json()["pass_thru_printing_register"] == "online"


def test_all_sites_tell_their_status_in_one_call(cafe: Caller) -> None:
    cafe.simulator.switch_site(online=False, site_id=985)
    told = cafe.ask("GET", "/v1/sites_status.json").json()
    assert [(site["site_id"], site["status"]) for site in told] == [
        (2301, "online"),
        (985, "offline"),
    ]
    assert cafe.get("status").json() == told
    assert cafe.get("sites/1/status").status_code == 404


def test_sites_and_registers_are_listed(cafe: Caller) -> None:
    assert [site["code"] for site in cafe.listed("sites")] == ["CAFE", "KIOSK"]
    assert cafe.get("sites/2301").json()["price_list"]["id"] == 236
    assert [register["name"] for register in cafe.listed("registers")] == [
        "POS 1",
        "POS 2",
        "Terminal 1",
    ]
    assert [register["id"] for register in cafe.listed("sites/985/registers")] == [9091]


def test_a_search_for_one_customer_redirects_to_it_or_finds_nothing(cafe: Caller) -> None:
    answer = cafe.get("customers", email="jamie@example.com")
    assert answer.status_code == 302
    assert cafe.ask("GET", answer.headers["Location"]).json()["id"] == 389427
    name = {"first_name": "Jamie", "last_name": "McDonald", "phone": "+61287654321"}
    assert cafe.get("customers", **name).headers["Location"] == answer.headers["Location"]
    assert cafe.get("customers", email="nobody@example.com").status_code == 404
    assert cafe.get("customers", **name | {"phone": "0"}).status_code == 404


def test_a_search_for_one_customer_can_answer_with_it(start: Start) -> None:
    with start(KountaSettings(redirects_to_customers=False)) as cafe:
        assert cafe.get("customers", email="jamie@example.com").json()["first_name"] == "Jamie"


def test_a_customer_needs_a_first_name_and_an_email_or_a_phone(cafe: Caller) -> None:
    assert cafe.post("customers", {"first_name": "Mia"}).status_code == 400
    assert cafe.post("customers", {"email": "mia@example.com"}).status_code == 400
    made = cafe.post(
        "customers", {"first_name": "Mia", "phone": "+61400111222", "reference_id": "r1"}
    )
    assert (made.status_code, made.content) == (201, b"null")
    customer = cafe.ask("GET", made.headers["Location"]).json()
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
    places: list[httpx.Response] = [
        cafe.post("customers", {"first_name": "Jo", "email": "jo@x.io"}) for _ in range(2)
    ]
    assert len({place.headers["Location"] for place in places}) == 2
