"""The names that Square's register shows, compared with those that were ordered.

Square puts its catalogue's name on a line. Without a menu in memory, or with an old one, that shows
only in its answer. A name of which Square's doesn't say all is then added to the note of its line,
before the order is paid and staff can see it. Pure functions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from tillpost.adapter import Delivery, Line, Order, OtherName, other_names, whole_name
from tillpost_square.limits import LINE_NOTE
from tillpost_square.notes import NoteText, no_room
from tillpost_square.wire import CreatedOrder, NamedLine, SquareOrder

__all__ = ["has_unnoted_names", "line_uid", "name_notices", "with_names"]

Body: TypeAlias = dict[str, object]
Seen: TypeAlias = SquareOrder | CreatedOrder


class _Named(NamedTuple):
    """A name that a line of Square's doesn't say all of, and whether a note does."""

    place: int
    name: OtherName
    is_noted: bool

    @property
    def notice(self) -> str:
        """The notice of the name."""
        return self.name.notice(self.place, is_noted=self.is_noted)

    def note_at(self, place: int) -> str:
        """Return what the note of the line at `place` says of the name."""
        if place == self.place:
            return self.name.note
        return _note_elsewhere(self.place, self.name)


def line_uid(index: int) -> str:
    """Return the uid of a line.

    An answer may list the lines in another sequence.
    """
    return f"line-{index}"


def has_unnoted_names(order: Order, seen: Seen) -> bool:
    """Return whether a name that was ordered is neither on its line nor in a note."""
    return any(not each.is_noted for each in _named(order, seen))


def with_names(order: Order, seen: Seen) -> Body | None:
    """Return the changes that add such names to the notes of their lines.

    One whose line has no room goes to the first line that has. The changes are None if there is
    nothing to add.

    Raises:
        OrderError: No note has room for a name. The error names the field of the longest text.
    """
    notes: dict[int, str] = {}
    for index, line in _lines(order, seen):
        notes[index] = line.note
    changed: dict[int, str] = {}
    for named in _named(order, seen):
        if named.is_noted:
            continue
        for place in (named.place, *notes):
            note = _joined(notes[place], named.note_at(place))
            if len(note) <= LINE_NOTE.characters:
                notes[place] = note
                changed[place] = note
                break
        else:
            raise no_room(_texts(order), "it and all names")
    if not changed:
        return None
    changes: list[Body] = []
    for place, note in changed.items():
        change: Body = {
            "uid": line_uid(place),
            # The spec requires the quantity of a line, of one that is changed too.
            "quantity": str(order.lines[place].quantity),
            "note": note,
        }
        changes.append(change)
    return {"line_items": changes}


def name_notices(order: Order, seen: Seen) -> list[str]:
    """Return a notice for each name that Square's line doesn't say all of."""
    return [each.notice for each in _named(order, seen)]


def _texts(order: Order) -> Iterator[NoteText]:
    """Yield the texts that the notes hold, and the names."""
    yield NoteText("note", order.note)
    if isinstance(order.fulfilment, Delivery):
        yield NoteText("fulfilment.instructions", order.fulfilment.instructions)
    for index, line in enumerate(order.lines):
        yield NoteText(f"lines[{index}].note", line.note)
        yield NoteText(f"lines[{index}].name", line.name)


def _joined(note: str, added: str) -> str:
    if not note:
        return added
    return f"{note}\n{added}"


def _note_elsewhere(index: int, name: OtherName) -> str:
    """Return the note of a line's name for the note of another line."""
    return f"LINE {index + 1}: {name.note}"


def _lines(order: Order, seen: Seen) -> Iterator[tuple[int, NamedLine]]:
    """Yield each line of the order that Square shows, with its place in the order."""
    lines = {line.uid: line for line in seen.line_items}
    for index in range(len(order.lines)):
        line = lines.get(line_uid(index))
        if line is not None:
            yield index, line


def _named(order: Order, seen: Seen) -> Iterator[_Named]:
    order_note = _order_note(seen)
    line_notes = "\n".join(line.note for line in seen.line_items)
    for index, line in _lines(order, seen):
        ordered = order.lines[index]
        if ordered.is_open:
            continue
        for name in _other_names(ordered, line):
            is_on_line = name.is_in(line.note)
            is_on_order = name.is_in(order_note)
            is_elsewhere = _note_elsewhere(index, name) in line_notes
            yield _Named(
                place=index,
                name=name,
                is_noted=is_on_line or is_on_order or is_elsewhere,
            )


def _order_note(seen: Seen) -> str:
    """Return the note of the order, which has the rest of a long note of a line."""
    notes: list[str] = []
    for fulfillment in seen.fulfillments:
        details = fulfillment.pickup_details or fulfillment.delivery_details
        if details:
            notes.append(details.note)
    return "\n".join(notes)


def _other_names(ordered: Line, line: NamedLine) -> list[OtherName]:
    """Return the names that the line doesn't say all of.

    One that Square's answer leaves out isn't compared.
    """
    pairs = [(ordered.name, whole_name(line.name, line.variation_name))]
    names_of_modifiers = {each.catalog_object_id: each.name for each in line.modifiers}
    for modifier, _, _ in ordered.flat_modifiers():
        pairs.append((modifier.name, names_of_modifiers.get(modifier.modifier_id, "")))
    return other_names((name, shown) for name, shown in pairs if shown)
