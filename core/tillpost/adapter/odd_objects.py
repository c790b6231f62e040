"""Reads a menu although some objects of it can't be read, and names those.

A store's catalogue may hold what no model foresees: a price without an amount, an empty date, an
object without an id. Such an object is left out of the menu, and reported as a fault of the setup.
Everything else can be ordered.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cache
from itertools import islice
from types import GenericAlias
from typing import Annotated, Any, NamedTuple, TypeAlias, TypeVar, cast

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from tillpost.adapter.exchange import reading_about
from tillpost.errors import OutageError
from tillpost.models.base import LONGEST_ID, LONGEST_WORDS, explain
from tillpost.models.menu import SetupFault
from tillpost.models.safe_text import plain, safe_logger

__all__ = ["OddObjects", "odd_fault"]

log = safe_logger("tillpost")

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

MOST_ODD = 100
"""An answer with more odd objects than this is in another format than expected."""

FEW = 3
"""So many may be odd even if they are more than half of the menu's objects."""

LONGEST_INTEGER = 40
"""Digits of an integer. Python takes long to read one of thousands."""

MOST_IDS = 100
"""Ids of an odd object, and of the objects in it, that a fault has."""

LONGEST_NAME = 200
"""Characters of an odd object's name that a fault has."""

Kinds: TypeAlias = Mapping[str, Any]
"""The model of the objects in each list, by the path to the list."""


class _Place(NamedTuple):
    """A list of an answer, and where it is.

    With it come the names of the objects that it is within.
    """

    parent: dict[str, object]
    member: str
    names: tuple[str, ...]

    @property
    def rows(self) -> list[object]:
        return cast("list[object]", self.parent[self.member])


def odd_fault(name: str, error: ValidationError, ids: Sequence[str] = ()) -> SetupFault:
    """Return the fault of an object that was left out of a menu, with the ids of it."""
    reason = plain(explain(error), LONGEST_WORDS)
    return SetupFault(
        subject=plain(name, LONGEST_NAME) or "An object without a name",
        text=f"can't be read, so it was left out of the menu ({reason})",
        left_out=True,
        ids=tuple(ids),
    )


class OddObjects:
    """The objects of one menu import that couldn't be read.

    Make one for each import, read the answers with its readers, and add `faults_of_whole_menu` to
    the menu; `faults` to one of a few items (`Adapter.menu_for`).
    """

    def __init__(self) -> None:
        self._faults: dict[SetupFault, None] = {}
        # By the list of an answer that they are in.
        self._read_counts: Counter[str] = Counter()
        self._odd_counts: Counter[str] = Counter()

    @property
    def faults(self) -> tuple[SetupFault, ...]:
        """A fault for each odd object, once."""
        return tuple(self._faults)

    def faults_of_whole_menu(self) -> tuple[SetupFault, ...]:
        """Return `faults`, if they aren't so many that the menu is in another format.

        That is judged once all is read: the few odd objects of a menu may be all on one page.

        Raises:
            OutageError: Most objects of a kind can't be read.
        """
        for path, odd_count in self._odd_counts.items():
            all_count = odd_count + self._read_counts[path]
            half = all_count // 2
            if odd_count > max(FEW, half):
                text = f"{odd_count} of {all_count} objects of the menu can't be read"
                raise OutageError(text)
        return self.faults

    def add(self, name: str, error: ValidationError, ids: Sequence[str] = ()) -> None:
        """Report an object that can't be on the menu, and why.

        `ids` are those by which an order may name it.
        """
        fault = odd_fault(name, error, ids)
        self._faults[fault] = None

    def reading(self, model: type[M], kinds: Kinds) -> Callable[[bytes], M]:
        """Return a reader for `Request.read` that leaves odd objects out.

        Args:
            model: The model of the whole answer.
            kinds: The models of the objects that may be left out, by the path to their list, such
                as `objects` or `objects.item_data.variations`.
        """
        whole = TypeAdapter(model)
        return self._reader(whole, kinds)

    def reading_list(
        self,
        model: type[M],
        kinds: Kinds | None = None,
    ) -> Callable[[bytes], Sequence[M]]:
        """Return a reader for `Request.read` of a JSON list that leaves odd objects out.

        Args:
            model: The model of the list's objects.
            kinds: The models of objects within them that may be left out on their own, by the path
                to their list, which begins at the object.
        """
        from_root: dict[str, Any] = {"": model}
        if kinds is not None:
            for path, kind in kinds.items():
                from_root[f".{path}"] = kind
        return self._reader(_list_adapter(model), from_root)

    def reading_one(self, model: type[M], thing_id: str, name: str) -> Callable[[bytes], M | None]:
        """Return a reader for `Request.read` of one object.

        It returns None if the object can't be read. An answer about anything else counts as one
        that can't be read at all.

        Args:
            model: The model of the object, which has an `id`.
            thing_id: The object's id.
            name: The object's name, for the fault.
        """
        read_about = reading_about(model, thing_id)

        def read(body: bytes) -> M | None:
            try:
                return read_about(body)
            except ValidationError as error:
                content = _parsed(body)
                if not isinstance(content, dict):
                    raise
                values = cast("dict[str, object]", content).values()
                texts = [str(value) for value in values if isinstance(value, str | int)]
                if thing_id not in texts:
                    raise
                self.add(name, error, [thing_id])
                return None

        return read

    def _reader(self, whole: TypeAdapter[T], kinds: Kinds) -> Callable[[bytes], T]:
        def read(body: bytes) -> T:
            try:
                answer = whole.validate_json(body)
            except ValidationError:
                content = self._without_odd(_parsed(body), kinds)
                return whole.validate_python(content)
            self._read_counts += _objects_in(answer, kinds)
            return answer

        return read

    def _without_odd(self, content: object, kinds: Kinds) -> object:
        """Take the odd objects out of an answer.

        The innermost come first, since they may be all.
        """
        root: dict[str, object] = {"": content}
        answers_odd_count = 0
        innermost_first = sorted(kinds, key=lambda path: path.count("."), reverse=True)
        for path in innermost_first:
            names = path.split(".")
            if names[0]:
                names = ["", *names]
            readable = TypeAdapter[Any](kinds[path])
            is_outer = "." not in path
            inner_paths = _inner_paths(path, kinds)
            places = list(_lists_at(root, names, ()))
            for place in places:
                most = MOST_ODD - answers_odd_count
                odd_count = self._sift(place, readable, most, inner_paths)
                answers_odd_count += odd_count
                if is_outer:
                    self._read_counts[path] += len(place.rows)
                    self._odd_counts[path] += odd_count
        if answers_odd_count:
            log.warning("odd_menu_objects_left_out count=%d", answers_odd_count)
        return root[""]

    def _sift(
        self,
        place: _Place,
        readable: TypeAdapter[Any],
        most: int,
        inner_paths: Sequence[Sequence[str]],
    ) -> int:
        """Take the odd objects out of one list, and return how many they were.

        `inner_paths` lead from an object to the lists in it.

        Raises:
            ValueError: They are too many, or none is an object: the answer is in another format.
        """
        kept: list[object] = []
        odd: list[tuple[object, ValidationError]] = []
        for row in place.rows:
            try:
                readable.validate_python(row)
            except ValidationError as error:
                odd.append((row, error))
            else:
                kept.append(row)
            if len(odd) > most:
                raise ValueError(f"more than {most} objects of a list can't be read")
        if odd and not kept and not any(isinstance(row, dict) for row, _ in odd):
            raise ValueError("no member of a list is an object")
        for row, reason in odd:
            ids = list(islice(_ids_of(row, inner_paths), MOST_IDS))
            self.add(_named(row, place.names), reason, ids)
        place.parent[place.member] = kept
        return len(odd)


@cache
def _list_adapter(model: Any) -> TypeAdapter[Any]:
    row_type = GenericAlias(tuple, (model, ...))
    members: Any = Annotated[row_type, Field(fail_fast=True)]
    return TypeAdapter(members)


def _inner_paths(path: str, kinds: Kinds) -> list[list[str]]:
    """Return the paths from an object of a list to the lists in it."""
    prefix = f"{path}."
    inner = [each.removeprefix(prefix) for each in kinds if each.startswith(prefix)]
    return [each.split(".") for each in inner]


def _parsed(body: bytes) -> object:
    """Parse a body more tolerantly than models do.

    Half of an emoji becomes a question mark.

    Raises:
        ValueError: It isn't JSON.
    """
    text = body.decode("utf-8", "replace")
    try:
        content: object = json.loads(
            text, parse_int=_integer, parse_float=Decimal, parse_constant=str, strict=False
        )
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None
    return _storable(content)


def _integer(digits: str) -> int | str:
    if len(digits) > LONGEST_INTEGER:
        return digits
    return int(digits)


def _storable(content: object) -> object:
    """Replace halves of surrogate pairs in all texts of a JSON value.

    The value is changed in place.
    """
    root = [content]
    open_values: list[object] = [root]
    while open_values:
        value = open_values.pop()
        if isinstance(value, list):
            entries = cast("list[object]", value)
            members: list[tuple[Any, object]] = list(enumerate(entries))
        else:
            fields = cast("dict[str, object]", value)
            members = list(fields.items())
        for key, member in members:
            if isinstance(member, str):
                encoded = member.encode("utf-8", "replace")
                cast(Any, value)[key] = encoded.decode()
            elif isinstance(member, list | dict):
                open_values.append(cast(object, member))
    return root[0]


def _lists_at(
    parent: dict[str, object],
    path: Sequence[str],
    names: tuple[str, ...],
) -> Iterator[_Place]:
    """Yield the lists at a path, each with the names of the objects on the way to it."""
    member, *rest = path
    value = parent.get(member)
    if not rest:
        if isinstance(value, list):
            yield _Place(parent, member, names)
        return
    rows = [value]
    if isinstance(value, list):
        rows = cast("list[object]", value)
    for row in rows:
        if not isinstance(row, dict):
            continue
        inner = cast("dict[str, object]", row)
        name = inner.get("name")
        known = names
        if isinstance(name, str) and name:
            known = (*names, name)
        yield from _lists_at(inner, rest, known)


def _objects_in(answer: object, kinds: Kinds) -> Counter[str]:
    """Return how many objects each outer list of an answer has that was read whole."""
    counts: Counter[str] = Counter()
    if isinstance(answer, tuple):
        rows = cast("tuple[object, ...]", answer)
        counts[""] = len(rows)
        return counts
    if not isinstance(answer, BaseModel):
        return counts
    fields = type(answer).model_fields
    for name, field in fields.items():
        path = field.alias or name
        if path in kinds:
            objects = getattr(answer, name)
            counts[path] = len(objects or ())
    return counts


def _named(row: object, names: tuple[str, ...]) -> str:
    """Return a name for an odd object: its own and those around it, or its id."""
    own = _own_name(row)
    if own:
        names = (*names, own)
    return ", ".join(names)


def _ids_of(row: object, inner_paths: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the id of an odd object, and of those in it.

    An item's variations go with it.
    """
    if not isinstance(row, dict):
        return
    members = cast("dict[str, object]", row)
    objects: list[object] = [members]
    for path in inner_paths:
        for place in _lists_at(members, path, ()):
            objects += place.rows
    for each in objects:
        if not isinstance(each, dict):
            continue
        thing_id = cast("dict[str, object]", each).get("id")
        if not isinstance(thing_id, str | int):
            continue
        text = str(thing_id).strip()
        if 0 < len(text) <= LONGEST_ID:
            yield text


def _own_name(row: object) -> str:
    if not isinstance(row, dict):
        return ""
    members = cast("dict[str, object]", row)
    objects: list[object] = [members, *members.values()]
    for each in objects:
        if not isinstance(each, dict):
            continue
        name = cast("dict[str, object]", each).get("name")
        if isinstance(name, str) and name:
            return name
    thing_id = members.get("id")
    if isinstance(thing_id, str | int):
        return f"id {thing_id}"
    return ""
