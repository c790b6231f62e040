"""Well-formed answers without content are passing failures, and lose no order."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from adapters.kounta.bench import Bench, Spoil, plain_order
from tillpost import OutageError, Outcome
from tillpost.models.order import PosOrder

EMPTY = b"{}"
SEVENS = b'{"id": 7, "currency": 7, "status": 7, "lines": null, "payments": null, "taxes": null}'


def answer_gets_with(path: str, body: bytes, times: int = 1) -> Spoil:
    """Answer the first GETs of a path so."""
    left = [body] * times

    def spoil(request: httpx.Request, carry_out: Callable[[], httpx.Response]) -> httpx.Response:
        if (
            left
            and request.method == "GET"
            and request.url.path.startswith(f"/v1/companies/5678{path}")
        ):
            return httpx.Response(200, content=left.pop())
        return carry_out()

    return spoil


@pytest.mark.parametrize("body", [EMPTY, SEVENS])
@pytest.mark.parametrize(
    "path", [".json", "/sites/2301/products/", "/sites/2301/products.json", "/taxes.json"]
)
def test_unreadable_import_is_tried_again(path: str, body: bytes) -> None:
    bench = Bench()
    bench.answer = answer_gets_with(path, body)
    menu = bench.till.import_menu().menu
    assert menu == Bench().till.import_menu().menu.model_copy(
        update={"imported_at": menu.imported_at}
    )


@pytest.mark.parametrize("body", [EMPTY, SEVENS])
@pytest.mark.parametrize("path", [".json", "/sites/2301/products.json", "/taxes.json"])
def test_unreadable_part_of_menu_is_read_again(path: str, body: bytes) -> None:
    bench = Bench()
    bench.answer = answer_gets_with(path, body)
    assert isinstance(bench.attempt(plain_order()), PosOrder)
    assert len(bench.paths("/products.json")) <= 2


@pytest.mark.parametrize("body", [EMPTY, SEVENS])
@pytest.mark.parametrize("lasts", [False, True], ids=["once", "always"])
def test_unreadable_read_back_leaves_the_doubt(body: bytes, lasts: bool) -> None:
    bench = Bench()
    bench.till.import_menu()
    bench.answer = answer_gets_with("/orders/", body, 1000 if lasts else 1)
    result = bench.attempt(plain_order())
    (shown,) = bench.simulator.ledger().shown
    if not lasts:
        assert isinstance(result, PosOrder)
        assert result.id == shown.order_id
        return
    assert isinstance(result, OutageError)
    assert result.outcome is Outcome.UNKNOWN
    assert shown.order_id in repr(bench.till._journal.read("ord_1"))
    bench.answer = answer_gets_with("/orders/", body, 0)
    assert bench.till.submit(plain_order()).id == shown.order_id
    assert len(bench.creates()) == 1
