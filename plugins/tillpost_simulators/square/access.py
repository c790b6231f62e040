"""Who may ask: the access token, its scopes, and the API version, before any operation; and the OAuth operations.

Texts of the 401 and the 403 are as seen (developer forum).
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
from tillpost_simulators.square.wire import read
from tillpost_simulators.square.world import ALL_SCOPES, Token, World

API_VERSION = "2025-08-20"
"""The release that the reference document describes, and what a request without `Square-Version` gets."""

_VERSION = re.compile(r"^\d{4}-\d{2}-\d{2}$")
_TOKEN_LASTS = timedelta(days=30)
_SHORT_TOKEN_LASTS = timedelta(hours=24)


def check_version(call: Call) -> str:
    """The API version that a request asks for. Refuses one that is malformed or that this simulator can't know.

    unconfirmed: what Square answers to a version of the future; a call to the sandbox would tell.
    """
    version = call.headers.get("square-version", API_VERSION)
    try:
        known = bool(_VERSION.match(version)) and date.fromisoformat(version)
    except ValueError:
        known = False
    if not known:
        raise bad_request(
            "INVALID_SQUARE_VERSION_FORMAT", f"`{version}` is not a valid Square-Version."
        )
    if version > API_VERSION:
        raise bad_request(
            "API_VERSION_INCOMPATIBLE", f"The simulator knows Square as of {API_VERSION}."
        )
    return version


def check_access(world: World, call: Call, scopes: Sequence[str]) -> Token:
    """The token that a request carries. Refuses one that is unknown, revoked, expired or short of a scope."""
    scheme, _, secret = call.headers.get("authorization", "").partition(" ")
    token = world.tokens.get(secret.strip()) if scheme.lower() == "bearer" else None
    if token is None:
        raise Refusal(401, Problem("UNAUTHORIZED", "This request could not be authorized."))
    if token.revoked:
        raise Refusal(
            401, Problem("ACCESS_TOKEN_REVOKED", "The provided access token has been revoked.")
        )
    if token.expires_at <= world.clock.now():
        raise Refusal(
            401, Problem("ACCESS_TOKEN_EXPIRED", "The provided access token has expired.")
        )
    lacking = [scope for scope in scopes if scope not in token.scopes]
    if lacking:
        detail = (
            "The merchant has not given your application sufficient permissions to do that. The merchant must "
            f"authorize your application for the following scopes: [{', '.join(lacking)}]"
        )
        raise Refusal(403, Problem("INSUFFICIENT_SCOPES", detail))
    return token


def token_status(world: World, call: Call) -> Answer:
    """spec: RetrieveTokenStatus. An expired or unknown token is UNAUTHORIZED here."""
    try:
        token = check_access(world, call, ())
    except Refusal as refusal:
        raise Refusal(
            401, Problem("UNAUTHORIZED", "This request could not be authorized.")
        ) from refusal
    return Answer.of(
        {
            "scopes": sorted(token.scopes),
            "expires_at": written(token.expires_at),
            "client_id": world.settings.client_id,
            "merchant_id": world.settings.merchant_id,
        }
    )


def authorize(world: World, call: Call) -> Answer:
    """The page where a seller agrees, who here agrees at once: back to the redirect URL with a code."""
    if call.query.get("client_id") != world.settings.client_id:
        raise Refusal(
            400, Problem("BAD_REQUEST", "No application with this client_id.", "client_id")
        )
    code = grant_code(world, call.query.get("scope", "").replace("+", " ").split())
    back = {"code": code, "response_type": "code"} | (
        {"state": call.query["state"]} if "state" in call.query else {}
    )
    return Answer(
        status=302, headers={"Location": f"{world.settings.redirect_url}?{urlencode(back)}"}
    )


def grant_code(world: World, scopes: Sequence[str]) -> str:
    """A new authorisation code, good for one exchange."""
    code = f"sq0cgp-{world.new_id('code', 22)}"
    world.codes[code] = set(scopes or ALL_SCOPES)
    return code


def obtain_token(world: World, call: Call) -> Answer:
    """spec: ObtainToken, for the code flow: authorization_code and refresh_token.

    unconfirmed: the codes and texts of the refusals; calls with a wrong secret, code and refresh
    token would tell.
    """
    asked = read(ObtainToken, call.body)
    if (
        asked.client_id != world.settings.client_id
        or asked.client_secret != world.settings.client_secret
    ):
        raise Refusal(
            401, Problem("UNAUTHORIZED", "Not authorized: client_id or client_secret is wrong.")
        )
    if asked.grant_type == "authorization_code":
        if asked.code is None:
            raise missing("code")
        granted = world.codes.pop(asked.code, None)
        if granted is None:
            raise Refusal(
                401,
                Problem("UNAUTHORIZED", "Authorization code not found or already used.", "code"),
            )
        refresh_token = f"refresh-{world.new_id('refresh', 40)}"
    elif asked.grant_type == "refresh_token":
        if asked.refresh_token is None:
            raise missing("refresh_token")
        refresh_token = asked.refresh_token
        granted = _granted(world, refresh_token)
    else:
        raise bad_request(
            "INVALID_VALUE", f"`{asked.grant_type}` is not a grant type.", "grant_type"
        )
    scopes = granted & set(asked.scopes) if asked.scopes else granted
    return _issue(world, scopes, refresh_token, short_lived=bool(asked.short_lived))


def _granted(world: World, refresh_token: str) -> set[str]:
    """The scopes that the seller agreed to, unless that has been withdrawn."""
    issued = [token for token in world.tokens.values() if token.refresh_token == refresh_token]
    if not issued or refresh_token in world.revoked_refresh_tokens:
        raise Refusal(
            401, Problem("UNAUTHORIZED", "The refresh token is not valid.", "refresh_token")
        )
    return set(issued[-1].scopes)


def _issue(world: World, scopes: set[str], refresh_token: str, *, short_lived: bool) -> Answer:
    secret = f"access-{world.new_id('token', 40)}"
    expires_at = world.clock.now() + (_SHORT_TOKEN_LASTS if short_lived else _TOKEN_LASTS)
    world.tokens[secret] = Token(set(scopes), expires_at, refresh_token, short_lived)
    return Answer.of(
        {
            "access_token": secret,
            "token_type": "bearer",
            "expires_at": written(expires_at),
            "merchant_id": world.settings.merchant_id,
            "refresh_token": refresh_token,
            "short_lived": short_lived,
        }
    )


def revoke_token(world: World, call: Call) -> Answer:
    """spec: RevokeToken. Needs `Authorization: Client <secret>`; revokes all of the merchant's tokens, or only one."""
    if call.headers.get("authorization", "") != f"Client {world.settings.client_secret}":
        raise Refusal(401, Problem("UNAUTHORIZED", "This request could not be authorized."))
    asked = read(RevokeToken, call.body)
    if (asked.access_token is None) == (asked.merchant_id is None):
        raise bad_request(
            "BAD_REQUEST", "Exactly one of `access_token` and `merchant_id` must be set."
        )
    if asked.client_id != world.settings.client_id:
        raise bad_request("INVALID_VALUE", "No application with this client_id.", "client_id")
    named = world.tokens.get(asked.access_token or "")
    if named is None and asked.merchant_id != world.settings.merchant_id:
        raise Refusal(404, Problem("NOT_FOUND", "No authorization found.", "access_token"))
    if named is not None and asked.revoke_only_access_token:
        named.revoked = True
        return Answer.of({"success": True})
    for token in world.tokens.values():
        token.revoked = True
        world.revoked_refresh_tokens.add(token.refresh_token)
    return Answer.of({"success": True})
