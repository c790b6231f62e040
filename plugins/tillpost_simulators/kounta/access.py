"""Access: tokens, client credentials and OAuth.

Tokens and client credentials have request budgets. The request budget belongs to the token
(third-party code): 60 a minute with Basic, 180 with OAuth.
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
    """Check the credential of a request and count the request.

    Returns:
        The headers that report the budget.

    Raises:
        Refusal: The credential isn't valid, or its budget is used up.
    """
    header = call.headers.get("authorization", "")
    scheme, _, secret = header.partition(" ")
    scheme = scheme.lower()
    secret = secret.strip()
    if scheme == "basic":
        _check_client(world, secret)
        return _count_request(world, "basic", world.settings.basic_limit)
    token = world.tokens.get(secret) if scheme == "bearer" else None
    if token is None or token.revoked:
        # unconfirmed: the text; `invalid_token` was seen, a request with a revoked token would show
        # the rest.
        raise of_status(401)
    if token.expires_at <= world.clock.now():
        raise Refusal(world.settings.expired_token_status, EXPIRED, "invalid_token")
    headers = _count_request(world, secret, world.settings.oauth_limit)
    if not token.permitted:
        # unconfirmed: status and text; a call with a user whose permissions were taken away would
        # show it.
        detail = "You do not have permission to access this resource."
        raise Refusal(403, detail, "insufficient_permissions")
    return headers


def check_company(world: World, company: str) -> None:
    """Refuse any company but the credential's own (vendor's page).

    That one is also called `me`.

    unconfirmed: the status for another company; a call for a foreign one would show it.
    """
    own_id = str(world.settings.company_id)
    if company not in ("me", own_id):
        raise of_status(404)


def budget_headers(window: Window, limit: int) -> dict[str, str]:
    """Return the headers that report a token's budget.

    The reset is in seconds since 1970 (third-party code).
    """
    remaining = max(0, limit - window.count)
    end = window.started + _MINUTE
    reset = math.ceil(end.timestamp())
    return {
        "X-Ratelimit-Limit": str(limit),
        "X-Ratelimit-Remaining": str(remaining),
        "X-Ratelimit-Reset": str(reset),
    }


def _count_request(world: World, credential: str, limit: int) -> dict[str, str]:
    now = world.clock.now()
    window = world.windows.get(credential)
    # unconfirmed: that the minute is a fixed one which starts with the first request, not a sliding
    # one; a burst that watches the headers would show it.
    if window is None or now - window.started >= _MINUTE:
        window = Window(now)
        world.windows[credential] = window
    window.count += 1
    headers = budget_headers(window, limit)
    if window.count <= limit:
        return headers
    if world.settings.sends_retry_after:
        left = window.started + _MINUTE - now
        headers["Retry-After"] = str(math.ceil(left.total_seconds()))
    raise of_status(429, headers)


def _check_client(world: World, encoded: str) -> None:
    settings = world.settings
    try:
        client = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        client = ""
    expected = f"{settings.client_id}:{settings.client_secret}"
    if client != expected:
        raise of_status(401)


# --- OAuth ---


def authorize(world: World, call: Call) -> Answer:
    """Redirect to `redirect_uri` with a code and the state, as when a person agrees."""
    settings = world.settings
    query = call.query
    known = query.get("client_id") == settings.client_id
    if not known or query.get("redirect_uri") != settings.redirect_uri:
        raise _oauth("invalid_client", "The client is unknown, or its redirect_uri is another.")
    if query.get("response_type") != "code":
        raise _oauth("unsupported_response_type", "Only the response type code is known here.")
    back = {"code": grant_code(world)}
    if "state" in query:
        back["state"] = query["state"]
    back_query = urlencode(back)
    location = f"{settings.redirect_uri}?{back_query}"
    return Answer(302, headers={"Location": location})


def grant_code(world: World) -> str:
    """Return a new authorisation code, valid for one exchange."""
    code = _new_secret(world, "code")
    world.codes.add(code)
    return code


def obtain_token(world: World, call: Call) -> Answer:
    """Exchange a code or a refresh token for an access token.

    The request is a form (vendor's page); its fields are from third-party code.

    unconfirmed: statuses and texts of the refusals, and that a refresh token is good for one use; a
    call with a wrong secret, a wrong code and a used refresh token would show it.
    """
    settings = world.settings
    form = _read_form(call)
    known = form.get("client_id") == settings.client_id
    if not known or form.get("client_secret") != settings.client_secret:
        raise _oauth("invalid_client", "The client credentials are invalid.")
    match form.get("grant_type"):
        case "authorization_code":
            return _exchange_code(world, form)
        case "refresh_token":
            return _refresh(world, form.get("refresh_token", ""))
        case _:
            raise _oauth("unsupported_grant_type", "This grant type is not supported.")


def _read_form(call: Call) -> dict[str, str]:
    content_type = call.headers.get("content-type", "")
    if not content_type.startswith("application/x-www-form-urlencoded"):
        raise _oauth("invalid_request", "The request must be a form.")
    text = call.body.decode(errors="replace")
    fields = parse_qs(text)
    return {name: values[0] for name, values in fields.items()}


def _exchange_code(world: World, form: dict[str, str]) -> Answer:
    code = form.get("code", "")
    redirect_uri = form.get("redirect_uri")
    if code not in world.codes or redirect_uri != world.settings.redirect_uri:
        raise _oauth("invalid_grant", "The authorization code is invalid or has expired.")
    world.codes.discard(code)
    return _issue_token(world, _new_secret(world, "refresh"))


def _refresh(world: World, refresh_token: str) -> Answer:
    issued = {token.refresh_token for token in world.tokens.values()}
    if refresh_token not in issued or refresh_token in world.dead_refresh_tokens:
        raise _oauth("invalid_grant", "The refresh token is invalid.")
    if world.settings.rotates_refresh_tokens:
        world.dead_refresh_tokens.add(refresh_token)
        refresh_token = _new_secret(world, "refresh")
    return _issue_token(world, refresh_token)


def _issue_token(world: World, refresh_token: str) -> Answer:
    """Issue a new access token. Earlier ones stay valid until they expire."""
    secret = _new_secret(world, "access")
    seconds = world.settings.token_lasts_seconds
    expires_at = world.clock.now() + timedelta(seconds=seconds)
    world.tokens[secret] = Token(expires_at, refresh_token)
    body = {
        "access_token": secret,
        "token_type": "bearer",
        "expires_in": int(seconds),
        "refresh_token": refresh_token,
    }
    return json_answer(body)


def _oauth(code: str, text: str) -> Refusal:
    return Refusal(400, text, code, style="error_description")


def _new_secret(world: World, kind: str) -> str:
    seed = f"{kind}-{world.new_id()}"
    digest = hashlib.sha256(seed.encode()).hexdigest()
    return f"{kind}-{digest[:40]}"
