"""A store's connection by OAuth: the provider's page, and the code it returns.

::

    verifier, state = new_verifier(), new_state()
    url = authorize_url(
        "square", client_id=..., redirect_uri=..., state=state, code_verifier=verifier
    )
    # The store's admin opens the url, grants access, and is sent to
    # redirect_uri?code=...&state=...
    credentials = exchange_code(
        "square", code=code, client_id=..., client_secret=..., redirect_uri=...
    )
    account("square", credentials)      # whose it is, and the locations to choose from

Compare the `state` that comes back with the one that was sent: if they differ, somebody planted
another code.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from typing import Any

import httpx
from pydantic import SecretStr, ValidationError

from tillpost.adapter.base import Account, Adapter, AuthorisationRequest, Credentials
from tillpost.adapter.settings import checked_address
from tillpost.client.aio import AsyncTill
from tillpost.client.credentials import MemoryCredentials
from tillpost.client.sync import Till
from tillpost.errors import ConfigError
from tillpost.plugins.manager import adapter_named
from tillpost.submission.context import Connection

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
    """Return a new `state`: send it along, and compare it when it comes back."""
    return secrets.token_urlsafe(24)


def new_verifier() -> str:
    """Return a new PKCE code verifier: keep it, and pass it on with the code."""
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
    """Return the address of the page on which a store's admin grants access.

    It is the provider's page. Without `scopes`, the adapter asks for all that its operations need.

    Raises:
        ConfigError: There is no such platform.
        UnsupportedError: The platform has no such page.
    """
    digest = hashlib.sha256(code_verifier.encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode() if code_verifier else ""
    del code_verifier  # so that no traceback from here on holds it
    adapter = adapter_named(platform)
    request = AuthorisationRequest(client_id, redirect_uri, state, scopes, challenge)
    return adapter.authorize_url(_checked_url(adapter, base_url), request)


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
    """Exchange the code that came back for credentials.

    Raises:
        PosError: The code is refused.
    """
    request = _code_credentials(code, client_id, client_secret, redirect_uri, code_verifier)
    del code, client_secret, code_verifier  # so that no traceback from here on holds them
    connection = _connection(platform, base_url)
    credentials = MemoryCredentials(request)
    with Till(connection, credentials=credentials, http_client=http_client) as till:
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
    """Exchange the code with `await`; see `exchange_code`."""
    request = _code_credentials(code, client_id, client_secret, redirect_uri, code_verifier)
    del code, client_secret, code_verifier  # so that no traceback from here on holds them
    connection = _connection(platform, base_url)
    credentials = MemoryCredentials(request)
    async with AsyncTill(connection, credentials=credentials, http_client=http_client) as till:
        return await till.exchange_code()


def account(platform: str, credentials: Credentials, *, base_url: str = "") -> Account:
    """Return the account of credentials, and what its connection's settings can be.

    Raises:
        UnsupportedError: The platform's adapter can't report the account.
        PosError: The platform refuses.
    """
    connection = _connection(platform, base_url)
    with Till(connection, credentials=MemoryCredentials(credentials)) as till:
        return till.account()


def revoke(platform: str, credentials: Credentials, *, base_url: str = "") -> None:
    """Give up the access that these credentials grant. Raises as `account` does."""
    connection = _connection(platform, base_url)
    with Till(connection, credentials=MemoryCredentials(credentials)) as till:
        till.revoke()


def _code_credentials(
    code: str,
    client_id: str,
    client_secret: str,
    redirect_uri: str,
    verifier: str,
) -> Credentials:
    """Return what the request that exchanges a code is signed with."""
    return Credentials(
        access_token=SecretStr(""),
        client_id=client_id,
        client_secret=SecretStr(client_secret) if client_secret else None,
        code=SecretStr(code),
        code_verifier=SecretStr(verifier) if verifier else None,
        redirect_uri=redirect_uri,
    )


def _connection(platform: str, base_url: str) -> Connection:
    """Return a connection that knows no store yet.

    The settings that one requires are empty.
    """
    adapter = adapter_named(platform)
    fields = adapter.settings.model_fields
    required = [name for name, field in fields.items() if field.is_required()]
    settings: dict[str, Any] = dict.fromkeys(required, "")
    settings["base_url"] = _checked_url(adapter, base_url)
    return Connection(adapter(adapter.settings.model_construct(None, **settings)))


def _checked_url(adapter: type[Adapter[Any]], base_url: str) -> str:
    """Return the platform's address, as the adapter's settings accept it.

    Raises:
        ConfigError: They don't. No token is sent there.
    """
    default = adapter.settings.model_fields["base_url"].default
    url = base_url or (default if isinstance(default, str) else "")
    fault = ""
    try:
        adapter.settings.model_validate({"base_url": url})
    except ValidationError as error:
        # The other settings are missing, which doesn't matter here.
        faults = error.errors(include_url=False, include_input=False, include_context=False)
        for each in faults:
            if each["loc"][:1] == ("base_url",):
                fault = each["msg"].removeprefix("Value error, ")
    # Raised out here, because the ValidationError holds the values that it refused.
    if fault:
        raise ConfigError(f"{adapter.platform}: base_url: {fault}")
    return checked_address(url)
