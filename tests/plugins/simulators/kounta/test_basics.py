from __future__ import annotations

import httpx
import pytest

from adapters.in_process import InProcess
from plugins.simulators.kounta.caller import COMPANY, Caller, Start, order_of
from tillpost_simulators.kounta import KountaSettings, KountaSimulator

JSON = {"Accept": "application/json"}


def test_an_address_with_neither_suffix_nor_accept_header_is_not_acceptable(cafe: Caller) -> None:
    assert cafe.ask("GET", f"{COMPANY}/sites").status_code == 406
    assert cafe.ask("GET", f"{COMPANY}/sites", headers=JSON).status_code == 200
    assert cafe.ask("GET", f"{COMPANY}/sites.json").status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_body_that_does_not_say_that_it_is_json_is_refused(
    cafe: Caller, method: str, kind: str
) -> None:
    answer = cafe.ask(
        method, f"{COMPANY}/orders.json", content="{}", headers={"Content-Type": kind}
    )
    assert answer.status_code == 400


def test_a_body_that_is_not_json_or_does_not_fit_is_refused(cafe: Caller) -> None:
    headers = {"Content-Type": "application/json"}
    assert (
        cafe.ask("POST", f"{COMPANY}/orders.json", content="{", headers=headers).status_code == 400
    )
    assert "site_id" in cafe.refusal(site_id="here")


def test_an_unknown_address_is_not_found_and_an_unknown_method_not_allowed(cafe: Caller) -> None:
    answer = cafe.get("nowhere")
    assert (answer.status_code, answer.json()["error_description"]) == (404, "Not Found")
    assert cafe.delete("sites").status_code == 405
    assert cafe.ask("PATCH", f"{COMPANY}/orders/1.json").status_code == 405
    assert cafe.ask("GET", "/elsewhere").status_code == 404


def test_ids_may_need_64_bits_and_come_as_text_beside(start: Start) -> None:
    with start(KountaSettings(first_order_id=2**53 + 1)) as cafe:
        order = cafe.order(cafe.place())
        assert (order["id"], order["id_str"]) == (9007199254740993, "9007199254740993")


def test_dates_carry_the_companys_offset_and_a_z_moves_them_by_hours(cafe: Caller) -> None:
    order = cafe.order(
        cafe.place(placed_at="2026-11-23T11:52:07Z", fulfil_at="2026-11-23T12:30:00+11:00")
    )
    assert order["placed_at"] == "2026-11-23T21:52:07+10:00"
    assert order["fulfil_at"] == "2026-11-23T11:30:00+10:00"
    assert "valid date" in cafe.refusal(fulfil_at="soon")


def test_a_post_answers_201_with_location_a_put_200_and_a_delete_204(cafe: Caller) -> None:
    made = cafe.post("orders", order_of())
    assert made.status_code == 201
    assert made.headers["Location"] == f"{cafe.url}{COMPANY}/orders/93824701.json"
    assert cafe.ask("GET", made.headers["Location"]).json()["id"] == 93824701
    assert cafe.put("orders/93824701", {"notes": "hurry"}).status_code == 200
    gone = cafe.delete("orders/93824701")
    assert (gone.status_code, gone.content) == (204, b"")


@pytest.mark.parametrize("style", ["error_description", "error_message", "message"])
def test_the_text_of_a_refusal_sits_in_one_of_several_places(cafe: Caller, style: str) -> None:
    cafe.ask("POST", "/_simulator/change", json={"action": "write_errors_as", "style": style})
    assert cafe.get("orders/1").json()[style] == "Not Found"


def test_the_text_of_a_refusal_can_be_the_error_itself_or_a_page(cafe: Caller) -> None:
    cafe.simulator.write_errors_as("error")
    assert cafe.get("orders/1").json() == {"error": "Not Found"}
    cafe.simulator.write_errors_as("html")
    answer = cafe.get("orders/1")
    assert (answer.headers["Content-Type"].partition(";")[0], "Not Found" in answer.text) == (
        "text/html",
        True,
    )


def test_an_outage_answers_everything_with_503(cafe: Caller) -> None:
    cafe.simulator.set_outage()
    assert cafe.get("sites").status_code == 503
    cafe.simulator.set_outage(False)
    assert cafe.get("sites").status_code == 200


def test_the_simulator_can_be_called_without_a_server() -> None:
    simulator = KountaSimulator()
    headers = {"Authorization": f"Bearer {simulator.settings.access_token}"}
    with httpx.Client(
        base_url="http://kounta.test", transport=InProcess(simulator), headers=headers
    ) as client:
        made = client.post(f"{COMPANY}/orders.json", json=order_of())
        assert client.get(made.headers["Location"]).json()["sale_number"] == "ord-1"
        assert client.get(f"{COMPANY}/sites/2301/orders/submitted.json").json()[0]["id"] == 93824701
        assert client.patch(f"{COMPANY}/orders.json").status_code == 404


def test_a_till_is_told_how_to_connect(cafe: Caller) -> None:
    assert cafe.settings == {
        "base_url": cafe.url,
        "access_token": "not-a-real-kounta-token",
        "company_id": "5678",
        "site_id": "2301",
        "payment_method_id": "12",
    }
