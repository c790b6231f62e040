"""The base of every word: frozen, closed, and refused in one line."""

from __future__ import annotations

import json
from functools import cached_property

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError, model_validator

from tillpost.models.base import Count, FrozenModel, Text, explain
from tillpost.models.order import Delivery, Fulfilment, Order, Payment


class Pair(FrozenModel):
    left: Count
    right: Count = 1

    @model_validator(mode="after")
    def _ordered(self) -> Pair:
        if self.left > self.right:
            raise ValueError("left is the greater one")
        return self

    @cached_property
    def sum(self) -> int:
        return self.left + self.right


class Named(FrozenModel):
    name: Text


def refusal(model: type[FrozenModel], **content: object) -> str:
    with pytest.raises(ValidationError) as refused:
        model.model_validate(content)
    return explain(refused.value)


def test_a_word_never_changes() -> None:
    with pytest.raises(ValidationError):
        Pair(left=1).left = 2  # type: ignore[misc]


def test_copy_drops_cached_properties() -> None:
    pair = Pair(left=1, right=1)
    assert pair.sum == 2
    assert pair.model_copy(update={"right": 5}).sum == 6
    assert pair.model_copy() == pair
    assert pair.sum == 2


def test_text_is_stripped() -> None:
    assert Named(name="  Mia ").name == "Mia"


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ({}, "left: is missing"),
        ({"left": 1, "middle": 2}, "middle: isn't a field of it"),
        ({"left": 0}, "left: Input should be greater than or equal to 1"),
        ({"left": 1.0}, "left: Input should be a valid integer"),
        ({"left": "1"}, "left: Input should be a valid integer"),
        ({"left": 0, "right": 0}, "left: Input should be greater than or equal to 1 (and 1 more)"),
        ({"left": 2}, "left is the greater one"),
    ],
)
def test_a_refusal_is_one_line_that_names_the_field(content: dict[str, object], line: str) -> None:
    assert refusal(Pair, **content) == line


def test_a_refusal_names_the_way_to_a_nested_field() -> None:
    assert refusal(Delivery, address={}) == "address.line1: is missing"


@given(st.text(min_size=1))
def test_a_refusal_is_one_line_whatever_a_field_is_called(name: str) -> None:
    assert len(refusal(Named, **{"name": "Mia", f"x{name}": 1}).splitlines()) == 1


def test_a_refused_value_is_not_repeated() -> None:
    secret = "sk-123456789"
    assert secret not in refusal(Payment, method="card", amount=secret)
    with pytest.raises(ValidationError) as refused:
        Order.model_validate_json(json.dumps({"fulfilment": {"type": secret}}))
    assert secret not in explain(refused.value)


def test_an_unknown_kind_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValidationError) as refused:
        TypeAdapter[object](Fulfilment).validate_python({"type": "drone"})
    expected = "'type' does not match any of the expected tags: 'pickup', 'delivery', 'dine_in'"
    assert explain(refused.value) == expected
