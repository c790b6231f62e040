"""What to say of a name that isn't known: the nearest one that is, or all of them."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from tillpost.models.safe_text import plain

__all__ = ["LONGEST_SHOWN", "listed", "nearest", "quoted", "suggestion"]

LONGEST_SHOWN = 80
"""Characters of an unknown name that are repeated."""

MOST_LISTED = 12
"""How many known names are listed; a company may have thousands of stores."""


def quoted(name: str) -> str:
    """Return an unknown name in quotation marks, cut to one short line."""
    return repr(plain(name, LONGEST_SHOWN))


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the known name that an unknown one is probably meant to be, or "".

    >>> nearest("polcy", ["outbox", "policy"]), nearest("colour", ["outbox", "policy"])
    ('policy', '')
    """
    matches = get_close_matches(name[:LONGEST_SHOWN], list(known), n=1)
    return matches[0] if matches else ""


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return how to go on after an unknown name.

    >>> suggestion("cafe-24", ["cafe-42", "bar"])
    "did you mean 'cafe-42'?"
    >>> suggestion("pub", ["cafe-42", "bar"])
    'there are: bar, cafe-42'
    """
    names = sorted(known)
    meant = nearest(name, names)
    if meant:
        return f"did you mean {meant!r}?"
    return f"there are: {listed(names)}"


def listed(names: Iterable[str]) -> str:
    """Return names in one line, of many only the first.

    >>> listed(str(number) for number in range(100))
    '0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 88 more'
    >>> listed([])
    'none'
    """
    every = list(names)
    shown = ", ".join(every[:MOST_LISTED]) or "none"
    more = len(every) - MOST_LISTED
    return f"{shown} and {more} more" if more > 0 else shown
