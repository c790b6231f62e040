"""Compares names of the menu as people read them, not as programs write them.

A name may reach an ordering site in another Unicode form than the POS shows it (NFC or NFD), with
other kinds of spaces and quotation marks, or escaped for HTML. It is the same name all the same.
"""

from __future__ import annotations

import html
import re
import unicodedata

__all__ = ["are_alike", "comparable"]

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
    composed = unicodedata.normalize("NFC", html.unescape(name))
    return " ".join(composed.translate(_QUOTATION_MARKS).split())


def are_alike(name: str, other: str) -> bool:
    """Return whether two names may be of the same product.

    One then has all the words of the other. Case doesn't count. A site may leave out a size, or add
    one.
    """
    words = _words(name)
    other_words = _words(other)
    return words <= other_words or other_words <= words


def _words(name: str) -> set[str]:
    return set(_WORD.findall(comparable(name).casefold()))
