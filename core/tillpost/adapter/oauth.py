"""OAuth 2.0 (RFC 6749), as platforms share it.

It covers the admin's page and the token requests, and does no I/O. An adapter mixes in `Tokens`,
and signs requests for tokens in its own way::

    class Corner(oauth.Tokens, Adapter[CornerSettings]):
        token_path = "/oauth/token"

        def sign(self, request, credentials):
            if request.path == self.token_path:
                return oauth.signed_form(request, credentials)
            return super().sign(request, credentials)

A token request contains the type of its grant and no secret. `token_fields` adds the secrets when
it is signed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar
from urllib.parse import urlencode

from pydantic import Field, SecretStr

from tillpost.adapter.exchange import Effect, Exchange, Request, ask, reading, to_body
from tillpost.adapter.fields import ResponseModel
from tillpost.adapter.settings import AuthorisationRequest, Credentials, Signed
from tillpost.errors import PermissionsError
from tillpost.models.base import Aware

__all__ = [
    "Tokens",
    "authorisation_page",
    "exchange_code",
    "refresh",
    "signed_form",
    "token_fields",
]

_SECRETS = {
    "authorization_code": ("client_secret", "code", "code_verifier"),
    "refresh_token": ("client_secret", "refresh_token"),
}
"""The secrets that each type of grant sends."""

_LONGEST_LIFETIME = 10**9
"""Seconds. A longer lifetime is cut to this, which a date can still express."""


class _TokenAnswer(ResponseModel):
    """The answer to a token request (section 5.1).

    `expires_in` is in seconds. Some platforms send `expires_at` instead.
    """

    access_token: Annotated[SecretStr, Field(min_length=1)]
    refresh_token: SecretStr | None = None
    expires_at: Aware | None = None
    expires_in: Annotated[float, Field(ge=0)] | None = None

    def expiry(self) -> datetime | None:
        """Return when the access token expires, None if the answer doesn't say."""
        if self.expires_at or self.expires_in is None:
            return self.expires_at
        seconds = min(self.expires_in, _LONGEST_LIFETIME)
        return datetime.now(UTC) + timedelta(seconds=seconds)


def authorisation_page(url: str, request: AuthorisationRequest, **more: str) -> str:
    """Return the address of the page on which a store's admin grants access.

    Args:
        url: The page's address, without a query.
        request: What to ask for.
        **more: More fields of the query. Empty ones are left out.
    """
    query = {
        "client_id": request.client_id,
        "scope": " ".join(request.scopes),
        "state": request.state,
        "redirect_uri": request.redirect_uri,
        **more,
    }
    given = {name: value for name, value in query.items() if value}
    return f"{url}?{urlencode(given)}"


def exchange_code(path: str, credentials: Credentials) -> Exchange[Credentials]:
    """Return the credentials for the code in `credentials` (section 4.1.3).

    Effect: SIDE.
    """
    return (yield from _request_token(path, "authorization_code", credentials))


def refresh(path: str, credentials: Credentials) -> Exchange[Credentials]:
    """Return new credentials for expired ones (section 6). Effect: SIDE.

    If the answer contains no refresh token, the old one stays valid.

    Raises:
        PermissionsError: There is no refresh token.
    """
    if credentials.refresh_token is None:
        raise PermissionsError("the access token has expired, and there is no refresh token")
    return (yield from _request_token(path, "refresh_token", credentials))


class Tokens:
    """The two token requests as operations of an adapter.

    Derive from it before `Adapter`, and set `token_path`.
    """

    token_path: ClassVar[str]
    """The path that both requests are posted to."""

    def exchange_code(self, credentials: Credentials) -> Exchange[Credentials]:
        """Return the credentials for an authorisation code."""
        return exchange_code(self.token_path, credentials)

    def refresh(self, credentials: Credentials) -> Exchange[Credentials]:
        """Return new credentials for expired ones."""
        return refresh(self.token_path, credentials)


def token_fields(request: Request[Any], credentials: Credentials) -> Mapping[str, str]:
    """Return all fields of a token request, with its secrets. Only for `Adapter.sign`."""
    grant_type: str = json.loads(request.body)["grant_type"]
    fields = {
        "grant_type": grant_type,
        "client_id": credentials.client_id,
        "redirect_uri": credentials.redirect_uri,
    }
    for name in _SECRETS[grant_type]:
        secret: SecretStr | None = getattr(credentials, name)
        if secret:
            fields[name] = secret.get_secret_value()
    return {name: value for name, value in fields.items() if value}


def signed_form(request: Request[Any], credentials: Credentials) -> Signed:
    """Return a token request as a form with the client's secret (section 2.3.1)."""
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    return Signed(headers, urlencode(token_fields(request, credentials)).encode())


def _request_token(path: str, grant_type: str, old: Credentials) -> Exchange[Credentials]:
    body = to_body(grant_type=grant_type)
    request = Request("POST", path, reading(_TokenAnswer), body, Effect.SIDE, private=True)
    answer = yield from ask(request)
    new_refresh_token = answer.refresh_token
    if new_refresh_token and not new_refresh_token.get_secret_value():
        new_refresh_token = None
    return Credentials(
        access_token=answer.access_token,
        refresh_token=new_refresh_token or old.refresh_token,
        client_id=old.client_id,
        client_secret=old.client_secret,
        expires_at=answer.expiry(),
    )
