"""Odd objects are left out and named; an answer in another format stays unreadable."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal

import pytest

from tillpost.adapter import (
    Exact,
    Id,
    OddObjects,
    OptionalList,
    OptionalText,
    OutageError,
    ResponseModel,
)


class Size(ResponseModel):
    """A size of a dish."""

    id: Id
    name: OptionalText = ""
    price: Exact


class Dish(ResponseModel):
    """A dish in several sizes."""

    id: Id
    name: OptionalText = ""
    sizes: OptionalList[Size] = ()


class Page(ResponseModel):
    """A page of dishes."""

    dishes: OptionalList[Dish] = ()


KINDS = {"dishes": Dish, "dishes.sizes": Size}


ODD: dict[str, object] = {}


def dish(number: int, *prices: object) -> dict[str, object]:
    sizes = [{"id": f"s{i}", "name": f"size {i}", "price": each} for i, each in enumerate(prices)]
    return {"id": f"d{number}", "name": f"Dish {number}", "sizes": sizes}


def read(*dishes: object) -> tuple[Page, OddObjects]:
    odd = OddObjects()
    page = odd.reading(Page, KINDS)(json.dumps({"dishes": dishes}).encode())
    return page, odd


def is_unreadable(reader: Callable[[bytes], object], body: bytes) -> bool:
    try:
        reader(body)
    except ValueError:
        return True
    return False


def test_whole_page_has_no_faults() -> None:
    page, odd = read(dish(1, 5, "5.50"), dish(2))
    assert [len(each.sizes) for each in page.dishes] == [2, 0]
    assert odd.faults == ()


def test_odd_part_costs_itself_and_is_named_with_its_whole() -> None:
    page, odd = read(dish(1, 5, "", 6), dish(2, 7))
    assert [len(each.sizes) for each in page.dishes] == [2, 1]
    (fault,) = odd.faults
    assert fault.subject == "Dish 1, size 1"
    assert "(price: must be a number)" in fault.text


def test_object_that_comes_odd_twice_is_one_fault() -> None:
    odd = OddObjects()
    reader = odd.reading(Page, KINDS)
    body = json.dumps({"dishes": [{"name": "Soup"}, dish(1, 5)]}).encode()
    assert reader(body) == reader(body)
    (fault,) = odd.faults
    assert (fault.subject, "id: is missing" in fault.text) == ("Soup", True)


def test_prices_keep_all_decimals_beside_an_odd_object() -> None:
    body = b'{"dishes": [null, {"id": "d", "sizes": [{"id": "s", "price": 13.18181818181818181}]}]}'
    page = OddObjects().reading(Page, KINDS)(body)
    assert page.dishes[0].sizes[0].price == Decimal("13.18181818181818181")


@pytest.mark.parametrize("price", ["NaN", "Infinity", "1e999999", "9" * 5000])
def test_number_beyond_all_bounds_is_odd(price: str) -> None:
    body = f'{{"dishes": [{{"id": "d", "sizes": [{{"id": "s", "price": {price}}}]}}]}}'
    odd = OddObjects()
    page = odd.reading(Page, KINDS)(body.encode())
    assert page.dishes[0].sizes == ()
    assert len(odd.faults) == 1


@pytest.mark.parametrize("dishes", [[ODD] * 4, [ODD] * 6 + [dish(1)] * 5])
def test_menu_of_mostly_odd_objects_is_refused(dishes: list[object]) -> None:
    _, odd = read(*dishes)
    with pytest.raises(OutageError, match="objects of the menu can't be read"):
        odd.faults_of_whole_menu()


@pytest.mark.parametrize("odd_page", [0, 1])
def test_page_of_odd_objects_costs_itself_and_not_the_import(odd_page: int) -> None:
    odd = OddObjects()
    reader = odd.reading(Page, KINDS)
    pages = [[dish(number) for number in range(95)], [ODD] * 4]
    if odd_page == 0:
        pages.reverse()
    counts = [len(reader(json.dumps({"dishes": page}).encode()).dishes) for page in pages]
    assert sorted(counts) == [0, 95]
    assert len(odd.faults_of_whole_menu()) == 1  # four alike


@pytest.mark.parametrize(
    "dishes",
    [
        [ODD] * 101 + [dish(1)] * 500,
        [dish(1, *[""] * 51), dish(2, *[""] * 51)],
    ],
)
def test_too_many_odd_objects_make_an_answer_unreadable(dishes: list[object]) -> None:
    with pytest.raises(ValueError, match="objects of a list can't be read"):
        read(*dishes)


@pytest.mark.parametrize("rows", [[7], [None, "?"], [[ODD]]])
def test_list_without_any_object_stays_unreadable(rows: list[object]) -> None:
    odd = OddObjects()
    body = json.dumps(rows).encode()
    assert is_unreadable(odd.reading_list(Dish, {"sizes": Size}), body)
    assert is_unreadable(odd.reading(Page, KINDS), json.dumps({"dishes": rows}).encode())
    assert not odd.faults


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"dishes": "none"}', b"[" * 100_000, b"null"])
def test_answer_that_is_no_menu_stays_unreadable(body: bytes) -> None:
    assert is_unreadable(OddObjects().reading(Page, KINDS), body)


def test_list_answers_are_sifted_too() -> None:
    odd = OddObjects()
    reader = odd.reading_list(Dish, {"sizes": Size})
    dishes = reader(json.dumps([dish(1, "x", 4), "?", dish(2)]).encode())
    assert [len(each.sizes) for each in dishes] == [1, 0]
    assert [fault.subject for fault in odd.faults] == ["Dish 1, size 0", "An object without a name"]


def test_single_object_that_is_odd_is_none_and_named() -> None:
    odd = OddObjects()
    reader = odd.reading_one(Size, "s1", "Large")
    assert reader(b'{"id": "s1", "price": 5}') is not None
    assert reader(b'{"id": "s1", "price": ""}') is None
    assert [fault.subject for fault in odd.faults] == ["Large"]
    for body in (b'{"id": "s2", "price": ""}', b"{}", b"null", b"<html>"):
        assert is_unreadable(reader, body)
