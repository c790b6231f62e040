from __future__ import annotations

import httpx
import pytest

from adapters.in_process import InProcess
from plugins.simulators.kounta.caller import COMPANY, Caller, Start, order_of
from tillpost_simulators.kounta import KountaSettings, KountaSimulator

JSON = {"Accept": "application/json"}


def test_address_without_suffix_or_accept_header_gets_406(cafe: Caller) -> None:
    assert cafe.ask("GET", f"{COMPANY}/sites").status_code == 406
    assert cafe.ask("GET", f"{COMPANY}/sites", headers=JSON).status_code == 200
    assert cafe.ask("GET", f"{COMPANY}/sites.json").status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_body_without_json_content_type_is_refused(cafe: Caller, method: str, kind: str) -> None:
    answer = cafe.ask(
        method, f"{COMPANY}/orders.json", content="{}", headers={"Content-Type": kind}
    )
    assert answer.status_code == 400


def test_body_that_is_invalid_is_refused(cafe: Caller) -> None:
    headers = {"Content-Type": "application/json"}
    assert (
        cafe.ask("POST", f"{COMPANY}/orders.json", content="{", headers=headers).status_code == 400
    )
    assert "site_id" in cafe.refusal(site_id="here")


def test_unknown_address_gets_404_and_unknown_method_405(cafe: Caller) -> None:
    answer = cafe.get("nowhere")
    assert (answer.status_code, answer.json()["error_description"]) == (404, "Not Found")
    assert cafe.delete("sites").status_code == 405
    assert cafe.ask("PATCH", f"{COMPANY}/orders/1.json").status_code == 405
    assert cafe.ask("GET", "/elsewhere").status_code == 404


def test_ids_may_need_64_bits_and_are_also_text(start: Start) -> None:
    with start(KountaSettings(first_order_id=2**53 + 1)) as cafe:
        order = cafe.order(cafe.place())
        assert (order["id"], order["id_str"]) == (9007199254740993, "9007199254740993")


def test_dates_have_company_offset_and_z_is_utc(cafe: Caller) -> None:
    order = cafe.order(
        cafe.place(placed_at="2026-11-23T11:52:07Z", fulfil_at="2026-11-23T12:30:00+11:00")
    )
    assert order["placed_at"] == "2026-11-23T21:52:07+10:00"
    assert order["fulfil_at"] == "2026-11-23T11:30:00+10:00"
    assert "valid date" in cafe.refusal(fulfil_at="soon")


def test_post_gets_201_with_location_put_200_delete_204(cafe: Caller) -> None:
    created = cafe.post("orders", order_of())
    assert created.status_code == 201
    assert created.headers["Location"] == f"{cafe.url}{COMPANY}/orders/93824701.json"
    assert cafe.ask("GET", created.headers["Location"]).json()["id"] == 93824701
    assert cafe.put("orders/93824701", {"notes": "hurry"}).status_code == 200
    deletion = cafe.delete("orders/93824701")
    assert (deletion.status_code, deletion.content) == (204, b"")


@pytest.mark.parametrize("style", ["error_description", "error_message", "message"])
def test_refusal_text_is_in_the_field_of_the_style(cafe: Caller, style: str) -> None:
    cafe.ask("POST", "/_simulator/change", json={"action": "write_errors_as", "style": style})
    assert cafe.get("orders/1").json()[style] == "Not Found"


def test_refusal_text_can_be_the_error_or_an_html_page(cafe: Caller) -> None:
    cafe.simulator.write_errors_as("error")
    assert cafe.get("orders/1").json() == {"error": "Not Found"}
    cafe.simulator.write_errors_as("html")
    answer = cafe.get("orders/1")
    assert (answer.headers["Content-Type"].partition(";")[0], "Not Found" in answer.text) == (
        "text/html",
        True,
    )


def test_outage_answers_every_request_with_503(cafe: Caller) -> None:
    cafe.simulator.set_outage()
    assert cafe.get("sites").status_code == 503
    cafe.simulator.set_outage(False)
    assert cafe.get("sites").status_code == 200


def test_handler_can_be_called_without_a_server() -> None:
    simulator = KountaSimulator()
    headers = {"Authorization": f"Bearer {simulator.settings.access_token}"}
    with httpx.Client(
        base_url="http://kounta.test", transport=InProcess(simulator), headers=headers
    ) as client:
        created = client.post(f"{COMPANY}/orders.json", json=order_of())
        assert client.get(created.headers["Location"]).json()["sale_number"] == "ord-1"
        assert client.get(f"{COMPANY}/sites/2301/orders/submitted.json").json()[0]["id"] == 93824701
        assert client.patch(f"{COMPANY}/orders.json").status_code == 404


def test_connection_settings_connect_a_till(cafe: Caller) -> None:
    assert cafe.settings == {
        "base_url": cafe.url,
        "access_token": "not-a-real-kounta-token",
        "company_id": "5678",
        "site_id": "2301",
        "payment_method_id": "12",
    }
