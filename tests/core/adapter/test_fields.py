"""A missing, null or numeric field doesn't make an answer unreadable."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tillpost.adapter.fields import OptionalList, OptionalText, ResponseModel, texts_in


class Thing(ResponseModel):
    """A thing with parts."""

    id: OptionalText = ""
    parts: OptionalList[OptionalText] = ()


@pytest.mark.parametrize(
    ("body", "thing"),
    [
        (b"{}", Thing()),
        (b'{"id": null, "parts": null, "more": 1}', Thing()),
        (
            b'{"id": 9007199254740993, "parts": ["a", 7, null]}',
            Thing(id="9007199254740993", parts=("a", "7", "")),
        ),
    ],
)
def test_missing_null_or_number_is_read(body: bytes, thing: Thing) -> None:
    assert Thing.model_validate_json(body) == thing


@pytest.mark.parametrize("body", [b"null", b"[]", b'{"id": []}', b'{"id": {}}', b'{"parts": 7}'])
def test_value_of_another_type_is_refused(body: bytes) -> None:
    with pytest.raises(ValidationError):
        Thing.model_validate_json(body)


@pytest.mark.parametrize(
    ("body", "texts"),
    [
        (b'{"a": "x", "b": 1, "c": null, "d": ["y"], "e": ""}', {"a": "x"}),
        (b"null", {}),
        (b"", {}),
        (b"<html>", {}),
        (b'["x"]', {}),
        (b"\xff", {}),
        (b"[" * 100_000, {}),
    ],
)
def test_texts_in_reads_objects_only(body: bytes, texts: dict[str, str]) -> None:
    assert texts_in(body) == texts
