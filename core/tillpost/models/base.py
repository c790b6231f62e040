"""The base of all models: a frozen pydantic model whose faults fit in one line.

`Order`, `Menu` and their parts derive from `FrozenModel`. `explain` turns a validation error into
one line for a person, and `explain_each` each of its faults.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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

from tillpost.models.known_names import nearest
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
    "explain_each",
    "explain_settings",
]

T = TypeVar("T")

LONGEST_WORDS = 1_000
"""Characters of a platform's words that are kept."""

LONGEST_ID = 192
"""Characters of an identifier."""

MOST_FAULTS = 10
"""How many faults of a value are named in one line."""


class FrozenModel(BaseModel):
    """An immutable value. Unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    def __eq__(self, other: object) -> bool:
        """Compare the fields; pydantic does the same in three times the time.

        A menu has 100,000 models, and each import compares them.
        """
        if type(self) is type(other) and vars(self) == vars(other):
            return True
        return super().__eq__(other)

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

Text = Annotated[str, AfterValidator(lambda text: without_controls(text).strip())]
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

_NUMBER = "must be a number"
_WHOLE = "must be a whole number"
_FLAG = "must be true or false"
_LIST = "must be a list"
_OBJECT = "must be an object"
_TIME = "must be a time, like 2026-11-23T19:00:00+11:00"

_WORDS: Mapping[str, str] = {
    "missing": "is missing",
    "union_tag_not_found": "is missing",
    "extra_forbidden": "isn't a field of it",
    "json_invalid": "isn't JSON: {error}",
    "model_type": _OBJECT,
    "dataclass_type": _OBJECT,
    "model_attributes_type": _OBJECT,
    "dict_type": _OBJECT,
    "list_type": _LIST,
    "tuple_type": _LIST,
    "string_type": "must be text",
    "bool_type": _FLAG,
    "bool_parsing": _FLAG,
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "decimal_type": _NUMBER,
    "decimal_parsing": _NUMBER,
    "datetime_type": _TIME,
    "datetime_parsing": _TIME,
    "datetime_from_date_parsing": _TIME,
    "timezone_aware": "needs an offset, like 2026-11-23T19:00:00+11:00",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "union_tag_invalid": "must be one of {expected_tags}",
    "greater_than_equal": "must be {ge} or more",
    "greater_than": "must be more than {gt}",
    "less_than_equal": "must be {le} or less",
    "less_than": "must be less than {lt}",
    "too_short": "must not be empty",
    "string_too_short": "must not be empty",
    "too_long": "must have at most {max_length} members",
    "string_too_long": "must have at most {max_length} characters",
}
"""Words for pydantic's types of errors, with what it says of each.

None repeats the value.
"""

_PATTERNS: Mapping[str, str] = {
    r"^[A-Z]{2}$": "must be a country's two capital letters (ISO 3166), such as AU",
    r"^[A-Z]{3}$": "must be a currency's three capital letters (ISO 4217), such as AUD",
    r"^[\x21-\x7e]{1,40}$": "must be 1 to 40 visible ASCII characters, without spaces",
    r"^[^\x00-\x1f\x7f]*$": "must be in one line",
}
"""What a text must be that has to match a pattern of an order."""

_AMOUNTS = frozenset("amount amount_due price tax tip unit_price".split())
_MINOR_UNITS = "must be whole minor units: 550 is 5.50 AUD, or 550 JPY"


def explain(error: ValidationError) -> str:
    """Return in one line what is wrong with a value.

    That is each field's path, then its fault; of very many faults, the first. The value itself is
    left out, since it may be a token or a customer's name.

    >>> from tillpost.models.order import Payment
    >>> try:
    ...     Payment.model_validate({"method": "card", "amount": 28.81})
    ... except ValidationError as e:
    ...     print(explain(e))
    amount: must be whole minor units: 550 is 5.50 AUD, or 550 JPY
    """
    return _in_one_line(explain_each(error))


def explain_settings(error: ValidationError, known: Iterable[str]) -> str:
    """Return the line of `explain`, with the names that are meant.

    Those are what unknown, misspelt settings probably are.

    Args:
        error: Refuses the settings.
        known: The names of those that there are.
    """
    names = list(known)
    lines: list[str] = []
    for fault in _faults(error):
        line = _in_words(fault)
        is_unknown = fault["type"] == "extra_forbidden" and len(fault["loc"]) == 1
        meant = nearest(str(fault["loc"][0]), names) if is_unknown else ""
        lines.append(f"{line} (did you mean {meant!r}?)" if meant else line)
    return _in_one_line(lines)


def explain_each(error: ValidationError) -> Sequence[str]:
    """Return a line for each fault: the field's path, then what is wrong with it."""
    return [_in_words(fault) for fault in _faults(error)]


def _in_one_line(faults: Sequence[str]) -> str:
    shown = "; ".join(faults[:MOST_FAULTS])
    more = len(faults) - MOST_FAULTS
    return f"{shown} (and {more} more)" if more > 0 else shown


def _in_words(fault: ErrorDetails) -> str:
    location = fault["loc"]
    if fault["type"].startswith("union_tag_"):
        # The tag is a field within the place, and its name is in quotation marks.
        location = (*location, fault.get("ctx", {})["discriminator"].strip("'"))
    path = _path(location)
    text = _without_path(fault)
    line = f"{path}: {text}" if path else text
    return " ".join(line.split())  # a field's name may contain a line break


def _without_path(fault: ErrorDetails) -> str:
    context = fault.get("ctx", {})
    template = _WORDS.get(fault["type"])
    if template == _WHOLE and _AMOUNTS.intersection(fault["loc"][-1:]):
        return _MINOR_UNITS
    if template is not None:
        return template.format_map({name: _shown(value) for name, value in context.items()})
    message = fault["msg"].removeprefix("Value error, ")
    return _PATTERNS.get(context.get("pattern", ""), message)


def _shown(value: object) -> object:
    """Return a limit as people write it: 1, though the limit of a float is 1.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _faults(error: ValidationError) -> Sequence[ErrorDetails]:
    """Return the faults, without those that only repeat another.

    A tuple whose one member is refused is reported as too short as well.
    """
    listed = error.errors(include_url=False, include_input=False)
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
