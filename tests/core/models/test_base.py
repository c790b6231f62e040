"""The base of every word: frozen, closed, and refused in one line."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from functools import cached_property
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, TypeAdapter, ValidationError, model_validator

from tillpost.models.base import Aware, Count, FrozenModel, Text, explain, explain_each
from tillpost.models.order import Delivery, Fulfilment, Order, Payment, PosState

FIRST_USE_BY_THREADS = """
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from tillpost import Menu

together = Barrier(16)
sys.setswitchinterval(1e-6)

def read(_number):
    together.wait()
    items = [{"id": "1", "name": "Tea", "variations": [{"id": "2", "name": "", "price": 550}]}]
    content = {"site": "L1", "currency": "AUD", "imported_at": "2026-11-23T19:00:00Z"}
    return Menu.model_validate({**content, "items": items})

with ThreadPoolExecutor(16) as threads:
    assert len(list(threads.map(read, range(16)))) == 16
"""


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
        ({"left": 0}, "left: must be 1 or more"),
        ({"left": 1.0}, "left: must be a whole number"),
        ({"left": "1"}, "left: must be a whole number"),
        ({"left": 0, "right": 0}, "left: must be 1 or more; right: must be 1 or more"),
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
    assert explain(refused.value) == "type: must be one of 'pickup', 'delivery', 'dine_in'"


def test_of_very_many_faults_the_first_are_named() -> None:
    unknown = {f"x{number:02}": 1 for number in range(25)}
    line = refusal(Named, name="Mia", **unknown)
    assert line.startswith("x00: isn't a field of it; x01: ")
    assert line.endswith("x09: isn't a field of it (and 15 more)")


def test_each_fault_has_a_line() -> None:
    with pytest.raises(ValidationError) as refused:
        Pair.model_validate({"left": 0, "middle": 1})
    assert explain_each(refused.value) == ["left: must be 1 or more", "middle: isn't a field of it"]


class Everything(FrozenModel):
    """One field for each kind of fault that a person is likely to cause."""

    whole: int = Field(default=0, strict=True, ge=2, le=4)
    number: float = Field(default=0, gt=0, lt=1)
    exact: Decimal = Decimal(0)
    text: str = Field(default="", max_length=3)
    flag: bool = False
    members: tuple[int, ...] = Field(default=(), max_length=1)
    names: dict[str, str] = Field(default_factory=dict)
    time: Aware | None = None
    word: Literal["a", "b"] = "a"
    enum: PosState = PosState.RECEIVED


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("whole", 5.5, "must be a whole number"),
        ("whole", "5", "must be a whole number"),
        ("whole", 1, "must be 2 or more"),
        ("whole", 5, "must be 4 or less"),
        ("number", "x", "must be a number"),
        ("number", 0, "must be more than 0"),
        ("number", 1, "must be less than 1"),
        ("exact", "x", "must be a number"),
        ("exact", [], "must be a number"),
        ("text", 1, "must be text"),
        ("text", "long", "must have at most 3 characters"),
        ("flag", "perhaps", "must be true or false"),
        ("members", 1, "must be a list"),
        ("members", [1, 2], "must have at most 1 members"),
        ("names", [], "must be an object"),
        ("time", "noon", "must be a time, like 2026-11-23T19:00:00+11:00"),
        ("time", "2026-11-23T19:00:00", "needs an offset, like 2026-11-23T19:00:00+11:00"),
        ("word", "c", "must be 'a' or 'b'"),
        ("enum", "c", "must be 'received', 'accepted', 'rejected' or 'cancelled'"),
    ],
)
def test_common_fault_is_in_plain_words(field: str, value: object, words: str) -> None:
    assert refusal(Everything, **{field: value}) == f"{field}: {words}"


def test_threads_that_use_a_deferred_model_first_all_get_theirs() -> None:
    """Pydantic before 2.14 fails here in about one of twelve new processes."""
    subprocess.run([sys.executable, "-c", FIRST_USE_BY_THREADS], check=True, timeout=60)
