"""Square's OAuth: the page that a store's admin opens, and what a token request holds beside its grant.

The requests themselves are exchanges of the adapter and hold no secret; `token_body` is called when one is signed.
Sources: developer documentation (OAuth API, code flow and PKCE flow), and `ObtainToken` in the OpenAPI document.
"""

from __future__ import annotations

import json
from urllib.parse import urlencode

from pydantic import SecretStr

from tillpost.adapter import AuthorisationRequest, Credentials
from tillpost.exchange import to_body
from tillpost_square.wire import Granted

__all__ = ["SCOPES", "TOKEN", "authorize_url", "renewed", "token_body"]

TOKEN = "/oauth2/token"  # noqa: S105  an address
SCOPES = ("ORDERS_READ", "ORDERS_WRITE", "PAYMENTS_WRITE", "ITEMS_READ", "MERCHANT_PROFILE_READ")
"""What the adapter's operations need."""


def authorize_url(base_url: str, request: AuthorisationRequest) -> str:
    """Return Square's page. `session=false` makes the admin log in, so that nobody else's session grants access."""
    asked = {
        "client_id": request.client_id,
        "scope": " ".join(request.scopes or SCOPES),
        "session": "false",
        "state": request.state,
        "redirect_uri": request.redirect_uri,
        "code_challenge": request.code_challenge,
    }
    return f"{base_url}/oauth2/authorize?{urlencode({name: value for name, value in asked.items() if value})}"


def token_body(body: bytes, credentials: Credentials) -> bytes:
    """Return the body of a token request with what only its signing may know."""
    asked: dict[str, object] = json.loads(body)
    secrets = {
        "refresh_token": credentials.refresh_token,
        "code": credentials.code,
        "client_secret": credentials.client_secret,
        "code_verifier": credentials.code_verifier,
    }
    unused = "code" if asked["grant_type"] == "refresh_token" else "refresh_token"
    known = {name: text.get_secret_value() for name, text in secrets.items() if text and name != unused}
    if credentials.redirect_uri:
        known["redirect_uri"] = credentials.redirect_uri
    return to_body(**asked, client_id=credentials.client_id, **known)


def renewed(old: Credentials, granted: Granted) -> Credentials:
    """Return the credentials as granted; Square leaves a refresh token of the code flow as it is."""
    return Credentials(
        access_token=granted.access_token,
        refresh_token=_given(granted.refresh_token) or old.refresh_token,
        client_id=old.client_id,
        client_secret=old.client_secret,
        expires_at=granted.expires_at,
    )


def _given(secret: SecretStr | None) -> SecretStr | None:
    return secret if secret and secret.get_secret_value() else None
