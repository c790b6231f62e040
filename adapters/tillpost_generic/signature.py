"""The signature of requests to a POS, and of the webhooks that it sends.

A signature is the HMAC-SHA256 of `signed_text`, in hexadecimal. Both sides share its key. The
timestamp in it keeps a recorded request from being sent again later.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Any

import httpx
from pydantic import SecretStr

from tillpost.adapter import Request, Webhook, check_age, verify_hmac

__all__ = ["signature_headers", "signed_text", "verify_webhook"]

_TIMESTAMP = "Tillpost-Timestamp"
_SIGNATURE = "Tillpost-Signature"


def signed_text(timestamp: str, method: str, target: str, key: str, body: bytes) -> bytes:
    """Return the text that is signed.

    Args:
        timestamp: When it is sent, in epoch seconds.
        method: The HTTP method.
        target: The path and query as they are sent.
        key: The idempotency key, empty if there is none.
        body: The body.
    """
    body_hash = hashlib.sha256(body).hexdigest()
    lines = [timestamp, method, target, key, body_hash]
    return "\n".join(lines).encode()


def signature_headers(
    request: Request[Any], base_url: str, signing_key: SecretStr
) -> Mapping[str, str]:
    """Return the headers that sign a request as it is sent."""
    timestamp = str(int(request.sent_at))
    target = _target(base_url + request.path)
    key = request.key or ""
    text = signed_text(timestamp, request.method, target, key, request.body)
    secret = signing_key.get_secret_value().encode()
    signature = hmac.new(secret, text, "sha256").hexdigest()
    return {
        _TIMESTAMP: timestamp,
        _SIGNATURE: signature,
    }


def verify_webhook(webhook: Webhook, signing_key: SecretStr, now: float) -> None:
    """Raise `WebhookError` unless the POS has signed the webhook.

    It must have done so within the last minutes.
    """
    timestamp = webhook.headers.get(_TIMESTAMP.lower(), "")
    signature = webhook.headers.get(_SIGNATURE.lower())
    target = _target(webhook.url)
    text = signed_text(timestamp, "POST", target, "", webhook.body)
    verify_hmac(signing_key, signature, text, "hex")
    if not re.fullmatch(r"[0-9]{1,12}", timestamp):
        raise ValueError("the signed time isn't in epoch seconds")
    check_age(float(timestamp), now)


def _target(url: str) -> str:
    """Return the path and query of an address as httpx sends them."""
    return httpx.URL(url).raw_path.decode()
