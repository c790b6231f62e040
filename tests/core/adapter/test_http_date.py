"""A date of HTTP is read, or is none, whatever its text is."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tillpost.adapter.http_date import parse_http_date

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "Wed, 25 Nov 2026 12:00:00 GMT",
        "Wed, 25 Nov 2026 12:00:00",
        "Wed, 25 Nov 2026 12:00:00 -0000",
        "Wed, 25 Nov 2026 23:00:00 +1100",
    ],
)
def test_date_is_read_with_its_offset(text: str) -> None:
    assert parse_http_date(text) == NOON


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tomorrow",
        "0",
        "Wed, 99 Nov 2026 12:00:00 GMT",
        "Fri, 27 Nov 2026 00:00:00 +99999999999999999",
        "Fri, 31 Dec 9999 23:59:59 -1200",
        "Fri, 27 Nov 99999999999 00:00:00 GMT",
    ],
)
def test_what_is_no_date_is_none(text: str) -> None:
    assert parse_http_date(text) is None
