"""The masking of known texts, secrets and a customer's, that a platform echoes.

A server or a proxy that refuses a request may quote it: as it came, in UTF-16, or escaped as in
JSON, URLs and HTML. All of these are found. What is encoded in another way, such as compressed or
encrypted, isn't.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from html import unescape
from typing import TypeAlias

from tillpost.adapter.redaction import MASK
from tillpost.adapter.settings import AdapterSettings
from tillpost.errors import PosError
from tillpost.models.order import Delivery, Order, Pickup

__all__ = ["WHOLE_WORD", "Hide", "hide_in", "hide_nothing", "hider", "without_secrets"]

Hide: TypeAlias = Callable[[str], str]
"""Returns a text with what is personal or secret in it masked."""

WHOLE_WORD = 8
"""Secrets shorter than this are masked only in what is shown, as whole words.

They are words of other texts, too, and masking those in an answer would make it unreadable.
"""

ESCAPED_IN = 256 * 1024
"""Bytes of an answer in which escaped secrets are looked for.

Unescaped ones are looked for in all of it. Nothing that is shown of an answer comes from beyond
that.
"""

_SHORTEST_PART = 3
"""Shorter texts, but for a whole name, are words of every text."""

_LOCAL_DIGITS = 8
"""The last digits of a phone number, by which it is found."""

_SHORTEST_PHONE = 6
"""Fewer digits than this are a price or a count as well."""

_SEPARATORS = r"\s().,'_\-/\u2010-\u2015\u2212"
"""What may be between the digits of a phone number, in a set of a pattern."""

_Span: TypeAlias = tuple[int, int]

# Each repetition is limited, so that no text takes more than linear time. Each alternative begins
# with a plain character: so `re` skips all others, and searches an answer in a tenth of the time.
_ESCAPE = re.compile(
    r"""\\\\{0,7}u([0-9a-f]{4})     # JSON, also as a text in JSON
    |  %(?:25){0,4}([0-9a-f]{2})    # a URL
    |  &((?:amp;){0,4}(?:\#x?[0-9a-f]{1,7}|[a-z]{2,6});)    # HTML
    |  \\\\{0,7}(["/\\])
    """,
    re.IGNORECASE | re.VERBOSE,
)


_ESCAPE_SIGNS = "\\%&"
"""The characters that an escape begins with."""


def without_secrets(secrets: Iterable[str], *texts: bytes) -> tuple[bytes, ...]:
    """Return texts of an answer with each of the secrets masked.

    They are its body or its headers.

    Args:
        secrets: The secrets; those shorter than `WHOLE_WORD` are left in.
        texts: The bytes as the server sent them.
    """
    long = {secret for secret in secrets if len(secret) >= WHOLE_WORD}
    return tuple(_without_long_secrets(text, long) for text in texts)


def _without_long_secrets(body: bytes, long: Collection[str]) -> bytes:
    longest_first = sorted(long, key=len, reverse=True)  # one may begin with another
    encodings = ("utf-8", "utf-16-le", "utf-16-be") if b"\0" in body else ("utf-8",)
    for secret in longest_first:
        for encoding in encodings:
            spelling = secret.encode(encoding)
            # Searching backwards takes a quarter of the time that `replace` takes to search.
            if body.rfind(spelling) >= 0:
                body = body.replace(spelling, MASK.encode())
    head = body[:ESCAPED_IN].decode("latin-1")  # as many characters as bytes
    as_in_head = {secret.encode().decode("latin-1") for secret in long}
    words = {*long, *as_in_head}
    shown = _without_escaped(head, lambda plain: _occurrences(plain, words))
    if shown is head:
        return body
    return shown.encode("latin-1") + body[ESCAPED_IN:]


def hide_nothing(text: str) -> str:
    """Return the text as it is."""
    return text


def hide_in(error: PosError, hide: Hide) -> None:
    """Mask what is personal in all texts of an error that come from a platform."""
    error.detail = hide(error.detail)
    error.code = hide(error.code)
    error.request_id = hide(error.request_id)
    error.args = (error.detail,)


def hider(order: Order | None, settings: AdapterSettings) -> Hide:
    """Return what masks an order's customer and a connection's short secrets in texts.

    Words are masked as wholes and whatever their case, a phone number however it is grouped.

    Args:
        order: The order in flight, if any.
        settings: The connection's settings.
    """
    texts = [*settings.secrets()]
    if order is not None:
        texts += _personal_texts(order)
    patterns = [re.escape(text) for text in texts]
    if order is not None:
        patterns += _phone_patterns(order)
    if not patterns:
        return hide_nothing
    longest_first = sorted(patterns, key=len, reverse=True)
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(longest_first)})(?!\w)", re.IGNORECASE)

    def found_in(text: str) -> Iterator[_Span]:
        return (found.span() for found in pattern.finditer(text))

    def hide(text: str) -> str:
        unescaped = _without_escaped(text, found_in)  # first, as an escape may be half of a word
        return pattern.sub(MASK, unescaped)

    return hide


def _personal_texts(order: Order) -> Iterator[str]:
    """Yield what an order says about its customer, and what the customer wrote."""
    texts = [order.note]
    texts += [line.note for line in order.lines]
    customer = order.customer
    if customer:
        texts += [customer.email, customer.phone]
        texts += customer.name.split()
        yield customer.name
    if isinstance(order.fulfilment, Delivery):
        address = order.fulfilment.address
        texts += [address.line1, address.line2, address.city, address.postcode]
        texts.append(order.fulfilment.instructions)
    if isinstance(order.fulfilment, Pickup) and order.fulfilment.curbside:
        texts.append(order.fulfilment.curbside.details)
    for text in texts:
        if len(text) >= _SHORTEST_PART:
            yield text


def _phone_patterns(order: Order) -> list[str]:
    """Return patterns for the customer's number, as a text and as a number.

    They allow any separators and country code. A number has no zeros at its front, and in
    scientific notation none at its end.
    """
    if order.customer is None:
        return []
    digits = re.sub(r"\D", "", order.customer.phone)
    notations = {
        (digits, ""),
        (digits.lstrip("0"), ""),
        (digits.strip("0"), r"0*e[+-]?\d+"),
    }
    country = rf"(?:[+(]{{0,2}}\d[\d{_SEPARATORS}]{{0,12}})?"
    separator = f"[{_SEPARATORS}]{{0,3}}"
    return [
        country + separator.join(number[-_LOCAL_DIGITS:]) + ending
        for number, ending in notations
        if len(number) >= _SHORTEST_PHONE
    ]


def _occurrences(text: str, words: Iterable[str]) -> Iterator[_Span]:
    for word in words:
        start = text.find(word)
        while start >= 0:
            yield start, start + len(word)
            start = text.find(word, start + len(word))


def _without_escaped(text: str, find: Callable[[str], Iterable[_Span]]) -> str:
    """Return a text with what `find` finds in its unescaped form masked.

    If it finds nothing, that is the text itself.
    """
    # Most answers have no escape, and this takes a tenth of the pattern's time to see it.
    if not any(sign in text for sign in _ESCAPE_SIGNS) or _ESCAPE.search(text) is None:
        return text
    plain, places = _unescaped(text)
    offsets = [offset for offset, _ in places]

    def place(offset: int) -> int:
        """Return where a character of the unescaped text begins in the text."""
        plain_offset, text_offset = places[bisect_right(offsets, offset) - 1]
        return text_offset + offset - plain_offset

    found = [(place(start), place(end)) for start, end in find(plain)]
    return _masked(text, found)


def _unescaped(text: str) -> tuple[str, Sequence[_Span]]:
    """Return a text without escapes, and where its parts are in the text.

    A place is a pair of offsets, in the unescaped text and in the text, from which both go on in
    step.
    """
    parts: list[str] = []
    places: list[_Span] = [(0, 0)]
    length = 0
    end = 0
    for found in _ESCAPE.finditer(text):
        before = text[end : found.start()]
        length += len(before)
        places.append((length, found.start()))

        character = _character(found)
        length += len(character)
        end = found.end()
        places.append((length, end))
        parts.append(before)
        parts.append(character)
    rest = text[end:]
    return "".join(parts) + rest, places


def _character(escape: re.Match[str]) -> str:
    in_json, in_url, in_html, quoted = escape.groups()
    if in_html:
        entity = re.sub("^(amp;)+(?=.)", "", in_html, flags=re.IGNORECASE)
        return unescape(f"&{entity}")[:1]
    if quoted:
        return str(quoted)
    return chr(int(in_json or in_url, 16))


def _masked(text: str, spans: Iterable[_Span]) -> str:
    """Return a text with the parts masked, which may overlap."""
    shown: list[str] = []
    end = 0
    for start, stop in sorted(spans):
        if start >= end:
            shown.append(text[end:start])
            shown.append(MASK)
        end = max(end, stop)
    if not shown:
        return text
    rest = text[end:]
    return "".join(shown) + rest
