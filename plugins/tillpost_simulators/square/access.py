"""Access: the API version, tokens and their scopes, and the OAuth operations.

The texts of the 401 and the 403 are as seen (developer forum).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, timedelta
from urllib.parse import urlencode

from tillpost.simulator import Answer, Call
from tillpost_simulators.square.clock import written
from tillpost_simulators.square.errors import Problem, Refusal, bad_request, missing
from tillpost_simulators.square.request_bodies import ObtainToken, RevokeToken
from tillpost_simulators.square.wire import parse_body
from tillpost_simulators.square.world import ALL_SCOPES, Token, World

API_VERSION = "2025-08-20"
"""The release that the reference document describes.

It is the default for `Square-Version`.
"""

_VERSION = re.compile(r"^\d{4}-\d{2}-\d{2}$")
_TOKEN_LIFETIME = timedelta(days=30)
_SHORT_TOKEN_LIFETIME = timedelta(hours=24)
_UNAUTHORIZED = "This request could not be authorized."


# --- checks of every request ---


def check_version(call: Call) -> str:
    """Return the API version that a request asks for.

    unconfirmed: what Square answers to a version of the future; a call to the sandbox would show.

    Raises:
        Refusal: The version is malformed, or later than the one that is simulated.
    """
    version = call.headers.get("square-version", API_VERSION)
    if not _is_version(version):
        detail = f"`{version}` is not a valid Square-Version."
        raise bad_request("INVALID_SQUARE_VERSION_FORMAT", detail)
    if version > API_VERSION:
        detail = f"The simulator knows Square as of {API_VERSION}."
        raise bad_request("API_VERSION_INCOMPATIBLE", detail)
    return version


def _is_version(text: str) -> bool:
    if not _VERSION.match(text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def check_access(world: World, call: Call, scopes: Sequence[str]) -> Token:
    """Return the token of a request.

    Raises:
        Refusal: The token is unknown, revoked or expired, or lacks one of `scopes`.
    """
    scheme, _, secret = call.headers.get("authorization", "").partition(" ")
    token = world.tokens.get(secret.strip()) if scheme.lower() == "bearer" else None
    if token is None:
        raise _unauthorized("UNAUTHORIZED", _UNAUTHORIZED)
    if token.revoked:
        detail = "The provided access token has been revoked."
        raise _unauthorized("ACCESS_TOKEN_REVOKED", detail)
    if token.expires_at <= world.clock.now():
        detail = "The provided access token has expired."
        raise _unauthorized("ACCESS_TOKEN_EXPIRED", detail)
    missing_scopes = [scope for scope in scopes if scope not in token.scopes]
    if missing_scopes:
        detail = (
            "The merchant has not given your application sufficient permissions to do that. "
            "The merchant must authorize your application for the following scopes: "
            f"[{', '.join(missing_scopes)}]"
        )
        raise Refusal(403, Problem("INSUFFICIENT_SCOPES", detail))
    return token


def _unauthorized(code: str, detail: str, field: str = "") -> Refusal:
    return Refusal(401, Problem(code, detail, field))


# --- OAuth ---


def token_status(world: World, call: Call) -> Answer:
    """Return a token's status (spec: RetrieveTokenStatus).

    An expired or unknown token is UNAUTHORIZED here.
    """
    try:
        token = check_access(world, call, scopes=())
    except Refusal as refusal:
        raise _unauthorized("UNAUTHORIZED", _UNAUTHORIZED) from refusal
    status = {
        "scopes": sorted(token.scopes),
        "expires_at": written(token.expires_at),
        "client_id": world.settings.client_id,
        "merchant_id": world.settings.merchant_id,
    }
    return Answer.of(status)


def authorize(world: World, call: Call) -> Answer:
    """Redirect to the redirect URL with a code, as when a seller agrees."""
    query = call.query
    if query.get("client_id") != world.settings.client_id:
        raise bad_request("BAD_REQUEST", "No application with this client_id.", "client_id")
    scopes = query.get("scope", "").replace("+", " ").split()
    back = {
        "code": grant_code(world, scopes),
        "response_type": "code",
    }
    if "state" in query:
        back["state"] = query["state"]
    location = f"{world.settings.redirect_url}?{urlencode(back)}"
    return Answer(status=302, headers={"Location": location})


def grant_code(world: World, scopes: Sequence[str]) -> str:
    """Return a new authorisation code, valid for one exchange."""
    code = f"sq0cgp-{world.new_id('code', 22)}"
    world.codes[code] = set(scopes or ALL_SCOPES)
    return code


def obtain_token(world: World, call: Call) -> Answer:
    """Exchange a code or a refresh token for tokens (spec: ObtainToken).

    This is for the code flow: authorization_code and refresh_token.

    unconfirmed: the codes and texts of the refusals; calls with a wrong secret, code and refresh
    token would show it.
    """
    body = parse_body(ObtainToken, call.body)
    _check_client(world, body)
    match body.grant_type:
        case "authorization_code":
            granted = _scopes_of_code(world, body.code)
            refresh_token = f"refresh-{world.new_id('refresh', 40)}"
        case "refresh_token":
            if body.refresh_token is None:
                raise missing("refresh_token")
            refresh_token = body.refresh_token
            granted = _scopes_of_refresh_token(world, refresh_token)
        case other:
            raise bad_request("INVALID_VALUE", f"`{other}` is not a grant type.", "grant_type")
    scopes = granted & set(body.scopes) if body.scopes else granted
    return _issue_token(world, scopes, refresh_token, short_lived=bool(body.short_lived))


def _check_client(world: World, body: ObtainToken) -> None:
    settings = world.settings
    is_client = body.client_id == settings.client_id
    if not is_client or body.client_secret != settings.client_secret:
        detail = "Not authorized: client_id or client_secret is wrong."
        raise _unauthorized("UNAUTHORIZED", detail)


def _scopes_of_code(world: World, code: str | None) -> set[str]:
    if code is None:
        raise missing("code")
    granted = world.codes.pop(code, None)
    if granted is None:
        detail = "Authorization code not found or already used."
        raise _unauthorized("UNAUTHORIZED", detail, "code")
    return granted


def _scopes_of_refresh_token(world: World, refresh_token: str) -> set[str]:
    """Return the scopes that the seller agreed to, unless they were revoked."""
    issued = [token for token in world.tokens.values() if token.refresh_token == refresh_token]
    if not issued or refresh_token in world.revoked_refresh_tokens:
        detail = "The refresh token is not valid."
        raise _unauthorized("UNAUTHORIZED", detail, "refresh_token")
    return set(issued[-1].scopes)


def _issue_token(
    world: World,
    scopes: set[str],
    refresh_token: str,
    *,
    short_lived: bool,
) -> Answer:
    secret = f"access-{world.new_id('token', 40)}"
    lifetime = _SHORT_TOKEN_LIFETIME if short_lived else _TOKEN_LIFETIME
    expires_at = world.clock.now() + lifetime
    world.tokens[secret] = Token(set(scopes), expires_at, refresh_token, short_lived)
    body = {
        "access_token": secret,
        "token_type": "bearer",
        "expires_at": written(expires_at),
        "merchant_id": world.settings.merchant_id,
        "refresh_token": refresh_token,
        "short_lived": short_lived,
    }
    return Answer.of(body)


def revoke_token(world: World, call: Call) -> Answer:
    """Revoke access (spec: RevokeToken).

    Needs `Authorization: Client <secret>`.

    Revokes all of the merchant's tokens, or only one.
    """
    if call.headers.get("authorization", "") != f"Client {world.settings.client_secret}":
        raise _unauthorized("UNAUTHORIZED", _UNAUTHORIZED)
    body = parse_body(RevokeToken, call.body)
    if (body.access_token is None) == (body.merchant_id is None):
        detail = "Exactly one of `access_token` and `merchant_id` must be set."
        raise bad_request("BAD_REQUEST", detail)
    if body.client_id != world.settings.client_id:
        raise bad_request("INVALID_VALUE", "No application with this client_id.", "client_id")
    named = world.tokens.get(body.access_token or "")
    if named is None and body.merchant_id != world.settings.merchant_id:
        raise Refusal(404, Problem("NOT_FOUND", "No authorization found.", "access_token"))
    if named is not None and body.revoke_only_access_token:
        named.revoked = True
    else:
        world.revoke_all_tokens()
    return Answer.of({"success": True})
