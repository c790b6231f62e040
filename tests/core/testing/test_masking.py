"""Masking keeps texts under public names, and nothing that could be a secret or a person."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from tillpost.testing import Mask

MASK = Mask("toy.invalid", fields={"id", "tags"}, query={"types"}, headers={"accept"})
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda parts: (
        st.lists(parts) | st.dictionaries(st.sampled_from(["id", "tags", "name", "é"]), parts)
    ),
)


def test_texts_stay_under_public_names_alone() -> None:
    content = {
        "id": "1",
        "name": "Ada",
        "n": 7,
        "tags": ["a", {"b": "c"}],
        "empty": "",
        "no": None,
        "yes": True,
    }

    kept = json.loads(MASK.body(json.dumps(content).encode()))

    assert kept == content | {"name": "***", "tags": ["a", {"b": "***"}]}


def test_body_that_fits_in_a_line_is_kept_on_one() -> None:
    assert MASK.body(b'{ "id":"1" }') == b'{"id": "1"}'
    long = {"id": "x" * 90, "n": [1, 2]}
    assert MASK.body(json.dumps(long).encode()).decode().splitlines() == [
        "{",
        f'  "id": "{"x" * 90}",',
        '  "n": [1, 2]',
        "}",
    ]


def test_a_body_that_is_not_json_is_only_said_to_have_been_there() -> None:
    assert MASK.body(b" <html>Ada</html>") == b"(HTML, 17 bytes)"
    assert MASK.body(b"name=Ada") == b"(not JSON, 8 bytes)"
    assert MASK.body(b"[" * 100_000) == b"(not JSON, 100000 bytes)"
    assert MASK.body(b"") == b""


def test_url_keeps_its_path_and_public_query() -> None:
    kept = MASK.uri("http://127.0.0.1:8123/v1/items?types=A,B&phone=%2B61400&empty=")

    assert kept == "https://toy.invalid/v1/items?types=A,B&phone=***&empty=***"
    assert MASK.uri(kept) == kept


def test_headers_are_kept_when_they_are_declared() -> None:
    assert MASK.allowed([("Authorization", "Bearer x"), ("ACCEPT", "a"), ("X-Id", "1")]) == {
        "accept": "a"
    }


def test_url_in_header_is_masked_like_a_requests_url() -> None:
    mask = Mask("toy.invalid", fields=(), query={"page"}, headers={"location"})
    kept = mask.allowed([("Location", "http://127.0.0.1:8123/v1/items/7?page=2&phone=%2B61400")])
    assert kept == {"location": "https://toy.invalid/v1/items/7?page=2&phone=***"}
    assert mask.allowed(kept.items()) == kept


def test_below_a_person_and_their_payments_nothing_is_public() -> None:
    content = {
        "id": "1",
        "customer": {"id": "Ada", "n": 7},
        "payments": [{"tags": ["pi_1"], "id": {"id": "pi_1"}}],
    }
    kept = {
        "id": "1",
        "customer": {"id": "***", "n": 7},
        "payments": [{"tags": ["***"], "id": {"id": "***"}}],
    }

    assert json.loads(MASK.body(json.dumps(content).encode())) == kept


@given(VALUES)
def test_masking_twice_is_masking_once(value: Any) -> None:
    once = MASK.body(json.dumps(value).encode())

    assert MASK.body(once) == once


@given(VALUES)
def test_no_text_stays_that_nobody_declared(value: Any) -> None:
    kept = json.loads(MASK.body(json.dumps({"name": value}).encode()))

    assert all(text in ("", "***") for text in _undeclared(kept))


def _undeclared(value: Any, *, public: bool = False) -> list[str]:
    match value:
        case dict():
            fields = cast("dict[str, Any]", value)
            return [
                text
                for name, part in fields.items()
                for text in _undeclared(part, public=name in MASK.fields)
            ]
        case list():
            return [
                text
                for part in cast("Sequence[Any]", value)
                for text in _undeclared(part, public=public)
            ]
        case str() if not public:
            return [value]
        case _:
            return []
