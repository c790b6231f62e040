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


def test_an_order_that_was_made_and_not_paid_for_is_half_done_unless_it_is_cancelled() -> None:
    assert [half.reference for half in ledger.half_done] == ["b"]


def test_only_what_the_register_shows_counts_as_twice_and_only_with_a_reference() -> None:
    assert ledger.twice == ("c",)
    assert [one.cancelled for one in ledger.for_reference("a")] == [False, True]


def test_a_person_reads_what_is_wrong() -> None:
    assert ledger.summary().splitlines() == [
        "7 orders, 5 on the register",
        "half done: b (id-b, OPEN)",
        "twice: c",
    ]


def test_the_ledger_survives_the_way_through_json() -> None:
    assert Ledger.model_validate_json(ledger.model_dump_json()) == ledger
    assert ledger.model_dump(mode="json")["twice"] == ["c"]
