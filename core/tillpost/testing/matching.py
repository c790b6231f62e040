"""When a request is one that was recorded: the same method, path, query and body, whatever the host.

Bodies are compared as JSON, so neither spacing nor the sequence of fields matters; 1, 1.0 and true
are three things. Both sides are masked when they come here.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from typing import Protocol
from urllib.parse import parse_qsl, urlsplit

__all__ = ["SubmissionRequested", "nearest", "same_body", "same_call"]


class SubmissionRequested(Protocol):
    """What is looked at in a request of vcrpy's."""

    method: str
    uri: str
    body: bytes | None


def same_call(asked: SubmissionRequested, recorded: SubmissionRequested) -> None:
    """Raise `AssertionError` unless method, path and query are the same."""
    assert _call(asked) == _call(recorded)


def same_body(asked: SubmissionRequested, recorded: SubmissionRequested) -> None:
    """Raise `AssertionError` unless the bodies are the same."""
    assert _content(asked.body) == _content(recorded.body)


def nearest(asked: SubmissionRequested, recorded: Sequence[SubmissionRequested]) -> str:
    """Return how the body differs from that of a request to the same address; else what is left to be asked for."""
    for other in recorded:
        if _call(other) == _call(asked):
            there, here = (
                (one.body or b"").decode("utf-8", "replace").splitlines() for one in (other, asked)
            )
            return " with this body:\n" + "\n".join(
                difflib.unified_diff(there, here, "recorded", "asked", lineterm="")
            )
    return f"; left in it: {', '.join(f'{one.method} {one.uri}' for one in recorded) or 'nothing'}"


def _call(request: SubmissionRequested) -> tuple[str, str, list[tuple[str, str]]]:
    parts = urlsplit(request.uri)
    return request.method, parts.path, sorted(parse_qsl(parts.query, keep_blank_values=True))


def _content(body: bytes | None) -> object:
    try:
        return json.dumps(json.loads(body or b""), sort_keys=True)
    except ValueError:
        return body or b""
