"""No token, code or secret goes to an address that the settings wouldn't accept."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from socket import create_server
from typing import Any

import pytest
from pydantic import SecretStr

from core.canaries import ACCESS, CLIENT, CODE, VERIFIER, leaks
from tillpost import AsyncTill, ConfigError, Till
from tillpost.adapter.base import Credentials
from tillpost.authorization import account, aexchange_code, authorize_url, exchange_code, revoke
from tillpost.client.base import adapter_for
from tillpost.plugins.manager import adapter_named

PLATFORMS = ("square", "kounta", "generic")
CREDENTIALS = Credentials(access_token=SecretStr(ACCESS), client_secret=SecretStr(CLIENT))
GRANTED: dict[str, Any] = {
    "code": CODE,
    "code_verifier": VERIFIER,
    "client_id": "app",
    "client_secret": CLIENT,
    "redirect_uri": "https://shop.example/back",
}
ASKED: dict[str, Any] = {
    "client_id": "app",
    "redirect_uri": "https://shop.example/back",
    "state": "s",
    "code_verifier": VERIFIER,
}


def connected(till: type[Till] | type[AsyncTill]) -> Callable[[str, str], object]:
    def connect(platform: str, base_url: str) -> object:
        return till.connect(platform, access_token=ACCESS, base_url=base_url)

    return connect


DOORS: dict[str, Callable[[str, str], object]] = {
    "Till.connect": connected(Till),
    "AsyncTill.connect": connected(AsyncTill),
    "adapter_for": lambda platform, url: adapter_for(
        platform, {"access_token": ACCESS, "base_url": url}
    ),
    "authorize_url": lambda platform, url: authorize_url(platform, base_url=url, **ASKED),
    "exchange_code": lambda platform, url: exchange_code(platform, base_url=url, **GRANTED),
    "aexchange_code": lambda platform, url: asyncio.run(
        aexchange_code(platform, base_url=url, **GRANTED)
    ),
    "account": lambda platform, url: account(platform, CREDENTIALS, base_url=url),
    "revoke": lambda platform, url: revoke(platform, CREDENTIALS, base_url=url),
}


@contextmanager
def stranger() -> Generator[tuple[int, list[bytes]]]:
    """A port of another machine, as far as names go, and all that it hears."""
    heard: list[bytes] = []
    with create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        stop = threading.Event()

        def hear() -> None:
            while not stop.is_set():
                try:
                    connection, _ = server.accept()
                except TimeoutError:
                    continue
                with connection:
                    heard.append(connection.recv(10_000))

        thread = threading.Thread(target=hear)
        thread.start()
        try:
            yield server.getsockname()[1], heard
        finally:
            stop.set()
            thread.join(60)


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
def test_every_door_refuses_an_address_that_leads_elsewhere(
    platform: str, door: Callable[[str, str], object]
) -> None:
    with stranger() as (port, heard):
        for url in (
            f"http://127.0.0.2:{port}",
            f"http://127.0.0.1:{port}?",
            f"http://127.0.0.1:{port}#",
            f"http://me:pw@127.0.0.1:{port}",
            f"http://127.0.0.1:{port} ",
        ):
            with pytest.raises(ConfigError, match=f"{platform}: .*base_url: must") as caught:
                door(platform, url)
            assert leaks(caught.value) == []
            assert "pw" not in str(caught.value)
    assert heard == []


@pytest.mark.parametrize("platform", PLATFORMS)
def test_no_adapter_exists_with_an_unchecked_address(platform: str) -> None:
    adapter = adapter_named(platform)
    unchecked = adapter.settings.model_construct(base_url="http://evil.example")
    with pytest.raises(ValueError, match="plain http"):
        adapter(unchecked)


def test_address_of_the_default_is_used_without_its_slash() -> None:
    assert authorize_url("square", **ASKED).startswith("https://connect.squareup.com/oauth2/")
    page = authorize_url("square", base_url="https://pos.example/v9/", **ASKED)
    assert page.startswith("https://pos.example/v9/oauth2/")
