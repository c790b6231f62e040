"""What an order at the platform proves of ours."""

from __future__ import annotations

import pytest

from core.stand_in import an_order
from tillpost.errors import Applied, OrderError, OutageError
from tillpost.models.order import Order, PosOrder, PosState
from tillpost.submission.arrival import Proof, another_order, proof_of, why_unproved


def tipped() -> Order:
    content = an_order().model_dump(mode="json")
    return Order.model_validate(
        content | {"tip": 200, "payments": [{"method": "card", "amount": 1200}]}
    )


CASES = [
    (PosOrder(id="7", reference="ord_1", total=1200), Proof.ARRIVED),
    (PosOrder(id="7", reference="ord_1", total=1000), Proof.ARRIVED),
    (PosOrder(id="7", reference="ord_1", total=1100), Proof.WRONG_TOTAL),
    (PosOrder(id="7", reference="ord_1"), Proof.UNCLEAR),
    (PosOrder(id="7", total=1200), Proof.UNCLEAR),
    (PosOrder(id="7", reference="ord_12", total=1200), Proof.ANOTHER),
    (PosOrder(id="7", reference="ord_12"), Proof.ANOTHER),
    (PosOrder(id="7", reference="ord_1", state=PosState.REJECTED, total=1), Proof.ARRIVED),
    (PosOrder(id="7", reference="ord_2", state=PosState.REJECTED), Proof.ANOTHER),
]


@pytest.mark.parametrize(("seen", "proof"), CASES)
def test_arrival_needs_our_reference_and_our_total(seen: PosOrder, proof: Proof) -> None:
    assert proof_of(tipped(), seen) is proof


def test_platform_without_totals_is_believed_by_reference() -> None:
    seen = PosOrder(id="7", reference="ord_1")
    assert proof_of(tipped(), seen, reports_total=False) is Proof.ARRIVED


@pytest.mark.parametrize(
    ("seen", "kind", "text"),
    [
        (PosOrder(id="7", reference="ord_1", total=1100), OrderError, "12.00 AUD was paid"),
        (PosOrder(id="7", reference="ord_2"), OutageError, "another order"),
        (PosOrder(id="7", reference="ord_1", notices=("404",)), OutageError, "the total of its"),
        (PosOrder(id="7", total=1), OutageError, "the reference of its order 7"),
    ],
)
def test_error_says_what_is_not_proved(seen: PosOrder, kind: type, text: str) -> None:
    error = why_unproved(tipped(), seen, proof_of(tipped(), seen))
    assert type(error) is kind
    assert text in error.detail
    assert (error.pos_order is not None) is (kind is OrderError)


def test_answer_about_another_order_may_have_worked() -> None:
    assert another_order().applied is Applied.MAYBE
