"""Where the texts of an order go, so that each arrives whole. Pure functions.

A note may say "severe peanut allergy" in its last words, so none is cut. What the customer wrote
comes first. What doesn't fit the order's note goes on in the notes of its lines, and the rest of a
line's note in the order's. A text that fits nowhere is refused before anything is sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tillpost.adapter import OrderError, one_line
from tillpost_square.limits import LINE_NOTE, Limit

__all__ = ["NoteText", "Notes", "divided", "no_room", "spread"]

_MORE = " (continued elsewhere)"
_REST_OF_NOTE = "ORDER NOTE, continued: "
_LEAST_ROOM = 40
"""A place with less room than this, in characters, isn't used.

A word or two there help nobody.
"""


class NoteText(NamedTuple):
    """A text of the order, and the field that it comes from."""

    field: str
    text: str


class Notes(NamedTuple):
    """The notes of an order and of each of its lines.

    Attributes:
        note: The order's note.
        lines: A note for each of its lines.
        notices: What was moved from one note to another, for people.
    """

    note: str
    lines: tuple[str, ...]
    notices: tuple[str, ...]


def spread(
    own: Iterable[NoteText], others: Iterable[NoteText], limit: Limit, line_notes: Sequence[str]
) -> Notes:
    """Return the notes that hold all texts of an order.

    Args:
        own: What the customer wrote of the whole order.
        others: What else staff need.
        limit: The limit of the order's note.
        line_notes: What the customer wrote of each line.

    Raises:
        OrderError: There isn't room for all of it. The error names the field of the longest text.
    """
    notices: list[str] = []
    lines: list[str] = []
    rests: list[NoteText] = []
    for index, line_note in enumerate(line_notes):
        kept, rest = divided(line_note, LINE_NOTE.characters)
        lines.append(kept)
        if rest:
            number = index + 1
            rests.append(NoteText(f"lines[{index}].note", f"LINE {number}, continued: {rest}"))
            notices.append(f"The note of line {number} continues in the order's note")
    texts = [
        NoteText(field, one_line(text)) for field, text in (*own, *rests, *others) if text.strip()
    ]
    # One line for each text, so that no text passes for another.
    note, rest = divided("\n".join(text for _, text in texts), limit.characters)
    for index, line_note in enumerate(lines):
        beginning = f"{line_note}\n{_REST_OF_NOTE}" if line_note else _REST_OF_NOTE
        room = LINE_NOTE.characters - len(beginning)
        if not rest or room < _LEAST_ROOM:
            continue
        part, rest = divided(rest, room)
        lines[index] = beginning + part
        notices.append(f"The order's note continues in the note of line {index + 1}")
    if rest:
        raise no_room(texts, "all of it")
    return Notes(note, tuple(lines), tuple(notices))


def no_room(texts: Iterable[NoteText], what: str) -> OrderError:
    """Return the error that names the field of the longest of the texts.

    `what` is what the notes have no room for.
    """
    longest = max(texts, key=lambda each: len(each.text))
    return OrderError(
        f"{longest.field}: Square's notes have no room for {what}",
        subjects=("notes of this length",),
        reason="unsupported",
    )


def divided(text: str, most: int) -> tuple[str, str]:
    """Return the beginning of a text, of at most `most` characters, and the rest.

    It is divided between two texts, sentences or words, in this sequence, where there are any near
    the end. The beginning of a divided text says so.
    """
    if len(text) <= most:
        return text, ""
    room = most - len(_MORE)
    end = room
    for separator in ("\n", ". ", " "):
        found = text.rfind(separator, room * 2 // 3, room)
        if found >= 0:
            end = found + len(separator)
            break
    return text[:end].rstrip() + _MORE, text[end:].lstrip()
