"""Reading what a platform may leave out: types for the models of answers, where one odd thing mustn't hide the others.

class Order(Lenient):
    id: Said = ""                  # a number, a text, null or nothing
    lines: Many[Line] = ()         # a list, null or nothing
"""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, TypeAdapter, ValidationError

__all__ = ["OptionalList", "OptionalText", "ResponseModel", "texts_in"]

T = TypeVar("T")


def _as_text(value: object) -> object:
    return "" if value is None else str(value) if isinstance(value, int | float) else value


def _as_list(value: object) -> object:
    return () if value is None else value


OptionalText = Annotated[str, BeforeValidator(_as_text)]
"""A text that may be null, or a number: an id of 64 bits is one to the last digit."""

OptionalList = Annotated[tuple[T, ...], BeforeValidator(_as_list)]
"""A list that may be null."""


class ResponseModel(BaseModel):
    """A part of an answer. What isn't read of it is ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


_OBJECT: TypeAdapter[dict[str, object]] = TypeAdapter(dict[str, object])


def texts_in(body: bytes) -> dict[str, str]:
    """Return the texts of a JSON object by their names; none of any other body, such as null or a page of HTML."""
    try:
        found = _OBJECT.validate_json(body)
    except ValidationError:
        return {}
    return {name: text for name, text in found.items() if isinstance(text, str) and text}
