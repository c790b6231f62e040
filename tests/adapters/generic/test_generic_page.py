"""The page for a POS's developer agrees with the code: examples, kinds, signature."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import tomllib
from typing import Any

import pytest
from pydantic import SecretStr, TypeAdapter

from adapters.generic.spec import PUBLISHED
from tillpost.adapter.webhooks import WebhookEvent
from tillpost.models.menu import Menu
from tillpost.models.order import PosState, Progress
from tillpost_generic.openapi import OPERATIONS, kinds
from tillpost_generic.settings import GenericSettings
from tillpost_generic.signature import signed_text
from tillpost_generic.wire import Health, NewOrder, PosStatus, ProblemDetails

PAGE = PUBLISHED.with_name("index.md").read_text(encoding="utf-8")
EXAMPLES: list[dict[str, Any]] = [
    json.loads(text) for text in re.findall(r"^```json\n(.*?)^```", PAGE, re.M | re.S)
]


def test_every_operation_is_on_the_page() -> None:
    for method, path in OPERATIONS:
        assert f"`{method.upper()} {path}" in PAGE


def test_the_table_of_kinds_has_each_of_them_and_no_other() -> None:
    table = PAGE[PAGE.index("| Kind |") :].partition("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)`", table, re.M)) == set(kinds())


@pytest.mark.parametrize("words", [PosState, Progress])
def test_every_state_is_on_the_page(words: type[PosState] | type[Progress]) -> None:
    assert all(f"`{word}`" in PAGE for word in words)


@pytest.mark.parametrize("model", [PosStatus, ProblemDetails, Health])
def test_every_field_of_an_answer_is_on_the_page(
    model: type[PosStatus] | type[ProblemDetails] | type[Health],
) -> None:
    assert all(f"`{name}`" in PAGE or f'"{name}"' in PAGE for name in model.model_fields)


def test_each_example_is_one_of_the_format() -> None:
    new, made, problem, health, event = EXAMPLES
    assert set(new) == set(NewOrder.model_fields)
    assert PosStatus.model_validate(made).total == new["expected_total"]
    assert ProblemDetails.model_validate(problem).kind in kinds()
    assert Health.model_validate(health)
    assert TypeAdapter[WebhookEvent](WebhookEvent).validate_python(event, strict=False)


def test_the_menu_shown_is_one_of_the_format() -> None:
    shown = json.loads(PUBLISHED.with_name("menu.json").read_text(encoding="utf-8"))
    assert Menu.model_validate({**shown, "imported_at": "2026-11-23T12:00:00Z"}).by_variation


def test_the_connection_shown_is_valid() -> None:
    (text,) = re.findall(r"^```\{code-block\} toml\n(.*?)^```", PAGE, re.M | re.S)
    (table,) = tomllib.loads(text)["connections"].values()
    assert table.pop("platform") == "generic"
    assert GenericSettings.model_validate(table).signing_key == SecretStr("env:POS_SIGNING_KEY")


def test_the_parts_of_the_signature_are_as_the_page_lists_them() -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)
    shown: dict[str, Any] = {}
    exec(program.rpartition("\nprint(")[0], shown)
    parts = ("1700000000", "POST", "/tillpost/orders", "ord_1-0", b"{}")

    ours = hmac.new(b"secret", signed_text(*parts), hashlib.sha256).hexdigest()
    assert shown["signature"](b"secret", *parts) == ours
