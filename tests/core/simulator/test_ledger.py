from __future__ import annotations

from core.simulator.counter import entry
from tillpost.simulator import Ledger

ledger = Ledger(
    entries=(
        entry("a"),
        entry("a", shown=False, settled=False, cancelled=True),
        entry("b", shown=False, settled=False),
        entry("c"),
        entry("c"),
        entry(""),
        entry(""),
    )
)


def test_unpaid_order_is_half_done_unless_cancelled() -> None:
    assert [half.reference for half in ledger.half_done] == ["b"]


def test_twice_counts_shown_orders_with_a_reference() -> None:
    assert ledger.twice == ("c",)
    assert [one.cancelled for one in ledger.for_reference("a")] == [False, True]


def test_summary_says_what_is_wrong() -> None:
    assert ledger.summary().splitlines() == [
        "7 orders, 5 on the register",
        "half done: b (id-b, OPEN)",
        "twice: c",
    ]


def test_ledger_round_trips_through_json() -> None:
    assert Ledger.model_validate_json(ledger.model_dump_json()) == ledger
    assert ledger.model_dump(mode="json")["twice"] == ["c"]
