"""Error tables: which rows an answer can reach."""

from __future__ import annotations

from typing import Any

import pytest

from core.toy import Toy
from tillpost.adapter.error_table import DEFAULT_ROWS, Row, unreachable
from tillpost.errors import Applied, OrderError, PosError


def a_row(error: type[PosError] = OrderError, **more: Any) -> Row:
    return Row(error, **more)


@pytest.mark.parametrize(
    ("table", "lost"),
    [
        ([], []),
        ([a_row(codes=frozenset("A")), a_row(codes=frozenset("B"))], []),
        ([a_row(codes=frozenset("AB")), a_row(codes=frozenset("B"))], [1]),
        ([a_row(codes=frozenset("A")), a_row(codes=frozenset("AB"))], []),
        (
            [
                a_row(codes=frozenset("A")),
                a_row(codes=frozenset("B")),
                a_row(codes=frozenset("AB")),
            ],
            [2],
        ),
        ([a_row(), a_row(codes=frozenset("A"))], [1]),
        ([a_row(codes=frozenset("A")), a_row()], []),
        ([a_row(status=(400,)), a_row(status=(400,), codes=frozenset("A"))], [1]),
        ([a_row(status=(400,)), a_row(codes=frozenset("A"))], []),
        ([a_row(status=range(400, 500)), a_row(status=(404, 410))], [1]),
        ([a_row(status=range(400, 500)), a_row(status=(404, 500))], []),
        (
            [
                a_row(status=(400,), codes=frozenset("A")),
                a_row(status=(400, 401), codes=frozenset("A")),
            ],
            [],
        ),
        ([a_row(text="gone"), a_row(codes=frozenset("A"))], []),
        ([a_row(text="gone"), a_row(codes=frozenset("A"), text="gone")], [1]),
        ([a_row(text="gone"), a_row(codes=frozenset("A"), text="gone", field="items")], [1]),
        ([a_row(field="items"), a_row(field="items")], [1]),
        ([a_row(field="items"), a_row(field="other")], []),
        ([a_row(text="gone"), a_row(field="gone")], []),
        ([a_row(codes=frozenset("A")), a_row(codes=frozenset("A"), text="more special")], [1]),
        ([a_row(codes=frozenset("A"), text="more special"), a_row(codes=frozenset("A"))], []),
    ],
)
def test_unreachable_finds_shadowed_rows(table: list[Row], lost: list[int]) -> None:
    found = unreachable(table)
    assert [i for i, row in enumerate(table) if any(row is one for one in found)] == lost


def test_every_row_of_toy_table_is_reachable() -> None:
    assert unreachable((*Toy.errors, *DEFAULT_ROWS)) == []


@pytest.mark.parametrize("status", [200, 400, 401, 404, 410, 422, 429])
def test_refusal_by_status_proves_that_nothing_was_done(status: int) -> None:
    assert a_row().applied_at(status) is Applied.NO


@pytest.mark.parametrize(
    "status", [201, 202, 207, 302, 408, 409, 425, 460, 499, 500, 501, 502, 504, 529, 600]
)
def test_timeout_conflict_and_failure_prove_nothing(status: int) -> None:
    assert a_row().applied_at(status) is Applied.MAYBE
    assert a_row(applied=Applied.NO).applied_at(status) is Applied.NO
