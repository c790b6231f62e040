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


def blocks(language: str) -> list[str]:
    """Return the page's blocks of code in a language."""
    pattern = rf"^```{re.escape(language)}\n(.*?)^```"
    return re.findall(pattern, PAGE, re.MULTILINE | re.DOTALL)


def test_every_operation_is_on_the_page() -> None:
    for method, path in OPERATIONS:
        assert f"`{method.upper()} {path}" in PAGE


def test_the_table_of_kinds_has_each_of_them_and_no_other() -> None:
    start = PAGE.index("| Kind |")
    end = PAGE.index("\n\n", start)
    shown = re.findall(r"^\| `(\w+)`", PAGE[start:end], re.MULTILINE)
    assert set(shown) == set(kinds())


@pytest.mark.parametrize("words", [PosState, Progress])
def test_every_state_is_on_the_page(words: type[PosState] | type[Progress]) -> None:
    for word in words:
        assert f"`{word}`" in PAGE


@pytest.mark.parametrize("model", [PosStatus, ProblemDetails, Health])
def test_every_field_of_an_answer_is_on_the_page(
    model: type[PosStatus] | type[ProblemDetails] | type[Health],
) -> None:
    for name in model.model_fields:
        in_prose = f"`{name}`"
        in_example = f'"{name}"'
        assert in_prose in PAGE or in_example in PAGE


def test_each_example_is_one_of_the_format() -> None:
    examples: list[dict[str, Any]] = [json.loads(text) for text in blocks("json")]
    new, made, problem, health, event = examples
    assert set(new) == set(NewOrder.model_fields)
    status = PosStatus.model_validate(made)
    assert status.total == new["expected_total"]
    details = ProblemDetails.model_validate(problem)
    assert details.kind in kinds()
    assert Health.model_validate(health)
    webhook_event = TypeAdapter[WebhookEvent](WebhookEvent)
    assert webhook_event.validate_python(event, strict=False)


def test_the_menu_shown_is_one_of_the_format() -> None:
    file = PUBLISHED.with_name("menu.json")
    shown = json.loads(file.read_text(encoding="utf-8"))
    shown["imported_at"] = "2026-11-23T12:00:00Z"
    menu = Menu.model_validate(shown)
    assert menu.by_variation


def test_the_connection_shown_is_valid() -> None:
    (text,) = blocks("{code-block} toml")
    (table,) = tomllib.loads(text)["connections"].values()
    assert table.pop("platform") == "generic"
    settings = GenericSettings.model_validate(table)
    assert settings.signing_key == SecretStr("env:POS_SIGNING_KEY")


def test_the_parts_of_the_signature_are_as_the_page_lists_them() -> None:
    (program,) = blocks("python")
    without_print, _, _ = program.rpartition("\nprint(")
    shown: dict[str, Any] = {}
    exec(without_print, shown)
    parts = ("1700000000", "POST", "/tillpost/orders", "ord_1-0", b"{}")

    ours = hmac.new(b"secret", signed_text(*parts), hashlib.sha256)
    signature = shown["signature"](b"secret", *parts)
    assert signature == ours.hexdigest()
