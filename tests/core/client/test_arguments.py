"""A wrong argument is refused by the call that got it, in one line that doesn't show its value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from core.conftest import QUICK
from core.toy import toy_order
from core.toy_server import ToyServer
from tillpost import AsyncTill, Till
from tillpost.outbox import Outbox, OutboxConnection, Processor
from tillpost.submission.context import Connection

SETTINGS = {"location_id": "L1", "access_token": "hush-token"}

WRONG: list[tuple[dict[str, Any], str]] = [
    (
        {"policy": {"retries": 0}},
        "policy must be a Policy, not dict",
    ),
    ({"policy": {}}, "policy must be a Policy, not dict"),
    (
        {"limits": {"read": "hush"}},
        "limits must be a Limits, not dict",
    ),
    ({"hooks": {"order_failed": print}}, "hooks must be a list of objects, not dict"),
    ({"hooks": "hush"}, "hooks must be a list of objects, not str"),
    ({"hooks": object()}, "hooks must be a list of objects, not object"),
]


def refused(make: Callable[..., object], arguments: dict[str, Any]) -> str:
    with pytest.raises(TypeError) as caught:
        make(**arguments)
    text = str(caught.value)
    assert "\n" not in text
    assert "hush" not in text
    return text


@pytest.mark.parametrize(("wrong", "line"), WRONG)
@pytest.mark.parametrize("till", [Till, AsyncTill])
def test_connect_refuses_a_wrong_type(
    till: type[Till | AsyncTill], wrong: dict[str, Any], line: str
) -> None:
    assert refused(till.connect, {"platform": "square", **SETTINGS, **wrong}) == line


@pytest.mark.parametrize(("wrong", "line"), WRONG)
@pytest.mark.parametrize("kind", [Connection, OutboxConnection])
def test_connection_made_in_code_refuses_a_wrong_type(
    kind: type[Connection], wrong: dict[str, Any], line: str, server: ToyServer
) -> None:
    assert refused(kind, {"adapter": server.adapter(), **wrong}) == line


def test_connection_options_of_a_wrong_type_are_refused(server: ToyServer) -> None:
    line = "outbox must be a ConnectionOptions, not dict"
    arguments = {"adapter": server.adapter(), "outbox": {"lead": 1}}
    assert refused(OutboxConnection, arguments) == line


@pytest.mark.parametrize("till", [Till, AsyncTill])
def test_till_needs_a_connection(till: type[Till | AsyncTill]) -> None:
    assert refused(till, {"connection": "square"}).startswith("connection must be a ")


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        (
            {"settings": {"threads": 2}},
            "settings must be an OutboxSettings, not dict",
        ),
        (
            {"connections": {"cafe": {"lead": 1}}},
            "connections['cafe'] must be a ConnectionOptions, not dict",
        ),
    ],
)
def test_outbox_refuses_a_wrong_type(sqlite_url: str, wrong: dict[str, Any], line: str) -> None:
    assert refused(Outbox, {"url": sqlite_url, **wrong}) == line


@pytest.mark.parametrize(
    ("hooks", "given"), [({"order_failed": print}, "dict"), (object(), "object")]
)
def test_processor_refuses_hooks_that_are_no_list(sqlite_url: str, hooks: Any, given: str) -> None:
    with Outbox(sqlite_url) as outbox:
        text = refused(Processor, {"outbox": outbox, "hooks": hooks})
    assert text == f"hooks must be a list of objects, not {given}"


@pytest.mark.parametrize("operation", ["submit", "find", "quote"])
def test_till_refuses_a_dict_in_place_of_an_order(operation: str, server: ToyServer) -> None:
    with Till(Connection(server.adapter(), policy=QUICK)) as till:
        text = refused(getattr(till, operation), {"order": toy_order().model_dump()})
    assert text == "an order is a tillpost.Order: Order.model_validate(...) makes one"
    assert server.seen == []
