"""Field types for the models of answers that tolerate what a platform leaves out.

One odd field must not make a whole answer unreadable:

    class Order(ResponseModel):
        id: OptionalText = ""                # a text, a number, null or missing
        lines: OptionalList[Line] = ()       # a list, null or missing
"""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
)

__all__ = ["OptionalList", "OptionalText", "ResponseModel", "texts_in"]

T = TypeVar("T")


def _as_text(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, int | float):
        return str(value)
    return value


def _as_list(value: object) -> object:
    return () if value is None else value


OptionalText = Annotated[str, BeforeValidator(_as_text)]
"""A text that may be null or a number. A 64-bit id keeps every digit."""

OptionalList = Annotated[tuple[T, ...], Field(fail_fast=True), BeforeValidator(_as_list)]
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
