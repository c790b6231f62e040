"""Rows are read without trust: a wrong value is noted, and never raises."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

import pytest

from tillpost.errors import ErrorRecord, OrderError
from tillpost.outbox.db import schema as t
from tillpost.outbox.orders.models import OrderState
from tillpost.outbox.rows import Row, parsed


def failing(_: str) -> object:
    raise RuntimeError("whatever a parser raises")


@pytest.mark.parametrize(
    "read", [int, failing, ErrorRecord.model_validate_json], ids=["int", "failing", "model"]
)
def test_what_a_parser_cannot_read_is_none(read: Callable[[str], object]) -> None:
    assert parsed(read, "garbage") is None
    assert parsed(read, "\udcff") is None
    assert parsed(read, "") is None
    assert parsed(read, None) is None


@pytest.mark.parametrize(
    ("column", "value", "instead"),
    [
        ("due_at", "garbage", None),
        ("due_at", b"\xff", None),
        ("due_at", float("inf"), None),
        ("added_at", float("nan"), 0.0),
        ("added_at", 1e300, 0.0),
        ("crash_count", "2", 0),
        ("crash_count", 2.5, 0),
        ("is_new", "yes", False),
        ("code", "\udcff", ""),
        ("code", 7, ""),
        ("content", b"{}", None),
    ],
)
def test_value_of_a_wrong_type_is_noted(column: str, value: object, instead: object) -> None:
    row = Row(t.orders, {column: value})
    assert row[column] == instead
    assert row.faults == [column]


@pytest.mark.parametrize(
    ("column", "value"),
    [("due_at", None), ("due_at", 1.5), ("crash_count", 3), ("is_new", True), ("code", "Größe")],
)
def test_value_of_its_type_is_returned(column: str, value: object) -> None:
    row = Row(t.orders, {column: value})
    assert (row[column], row.get(column), row.faults) == (value, value, [])
    assert row.get("state", "nothing") == "nothing", "it wasn't selected"


class Weather(StrEnum):
    FINE = "fine"


def test_unknown_name_and_unreadable_json_are_noted_once() -> None:
    row = Row(t.orders, {"state": "teleported", "error": "{}", "ticket": None})
    for _ in range(2):
        assert row.one_of("state", OrderState, OrderState.ERROR) is OrderState.ERROR
        assert row.parse("error", ErrorRecord.model_validate_json) is None
        assert row.parse("ticket", ErrorRecord.model_validate_json) is None
    assert row.faults == ["state", "error"]
    assert row.one_of("state", Weather, Weather.FINE) is Weather.FINE


def test_readable_json_is_parsed() -> None:
    error = OrderError("no").record()
    row = Row(t.orders, {"error": error.model_dump_json()})
    assert row.parse("error", ErrorRecord.model_validate_json) == error
    assert row.values == {"error": error.model_dump_json()}
