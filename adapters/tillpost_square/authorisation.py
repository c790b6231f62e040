"""Square's OAuth: the page that a store's admin opens. Its token requests are JSON, see `Square.sign`.

Sources: developer documentation (OAuth API, code flow and PKCE flow), and `ObtainToken` in the OpenAPI document. A
refresh token of the code flow stays as it is.
"""

from __future__ import annotations

from dataclasses import replace

from tillpost import oauth
from tillpost.adapter import AuthorisationRequest

__all__ = ["SCOPES", "TOKEN", "authorize_url"]

TOKEN = "/oauth2/token"  # noqa: S105  an address
SCOPES = ("ORDERS_READ", "ORDERS_WRITE", "PAYMENTS_WRITE", "ITEMS_READ", "MERCHANT_PROFILE_READ")
"""What the adapter's operations need."""


def authorize_url(base_url: str, request: AuthorisationRequest) -> str:
    """Return Square's page. `session=false` makes the admin log in, so that nobody else's session grants access."""
    asked = replace(request, scopes=request.scopes or SCOPES)
    page = f"{base_url}/oauth2/authorize"
    return oauth.authorisation_page(page, asked, session="false", code_challenge=request.code_challenge)
