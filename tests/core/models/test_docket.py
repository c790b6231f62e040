"""A docket has the whole order, and says that it is paid."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from strategies import orders
from tillpost.models.docket import CUT, WIDTH, docket, spelled_out
from tillpost.models.money import to_major
from tillpost.models.order import Delivery, Order


def flat(text: str) -> str:
    return "".join(text.split())


@given(orders())
def test_docket_shows_whatever_was_ordered(order: Order) -> None:
    text = docket(order, platform="Square")
    printed = flat(text)
    for line in order.lines:
        assert flat(f"{line.quantity} x {line.name}") in printed
        assert flat(line.note) in printed
        assert all(flat(modifier.name) in printed for modifier in line.modifiers)
    assert flat(order.code) in printed
    assert flat(order.note) in printed
    assert str(to_major(order.total, order.currency)) in printed
    if order.customer:
        assert flat(order.customer.name) in printed
    if isinstance(order.fulfilment, Delivery):
        assert flat(str(order.fulfilment.address)) in printed


@given(orders())
def test_docket_fits_paper_and_says_paid(order: Order) -> None:
    text = docket(order, platform="Square")
    assert max(len(line) for line in text.splitlines()) <= WIDTH
    assert "PAID ONLINE - TAKE NO MONEY" in text


@given(orders())
def test_warning_of_copy_only_when_one_may_appear(order: Order) -> None:
    assert "COOK IT ONCE" not in docket(order, platform="Square")
    assert "COOK IT ONCE" in docket(order, platform="Square", copy_may_appear=True)


@given(orders())
def test_long_note_has_everything_of_the_docket(order: Order) -> None:
    note = spelled_out(order, platform="Square", most=100_000)
    of_docket = (
        flat(docket(order, platform="Square", copy_may_appear=True))
        .replace("=", "")
        .replace("-", "")
    )
    assert flat(note).replace("=", "").replace("-", "") == of_docket
    assert CUT not in note


@given(orders(), st.integers(100, 2000))
def test_a_note_that_is_too_long_is_cut_and_says_so(order: Order, most: int) -> None:
    whole, note = (
        spelled_out(order, platform="Square", most=100_000),
        spelled_out(order, platform="Square", most=most),
    )
    assert len(note) <= most
    assert note == whole or (note.endswith(CUT) and whole.startswith(note.removesuffix(CUT)))
