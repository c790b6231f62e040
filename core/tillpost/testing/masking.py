"""Makes an exchange fit to be kept in a file: what nobody declared public is masked, in requests and answers alike.

It works by allow-list, as `tillpost.adapter.redaction` does for transcripts, so a field that a
platform adds tomorrow is masked before anyone has thought of it. Of a JSON body, names, numbers and
booleans stay; a text stays under a public field name alone. Masking twice is masking once, which
lets a masked request be compared with a recorded one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast
from urllib.parse import parse_qsl, urlencode, urlsplit

from tillpost.adapter.redaction import MASK, masked

__all__ = ["Mask"]

WIDTH = 100
"""How long a line of a body becomes, in characters, before it is broken."""

_ADDRESS = re.compile(r"https?://", re.IGNORECASE)
_STAND_IN = re.compile(rb"\((?:HTML|not JSON), \d+ bytes\)")


@dataclass(frozen=True, slots=True)
class Mask:
    """What may be kept: the JSON `fields`, `query` parameters and `headers` (in lower case) whose texts are public.

    `host` stands in a cassette for the platform's address, whatever that was.
    """

    host: str
    fields: Collection[str]
    query: Collection[str]
    headers: Collection[str]

    def body(self, body: bytes) -> bytes:
        """Return a JSON body with its texts masked, indented. One that isn't JSON is only said to have been there."""
        if not body or _STAND_IN.fullmatch(body):
            return body
        try:
            content: object = json.loads(body)
        except (ValueError, RecursionError):
            kind = "HTML" if body.lstrip().startswith(b"<") else "not JSON"
            return f"({kind}, {len(body)} bytes)".encode()
        return _written(masked(content, self.fields)).encode("utf-8", "replace")

    def uri(self, uri: str) -> str:
        """Return an address at the stand-in host, with the values of its query masked."""
        parts = urlsplit(uri)
        pairs = parse_qsl(parts.query, keep_blank_values=True)
        query = urlencode(
            [(name, value if name in self.query else MASK) for name, value in pairs], safe=",:*"
        )
        return f"https://{self.host}{parts.path}{'?' + query if query else ''}"

    def allowed(self, headers: Iterable[tuple[str, str]]) -> dict[str, str]:
        """Return the headers that may be kept, sorted, their names in lower case; an address in one as `uri` has it."""
        kept = ((name.lower(), value) for name, value in headers if name.lower() in self.headers)
        return dict(
            sorted(
                (name, self.uri(value) if _ADDRESS.match(value) else value) for name, value in kept
            )
        )


def _written(value: object, indent: str = "") -> str:
    """JSON as people read it: what fits in a line stands in one."""
    line = json.dumps(value, ensure_ascii=False)
    if len(indent) + len(line) <= WIDTH or not isinstance(value, dict | list) or not value:
        return line
    deeper = indent + "  "
    if isinstance(value, dict):
        fields = cast(Mapping[str, object], value).items()
        parts = [
            f"{json.dumps(name, ensure_ascii=False)}: {_written(entry, deeper)}"
            for name, entry in fields
        ]
    else:
        parts = [_written(entry, deeper) for entry in cast(Sequence[object], value)]
    opened, closed = "{}" if isinstance(value, dict) else "[]"
    return f"{opened}\n" + ",\n".join(deeper + part for part in parts) + f"\n{indent}{closed}"
