"""What rounding can make of taxes has bounds, and nothing below nothing."""

from __future__ import annotations

from fractions import Fraction

from tillpost.models.tax_rounding import TaxedAmount, TaxRange, tax_range

GST, PST = Fraction(5, 100), Fraction(7, 100)


def test_range_goes_from_all_rounded_down_to_all_rounded_up() -> None:
    fees = [TaxedAmount(Fraction(44), [GST, PST]), TaxedAmount(Fraction(76), [GST, PST])]
    assert tax_range(fees) == TaxRange(2 + 3 + 3 + 5, 3 + 4 + 4 + 6, 120 * (GST + PST))


def test_line_that_is_free_by_discount_lowers_no_tax() -> None:
    free = TaxedAmount(Fraction(0), [GST, PST], slack=1)
    assert tax_range([free]) == TaxRange(0, 2, Fraction(0))


def test_tax_on_a_discount_is_never_above_nothing() -> None:
    discount = TaxedAmount(Fraction(-10), [GST], slack=20)
    assert tax_range([discount]) == TaxRange(-2, 0, -10 * GST)
