"""Field types for the models of answers that tolerate what a platform leaves out.

One odd field must not make a whole answer unreadable:

    class Order(ResponseModel):
        id: OptionalText = ""                # a text, a number, null or missing
        lines: OptionalList[Line] = ()       # a list, null or missing
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import CoreSchema, core_schema

__all__ = ["OptionalList", "OptionalText", "ResponseModel", "texts_in"]

T = TypeVar("T")


def _as_text(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, int | float):
        return str(value)
    return value


class _NullAsEmpty:
    """Has pydantic read null as an empty tuple.

    A `BeforeValidator` would do, but it has a list's JSON made into Python's objects first: that
    doubles the time of a large answer.
    """

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        members = core_schema.nullable_schema(handler(source))
        return core_schema.no_info_after_validator_function(_or_empty, members)


def _or_empty(members: tuple[object, ...] | None) -> tuple[object, ...]:
    return members or ()


OptionalText = Annotated[str, BeforeValidator(_as_text)]
"""A text that may be null or a number. A 64-bit id keeps every digit."""

OptionalList = Annotated[tuple[T, ...], Field(fail_fast=True), _NullAsEmpty()]
"""A list that may be null. The first member that doesn't fit ends its validation."""


class ResponseModel(BaseModel):
    """A part of an answer. Fields that it doesn't declare are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


_OBJECT: TypeAdapter[dict[str, object]] = TypeAdapter(dict[str, object])


def texts_in(body: bytes) -> dict[str, str]:
    """Return the non-empty texts of a JSON object, by name.

    Any other body, such as null or a page of HTML, has none.
    """
    try:
        members = _OBJECT.validate_json(body)
    except ValidationError:
        return {}
    return {name: value for name, value in members.items() if isinstance(value, str) and value}
