"""Connecting a store: the provider's page, and the code that comes back from it, exchanged for credentials.

    verifier, state = new_verifier(), new_state() url = authorize_url("square", client_id=...,
    redirect_uri=..., state=state, code_verifier=verifier) # the store's admin opens the url, grants
    access, and is sent to redirect_uri?code=...&state=... credentials = exchange_code("square",
    code=code, client_id=..., client_secret=..., redirect_uri=...) account("square", credentials)
    # whose it is, and the locations to choose from

Compare the `state` that comes back with the one that went out: a difference means that somebody
planted another code.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from typing import Any

import httpx
from pydantic import SecretStr

from tillpost.adapter.base import Account, Adapter, AuthorisationRequest, Credentials
from tillpost.client.aio import AsyncTill
from tillpost.client.base import Options
from tillpost.client.sync import Till
from tillpost.plugins.manager import adapter_named

__all__ = [
    "account",
    "aexchange_code",
    "authorize_url",
    "exchange_code",
    "new_state",
    "new_verifier",
    "revoke",
]


def new_state() -> str:
    """Return a fresh `state`: kept by you, sent along, and compared when it comes back."""
    return secrets.token_urlsafe(24)


def new_verifier() -> str:
    """Return a fresh PKCE code verifier: kept by you, and handed in with the code."""
    return secrets.token_urlsafe(64)


def authorize_url(
    platform: str,
    *,
    client_id: str,
    redirect_uri: str,
    state: str,
    scopes: tuple[str, ...] = (),
    code_verifier: str = "",
    base_url: str = "",
) -> str:
    """Return the address of the provider's page on which a store's admin grants access.

    Without `scopes` the adapter asks for all that its operations need. Raises `ConfigError` for an
    unknown platform and `UnsupportedError` where the platform has no such page.
    """
    digest = hashlib.sha256(code_verifier.encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode() if code_verifier else ""
    del code_verifier  # so that no traceback from here on holds it
    adapter = adapter_named(platform)
    request = AuthorisationRequest(client_id, redirect_uri, state, scopes, challenge)
    return adapter.authorize_url(base_url or _default_url(adapter), request)


def exchange_code(
    platform: str,
    *,
    code: str,
    client_id: str,
    client_secret: str = "",
    redirect_uri: str,
    code_verifier: str = "",
    base_url: str = "",
    http_client: httpx.Client | None = None,
) -> Credentials:
    """Exchange the code that came back for credentials. Raises a `PosError` when the provider refuses it."""
    granted = _granted(code, client_id, client_secret, redirect_uri, code_verifier)
    del code, client_secret, code_verifier  # so that no traceback from here on holds them
    adapter = _adapter(platform, base_url)
    with Till(adapter, Options(credentials=granted), http_client=http_client) as till:
        return till.exchange_code()


async def aexchange_code(
    platform: str,
    *,
    code: str,
    client_id: str,
    client_secret: str = "",
    redirect_uri: str,
    code_verifier: str = "",
    base_url: str = "",
    http_client: httpx.AsyncClient | None = None,
) -> Credentials:
    """Do the same with await."""
    granted = _granted(code, client_id, client_secret, redirect_uri, code_verifier)
    del code, client_secret, code_verifier  # so that no traceback from here on holds them
    adapter = _adapter(platform, base_url)
    async with AsyncTill(adapter, Options(credentials=granted), http_client=http_client) as till:
        return await till.exchange_code()


def account(platform: str, credentials: Credentials, *, base_url: str = "") -> Account:
    """Return whose account the credentials are of, and what its connection's settings can be.

    Raises `UnsupportedError` where the platform's adapter can't tell, and the platform's
    `PosError`.
    """
    with Till(_adapter(platform, base_url), Options(credentials=credentials)) as till:
        return till.account()


def revoke(platform: str, credentials: Credentials, *, base_url: str = "") -> None:
    """Give back the access that these credentials stand for. Raises as `account` does."""
    with Till(_adapter(platform, base_url), Options(credentials=credentials)) as till:
        till.revoke()


def _granted(
    code: str, client_id: str, client_secret: str, redirect_uri: str, verifier: str
) -> Credentials:
    """Return what the one request is signed with."""
    return Credentials(
        access_token=SecretStr(""),
        client_id=client_id,
        client_secret=SecretStr(client_secret) if client_secret else None,
        code=SecretStr(code),
        code_verifier=SecretStr(verifier) if verifier else None,
        redirect_uri=redirect_uri,
    )


def _adapter(platform: str, base_url: str) -> Adapter[Any]:
    """Return an adapter that knows nothing of a store yet: what its settings require is empty."""
    adapter = adapter_named(platform)
    known: dict[str, Any] = {
        name: "" for name, field in adapter.settings.model_fields.items() if field.is_required()
    }
    known["base_url"] = (base_url or _default_url(adapter)).rstrip("/")
    return adapter(adapter.settings.model_construct(None, **known))


def _default_url(adapter: type[Adapter[Any]]) -> str:
    default = adapter.settings.model_fields["base_url"].default
    return default if isinstance(default, str) else ""
