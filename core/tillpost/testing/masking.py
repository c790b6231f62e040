"""Masks requests and answers before they are written to a cassette.

It works by allow-list, as `tillpost.adapter.redaction` does for transcripts, so a field that a
platform adds later is masked too. Of a JSON body, names, numbers and booleans are kept; a text is
kept only under a public field name. Masking is idempotent, so a masked request can be compared with
a recorded one.
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
"""The greatest length of a line of a JSON body, in characters."""

_ADDRESS = re.compile(r"https?://", re.IGNORECASE)
_STAND_IN = re.compile(rb"\((?:HTML|not JSON), \d+ bytes\)")


@dataclass(frozen=True, slots=True)
class Mask:
    """What a cassette may contain.

    Attributes:
        host: The host name that replaces the platform's.
        fields: JSON fields whose texts are public.
        query: Query parameters whose values are public.
        headers: Headers that are kept, in lower case.
    """

    host: str
    fields: Collection[str]
    query: Collection[str]
    headers: Collection[str]

    def body(self, body: bytes) -> bytes:
        """Return a JSON body masked and indented; of any other body, only its kind and length."""
        if not body or _STAND_IN.fullmatch(body):
            return body
        try:
            content: object = json.loads(body)
        except (ValueError, RecursionError):
            kind = "HTML" if body.lstrip().startswith(b"<") else "not JSON"
            return f"({kind}, {len(body)} bytes)".encode()
        return _written(masked(content, self.fields)).encode("utf-8", "replace")

    def uri(self, uri: str) -> str:
        """Return a URL at the replacement host, with the values of its query masked."""
        parts = urlsplit(uri)
        masked_pairs: list[tuple[str, str]] = []
        for name, value in parse_qsl(parts.query, keep_blank_values=True):
            is_public = name in self.query
            masked_pairs.append((name, value if is_public else MASK))
        query = urlencode(masked_pairs, safe=",:*")
        address = f"https://{self.host}{parts.path}"
        return f"{address}?{query}" if query else address

    def allowed(self, headers: Iterable[tuple[str, str]]) -> dict[str, str]:
        """Return the headers that are kept, by name in lower case; URLs in them are masked."""
        kept: dict[str, str] = {}
        for given_name, value in headers:
            name = given_name.lower()
            if name not in self.headers:
                continue
            is_url = _ADDRESS.match(value)
            kept[name] = self.uri(value) if is_url else value
        return dict(sorted(kept.items()))


def _written(value: object, indent: str = "") -> str:
    """Return JSON with line breaks only where a line would be too long."""
    line = json.dumps(value, ensure_ascii=False)
    if len(indent) + len(line) <= WIDTH or not isinstance(value, dict | list) or not value:
        return line
    deeper = indent + "  "
    parts: list[str] = []
    if isinstance(value, dict):
        brackets = "{}"
        for name, entry in cast(Mapping[str, object], value).items():
            key = json.dumps(name, ensure_ascii=False)
            parts.append(f"{deeper}{key}: {_written(entry, deeper)}")
    else:
        brackets = "[]"
        members = cast(Sequence[object], value)
        parts = [deeper + _written(member, deeper) for member in members]
    inner = ",\n".join(parts)
    return f"{brackets[0]}\n{inner}\n{indent}{brackets[1]}"
