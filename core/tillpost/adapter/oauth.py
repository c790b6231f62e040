"""OAuth 2.0 as platforms share it (RFC 6749): the admin's page, and the two requests that bring credentials. No I/O.

    class Corner(oauth.Tokens, Adapter[CornerSettings]):
        token_path = "/oauth/token"

        def sign(self, request, credentials): of_token = request.path == self.token_path return
            oauth.signed_form(request, credentials) if of_token else super().sign(request,
            credentials)

A token request says which grant it is for and nothing else; `token_fields` adds the secrets when it
is signed.
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

_SECRETS = {"authorization_code": ("code", "code_verifier"), "refresh_token": ("refresh_token",)}
"""What each kind of grant sends, beside the client's own id and secret."""

_LONGEST = 10**9
"""Seconds. A token that is said to last longer is held to expire then."""


class _Granted(ResponseModel):
    """The answer to a token request. `expires_in` is in seconds (section 5.1); some say `expires_at` instead."""

    access_token: Annotated[SecretStr, Field(min_length=1)]
    refresh_token: SecretStr | None = None
    expires_at: Aware | None = None
    expires_in: Annotated[float, Field(ge=0)] | None = None


def authorisation_page(url: str, request: AuthorisationRequest, **more: str) -> str:
    """Return the address of the page at `url` that asks a store's admin for access. Empty fields are left out."""
    asked = {
        "client_id": request.client_id,
        "scope": " ".join(request.scopes),
        "state": request.state,
        "redirect_uri": request.redirect_uri,
        **more,
    }
    return f"{url}?{urlencode({name: value for name, value in asked.items() if value})}"


def exchange_code(path: str, credentials: Credentials) -> Exchange[Credentials]:
    """Return the credentials that the code among `credentials` stands for (section 4.1.3)."""
    return (yield from _granted(path, "authorization_code", credentials))


def refresh(path: str, credentials: Credentials) -> Exchange[Credentials]:
    """Return new credentials for expired ones (section 6). A refresh token that isn't given anew stays in use.

    Raises `PermissionsError` when there is none.
    """
    if credentials.refresh_token is None:
        raise PermissionsError("the access token has expired, and there is no refresh token")
    return (yield from _granted(path, "refresh_token", credentials))


class Tokens:
    """The two token requests as an adapter's operations: derive from this before `Adapter`, and name the address."""

    token_path: ClassVar[str]

    def exchange_code(self, credentials: Credentials) -> Exchange[Credentials]:
        """Return the credentials that an authorisation's code stands for."""
        return exchange_code(self.token_path, credentials)

    def refresh(self, credentials: Credentials) -> Exchange[Credentials]:
        """Return new credentials for expired ones."""
        return refresh(self.token_path, credentials)


def token_fields(request: Request[Any], credentials: Credentials) -> Mapping[str, str]:
    """Return all that a token request sends, its secrets among it. For `Adapter.sign` alone."""
    grant_type: str = json.loads(request.body)["grant_type"]
    secrets = {
        name: getattr(credentials, name) for name in ("client_secret", *_SECRETS[grant_type])
    }
    known = {name: secret.get_secret_value() for name, secret in secrets.items() if secret}
    fields = {
        "grant_type": grant_type,
        "client_id": credentials.client_id,
        "redirect_uri": credentials.redirect_uri,
    }
    return {name: text for name, text in (fields | known).items() if text}


def signed_form(request: Request[Any], credentials: Credentials) -> Signed:
    """Return a token request as the standard has it: a form, with the client's id and secret in it (section 2.3.1)."""
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    return Signed(headers, urlencode(token_fields(request, credentials)).encode())


def _granted(path: str, grant_type: str, old: Credentials) -> Exchange[Credentials]:
    body = to_body(grant_type=grant_type)
    new = yield from ask(Request("POST", path, reading(_Granted), body, Effect.SIDE, private=True))
    lasts = None if new.expires_in is None else timedelta(seconds=min(new.expires_in, _LONGEST))
    rotated = (
        new.refresh_token if new.refresh_token and new.refresh_token.get_secret_value() else None
    )
    return Credentials(
        access_token=new.access_token,
        refresh_token=rotated or old.refresh_token,
        client_id=old.client_id,
        client_secret=old.client_secret,
        expires_at=new.expires_at or (datetime.now(UTC) + lasts if lasts is not None else None),
    )
