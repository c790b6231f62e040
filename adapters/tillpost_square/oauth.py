"""Square's OAuth: the page that a store's admin opens, and whose the access is. Token requests are JSON, see `sign`.

Sources: developer documentation (OAuth API, code flow and PKCE flow), and `ObtainToken` in the
OpenAPI document. A refresh token of the code flow stays as it is.

unconfirmed: that a code is exchanged with the application's secret and PKCE's verifier together,
which the document describes as two flows, and whose refresh token comes of it: the code flow's,
which doesn't expire, or PKCE's, which is used once and does. Whichever comes is kept. One such
authorisation in a sandbox, renewed twice, would tell.
"""

from __future__ import annotations

from dataclasses import replace

from tillpost.adapter import (
    Account,
    AuthorisationRequest,
    Choice,
    Credentials,
    Effect,
    Exchange,
    PermissionsError,
    Request,
    ask,
    nothing,
    oauth,
    reading,
    to_body,
)
from tillpost_square import wire

__all__ = ["REVOKE", "SCOPES", "TOKEN", "account", "authorize_url", "revoke"]

TOKEN = "/oauth2/token"  # noqa: S105  an address
REVOKE = "/oauth2/revoke"
SCOPES = ("ORDERS_READ", "ORDERS_WRITE", "PAYMENTS_WRITE", "ITEMS_READ", "MERCHANT_PROFILE_READ")
"""What the adapter's operations need."""


def authorize_url(base_url: str, request: AuthorisationRequest) -> str:
    """Return Square's page. `session=false` makes the admin log in, so that nobody else's session grants access."""
    asked = replace(request, scopes=request.scopes or SCOPES)
    page = f"{base_url}/oauth2/authorize"
    return oauth.authorisation_page(
        page, asked, session="false", code_challenge=request.code_challenge
    )


def account() -> Exchange[Account]:
    """Return the merchant, the scopes of the token, and the locations, the active ones first."""
    status = yield from ask(
        Request("POST", "/oauth2/token/status", reading(wire.TokenStatus), to_body())
    )
    merchant = (
        yield from ask(Request("GET", "/v2/merchants/me", reading(wire.MerchantAnswer)))
    ).merchant
    locations = (
        yield from ask(Request("GET", "/v2/locations", reading(wire.LocationsAnswer)))
    ).locations
    listed = sorted(locations, key=lambda location: location.status != "ACTIVE")
    choices = tuple(Choice(value=location.id, name=location.name) for location in listed)
    return Account(
        name=merchant.business_name or merchant.id,
        scopes=status.scopes,
        expires_at=status.expires_at if status.expires_at and status.expires_at.tzinfo else None,
        choices={"location_id": choices},
    )


def revoke(credentials: Credentials) -> Exchange[None]:
    """Revoke all that the merchant has granted to the application. It takes the application's own secret.

    Raises `PermissionsError` without that: a personal token is replaced in Square's Developer
    Console.
    """
    if credentials.client_secret is None:
        raise PermissionsError(
            "only the application that a store granted access to can give it back"
        )
    yield from ask(Request("POST", REVOKE, nothing, to_body(), Effect.SIDE, private=True))
