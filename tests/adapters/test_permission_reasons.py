"""Why access is denied (expired, revoked, demoted, scopes), and what an account shows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from tillpost import AsyncTill, PermissionsError, Till, UnsupportedError
from tillpost.adapter.settings import Account, Credentials
from tillpost.authorization import account, revoke
from tillpost.client.base import adapter_for
from tillpost.simulator import Running, serve_in_thread
from tillpost.submission.context import Connection
from tillpost_simulators.kounta import KountaSimulator
from tillpost_simulators.square import SquareSimulator


@pytest.fixture
def square() -> Iterator[Running[SquareSimulator]]:
    """A merchant at Square."""
    with serve_in_thread(SquareSimulator()) as running:
        yield running


@pytest.fixture
def kounta() -> Iterator[Running[KountaSimulator]]:
    """A company at Kounta."""
    with serve_in_thread(KountaSimulator()) as running:
        yield running


def refusal(
    platform: str, settings: dict[str, Any], granted_by: str = "Mia Chen"
) -> PermissionsError:
    """Return how a menu import is refused."""
    with (
        Till(Connection(adapter_for(platform, settings), granted_by=granted_by)) as till,
        pytest.raises(PermissionsError) as caught,
    ):
        till.import_menu()
    return caught.value


def held(running: Running[Any], **more: str) -> Credentials:
    """The credentials of the running platform's store."""
    return Credentials.model_validate({"access_token": running.settings["access_token"], **more})


AT_SQUARE: list[tuple[Callable[[SquareSimulator], None], str, str]] = [
    (lambda s: s.expire_token(), "expired", "Ask Mia Chen, who connected it, or another admin"),
    (lambda s: s.revoke_token(), "withdrawn", "because Mia Chen, who connected it, was removed"),
    (lambda s: s.drop_scope("ITEMS_READ"), "scopes", "grant every permission"),
]

AT_KOUNTA: list[tuple[Callable[[KountaSimulator], None], str, str]] = [
    (lambda s: s.expire_token(), "expired", "or another admin of the Kounta account"),
    (
        lambda s: s.take_permission(),
        "demoted",
        "In Kounta, Mia Chen, who connected it, no longer has",
    ),
]


@pytest.mark.parametrize(("provoke", "reason", "says"), AT_SQUARE)
def test_square_distinguishes_expired_from_revoked_access(
    square: Running[SquareSimulator],
    provoke: Callable[[SquareSimulator], None],
    reason: str,
    says: str,
) -> None:
    provoke(square.simulator)
    error = refusal("square", square.settings)
    assert (error.reason, error.granted_by) == (reason, "Mia Chen")
    assert says in error.remedy.manager


@pytest.mark.parametrize(("provoke", "reason", "says"), AT_KOUNTA)
def test_kounta_distinguishes_expired_access_from_demoted_admin(
    kounta: Running[KountaSimulator],
    provoke: Callable[[KountaSimulator], None],
    reason: str,
    says: str,
) -> None:
    provoke(kounta.simulator)
    error = refusal("kounta", kounta.settings)
    assert error.reason == reason
    assert says in error.remedy.manager


def test_a_token_that_cant_be_renewed_any_more_was_withdrawn(
    kounta: Running[KountaSimulator],
) -> None:
    app = kounta.simulator.settings
    kounta.simulator.expire_token()
    kounta.simulator.revoke_authorisation()
    client = {
        "client_id": app.client_id,
        "client_secret": app.client_secret,
        "refresh_token": app.refresh_token,
    }
    error = refusal("kounta", {**kounta.settings, **client}, granted_by="")
    assert error.reason == "withdrawn"
    assert "because the person who connected it was removed there" in error.remedy.manager
    assert "Ask another admin of the Kounta account to reconnect the store" in error.remedy.manager


def test_an_access_shows_whose_it_is_and_what_can_be_chosen(
    square: Running[SquareSimulator], kounta: Running[KountaSimulator]
) -> None:
    merchant = account("square", held(square), base_url=square.url)
    assert merchant.name == "Simulated Cafe"
    assert "ORDERS_WRITE" in merchant.scopes
    assert merchant.expires_at is not None
    assert [choice.value for choice in merchant.choices["location_id"]] == ["L-CAFE", "L-KIOSK"]
    company = account("kounta", held(kounta), base_url=kounta.url)
    assert company.name == "Simulated Cafe Pty Ltd"
    for setting, choices in company.choices.items():
        assert kounta.settings[setting] in [choice.value for choice in choices]


def test_access_is_revoked_by_the_application_it_was_granted_to(
    square: Running[SquareSimulator],
) -> None:
    app = square.simulator.settings
    with pytest.raises(PermissionsError, match="only the application"):
        revoke("square", held(square), base_url=square.url)
    revoke(
        "square",
        held(square, client_id=app.client_id, client_secret=app.client_secret),
        base_url=square.url,
    )
    assert refusal("square", square.settings).reason == "withdrawn"


def test_what_an_adapter_hasnt_written_is_unsupported() -> None:
    with pytest.raises(UnsupportedError, match="whose account"):
        account("generic", Credentials(access_token=SecretStr("t")), base_url="https://pos.example")
    with pytest.raises(UnsupportedError, match="revoke its access"):
        revoke("kounta", Credentials(access_token=SecretStr("t")))


def test_an_async_till_shows_and_gives_back_the_same(square: Running[SquareSimulator]) -> None:
    app = square.simulator.settings
    client: dict[str, Any] = {"client_id": app.client_id, "client_secret": app.client_secret}

    async def both() -> Account:
        async with AsyncTill.connect("square", **square.settings, **client) as till:
            seen = await till.account()
            await till.revoke()
            return seen

    assert asyncio.run(both()).name == "Simulated Cafe"
    assert all(token.revoked for token in square.simulator.world.tokens.values())
