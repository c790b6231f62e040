from __future__ import annotations

from plugins.simulators.kounta.caller import Caller


def test_site_is_online_while_a_device_is(cafe: Caller) -> None:
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


def test_online_ordering_is_online_until_switched_off(cafe: Caller) -> None:
    cafe.simulator.switch_site(online=False)
    assert cafe.get("sites/2301/status").json()["online_ordering"] == "online"
    cafe.simulator.switch_ordering(online=False)
    assert cafe.get("sites/2301/status").json()["online_ordering"] == "offline"


def test_pass_thru_register_status_needs_such_printing(
    cafe: Caller,
) -> None:
    assert "pass_thru_printing_register" not in cafe.get("sites/985/status").json()
    cafe.simulator.add_register(1, "Tablet", site_id=985)
    cafe.simulator.set_pass_thru(1, site_id=985)
    assert cafe.get("sites/985/status").json()["pass_thru_printing_register"] == "online"


def test_status_of_all_sites_is_one_answer(cafe: Caller) -> None:
    cafe.simulator.switch_site(online=False, site_id=985)
    statuses = cafe.ask("GET", "/v1/sites_status.json").json()
    assert [(site["site_id"], site["status"]) for site in statuses] == [
        (2301, "online"),
        (985, "offline"),
    ]
    assert cafe.get("status").json() == statuses
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
