"""The names that Square's register shows, compared with those that were ordered.

Square puts its catalogue's name on a line. Without a menu in memory, or with an old one, that shows
only in its answer. A name of which Square's doesn't say all is then added to the note of its line,
before the order is paid and staff can see it. Pure functions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from tillpost.adapter import Line, Order, OtherName, other_names, whole_name
from tillpost_square.limits import LINE_NOTE
from tillpost_square.wire import CreatedOrder, NamedLine, SquareOrder

__all__ = ["has_untold_names", "line_uid", "name_notices", "with_names"]

Body: TypeAlias = dict[str, object]
Seen: TypeAlias = SquareOrder | CreatedOrder


class _Named(NamedTuple):
    """A name that a line of Square's doesn't say all of, and whether a note does."""

    place: int
    name: OtherName
    is_told: bool


def line_uid(index: int) -> str:
    """Return the uid of a line.

    An answer may list the lines in another sequence.
    """
    return f"line-{index}"


def has_untold_names(order: Order, seen: Seen) -> bool:
    """Return whether a name that was ordered is neither on its line nor in a note."""
    return any(not each.is_told for each in _named(order, seen))


def with_names(order: Order, seen: Seen) -> Body | None:
    """Return the changes that add such names to the notes of their lines.

    One whose line has no room goes to the first line that has. The changes are None if there is
    nothing to add, or no room at all.
    """
    before = {index: line.note for index, line in _lines(order, seen)}
    notes: dict[int, str] = {}
    for index, name, is_told in _named(order, seen):
        if is_told:
            continue
        for place in (index, *before):
            text = name.note if place == index else _note_elsewhere(index, name)
            note = "\n".join(filter(None, (notes.get(place, before[place]), text)))
            if len(note) <= LINE_NOTE.characters:
                notes[place] = note
                break
    changes = [
        # The spec requires the quantity of a line, of one that is changed too.
        {"uid": line_uid(index), "quantity": str(order.lines[index].quantity), "note": note}
        for index, note in notes.items()
    ]
    return {"line_items": changes} if changes else None


def name_notices(order: Order, seen: Seen) -> list[str]:
    """Return a notice for each name that Square's line doesn't say all of."""
    return [name.notice(index, is_noted=told) for index, name, told in _named(order, seen)]


def _note_elsewhere(index: int, name: OtherName) -> str:
    """Return the note of a line's name for the note of another line."""
    return f"LINE {index + 1}: {name.note}"


def _lines(order: Order, seen: Seen) -> Iterator[tuple[int, NamedLine]]:
    """Yield each line of the order that Square shows, with its place in the order."""
    lines = {line.uid: line for line in seen.line_items}
    for index in range(len(order.lines)):
        if line := lines.get(line_uid(index)):
            yield index, line


def _named(order: Order, seen: Seen) -> Iterator[_Named]:
    details = [each.pickup_details or each.delivery_details for each in seen.fulfillments]
    # The rest of a long note is in the order's.
    order_note = "\n".join(each.note for each in details if each)
    line_notes = "\n".join(line.note for line in seen.line_items)
    for index, line in _lines(order, seen):
        ordered = order.lines[index]
        for name in () if ordered.is_open else _other_names(ordered, line):
            is_told = name.is_in(line.note) or name.is_in(order_note)
            is_told = is_told or _note_elsewhere(index, name) in line_notes
            yield _Named(index, name, is_told)


def _other_names(ordered: Line, line: NamedLine) -> list[OtherName]:
    """Return the names that the line doesn't say all of.

    One that Square's answer leaves out isn't compared.
    """
    shown = {each.catalog_object_id: each.name for each in line.modifiers}
    pairs = [(ordered.name, whole_name(line.name, line.variation_name))]
    pairs += [
        (flat.modifier.name, shown.get(flat.modifier.modifier_id, ""))
        for flat in ordered.flat_modifiers()
    ]
    return other_names((name, other) for name, other in pairs if other)
