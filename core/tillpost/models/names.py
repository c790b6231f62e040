"""Compares names of the menu as people read them, not as programs write them.

A name may reach an ordering site in another Unicode form than the POS shows it (NFC or NFD), with
other kinds of spaces and quotation marks, or escaped for HTML. It is the same name all the same.

A register that shows the menu's name of what was ordered under another may leave out what matters:
"Vegan salad (no bacon)" is on it as "BLT toastie". Then staff need the customer's name as well
(`OtherName`).
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from tillpost.models.safe_text import one_line

__all__ = [
    "OtherName",
    "are_alike",
    "comparable",
    "other_names",
    "says_all",
    "whole_name",
]

_QUOTATION_MARKS = str.maketrans(
    {
        **dict.fromkeys("‘’‚‛`´ʹʼ′＇", "'"),
        **dict.fromkeys("“”„‟«»″＂", '"'),
    }
)

_WORD = re.compile(r"\w+")


def comparable(name: str) -> str:
    """Return a name in the one form in which names are compared. Case counts.

    >>> comparable("Fish &amp; chips")
    'Fish & chips'
    """
    unescaped = html.unescape(name)
    composed = unicodedata.normalize("NFC", unescaped)
    words = composed.translate(_QUOTATION_MARKS).split()
    return " ".join(words)


def are_alike(name: str, other: str) -> bool:
    """Return whether two names may be of the same product.

    One then has all the words of the other. Case doesn't count. A site may leave out a size, or add
    one.
    """
    words = _words(name)
    other_words = _words(other)
    return words <= other_words or other_words <= words


@lru_cache(4096)  # a store's orders name the same dishes: a fifth of an order of 20 lines
def says_all(shown: str, name: str) -> bool:
    """Return whether a name on a register has every word of the name that was ordered.

    The register may say more, such as a size. Case, sequence and punctuation don't count. Signs
    such as emoji do: a plant says that a dish is vegan. So "blt toastie" is all in "BLT Toastie
    (V)", and "BLT Toastie (V)" isn't in "BLT toastie": the V may be why the customer ordered it.

    >>> says_all("Flat white, regular", "flat white")
    True
    >>> says_all("BLT toastie", "BLT toastie, no bacon")
    False
    """
    if name == shown:
        return True
    ordered_parts = _words(name) | _signs(name)
    shown_parts = _words(shown) | _signs(shown)
    return ordered_parts <= shown_parts


def whole_name(item: str, variation: str) -> str:
    """Return the name of an item with that of its variation, as a register shows both.

    >>> whole_name("Flat white", "regular")
    'Flat white, regular'
    """
    return f"{item}, {variation}" if variation else item


class OtherName(NamedTuple):
    """A name that was ordered, and the register's own, which doesn't say all of it."""

    ordered: str
    shown: str

    @property
    def note(self) -> str:
        """What the line's note says of it."""
        shown = one_line(self.shown)
        return f"{self._beginning}{shown})"

    @property
    def _beginning(self) -> str:
        ordered = one_line(self.ordered)
        return f"ORDERED AS: {ordered} (here: "

    def is_in(self, note: str) -> bool:
        """Return whether a note says it."""
        return self._beginning.rstrip() in one_line(note)

    def notice(self, index: int, *, is_noted: bool = True) -> str:
        """Return the notice for the order's line of this index."""
        ordered = one_line(self.ordered)
        shown = one_line(self.shown)
        names = f'"{ordered}", which the register calls "{shown}"'
        where = "a note says so" if is_noted else "staff can't see that"
        return f"Line {index + 1} was ordered with {names}: {where}"


def other_names(pairs: Iterable[tuple[str, str]]) -> list[OtherName]:
    """Return the names that a register doesn't say all of, each once.

    Args:
        pairs: Each name that was ordered, with the register's name for it.
    """
    found = [OtherName(name, shown) for name, shown in pairs if not says_all(shown, name)]
    return list(dict.fromkeys(found))


def _words(name: str) -> set[str]:
    folded = comparable(name).casefold()
    return set(_WORD.findall(folded))


def _signs(name: str) -> set[str]:
    return {sign for sign in name if unicodedata.category(sign) == "So"}
