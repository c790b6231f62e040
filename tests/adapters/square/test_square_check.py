"""Square's check: each missing thing is a finding, with who must act."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from adapters.square.bench import Bench, checked_bench, drive, json_response, scripted
from tillpost.adapter.readiness import Finding, Readiness
from tillpost.errors.remedies import Actor
from tillpost_square.checks import location_findings, token_findings
from tillpost_square.oauth import SCOPES
from tillpost_square.wire import Location, TokenStatus

NOW = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.fixture
def bench() -> Bench:
    return checked_bench()


def check(bench: Bench) -> Readiness:
    return bench.run(bench.adapter.check())


def wrong(readiness: Readiness) -> dict[str, Finding]:
    return {finding.what: finding for finding in readiness.findings if not finding.ok}


def test_a_store_that_is_set_up_is_ready(bench: Bench) -> None:
    readiness = check(bench)

    assert readiness.ready
    assert "Cafe takes AUD" in [finding.text for finding in readiness.findings]


def test_missing_scopes_are_named_with_what_each_is_for(bench: Bench) -> None:
    bench.simulator.drop_scope("PAYMENTS_WRITE")
    bench.simulator.drop_scope("ITEMS_READ")

    found = wrong(check(bench))["scopes"]

    assert "PAYMENTS_WRITE (to record payments), ITEMS_READ (to import the menu)" in found.text
    assert found.actor is Actor.STORE


def test_revoked_token_is_a_finding_and_location_is_checked(bench: Bench) -> None:
    bench.simulator.revoke_token()

    found = wrong(check(bench))

    assert set(found) == {"token", "location"}
    assert found["token"].actor is Actor.STORE


def test_a_location_that_is_closed_for_good_is_a_finding(bench: Bench) -> None:
    bench.simulator.activate_location(active=False)

    assert wrong(check(bench))["status"].text == "Cafe is inactive"


def test_a_location_that_is_not_the_stores_is_ours_to_mend() -> None:
    bench = checked_bench(location_id="L-NOBODY")

    assert wrong(check(bench))["location"].actor is Actor.DEVELOPER


def test_an_outage_is_a_finding_too() -> None:
    bench = Bench()
    down = json_response({"errors": [{"code": "SERVICE_UNAVAILABLE"}]}, 503)

    readiness = drive(bench.adapter, bench.adapter.check(), scripted(down, down), None)

    assert [finding.actor for finding in readiness.findings] == [Actor.OPERATIONS, Actor.OPERATIONS]


@pytest.mark.parametrize(
    ("expires_at", "ok"),
    [(None, True), (NOW + timedelta(days=1), True), (NOW, False), (datetime(2026, 11, 22), False)],
)
def test_a_token_is_valid_until_it_expires(expires_at: datetime | None, ok: bool) -> None:
    token, scopes = token_findings(TokenStatus(scopes=tuple(SCOPES), expires_at=expires_at), NOW)

    assert (token.ok, scopes.ok) == (ok, True)


def test_location_reports_missing_status_currency_capability() -> None:
    found = [f.what for f in location_findings(Location(id="L1")) if not f.ok]

    assert found == ["status", "currency", "payments"]
