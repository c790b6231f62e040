"""What goes into a platform's handler and what comes out of it.

A handler is an ordinary function from `Call` to `Answer`. It knows nothing of the web server, so it
can be read, and called, without one; and since it never waits, one lock round it keeps a
simulator's state whole.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Call:
    """One request, as a handler sees it. Header names are in lower case; `path_values` are the named path parts.

    `target` is the path with its query as it stood in the request line, which is what some
    platforms sign.
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
    """One answer: a status, a body and headers. The body is sent as it stands."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def of(
        cls, value: object, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """An answer whose body is `value` written as JSON."""
        return cls(status=status, body=json.dumps(value).encode(), headers=headers or {})


Handler: TypeAlias = Callable[[Call], Answer]


@dataclass(frozen=True, slots=True)
class Route:
    """An address of the platform: a method, a path whose `{parts}` are named, and who answers."""

    method: str
    path: str
    handler: Handler
