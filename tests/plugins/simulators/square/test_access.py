from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from plugins.simulators.square.shop import Json, Reply, Shop, pickup
from tillpost_simulators.square import WorldSettings

DEFAULTS = WorldSettings()
CLIENT: Json = {"client_id": DEFAULTS.client_id, "client_secret": DEFAULTS.client_secret}


def obtain(shop: Shop, **more: object) -> Reply:
    return shop.ask("POST", "/oauth2/token", CLIENT | more, headers={"Authorization": ""})


def test_request_without_valid_token_gets_squares_refusal(shop: Shop) -> None:
    for header in ("", "Bearer nobody", "Basic " + DEFAULTS.access_token):
        refused = shop.ask("GET", "/v2/locations", headers={"Authorization": header})
        assert refused.status == 401
        assert refused.body["errors"] == [
            {
                "category": "AUTHENTICATION_ERROR",
                "code": "UNAUTHORIZED",
                "detail": "This request could not be authorized.",
            }
        ]


def test_refusal_names_missing_scopes(shop: Shop) -> None:
    shop.simulator.drop_scope("ORDERS_READ")
    refused = shop.get("/v2/orders/any")
    assert (refused.status, refused.error[0]) == (403, "INSUFFICIENT_SCOPES")
    assert refused.body["errors"][0]["detail"].endswith("for the following scopes: [ORDERS_READ]")
    assert shop.create(pickup()).status == 200
    shop.simulator.grant_scope("ORDERS_READ")
    assert shop.get("/v2/orders/any").status == 404


def test_expired_token_can_be_refreshed_and_revoked_cannot(shop: Shop) -> None:
    shop.simulator.expire_token()
    assert (shop.get("/v2/locations").status, shop.get("/v2/locations").error[0]) == (
        401,
        "ACCESS_TOKEN_EXPIRED",
    )
    fresh = obtain(shop, grant_type="refresh_token", refresh_token=DEFAULTS.refresh_token)
    assert fresh.body["refresh_token"] == DEFAULTS.refresh_token
    shop.headers = {"Authorization": f"Bearer {fresh.body['access_token']}"}
    assert shop.get("/v2/locations").status == 200
    shop.simulator.revoke_authorisation()
    assert shop.get("/v2/locations").error[0] == "ACCESS_TOKEN_REVOKED"
    again = obtain(shop, grant_type="refresh_token", refresh_token=DEFAULTS.refresh_token)
    assert (again.status, again.error[0]) == (401, "UNAUTHORIZED")


def test_authorisation_code_is_valid_once(shop: Shop) -> None:
    asked = {
        "client_id": DEFAULTS.client_id,
        "scope": "ORDERS_READ ITEMS_READ",
        "state": "s1",
        "session": "false",
    }
    sent_back = shop.client.get("/oauth2/authorize", params=asked)
    answer = parse_qs(urlsplit(sent_back.headers["location"]).query)
    assert (sent_back.status_code, answer["state"]) == (302, ["s1"])
    code = answer["code"][0]
    token = obtain(shop, grant_type="authorization_code", code=code)
    assert (token.body["token_type"], token.body["merchant_id"]) == ("bearer", DEFAULTS.merchant_id)
    status = shop.ask(
        "POST",
        "/oauth2/token/status",
        headers={"Authorization": f"Bearer {token.body['access_token']}"},
    )
    assert status.body["scopes"] == ["ITEMS_READ", "ORDERS_READ"]
    assert status.body["expires_at"] == token.body["expires_at"]
    assert obtain(shop, grant_type="authorization_code", code=code).status == 401


def test_wrong_client_or_grant_is_refused(shop: Shop) -> None:
    wrong = obtain(shop, grant_type="refresh_token", refresh_token="xx", client_secret="wrong")
    assert wrong.status == 401
    assert obtain(shop, grant_type="migration_token").error == ("INVALID_VALUE", "grant_type")
    assert obtain(shop, grant_type="authorization_code").error == (
        "MISSING_REQUIRED_PARAMETER",
        "code",
    )
    assert obtain(shop, grant_type="refresh_token").error == (
        "MISSING_REQUIRED_PARAMETER",
        "refresh_token",
    )


def test_status_of_expired_token_is_unauthorised(shop: Shop) -> None:
    assert shop.post("/oauth2/token/status", None).status == 200
    shop.simulator.expire_token()
    assert shop.post("/oauth2/token/status", None).error[0] == "UNAUTHORIZED"


def test_application_revokes_one_token_or_all(shop: Shop) -> None:
    as_client = {"Authorization": f"Client {DEFAULTS.client_secret}"}
    mine = {"client_id": DEFAULTS.client_id, "access_token": DEFAULTS.access_token}
    fresh = obtain(shop, grant_type="refresh_token", refresh_token=DEFAULTS.refresh_token).body[
        "access_token"
    ]
    one = shop.ask(
        "POST", "/oauth2/revoke", mine | {"revoke_only_access_token": True}, headers=as_client
    )
    assert one.body == {"success": True}
    assert shop.get("/v2/locations").error[0] == "ACCESS_TOKEN_REVOKED"
    shop.headers = {"Authorization": f"Bearer {fresh}"}
    assert shop.get("/v2/locations").status == 200
    by_merchant = {"client_id": DEFAULTS.client_id, "merchant_id": DEFAULTS.merchant_id}
    assert shop.ask("POST", "/oauth2/revoke", by_merchant, headers=as_client).status == 200
    assert shop.get("/v2/locations").error[0] == "ACCESS_TOKEN_REVOKED"
    assert (
        shop.ask("POST", "/oauth2/revoke", mine, headers={"Authorization": "Bearer x"}).status
        == 401
    )
    assert (
        shop.ask(
            "POST", "/oauth2/revoke", {"client_id": DEFAULTS.client_id}, headers=as_client
        ).status
        == 400
    )


@pytest.mark.parametrize(
    ("version", "code"),
    [
        ("latest", "INVALID_SQUARE_VERSION_FORMAT"),
        ("2025-13-01", "INVALID_SQUARE_VERSION_FORMAT"),
        ("2099-01-01", "API_VERSION_INCOMPATIBLE"),
    ],
)
def test_invalid_version_is_refused(shop: Shop, version: str, code: str) -> None:
    assert shop.ask("GET", "/v2/locations", headers={"Square-Version": version}).error[0] == code


def test_version_is_echoed(shop: Shop) -> None:
    headers = shop.headers | {"Square-Version": "2024-01-18"}
    assert (
        shop.client.get("/v2/locations", headers=headers).headers["square-version"] == "2024-01-18"
    )


def test_body_must_be_json_and_declared_as_json(shop: Shop) -> None:
    plain = shop.ask("POST", "/v2/orders", {}, headers={"Content-Type": "text/plain"})
    assert plain.error[0] == "INVALID_CONTENT_TYPE"
    for body in (b"{", b"[]", b"\xff"):
        headers = shop.headers | {"Content-Type": "application/json"}
        response = shop.client.post("/v2/orders", content=body, headers=headers)
        assert response.json()["errors"][0]["code"] == "EXPECTED_JSON_BODY"


def test_locations_and_merchant_are_returned(shop: Shop) -> None:
    assert [entry["id"] for entry in shop.get("/v2/locations").body["locations"]] == [
        "L-CAFE",
        "L-KIOSK",
    ]
    assert shop.get("/v2/locations/main").body["location"]["id"] == "L-CAFE"
    assert shop.get("/v2/locations/L-MOON").status == 404
    assert shop.get("/v2/merchants/me").body["merchant"]["main_location_id"] == "L-CAFE"
    assert shop.get("/v2/merchants/other").status == 404


def test_inactive_location_refuses_orders(shop: Shop) -> None:
    shop.simulator.activate_location(active=False)
    assert shop.get("/v2/locations/L-CAFE").body["location"]["status"] == "INACTIVE"
    assert shop.create(pickup()).error == ("INVALID_LOCATION", "order.location_id")


def test_outage_leaves_only_the_control_address(shop: Shop) -> None:
    shop.simulator.set_outage()
    refused = shop.create(pickup())
    assert (refused.status, refused.error[0]) == (503, "SERVICE_UNAVAILABLE")
    assert shop.get("/_simulator/ledger").body["entries"] == []
    shop.simulator.set_outage(down=False)
    assert shop.create(pickup()).status == 200


def test_unknown_address_or_method_gets_squares_answer(shop: Shop) -> None:
    assert (shop.get("/nowhere").status, shop.get("/nowhere").error[0]) == (404, "NOT_FOUND")
    deleted = shop.ask("DELETE", "/v2/orders")
    assert (deleted.status, deleted.error[0]) == (405, "METHOD_NOT_ALLOWED")
