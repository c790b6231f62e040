"""Makes exchanges fit to be shown: texts that nobody declared public are masked. Errors and cassettes use it.

It works by allow-list: of a JSON body, numbers, booleans and the texts under public field names stay, every other text
becomes `***`. A new field with a name or a token in it is therefore masked before anyone has thought of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection

__all__ = ["MASK", "PUBLIC_FIELDS", "redact", "redact_path"]

MASK = "***"
LONGEST = 20_000
"""A transcript's body is cut at so many characters."""

PUBLIC_FIELDS = frozenset(
    "id type kind code category field detail title status state version currency error errors message "
    "error_message error_description created_at updated_at".split()
)
"""What no platform keeps a secret or a person in. Adapters add their own."""


def redact(body: bytes, public: Collection[str]) -> str:
    """Return the body with every text masked that isn't under one of the `public` field names.

    A body that isn't JSON is reported by its size and its first words' shape only, since nobody knows what is in it.

    >>> redact(b'{"id": "1", "customer": {"name": "Mia"}}', {"id"})
    '{"id": "1", "customer": {"name": "***"}}'
    """
    if not body:
        return ""
    try:
        shown = json.dumps(_masked(json.loads(body), public, shown=False), ensure_ascii=False)
    except (ValueError, RecursionError):  # nested too deeply for one of the three is as good as unreadable
        kind = "HTML" if re.match(rb"\s*<", body) else "not JSON"
        return f"({kind}, {len(body)} bytes)"
    # JSON may escape half a surrogate pair, which no database and no file could take.
    return shown[:LONGEST].encode("utf-8", "replace").decode()


def _masked(value: object, public: Collection[str], *, shown: bool) -> object:
    match value:
        case dict():
            return {str(k): _masked(v, public, shown=k in public) for k, v in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        case list():
            return [_masked(v, public, shown=shown) for v in value]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        case str():
            return value if shown or not value else MASK
        case _:
            return value


def redact_path(path: str) -> str:
    """Return a path with the values of its query masked, since a look-up may name a customer."""
    return re.sub(r"(?<==)[^&]+", MASK, path)
