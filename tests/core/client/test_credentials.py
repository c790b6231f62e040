"""`MemoryCredentials`: refreshed once, saved before use, for threads and for tasks."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import SecretStr

from tillpost.adapter.settings import Credentials
from tillpost.client.credentials import MemoryCredentials
from tillpost.errors import OutageError, PermissionsError


def credentials(token: str) -> Credentials:
    return Credentials(access_token=SecretStr(token))


OLD, NEW = credentials("old"), credentials("new")


def refuse() -> Credentials:
    raise PermissionsError("the refresh token was revoked")


def fail() -> Credentials:
    raise OutageError("the authorisation server is unreachable")


def test_refreshed_credentials_are_saved_before_they_are_used() -> None:
    in_use: list[Credentials] = []
    source = MemoryCredentials(OLD, lambda _: in_use.append(source.current))
    assert source.refresh(OLD, lambda: NEW)
    assert in_use == [OLD]
    assert source.current is NEW


def test_replaced_credentials_are_not_refreshed() -> None:
    source = MemoryCredentials(NEW)
    assert source.refresh(OLD, refuse)
    assert source.current is NEW


def test_refused_refresh_keeps_the_old_credentials() -> None:
    source = MemoryCredentials(OLD)
    assert not source.refresh(OLD, refuse)
    assert source.current is OLD


def test_transient_refresh_failure_is_raised() -> None:
    source = MemoryCredentials(OLD)
    with pytest.raises(OutageError):
        source.refresh(OLD, fail)
    assert source.current is OLD


def test_async_callback_is_awaited_before_use() -> None:
    saved: list[Credentials] = []

    async def save(refreshed: Credentials) -> None:
        await asyncio.sleep(0)
        saved.append(refreshed)

    async def ask() -> Credentials:
        return NEW

    async def main() -> None:
        source = MemoryCredentials(OLD, save)
        assert await source.arefresh(OLD, ask)
        assert saved == [NEW]
        assert source.current is NEW

    asyncio.run(main())
