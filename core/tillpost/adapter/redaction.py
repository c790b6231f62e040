"""Redaction of requests and answers, for transcripts and cassettes.

It works by allow-list. Of a JSON body, numbers, booleans and the texts of public fields remain;
every other text becomes `***`. So a new field with a name or a token in it is masked before anyone
knows of it. Below a person, an address and payments nothing is public, whatever its name. What
remains is searched for the customer's own texts (`echoes.hider`), since a platform's message may
quote them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from typing import cast

from tillpost.models.safe_text import storable

__all__ = ["MASK", "PUBLIC_FIELDS", "masked", "redact", "redact_path"]

MASK = "***"
LONGEST = 10_000
"""Characters at which a transcript's body is cut."""

LONGEST_PARSED = 262_144
"""Bytes of a body that is parsed for a transcript.

Of a larger one, only the size is shown.
"""

PUBLIC_FIELDS = frozenset(
    "id type kind code category field detail status state version currency error errors "
    "message error_message error_description created_at updated_at".split()
)
"""Fields that no platform uses for secrets or people. Adapters add their own."""

_PRIVATE = frozenset(
    "customer customers payments person people recipient guest buyer contact user employee staff "
    "address delivery_address billing_address shipping_address".split()
)
"""Objects whose `name`, `state` or `reference` is a person's.

Elsewhere it may be public.
"""

_PHONE_DIGITS = 6
"""Numbers with fewer digits than this aren't a phone number."""


def redact(body: bytes, public: Collection[str], hide: Callable[[str], str] | None = None) -> str:
    """Return a body with every text masked, except those of public fields.

    A body that isn't JSON, or that is large, is replaced by its kind and size.

    Args:
        body: The body.
        public: The names of the fields whose texts are shown.
        hide: Masks a customer's own texts in what is shown. Of texts joined by line breaks it must
            change something if it changes one of them.

    >>> redact(b'{"id": "1", "customer": {"name": "Mia"}}', {"id"})
    '{"id": "1", "customer": {"name": "***"}}'
    """
    if not body:
        return ""
    if len(body) > LONGEST_PARSED:
        return f"(large, {len(body)} bytes)"
    try:
        shown = json.dumps(_shown(json.loads(body), public, hide), ensure_ascii=False)
    except (ValueError, RecursionError):  # a body that is nested too deeply is unreadable as well
        kind = "HTML" if re.match(rb"\s*<", body) else "not JSON"
        return f"({kind}, {len(body)} bytes)"
    # JSON may escape half of a surrogate pair, which no database and no file accepts.
    return storable(shown[:LONGEST])


class _Texts(dict[str, str]):
    """The texts that it was asked for, each of which it returns as it is."""

    def __missing__(self, text: str) -> str:
        """Keep a text."""
        self[text] = text
        return text


def _shown(value: object, public: Collection[str], hide: Callable[[str], str] | None) -> object:
    """Return a JSON value as `masked` does, faster where nothing has to be hidden.

    Most bodies quote no customer, and one search sees that in half of the time.
    """
    if hide is None:
        return masked(value, public)
    texts = _Texts()
    shown = masked(value, public, hide=texts.__getitem__)
    together = "\n".join(texts)
    return shown if hide(together) == together else masked(value, public, hide=hide)


def masked(
    value: object,
    public: Collection[str],
    *,
    shown: bool = False,
    hide: Callable[[str], str] | None = None,
) -> object:
    """Return a JSON value with every text masked, except those of public fields.

    Masking it twice changes nothing more.

    Args:
        value: The value.
        public: The names of the fields whose texts are shown.
        shown: Whether a text without a name of its own is shown.
        hide: Masks a customer's own texts in what is shown, also in names and numbers.
    """
    match value:
        case str() if value and not shown:
            return MASK
        case str():
            return hide(value) if hide else value
        case dict():
            kept: dict[str, object] = {}
            for name, member in cast("Mapping[str, object]", value).items():
                below = () if name in _PRIVATE else public
                masked_name = hide(name) if hide else name
                kept[masked_name] = masked(member, below, shown=name in below, hide=hide)
            return kept
        case list():
            entries = cast("Sequence[object]", value)
            return [masked(entry, public, shown=shown, hide=hide) for entry in entries]
        case int() | float() | Decimal() if hide and _says_more(value, hide):
            return MASK
        case _:
            return value


def _says_more(number: float | Decimal, hide: Callable[[str], str]) -> bool:
    """Return whether a number is personal, such as a phone number, in any notation."""
    if isinstance(number, int) and abs(number) < 10 ** (_PHONE_DIGITS - 1):
        return False  # most numbers are prices, and this is the shortest way to see it
    value = Decimal(str(number))
    if len(value.as_tuple().digits) < _PHONE_DIGITS:
        return False
    notations = (f"{value:f}", f"{value:e}")
    return any(hide(text) != text for text in notations)


def redact_path(path: str) -> str:
    """Return a path with the values of its query masked.

    A look-up may name a customer.
    """
    return re.sub(r"(?<==)[^&]+", MASK, path)
