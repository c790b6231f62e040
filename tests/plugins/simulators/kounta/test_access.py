from __future__ import annotations

import time

import httpx
import pytest

from plugins.simulators.kounta.caller import COMPANY, Caller, Json, Start
from tillpost.simulator import Fault, FaultPlan, FaultRule
from tillpost.simulator.faults import FaultKind
from tillpost_simulators.kounta import KountaSettings

CLIENT = {"client_id": "simulated-client", "client_secret": "not-a-real-client-secret"}
BACK = "http://localhost:8765/callback"
REFRESH = CLIENT | {
    "grant_type": "refresh_token",
    "refresh_token": "not-a-real-kounta-refresh-token",
}


def tokens(cafe: Caller, form: dict[str, str]) -> httpx.Response:
    return cafe.ask("POST", "/v1/token", data=form)


def works(cafe: Caller, token: str) -> bool:
    return (
        cafe.ask("GET", f"{COMPANY}.json", headers={"Authorization": f"Bearer {token}"}).status_code
        == 200
    )


def test_unknown_token_gets_401(cafe: Caller) -> None:
    for authorization in ("Bearer nonsense", "Digest x", ""):
        answer = cafe.ask("GET", f"{COMPANY}.json", headers={"Authorization": authorization})
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")


def test_expired_token_gets_400(cafe: Caller) -> None:
    cafe.simulator.expire_token()
    answer = cafe.get("sites")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_token")
    assert answer.json()["error_description"] == "The access token provided has expired"


def test_token_expires_by_the_clock_with_the_status_of_settings(start: Start) -> None:
    with start(KountaSettings(expired_token_status=401, token_lasts_seconds=100)) as cafe:
        assert cafe.get("sites").status_code == 200
        cafe.simulator.advance_clock(101)
        assert cafe.get("sites").status_code == 401


def test_revoked_token_gets_401_and_no_permission_gets_403(cafe: Caller) -> None:
    cafe.simulator.revoke_token()
    assert cafe.get("sites").status_code == 401
    cafe.simulator.revoke_token(revoked=False)
    cafe.simulator.take_permission()
    assert cafe.get("sites").status_code == 403
    cafe.simulator.take_permission(taken=False)
    assert cafe.get("sites").status_code == 200


def test_basic_credentials_reach_own_company_only(cafe: Caller) -> None:
    basic = httpx.BasicAuth(CLIENT["client_id"], CLIENT["client_secret"])
    assert cafe.ask("GET", f"{COMPANY}/sites.json", auth=basic).status_code == 200
    assert cafe.ask("GET", "/v1/companies/me.json", auth=basic).json()["id"] == 5678
    assert cafe.ask("GET", "/v1/companies/162/sites.json", auth=basic).status_code == 404
    assert (
        cafe.ask(
            "GET", f"{COMPANY}/sites.json", auth=httpx.BasicAuth("simulated-client", "x")
        ).status_code
        == 401
    )


@pytest.mark.parametrize("kind", ["bearer", "basic"])
def test_budget_is_180_a_minute_with_oauth_and_60_with_basic(cafe: Caller, kind: str) -> None:
    limit = 180 if kind == "bearer" else 60
    auth = (
        httpx.BasicAuth(CLIENT["client_id"], CLIENT["client_secret"]) if kind == "basic" else None
    )
    answers = [cafe.client.get(f"{COMPANY}/taxes.json", auth=auth) for _ in range(limit)]
    assert {answer.status_code for answer in answers} == {200}
    refused = cafe.client.get(f"{COMPANY}/taxes.json", auth=auth)
    assert (refused.status_code, "Retry-After" in refused.headers) == (429, False)
    assert 0 < int(refused.headers["X-Ratelimit-Reset"]) - time.time() <= 61
    cafe.simulator.advance_clock(60)
    assert cafe.client.get(f"{COMPANY}/taxes.json", auth=auth).status_code == 200


def test_every_answer_reports_the_remaining_budget(start: Start) -> None:
    with start(KountaSettings(oauth_limit=2, sends_retry_after=True)) as cafe:
        assert [cafe.get("taxes").headers["X-Ratelimit-Remaining"] for _ in range(2)] == ["1", "0"]
        assert 0 < int(cafe.get("taxes").headers["Retry-After"]) <= 60


def test_rate_limit_fault_reports_when_the_minute_ends(cafe: Caller) -> None:
    fault = Fault(kind=FaultKind.RATE_LIMITED)
    cafe.simulator.set_faults(FaultPlan(rules=(FaultRule(fault=fault),)))
    answer = cafe.get("taxes")
    assert (answer.status_code, "Retry-After" in answer.headers) == (429, False)
    assert int(answer.headers["X-Ratelimit-Reset"]) > time.time()


def test_authorize_redirects_with_code_and_state(cafe: Caller) -> None:
    asked = {
        "client_id": CLIENT["client_id"],
        "redirect_uri": BACK,
        "state": "s1",
        "response_type": "code",
    }
    answer = cafe.ask("GET", "/authorize", params=asked)
    location = httpx.URL(answer.headers["Location"])
    assert (answer.status_code, location.params["state"]) == (302, "s1")
    form = CLIENT | {
        "grant_type": "authorization_code",
        "code": location.params["code"],
        "redirect_uri": BACK,
    }
    body: Json = tokens(cafe, form).json()
    assert {"access_token", "refresh_token", "expires_in", "token_type"} == body.keys()
    assert body["expires_in"] == 3600
    assert works(cafe, body["access_token"])
    assert tokens(cafe, form).json()["error"] == "invalid_grant"
    assert (
        cafe.ask("GET", "/authorize", params=asked | {"redirect_uri": "http://evil"}).status_code
        == 400
    )
    assert (
        cafe.ask("GET", "/authorize", params=asked | {"response_type": "token"}).status_code == 400
    )


def test_refresh_rotates_tokens_and_rejects_the_used_one(cafe: Caller) -> None:
    cafe.simulator.expire_token()
    first = tokens(cafe, REFRESH).json()
    assert works(cafe, first["access_token"])
    again = tokens(cafe, REFRESH)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    second = tokens(cafe, REFRESH | {"refresh_token": first["refresh_token"]}).json()
    assert works(cafe, second["access_token"])


def test_setting_keeps_refresh_token_valid(start: Start) -> None:
    with start(KountaSettings(rotates_refresh_tokens=False)) as cafe:
        assert [tokens(cafe, REFRESH).status_code for _ in range(2)] == [200, 200]


def test_revoked_authorisation_rejects_refresh(cafe: Caller) -> None:
    cafe.simulator.revoke_authorisation()
    assert cafe.get("sites").status_code == 401
    assert tokens(cafe, REFRESH).json()["error"] == "invalid_grant"


def test_token_endpoint_needs_form_secret_and_known_grant(
    cafe: Caller,
) -> None:
    assert cafe.ask("POST", "/v1/token", json=REFRESH).json()["error"] == "invalid_request"
    assert tokens(cafe, REFRESH | {"client_secret": "x"}).json()["error"] == "invalid_client"
    assert (
        tokens(cafe, REFRESH | {"grant_type": "password"}).json()["error"]
        == "unsupported_grant_type"
    )
    assert cafe.ask("POST", "/v1/token.json", data=REFRESH).status_code == 200


def test_action_issues_code_without_the_authorize_page(cafe: Caller) -> None:
    code = cafe.simulator.new_authorisation_code()
    form = CLIENT | {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK}
    assert works(cafe, tokens(cafe, form).json()["access_token"])
