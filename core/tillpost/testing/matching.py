"""A comparison of a request with a recorded one.

It compares method, path, query and body, but not the host. Bodies are compared as JSON, so neither
spacing nor the order of fields matters; 1, 1.0 and true differ. Both requests were masked before.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from typing import Protocol
from urllib.parse import parse_qsl, urlsplit

__all__ = ["RecordedRequest", "nearest", "same_body", "same_call"]


class RecordedRequest(Protocol):
    """The parts of vcrpy's requests that are compared."""

    method: str
    uri: str
    body: bytes | None


def same_call(sent: RecordedRequest, recorded: RecordedRequest) -> None:
    """Raise `AssertionError` unless method, path and query are the same."""
    assert _call(sent) == _call(recorded)


def same_body(sent: RecordedRequest, recorded: RecordedRequest) -> None:
    """Raise `AssertionError` unless the bodies are the same."""
    assert _content(sent.body) == _content(recorded.body)


def nearest(sent: RecordedRequest, recorded: Sequence[RecordedRequest]) -> str:
    """Return how the body differs from that of a recorded request.

    If there is none, return which requests are left.
    """
    for other in recorded:
        if _call(other) != _call(sent):
            continue
        before = _lines(other)
        after = _lines(sent)
        diff = difflib.unified_diff(before, after, "recorded", "sent", lineterm="")
        text = "\n".join(diff)
        return f" with this body:\n{text}"
    requests = [f"{one.method} {one.uri}" for one in recorded]
    left = ", ".join(requests) or "nothing"
    return f"; not played yet: {left}"


def _lines(request: RecordedRequest) -> list[str]:
    body = request.body or b""
    return body.decode("utf-8", "replace").splitlines()


def _call(request: RecordedRequest) -> tuple[str, str, list[tuple[str, str]]]:
    parts = urlsplit(request.uri)
    query = parse_qsl(parts.query, keep_blank_values=True)
    return request.method, parts.path, sorted(query)


def _content(body: bytes | None) -> object:
    try:
        return json.dumps(json.loads(body or b""), sort_keys=True)
    except ValueError:
        return body or b""
