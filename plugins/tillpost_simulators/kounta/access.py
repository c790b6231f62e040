"""Who may ask: the token or the client's own credentials, how often; and the OAuth operations.

The budget of requests belongs to the token (third-party code): 60 a minute with Basic, 180 with
OAuth.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import math
from datetime import timedelta
from urllib.parse import parse_qs, urlencode

from tillpost.simulator import Answer, Call
from tillpost_simulators.kounta.errors import Refusal, of_status
from tillpost_simulators.kounta.wire import json_answer
from tillpost_simulators.kounta.world import Token, Window, World

EXPIRED = "The access token provided has expired"
"""Seen, with HTTP 400 (third-party tests)."""

_MINUTE = timedelta(seconds=60)


def check_access(world: World, call: Call) -> dict[str, str]:
    """Lets a request in and counts it; returns the headers that tell its budget. Refuses it otherwise."""
    scheme, _, secret = call.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        _check_client(world, secret.strip())
        return _count(world, "basic", world.settings.basic_limit)
    token = world.tokens.get(secret.strip()) if scheme.lower() == "bearer" else None
    if token is None or token.revoked:
        # unconfirmed: the text; `invalid_token` was seen, a request with a revoked token would tell
        # the rest.
        raise of_status(401)
    if token.expires_at <= world.clock.now():
        raise Refusal(world.settings.expired_token_status, EXPIRED, "invalid_token")
    headers = _count(world, secret, world.settings.oauth_limit)
    if not token.permitted:
        # unconfirmed: status and text; a call with a user whose permissions were taken away would
        # tell.
        raise Refusal(
            403, "You do not have permission to access this resource.", "insufficient_permissions"
        )
    return headers


def check_company(world: World, company: str) -> None:
    """Refuses any company but the credentials' own, which is also called `me` (vendor's page).

    unconfirmed: the status for another company; a call for a foreign one would tell.
    """
    if company not in ("me", str(world.settings.company_id)):
        raise of_status(404)


def budget(world: World, window: Window, limit: int) -> dict[str, str]:
    """The headers that tell a token's budget: when it starts anew, as seconds since 1970 (third-party code)."""
    return {
        "X-Ratelimit-Limit": str(limit),
        "X-Ratelimit-Remaining": str(max(0, limit - window.count)),
        "X-Ratelimit-Reset": str(math.ceil((window.started + _MINUTE).timestamp())),
    }


def _count(world: World, who: str, limit: int) -> dict[str, str]:
    now = world.clock.now()
    window = world.windows.get(who)
    # unconfirmed: that the minute is a fixed one which starts with the first request, not a sliding
    # one; a burst that watches the headers would tell.
    if window is None or now - window.started >= _MINUTE:
        window = world.windows[who] = Window(now)
    window.count += 1
    headers = budget(world, window, limit)
    if window.count > limit:
        if world.settings.sends_retry_after:
            headers["Retry-After"] = str(
                math.ceil((window.started + _MINUTE - now).total_seconds())
            )
        raise of_status(429, headers)
    return headers


def _check_client(world: World, encoded: str) -> None:
    try:
        client = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        client = ""
    if client != f"{world.settings.client_id}:{world.settings.client_secret}":
        raise of_status(401)


def authorize(world: World, call: Call) -> Answer:
    """The page where a person agrees, who here agrees at once: back to `redirect_uri` with a code and the state."""
    settings = world.settings
    asked = call.query
    if (
        asked.get("client_id") != settings.client_id
        or asked.get("redirect_uri") != settings.redirect_uri
    ):
        raise _oauth("invalid_client", "The client is unknown, or its redirect_uri is another.")
    if asked.get("response_type") != "code":
        raise _oauth("unsupported_response_type", "Only the response type code is known here.")
    back = {"code": grant_code(world)} | ({"state": asked["state"]} if "state" in asked else {})
    return Answer(302, headers={"Location": f"{settings.redirect_uri}?{urlencode(back)}"})


def grant_code(world: World) -> str:
    """A new authorisation code, good for one exchange."""
    code = _secret(world, "code")
    world.codes.add(code)
    return code


def obtain_token(world: World, call: Call) -> Answer:
    """The token endpoint: a form with a code or a refresh token (vendor's page; its fields from third-party code).

    unconfirmed: statuses and texts of the refusals, and that a refresh token is good for one use; a
    call with a wrong secret, a wrong code and a used refresh token would tell.
    """
    settings = world.settings
    if not call.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        raise _oauth("invalid_request", "The request must be a form.")
    form = {
        name: values[0] for name, values in parse_qs(call.body.decode(errors="replace")).items()
    }
    if (
        form.get("client_id") != settings.client_id
        or form.get("client_secret") != settings.client_secret
    ):
        raise _oauth("invalid_client", "The client credentials are invalid.")
    if form.get("grant_type") == "authorization_code":
        if form.get("code") not in world.codes or form.get("redirect_uri") != settings.redirect_uri:
            raise _oauth("invalid_grant", "The authorization code is invalid or has expired.")
        world.codes.discard(form["code"])
        return issue(world, _secret(world, "refresh"))
    if form.get("grant_type") != "refresh_token":
        raise _oauth("unsupported_grant_type", "This grant type is not supported.")
    used = form.get("refresh_token", "")
    known = any(token.refresh_token == used for token in world.tokens.values())
    if not known or used in world.dead_refresh_tokens:
        raise _oauth("invalid_grant", "The refresh token is invalid.")
    if settings.rotates_refresh_tokens:
        world.dead_refresh_tokens.add(used)
        return issue(world, _secret(world, "refresh"))
    return issue(world, used)


def issue(world: World, refresh_token: str) -> Answer:
    """Gives out a new access token. Those before it stay good until they expire."""
    secret = _secret(world, "access")
    lasts = world.settings.token_lasts_seconds
    world.tokens[secret] = Token(world.clock.now() + timedelta(seconds=lasts), refresh_token)
    body = {
        "access_token": secret,
        "token_type": "bearer",
        "expires_in": int(lasts),
        "refresh_token": refresh_token,
    }
    return json_answer(body)


def _oauth(code: str, text: str) -> Refusal:
    return Refusal(400, text, code, style="error_description")


def _secret(world: World, kind: str) -> str:
    return f"{kind}-{hashlib.sha256(f'{kind}-{world.new_id()}'.encode()).hexdigest()[:40]}"
