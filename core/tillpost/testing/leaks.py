"""A search for secrets and personal data in a cassette.

It is independent of how the cassette was masked. Masking keeps what was declared public, so a wrong
declaration would let a name through. This module searches the result: for field names that hold
personal data or secrets, for texts that look like an email address, a phone number or a token, and
for the texts that were used in the recording (canaries).
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

from tillpost.adapter.redaction import MASK
from tillpost.testing.files import read_yaml

__all__ = ["Leak", "leaks_in"]


class Leak(NamedTuple):
    """A text that must not be in a cassette: its path, kind and beginning."""

    where: str
    looks_like: str
    begins: str


_PERSONAL = re.compile(
    r"(?:^|_)(?:e?mail|email_address|phone|mobile|fax|phone_number|address(?:_line_?\d)?|line_?[12]|street|suburb|city"
    r"|town|locality|postcode|zip|postal_code|birthday|birth_date|customer|recipient|buyer|cardholder"
    r"|(?:display|first|last|given|family|full|middle|nick|customer|recipient|contact|holder|ticket)_?name"
    r"|notes?|instructions|comments?|remarks?|statement_description)$",
    re.IGNORECASE,
)
_SECRET = re.compile(
    r"(?:^|_)(?:token|secret|password|passwd|authorization|cookie|api_?key|signing_key|private_key|signature|nonce"
    r"|fingerprint|bin|last_?4|cvv|pan)$",
    re.IGNORECASE,
)
_LOOKS = {
    "an e-mail address": re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]*\w"),
    "a phone number": re.compile(
        r"(?<![\w-])\+\d[\d ().-]{7,17}\d(?![\w-])|(?<![\w-])\(?0\d(?:[ ().-]{0,2}\d){7,9}(?!\w)"
    ),
    "a token": re.compile(
        r"\bBearer\s+\S{6,}|\bEAAA[\w-]{8,}|\bsq0[a-z]{3}-[\w-]{8,}|\b[sprk]k_(?:live|test)_\w{6,}"
        r"|\beyJ[\w-]{8,}\.[\w-]{8,}|\bgh[pousr]_\w{16,}|\bAKIA[A-Z0-9]{12,}|-----BEGIN "
    ),
    "an address of a machine": re.compile(
        r"\blocalhost\b|\b127\.0\.0\.1\b|/(?:home|root|Users|tmp)/\w"
    ),
}
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}(?:T[\d:.]+(?:Z|[+-]\d{2}:\d{2})?)?")


def leaks_in(path: Path, *, headers: Collection[str], canaries: Iterable[str] = ()) -> list[Leak]:
    """Return what looks like a secret or personal data in a cassette.

    Args:
        path: The cassette file.
        headers: The headers that it may hold, in lower case.
        canaries: Texts that were sent or received in the recording.
    """
    text = path.read_text("utf-8")
    used = [canary for canary in canaries if canary and canary in text]
    looks_like = "a text that was used while recording"
    found = [Leak(path.name, looks_like, canary[:12]) for canary in used]
    content = read_yaml(path)
    for name, value in _texts(content, ""):
        found += _leaks_in_text(name, value)
    for number, exchange in enumerate(content["interactions"]):
        for side in ("request", "response"):
            where = f"interactions.{number}.{side}.headers"
            found += _undeclared(exchange[side]["headers"], headers, where)
    return found


def _undeclared(
    sent: Mapping[str, object], declared: Collection[str], where: str
) -> Iterator[Leak]:
    for header in sent:
        if header.lower() not in declared:
            yield Leak(where, "a header that isn't declared", header)


def _leaks_in_text(where: str, text: str) -> Iterator[Leak]:
    if text in ("", MASK) or _TIME.fullmatch(text):
        return
    steps = [step for step in where.split(".") if not step.isdigit()]
    # Everything below a personal field (`recipient`, `address`) is personal, whatever its name.
    if any(_PERSONAL.search(step) for step in steps if not where.startswith("metadata")):
        yield Leak(where, "a person", text[:12])
    elif any(_SECRET.search(step) for step in steps):
        yield Leak(where, "a secret", text[:12])
    for kind, pattern in _LOOKS.items():
        if pattern.search(text):
            yield Leak(where, kind, text[:12])


def _texts(value: Any, where: str) -> Iterator[tuple[str, str]]:
    """Yield every text with its path; the texts within a JSON body one by one."""
    match value:
        case dict():
            for name, entry in cast(Mapping[str, object], value).items():
                yield from _texts(entry, f"{where}.{name}" if where else str(name))
        case list():
            for number, entry in enumerate(cast(Sequence[object], value)):
                yield from _texts(entry, f"{where}.{number}")
        case str():
            content = _json(value)
            if content is None:
                yield where, value
            else:
                yield from _texts(content, where)
        case _:
            pass


def _json(text: str) -> object:
    """Return the content of a JSON object or array; None for any other text."""
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        content: object = json.loads(text)
    except ValueError:
        return None
    return content
