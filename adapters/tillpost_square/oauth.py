"""Square's OAuth: authorisation page, token requests, account and revoking.

A store's admin opens the page. Token requests are JSON. A refresh token of the code flow stays
valid. Sources: developer documentation (OAuth API, code flow and PKCE flow), and `ObtainToken` in
the OpenAPI document.

unconfirmed: that a code is exchanged with the application's secret and PKCE's verifier together,
which the document describes as two flows, and whose refresh token comes of it: the code flow's,
which doesn't expire, or PKCE's, which is used once and does. Whichever comes is stored. One such
authorisation in a sandbox, renewed twice, would show it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tillpost.adapter import (
    Account,
    AuthorisationRequest,
    Choice,
    Credentials,
    Effect,
    Exchange,
    PermissionsError,
    Request,
    Signed,
    ask,
    nothing,
    oauth,
    reading,
    to_body,
)
from tillpost_square import wire

__all__ = ["SCOPES", "TOKEN_PATH", "account", "authorize_url", "revoke", "signed_oauth_request"]

TOKEN_PATH = "/oauth2/token"  # noqa: S105  an address
REVOKE_PATH = "/oauth2/revoke"

SCOPES = {
    "ORDERS_READ": "look orders up",
    "ORDERS_WRITE": "create orders",
    "PAYMENTS_WRITE": "record payments",
    "ITEMS_READ": "import the menu",
    "MERCHANT_PROFILE_READ": "read the location",
}
"""The scopes that the adapter's operations need, and what each is for.

Source: `security` in the spec.
"""

_JSON = {"Content-Type": "application/json", "Accept": "application/json"}


def authorize_url(base_url: str, request: AuthorisationRequest) -> str:
    """Return Square's page for admins.

    `session=false` makes the admin log in, so that nobody else's session grants access.
    """
    request = replace(request, scopes=request.scopes or tuple(SCOPES))
    page = f"{base_url}/oauth2/authorize"
    return oauth.authorisation_page(
        page, request, session="false", code_challenge=request.code_challenge
    )


def signed_oauth_request(request: Request[Any], credentials: Credentials) -> Signed | None:
    """Return a request for a token, or to revoke one, with its secrets.

    The result is None for any other request.
    """
    if request.path == TOKEN_PATH:
        return Signed(_JSON, to_body(**oauth.token_fields(request, credentials)))
    if request.path == REVOKE_PATH and credentials.client_secret:
        client_secret = credentials.client_secret.get_secret_value()
        body = to_body(
            client_id=credentials.client_id,
            access_token=credentials.access_token.get_secret_value(),
        )
        return Signed({**_JSON, "Authorization": f"Client {client_secret}"}, body)
    return None


def account() -> Exchange[Account]:
    """Return the merchant, the scopes of the token, and the locations.

    The active locations come first.
    """
    status = yield from ask(
        Request("POST", "/oauth2/token/status", reading(wire.TokenStatus), to_body())
    )
    merchants = yield from ask(Request("GET", "/v2/merchants/me", reading(wire.MerchantAnswer)))
    merchant = merchants.merchant
    answer = yield from ask(Request("GET", "/v2/locations", reading(wire.LocationsAnswer)))
    locations = sorted(answer.locations, key=lambda location: location.status != "ACTIVE")
    choices = tuple(Choice(value=location.id, name=location.name) for location in locations)
    expires_at = status.expires_at
    return Account(
        name=merchant.business_name or merchant.id,
        scopes=status.scopes,
        expires_at=expires_at if expires_at and expires_at.tzinfo else None,
        choices={"location_id": choices},
    )


def revoke(credentials: Credentials) -> Exchange[None]:
    """Revoke all access that the merchant granted to the application. Effect: SIDE.

    Raises:
        PermissionsError: There is no application's secret. A personal token is replaced in Square's
            Developer Console.
    """
    if credentials.client_secret is None:
        raise PermissionsError(
            "only the application that a store granted access to can revoke its access"
        )
    yield from ask(Request("POST", REVOKE_PATH, nothing, to_body(), Effect.SIDE, private=True))
