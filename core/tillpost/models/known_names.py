"""What to say of a name that isn't known: the nearest one that is, or all of them."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from tillpost.models.safe_text import plain

__all__ = ["listed", "quoted", "suggestion"]

LONGEST_SHOWN = 80
"""Characters of an unknown name that are repeated."""

MOST_LISTED = 12
"""How many known names are listed; a company may have thousands of stores."""


def quoted(name: str) -> str:
    """Return an unknown name in quotation marks, cut to one short line."""
    return repr(plain(name, LONGEST_SHOWN))


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return how to go on after an unknown name.

    >>> suggestion("cafe-24", ["cafe-42", "bar"])
    "did you mean 'cafe-42'?"
    >>> suggestion("pub", ["cafe-42", "bar"])
    'there are: bar, cafe-42'
    """
    names = sorted(known)
    nearest = get_close_matches(name[:LONGEST_SHOWN], names, n=1)
    if nearest:
        return f"did you mean {nearest[0]!r}?"
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
