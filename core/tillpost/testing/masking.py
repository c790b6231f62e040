"""The masking of requests and answers before they are written to a cassette.

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
_PLACEHOLDER = re.compile(rb"\((?:HTML|not JSON), \d+ bytes\)")


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
        """Return a JSON body masked and indented; of another body, its kind and length."""
        if not body or _PLACEHOLDER.fullmatch(body):
            return body
        try:
            content: object = json.loads(body)
        except (ValueError, RecursionError):
            is_html = body.lstrip().startswith(b"<")
            kind = "HTML" if is_html else "not JSON"
            description = f"({kind}, {len(body)} bytes)"
            return description.encode()
        public = masked(content, self.fields)
        return _written(public).encode("utf-8", "replace")

    def uri(self, uri: str) -> str:
        """Return a URL at the replacement host, with the values of its query masked."""
        parts = urlsplit(uri)
        address = f"https://{self.host}{parts.path}"
        pairs = parse_qsl(parts.query, keep_blank_values=True)
        if not pairs:
            return address
        masked_pairs: list[tuple[str, str]] = []
        for name, value in pairs:
            if name not in self.query:
                value = MASK
            masked_pairs.append((name, value))
        query = urlencode(masked_pairs, safe=",:*")
        return f"{address}?{query}"

    def allowed(self, headers: Iterable[tuple[str, str]]) -> dict[str, str]:
        """Return the kept headers by name in lower case, with URLs in them masked."""
        kept: dict[str, str] = {}
        for given_name, value in headers:
            name = given_name.lower()
            if name not in self.headers:
                continue
            if _ADDRESS.match(value):
                value = self.uri(value)
            kept[name] = value
        return dict(sorted(kept.items()))


def _written(value: object, indent: str = "") -> str:
    """Return JSON with line breaks only where a line would be too long."""
    line = json.dumps(value, ensure_ascii=False)
    fits = len(indent) + len(line) <= WIDTH
    is_container = isinstance(value, dict | list)
    if fits or not is_container or not value:
        return line
    deeper = indent + "  "
    if isinstance(value, dict):
        opening, closing = "{", "}"
        parts = _members_of_object(cast(Mapping[str, object], value), deeper)
    else:
        opening, closing = "[", "]"
        parts = _members_of_array(cast(Sequence[object], value), deeper)
    inner = ",\n".join(parts)
    lines = (opening, inner, indent + closing)
    return "\n".join(lines)


def _members_of_object(value: Mapping[str, object], indent: str) -> list[str]:
    members: list[str] = []
    for name, entry in value.items():
        key = json.dumps(name, ensure_ascii=False)
        text = _written(entry, indent)
        members.append(f"{indent}{key}: {text}")
    return members


def _members_of_array(value: Sequence[object], indent: str) -> list[str]:
    members: list[str] = []
    for entry in value:
        text = _written(entry, indent)
        members.append(indent + text)
    return members
