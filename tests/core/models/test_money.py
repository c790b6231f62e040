"""Money is converted exactly or not at all."""

from __future__ import annotations

from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from strategies import currencies
from tillpost.models.money import (
    Amount,
    Currency,
    SignedAmount,
    exponent,
    format_money,
    to_major,
    to_minor,
)

amounts = st.integers(-(10**12), 10**12)


@pytest.mark.parametrize(
    ("currency", "places"), [("JPY", 0), ("AUD", 2), ("USD", 2), ("KWD", 3), ("CLF", 4), ("XXX", 2)]
)
def test_a_currency_has_its_own_number_of_places(currency: str, places: int) -> None:
    assert exponent(currency) == places


@given(amounts, currencies)
def test_minor_units_survive_the_way_to_major_ones_and_back(amount: int, currency: str) -> None:
    assert to_minor(to_major(amount, currency), currency) == amount


@given(amounts, currencies)
def test_major_units_show_all_places_of_the_currency(amount: int, currency: str) -> None:
    assert to_major(amount, currency).as_tuple().exponent == -exponent(currency)


@given(amounts, amounts, currencies)
def test_adding_up_comes_to_the_same_in_major_units(one: int, other: int, currency: str) -> None:
    assert to_major(one, currency) + to_major(other, currency) == to_major(one + other, currency)


@given(amounts, currencies, st.integers(1, 9))
def test_a_part_of_a_minor_unit_is_refused(amount: int, currency: str, tenths: int) -> None:
    odd = to_major(amount, currency) + Decimal(tenths).scaleb(-exponent(currency) - 1)
    with pytest.raises(ValueError, match="isn't a whole number of minor units"):
        to_minor(odd, currency)


@pytest.mark.parametrize(
    "word",
    [
        "NaN",
        "sNaN",
        "Infinity",
        "-Infinity",
        "1E+999999",
        "1E-999999",
        f"1.{'0' * 40}1",
        f"{'9' * 40}.001",
    ],
)
def test_what_is_no_exact_amount_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match="isn't a whole number of minor units"):
        to_minor(Decimal(word), "AUD")


def test_the_callers_own_decimal_precision_changes_nothing() -> None:
    with localcontext(prec=2):
        assert to_minor(Decimal("1234.56"), "AUD") == 123456
        assert to_major(123456, "AUD") == Decimal("1234.56")


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (2881, "AUD", "28.81 AUD"),
        (5, "AUD", "0.05 AUD"),
        (0, "AUD", "0.00 AUD"),
        (-1450, "AUD", "-14.50 AUD"),
        (500, "JPY", "500 JPY"),
        (2881, "KWD", "2.881 KWD"),
        (1, "CLF", "0.0001 CLF"),
        (10**12, "KWD", "1000000000.000 KWD"),
    ],
)
def test_people_read_money_in_major_units(amount: int, currency: str, text: str) -> None:
    assert format_money(amount, currency) == text


@given(st.integers(0, 10**12), currencies)
def test_people_never_read_an_exponent(amount: int, currency: str) -> None:
    assert "E" not in format_money(amount, currency).removesuffix(currency)


@pytest.mark.parametrize("value", [1.0, 28.81, "5", True, None, 10**12 + 1, -1, Decimal(5)])
def test_an_amount_is_a_whole_number_from_0_on(value: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Amount).validate_python(value)


def test_a_signed_amount_may_be_negative() -> None:
    assert TypeAdapter(SignedAmount).validate_python(-5) == -5


@pytest.mark.parametrize("value", ["aud", "AU", "AUDX", "", "AUD\n", "ÄUD"])
def test_a_currency_is_three_capital_letters(value: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Currency).validate_python(value)
