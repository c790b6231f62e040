"""What a platform's handler receives and returns.

A handler is an ordinary function from `Call` to `Answer`. It doesn't depend on the web server, so
it can be read and called without one. It never waits, so the server can run it under one lock that
keeps the simulator's state consistent.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Call:
    """One request, as a handler sees it.

    Header names are in lower case. `path_values` are the named parts of the path. `target` is the
    path with its query exactly as in the request line, which some platforms sign.
    """

    method: str
    path: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    path_values: Mapping[str, str] = field(default_factory=dict[str, str])
    target: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: status, body and headers. The body is sent unchanged."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def of(
        cls, value: object, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Return an answer whose body is `value` as JSON."""
        return cls(status=status, body=json.dumps(value).encode(), headers=headers or {})


Handler: TypeAlias = Callable[[Call], Answer]


@dataclass(frozen=True, slots=True)
class Route:
    """An address of the platform: method, path with named `{parts}`, and handler."""

    method: str
    path: str
    handler: Handler
