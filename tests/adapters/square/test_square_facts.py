"""The table of facts, against the SDK and against Square's document."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from square.types.error_code import ErrorCode

from adapters.square.facts import ERROR_CODES, LENGTHS, PAYMENT_ERROR_CODES
from vendor_documents import SQUARE, vendor_document


def document() -> Any:
    return json.loads(vendor_document(SQUARE).read_bytes())


def test_every_error_code_is_one_of_the_sdk() -> None:
    listed, _ = get_args(ErrorCode)
    assert frozenset(get_args(listed)) >= ERROR_CODES


@pytest.mark.vendor_document
def test_error_codes_are_those_of_the_document() -> None:
    api = document()
    assert frozenset(api["components"]["schemas"]["ErrorCode"]["enum"]) == ERROR_CODES
    errors = api["paths"]["/v2/payments"]["post"]["x-endpoint-errors"]
    assert frozenset(error["error-code"] for error in errors) == PAYMENT_ERROR_CODES


@pytest.mark.vendor_document
@pytest.mark.parametrize("name", sorted({name for name, _ in LENGTHS}))
def test_lengths_are_those_of_the_document(name: str) -> None:
    properties = document()["components"]["schemas"][name]["properties"]
    described = {
        field: (schema.get("minLength", 0), schema.get("maxLength"))
        for field, schema in properties.items()
        if "minLength" in schema or "maxLength" in schema
    }
    assert {
        field: limits for (owner, field), limits in LENGTHS.items() if owner == name
    } == described
