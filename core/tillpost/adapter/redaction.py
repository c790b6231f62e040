"""Makes exchanges fit to be shown: texts that nobody declared public are masked. Errors and cassettes use it.

It works by allow-list: of a JSON body, numbers, booleans and the texts under public field names
stay, every other text becomes `***`. A new field with a name or a token in it is therefore masked
before anyone has thought of it. Below a person and their payments nothing is public, however it is
called.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import cast

__all__ = ["MASK", "PUBLIC_FIELDS", "masked", "redact", "redact_path"]

MASK = "***"
LONGEST = 20_000
"""A transcript's body is cut at so many characters."""

PUBLIC_FIELDS = frozenset(
    "id type kind code category field detail title status state version currency error errors message "
    "error_message error_description created_at updated_at".split()
)
"""What no platform keeps a secret or a person in. Adapters add their own."""

_PRIVATE = frozenset({"customer", "payments"})
"""What has a `name` or a `reference` in it that is somebody's, though other things' may be public."""


def redact(body: bytes, public: Collection[str]) -> str:
    """Return the body with every text masked that isn't under one of the `public` field names.

    A body that isn't JSON is reported by its size and its first words' shape only, since nobody
    knows what is in it.

    >>> redact(b'{"id": "1", "customer": {"name": "Mia"}}', {"id"})
    '{"id": "1", "customer": {"name": "***"}}'
    """
    if not body:
        return ""
    try:
        shown = json.dumps(masked(json.loads(body), public), ensure_ascii=False)
    except (
        ValueError,
        RecursionError,
    ):  # nested too deeply for one of the three is as good as unreadable
        kind = "HTML" if re.match(rb"\s*<", body) else "not JSON"
        return f"({kind}, {len(body)} bytes)"
    # JSON may escape half a surrogate pair, which no database and no file could take.
    return shown[:LONGEST].encode("utf-8", "replace").decode()


def masked(value: object, public: Collection[str], *, shown: bool = False) -> object:
    """Return a JSON value with every text masked that isn't under one of the `public` field names.

    `shown` says whether a text is that has no name of its own. Masking twice is masking once.
    """
    match value:
        case dict():
            entries = cast(Mapping[str, object], value).items()
            return {name: _below(name, entry, public) for name, entry in entries}
        case list():
            return [masked(entry, public, shown=shown) for entry in cast(Sequence[object], value)]
        case str() if value and not shown:
            return MASK
        case _:
            return value


def _below(name: str, entry: object, public: Collection[str]) -> object:
    return masked(entry, ()) if name in _PRIVATE else masked(entry, public, shown=name in public)


def redact_path(path: str) -> str:
    """Return a path with the values of its query masked, since a look-up may name a customer."""
    return re.sub(r"(?<==)[^&]+", MASK, path)
