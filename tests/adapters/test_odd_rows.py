"""Another order of a search that can't be read hides ours on no platform."""

from __future__ import annotations

import json
from typing import Any

import pytest

from adapters.sample_orders import plain_order
from tillpost.adapter import Adapter, PosOrder
from tillpost.adapter.exchange import Request, Response
from tillpost.adapter.verdicts import judge
from tillpost.errors import Applied, OutageError, PosError
from tillpost_generic.adapter import Generic
from tillpost_generic.settings import GenericSettings
from tillpost_kounta.adapter import Kounta
from tillpost_kounta.settings import KountaSettings
from tillpost_square.adapter import Square
from tillpost_square.settings import SquareSettings

ORDER = plain_order()

SQUARE = Square(SquareSettings.model_validate({"access_token": "t" * 8, "location_id": "L"}))
KOUNTA = Kounta(
    KountaSettings.model_validate(
        {"access_token": "t" * 8, "company_id": 1, "site_id": 2, "payment_method_id": 3}
    )
)
GENERIC = Generic(
    GenericSettings.model_validate(
        {"base_url": "https://pos.example", "access_token": "t" * 8, "signing_key": "k" * 32}
    )
)

OURS: dict[str, dict[str, Any]] = {
    "square": {
        "id": "sq1",
        "state": "OPEN",
        "reference_id": ORDER.id,
        "total_money": {"amount": ORDER.total, "currency": "AUD"},
        "tenders": [{"amount_money": {"amount": ORDER.total}}],
    },
    "kounta": {"id": 93, "sale_number": ORDER.id, "notes": f"Ref: {ORDER.id}", "total": 14.5},
    "generic": {"id": "p1", "reference": ORDER.id, "total": ORDER.total},
}

ODD: dict[str, list[str]] = {
    "square": [
        "null",
        '{"id": "x", "version": null}',
        '{"id": "x", "total_money": {"amount": null, "currency": "AUD"}}',
        '{"id": "x", "total_money": {"amount": "12.50"}}',
        '{"id": "x", "total_money": {"amount": 10000000000001}}',
        '{"id": "x", "tenders": [{"amount_money": {}}]}',
        '{"id": "x", "ticket_name": "\\ud83d"}',
        '{"id": "x", "line_items": [{"modifiers": [{"base_price_money": {}}]}]}',
        '{"id": "x", "fulfillments": [{"pickup_details": ""}]}',
    ],
    "kounta": [
        "null",
        '{"id": 9, "total": ""}',
        '{"id": 9, "total": "12,50"}',
        '{"id": 9, "total": NaN}',
        '{"id": 9, "total": 1e999}',
        '{"id": 9, "total": {"amount": 12}}',
        '{"id": 9, "notes": "no onions \\ud83d"}',
        '{"id": 9, "lines": [null]}',
        '{"id": 9, "lines": "none"}',
        '{"id": 9, "payments": [null]}',
        '{"id": 9, "payments": {}}',
        '{"id": 9, "deleted": "maybe"}',
        '{"id": 9, "notes": ["a"]}',
    ],
    "generic": ["null", "{}", '{"id": "x", "reference": "y", "total": "much"}'],
}

CASES = [(adapter, odd) for adapter in (SQUARE, KOUNTA, GENERIC) for odd in ODD[adapter.platform]]


def found(adapter: Adapter[Any], *rows: str) -> object:
    """Return what a look-up finds in a list of these rows, or its error."""
    exchange = adapter.find(ORDER, None)
    request = next(exchange)
    try:
        while True:
            assert isinstance(request, Request)
            answer = Response(200, {}, _body(adapter.platform, request.path, rows).encode())
            verdict = judge(adapter, request, ORDER, answer, 0.0)
            if verdict.error:
                request = exchange.throw(verdict.error)
            else:
                assert verdict.reply
                request = exchange.send(verdict.reply)
    except StopIteration as end:
        return end.value
    except PosError as error:
        return error


def _body(platform: str, path: str, rows: tuple[str, ...]) -> str:
    listed = f"[{', '.join(rows)}]"
    if platform == "square":
        return f'{{"orders": {listed}}}'
    is_list = path.partition("?")[0] in ("/v1/companies/1/sites/2/orders.json", "/orders")
    return listed if is_list else json.dumps(OURS[platform])


@pytest.mark.parametrize(("adapter", "odd"), CASES)
def test_odd_order_of_a_search_hides_ours_no_more(adapter: Adapter[Any], odd: str) -> None:
    ours = json.dumps(OURS[adapter.platform])
    seen = found(adapter, odd, ours, odd)
    assert isinstance(seen, PosOrder)
    assert (seen.reference, seen.total) == (ORDER.id, ORDER.total)
    assert found(adapter, odd) is None


@pytest.mark.parametrize("adapter", [SQUARE, KOUNTA, GENERIC])
def test_odd_order_that_may_be_ours_leaves_doubt(adapter: Adapter[Any]) -> None:
    total = "total_money" if adapter.platform == "square" else "total"
    odd = json.dumps(OURS[adapter.platform] | {total: "much"})
    error = found(adapter, odd)
    assert isinstance(error, OutageError)
    assert error.applied is Applied.MAYBE
