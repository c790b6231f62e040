"""Why Square's total differs, as far as the priced order shows."""

from __future__ import annotations

from typing import Any

from adapters.square.bench import an_order, plain_order
from tillpost.errors import MenuError, SetupError
from tillpost_square.reasons import mismatch
from tillpost_square.wire import PricedOrder


def priced(total: int, **parts: Any) -> PricedOrder:
    return PricedOrder.model_validate({"id": "SQ1", "total_money": {"amount": total}} | parts)


def test_right_total_has_no_reason_despite_several_taxes() -> None:
    assert (
        mismatch(plain_order(), priced(1450, taxes=[{"name": "GST"}, {"name": "Levy"}]), 1450)
        is None
    )


def test_prices_come_before_taxes_that_are_computed_on_them() -> None:
    drifted = [{"uid": "line-0", "base_price_money": {"amount": 1500}}]
    taxes = [{"name": "Levy", "type": "ADDITIVE", "applied_money": {"amount": 150}}]

    reason = mismatch(plain_order(), priced(1650, taxes=taxes, line_items=drifted), 1450)

    assert isinstance(reason, MenuError)
    assert reason.lines == (0,)


def test_lines_are_matched_by_uid_in_any_sequence() -> None:
    lines = [
        {"uid": "line-1", "base_price_money": {"amount": 1500}},
        {
            "uid": "line-0",
            "base_price_money": {"amount": 550},
            "modifiers": [{"catalog_object_id": "228"}],
        },
    ]

    reason = mismatch(an_order(), priced(2831, line_items=lines), 2781)

    assert isinstance(reason, MenuError)
    assert reason.lines == (1,)


def test_a_line_that_square_names_no_price_for_is_not_blamed() -> None:
    reason = mismatch(plain_order(), priced(1500, line_items=[{"uid": "line-0"}]), 1450)

    assert isinstance(reason, SetupError)


def test_modifiers_that_were_not_ordered_are_ignored() -> None:
    extra = [{"catalog_object_id": "999", "base_price_money": {"amount": 50}}]
    lines = [{"uid": "line-0", "base_price_money": {"amount": 1450}, "modifiers": extra}]

    assert isinstance(mismatch(plain_order(), priced(1500, line_items=lines), 1450), SetupError)
