"""The text below a field is its description in the JSON Schema."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import Field

from tillpost import Order
from tillpost.models.field_texts import WithFieldTexts, field_texts
from tillpost_square.settings import SquareSettings


class Base(WithFieldTexts):
    """A model with a text in several lines."""

    first: int
    """The first.

    It has more to it.
    """

    bare: int = 0


class Derived(Base):
    """A model that inherits a field, and replaces none."""

    second: list[int] = Field([], description="Given by hand.")
    """The text below."""

    third: Base | None = None
    """A part."""


def described(model: type[WithFieldTexts]) -> dict[str, Any]:
    properties = model.model_json_schema()["properties"]
    return {name: each.get("description") for name, each in properties.items()}


def test_texts_below_fields_are_descriptions_also_of_inherited_fields() -> None:
    assert described(Derived) == {
        "first": "The first.\n\nIt has more to it.",
        "bare": None,
        "second": "Given by hand.",
        "third": "A part.",
    }
    parts = Derived.model_json_schema()["$defs"]
    assert parts["Base"]["properties"]["first"]["description"].startswith("The first.")


def test_settings_of_an_adapter_have_their_own_and_the_common_texts() -> None:
    texts = field_texts(SquareSettings)
    assert texts["refresh_token"].startswith("The OAuth refresh token.")
    assert texts["location_id"]


@pytest.mark.parametrize("name", ["id", "lines", "payments", "amount_due"])
def test_every_part_of_the_order_schema_is_described(name: str) -> None:
    assert described(Order)[name]


def test_model_without_source_has_no_texts() -> None:
    namespace: dict[str, Any] = {"WithFieldTexts": WithFieldTexts}
    exec('class Typed(WithFieldTexts):\n    a: int = 0\n    """A."""', namespace)
    assert described(namespace["Typed"]) == {"a": None}
