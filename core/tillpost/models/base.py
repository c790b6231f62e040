"""The base of all models: a frozen pydantic model whose faults fit in one line.

`Order`, `Menu` and their parts derive from `FrozenModel`. `explain` turns a validation error into
one line for a person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import GenericAlias
from typing import Annotated, Any, NoReturn, Self, TypeVar, get_args

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    StringConstraints,
    ValidationError,
)
from pydantic_core import CoreSchema, ErrorDetails

from tillpost.models.safe_text import cut, plain, storable, without_controls

__all__ = [
    "LONGEST_WORDS",
    "Aware",
    "Count",
    "FrozenModel",
    "Id",
    "Members",
    "Metadata",
    "OptionalId",
    "OutsideId",
    "OutsideWords",
    "ReadOnlyDict",
    "Text",
    "explain",
]

T = TypeVar("T")

LONGEST_WORDS = 1_000
"""Characters of a platform's words that are kept."""

LONGEST_ID = 192
"""Characters of an identifier."""


class FrozenModel(BaseModel):
    """An immutable value. Unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with some fields changed, unchecked, without cached properties."""
        copied = super().model_copy(update=update, deep=deep)
        values = vars(copied)
        for name in values.keys() - type(self).model_fields.keys():
            del values[name]
        return copied


class _ReadAsTuple:
    """Has pydantic read as a tuple what type checkers see as any sequence."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        (member,) = get_args(source)
        return handler.generate_schema(GenericAlias(tuple, (member, ...)))


Members = Annotated[Sequence[T], _ReadAsTuple()]
"""Members of a model: a list or a tuple is taken, and kept as a tuple."""

Id = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_ID, strip_whitespace=True)]
"""An identifier of a platform or a site: text, since some use 64-bit numbers."""

Text = Annotated[str, AfterValidator(without_controls), StringConstraints(strip_whitespace=True)]
"""Free text for people. Controls and invisible characters in it are left out."""

OptionalId = Annotated[str, StringConstraints(max_length=LONGEST_ID, strip_whitespace=True)]
"""An identifier, empty where there is none."""

OutsideWords = Annotated[str, AfterValidator(lambda text: plain(text, LONGEST_WORDS))]
"""Words of a platform or another stranger, for people: one line of limited length."""

OutsideId = Annotated[str, AfterValidator(lambda text: cut(storable(text), LONGEST_ID + 1))]
"""An identifier as a stranger names it.

One that is too long is cut, and then equals none.
"""


def _refuse_change(self: object, *arguments: object, **more: object) -> NoReturn:
    raise TypeError("it can't be changed; make a new mapping of it instead")


class ReadOnlyDict(dict[str, str]):
    """A dict that can't be changed."""

    __slots__ = ()
    __setitem__ = __delitem__ = __ior__ = _refuse_change
    clear = pop = popitem = setdefault = update = _refuse_change

    def __reduce__(self) -> tuple[type[ReadOnlyDict], tuple[dict[str, str]]]:
        """Return how to pickle or copy it: a dict is otherwise filled item by item."""
        return ReadOnlyDict, (dict(self),)


class _ReadAsDict:
    """Has pydantic read a mapping as a dict.

    Type checkers see a mapping that can't be changed.
    """

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return handler.generate_schema(GenericAlias(dict, get_args(source)))


_MetadataName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=40, strip_whitespace=True),
    AfterValidator(without_controls),
]
_MetadataValue = Annotated[
    str,
    StringConstraints(max_length=500, strip_whitespace=True),
    AfterValidator(without_controls),
]
Metadata = Annotated[
    Mapping[_MetadataName, _MetadataValue],
    _ReadAsDict(),
    Field(max_length=50),
    AfterValidator(ReadOnlyDict),
]
"""Names and values of a site's own."""

Count = Annotated[int, Field(strict=True, ge=1, le=9999)]
"""A quantity: a whole number of 1 or more."""

Aware = AwareDatetime
"""A time with its UTC offset.

A naive time is refused, since it doesn't say when food is due.
"""

_PLAIN = {
    "missing": "is missing",
    "extra_forbidden": "isn't a field of it",
    "timezone_aware": "needs an offset, like 2026-11-23T19:00:00+11:00",
    "too_short": "must not be empty",
    "string_too_short": "must not be empty",
}


def explain(error: ValidationError) -> str:
    """Return in one line what is wrong with a value: the field's path, then the fault.

    The value itself is left out, since it may be a token or a customer's name.

    >>> from tillpost.models.order import Payment
    >>> try:
    ...     Payment.model_validate({"method": "card", "amount": 28.81})
    ... except ValidationError as e:
    ...     print(explain(e))
    amount: Input should be a valid integer
    """
    faults = _faults(error)
    first = faults[0]
    path = _path(first["loc"])
    # The one message that repeats the refused value is pydantic's for an unknown tag: "Input tag
    # '...' found using 'type' does not match ...".
    message = first["msg"].removeprefix("Value error, ").rpartition(" found using ")[2]
    text = _PLAIN.get(first["type"], message)
    if len(faults) > 1:
        text = f"{text} (and {len(faults) - 1} more)"
    line = f"{path}: {text}" if path else text
    return " ".join(line.split())  # a field's name or a tag may contain a line break


def _faults(error: ValidationError) -> Sequence[ErrorDetails]:
    """Return the faults, without those that only repeat another.

    A tuple whose one member is refused is reported as too short as well.
    """
    listed = error.errors(include_url=False, include_input=False, include_context=False)
    with_members = {fault["loc"][:1] for fault in listed if len(fault["loc"]) > 1}
    return [
        fault
        for fault in listed
        if fault["type"] != "too_short" or fault["loc"] not in with_members
    ]


def _path(location: tuple[int | str, ...]) -> str:
    """Return a field's path as people write it: `lines[0].name`."""
    steps = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in location]
    return "".join(steps).removeprefix(".")
