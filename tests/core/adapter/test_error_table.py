"""Error tables: which rows an answer can reach."""

from __future__ import annotations

from typing import Any

import pytest

from core.toy import Toy
from tillpost.adapter.error_table import DEFAULT_ROWS, Row, unreachable
from tillpost.errors import Applied, OrderError, PosError


def a_row(error: type[PosError] = OrderError, **more: Any) -> Row:
    return Row(error, **more)


ANYTHING = a_row()
A = a_row(codes=frozenset("A"))
B = a_row(codes=frozenset("B"))
A_OR_B = a_row(codes=frozenset("AB"))
A_IF_SPECIAL = a_row(codes=frozenset("A"), text="more special")
AT_400 = a_row(status=(400,))
A_AT_400 = a_row(status=(400,), codes=frozenset("A"))
A_AT_400_OR_401 = a_row(status=(400, 401), codes=frozenset("A"))
AT_4XX = a_row(status=range(400, 500))
AT_404_OR_410 = a_row(status=(404, 410))
AT_404_OR_500 = a_row(status=(404, 500))
GONE = a_row(text="gone")
A_GONE = a_row(codes=frozenset("A"), text="gone")
A_GONE_IN_ITEMS = a_row(
    codes=frozenset("A"),
    text="gone",
    field="items",
)
IN_ITEMS = a_row(field="items")
IN_ITEMS_TOO = a_row(field="items")
IN_OTHER = a_row(field="other")
IN_GONE = a_row(field="gone")


@pytest.mark.parametrize(
    "table",
    [
        [],
        [A, B],
        [A, A_OR_B],
        [A, ANYTHING],
        [AT_400, A],
        [AT_4XX, AT_404_OR_500],
        [A_AT_400, A_AT_400_OR_401],
        [GONE, A],
        [IN_ITEMS, IN_OTHER],
        [GONE, IN_GONE],
        [A_IF_SPECIAL, A],
    ],
)
def test_rows_that_are_not_shadowed_are_reachable(table: list[Row]) -> None:
    assert unreachable(table) == []


@pytest.mark.parametrize(
    "table",
    [
        [A_OR_B, B],
        [A, B, A_OR_B],
        [ANYTHING, A],
        [AT_400, A_AT_400],
        [AT_4XX, AT_404_OR_410],
        [GONE, A_GONE],
        [GONE, A_GONE_IN_ITEMS],
        [IN_ITEMS, IN_ITEMS_TOO],
        [A, A_IF_SPECIAL],
    ],
)
def test_unreachable_finds_the_shadowed_last_row(table: list[Row]) -> None:
    (found,) = unreachable(table)
    assert found is table[-1]


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
