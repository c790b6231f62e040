"""A search's odd row is passed over, unless it may be the order that is looked for."""

from __future__ import annotations

import logging

import pytest
from pydantic import ValidationError

from tillpost.adapter.exchange import reading, reading_list
from tillpost.adapter.fields import OptionalList, OptionalText, ResponseModel
from tillpost.adapter.odd_rows import OddRow, passing_over_odd_rows


class Sale(ResponseModel):
    """One row."""

    number: OptionalText = ""
    total: int = 0


class Page(ResponseModel):
    """A list within an object."""

    cursor: OptionalText = ""
    sales: OptionalList[Sale] = ()


OURS = '{"number": "A&1", "total": 7}'
READ = passing_over_odd_rows(reading_list(Sale), Sale, "A&1")
READ_PAGE = passing_over_odd_rows(reading(Page), Sale, "A&1", member="sales")

ODD = [
    '{"total": ""}',
    '{"total": NaN}',
    '{"total": 1e999}',
    '{"total": "12,50"}',
    f'{{"total": {"9" * 5000}}}',
    '{"total": 1, "total": "x"}',
    '{"number": "no onions \\ud83d"}',
    '{"number": "tab\tin text"}',
    '{"number": {"a": [1, [null, {}]]}}',
    "null",
    "[]",
    '"text"',
    "-0.5",
    "true",
]


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize(
    "form", ["[{odd},{ours}]", "[ {ours} , {odd} ]\n", " [\n{odd},{odd}, {ours}]"]
)
def test_odd_row_hides_no_other(form: str, odd: str) -> None:
    body = form.format(odd=odd, ours=OURS).encode()
    assert READ(body) == (Sale(number="A&1", total=7),)


@pytest.mark.parametrize("odd", ODD)
def test_odd_row_of_a_page_hides_no_other(odd: str) -> None:
    body = f'{{"cursor": "c", "x": {{"sales": 1}}, "sales" :\n[{odd}, {OURS}], "y": 2}}'
    page = READ_PAGE(body.encode())
    assert (page.cursor, page.sales) == ("c", (Sale(number="A&1", total=7),))


@pytest.mark.parametrize("odd", ["7", "[]", '"text"', "true"])
@pytest.mark.parametrize("form", ["[{odd}]", '[{odd}, {{"number": "B2", "total": 1}}]'])
def test_row_that_is_no_object_leaves_doubt(form: str, odd: str) -> None:
    """A server that lists such rows doesn't say that there is no order."""
    with pytest.raises(OddRow):
        READ(form.format(odd=odd).encode())
    page = f'{{"cursor": "c", "sales": {form.format(odd=odd)}}}'
    with pytest.raises(OddRow):
        READ_PAGE(page.encode())


def test_bytes_that_are_no_text_hide_no_other_row() -> None:
    body = b'[{"number": "caff\xe8"},' + OURS.encode() + b"]"
    assert READ(body)[-1] == Sale(number="A&1", total=7)


def test_rows_passed_over_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "tillpost"):
        READ(f"[null, {OURS}, 5]".encode())
    assert caplog.messages == ["odd_rows_passed_over count=2 of=3"]


@pytest.mark.parametrize(
    "row",
    [
        '{"number": "A&1", "total": ""}',
        '{"number": "A\\u00261", "total": ""}',
        '{"note": {"lines": ["Ref: A&1 B42"]}, "total": ""}',
        '{"number": "A&1", "number": "7", "total": ""}',
    ],
)
def test_odd_row_with_the_reference_leaves_doubt(row: str) -> None:
    with pytest.raises(OddRow):
        READ(f"[{row}]".encode())


def test_number_may_be_the_reference() -> None:
    read = passing_over_odd_rows(reading_list(Sale), Sale, "1023")
    with pytest.raises(OddRow):
        read(b'[{"number": 1023, "total": ""}]')


@pytest.mark.parametrize(
    "body", [b"", b"null", b"{}", b"[", b"[1", b"[1 2]", b"[1,]", b"[null]x", b'{"sales": [1]}']
)
def test_body_that_is_no_list_stays_unreadable(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        READ(body)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"sales"', b'{"cursor": []}', b'{"cursor": [], "sales": 1}']
)
def test_page_without_a_list_stays_unreadable(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        READ_PAGE(body)


def test_fault_outside_the_rows_stays_unreadable() -> None:
    with pytest.raises(ValidationError):
        READ_PAGE(b'{"cursor": [], "sales": [{"total": ""}]}')
