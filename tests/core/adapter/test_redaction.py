"""Only what is known to be public is shown of a request and its answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillpost.adapter.redaction import LONGEST, MASK, PUBLIC_FIELDS, redact, redact_path

SECRET = "EAAA-secret"
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "id"]), inner, max_size=3)
    ),
    max_leaves=10,
)


def strings(value: object, shown: bool = False) -> list[str]:
    """Every text under a field that isn't `id`."""
    if isinstance(value, dict):
        return [s for k, v in value.items() for s in strings(v, k == "id")]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if isinstance(value, list):
        return [s for v in value for s in strings(v, shown)]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return [value] if isinstance(value, str) and not shown else []


@given(values)
def test_every_text_under_a_field_that_is_not_public_is_masked(content: Any) -> None:
    shown = json.loads(redact(json.dumps(content).encode(), {"id"}))
    assert set(strings(shown)) <= {MASK, ""}


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])), st.integers() | st.booleans() | st.none()
    )
)
def test_numbers_and_booleans_stay(content: dict[str, object]) -> None:
    assert json.loads(redact(json.dumps(content).encode(), ())) == content


def test_public_texts_stay_and_their_lists_too() -> None:
    body = json.dumps(
        {"id": "1", "errors": ["a", {"detail": "b", "token": SECRET}], "note": SECRET, "empty": ""}
    )
    assert json.loads(redact(body.encode(), PUBLIC_FIELDS)) == {
        "id": "1",
        "errors": ["a", {"detail": "b", "token": MASK}],
        "note": MASK,
        "empty": "",
    }


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b"", ""),
        (b"<html>" + SECRET.encode(), "(HTML, 17 bytes)"),
        (b"  <!doctype html>", "(HTML, 17 bytes)"),
        (b"oops " + SECRET.encode(), "(not JSON, 16 bytes)"),
        (b"\xff\xfe", "(not JSON, 2 bytes)"),
        (b'"' + SECRET.encode() + b'"', '"***"'),
        (b"[" * 100_000, "(not JSON, 100000 bytes)"),
        (b"[" * 600 + b"]" * 600, "(not JSON, 1200 bytes)"),
    ],
)
def test_body_that_is_not_json_is_shown_by_its_size(body: bytes, shown: str) -> None:
    assert redact(body, PUBLIC_FIELDS) == shown


@given(st.binary())
def test_any_bytes_become_storable_text(body: bytes) -> None:
    redact(body, PUBLIC_FIELDS).encode()


def test_half_a_surrogate_pair_becomes_storable_text() -> None:
    assert redact(rb'{"id": "a\ud800"}', {"id"}) == '{"id": "a\ufffd"}'


def test_a_long_body_is_cut() -> None:
    assert len(redact(json.dumps({"id": "x" * 2 * LONGEST}).encode(), {"id"})) == LONGEST


def test_no_field_that_may_hold_a_secret_or_a_person_is_public() -> None:
    assert not PUBLIC_FIELDS & {
        "access_token",
        "refresh_token",
        "token",
        "name",
        "phone",
        "email",
        "address",
        "note",
        "title",
    }


def test_nothing_below_a_person_or_an_address_is_public() -> None:
    person = {"name": "Mia", "state": "NSW", "title": "Dr", "detail": "x", "id": "7"}
    for name in ("customer", "recipient", "address", "delivery_address", "buyer", "payments"):
        body = json.dumps({name: [person], "id": "1"}).encode()
        shown = json.loads(redact(body, PUBLIC_FIELDS | {"name", "title"}))
        assert shown == {name: [dict.fromkeys(person, MASK)], "id": "1"}


def test_what_is_hidden_is_masked_in_names_texts_and_numbers() -> None:
    def hide(text: str) -> str:
        return text.replace("Mia", MASK).replace("61400000000", MASK)

    body = json.dumps({"Mia": 1, "detail": "for Mia", "n": 61400000000, "total": 1450}).encode()
    shown = json.loads(redact(body, PUBLIC_FIELDS, hide))
    assert shown == {MASK: 1, "detail": "for ***", "n": MASK, "total": 1450}


def test_the_values_of_a_query_are_masked() -> None:
    assert redact_path("/v1/orders?name=Mia&limit=5") == "/v1/orders?name=***&limit=***"
    assert redact_path("/v1/orders/5") == "/v1/orders/5"
