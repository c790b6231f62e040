"""Kounta's attention ticket: a product at no price, looked up before it is created."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import httpx
import pytest

from adapters.kounta.bench import QUICK, Bench, is_create, plain_order
from tillpost import MenuError, Order, Outcome
from tillpost.models.docket import CUT
from tillpost.submission.attention_ticket import TICKET_REMAINS
from tillpost.submission.journal import MemoryJournal
from tillpost_simulators.kounta import KountaSettings as World

ON = QUICK.model_copy(update={"attention_ticket": True})
GONE = {"item_id": "999", "sku": "GONE", "name": "Pavlova", "quantity": 1, "unit_price": 1450}


def shop(world: World | None = None, **more: Any) -> Bench:
    """A shop that has a product for tickets."""
    settings: dict[str, Any] = {"policy": ON, "attention_product": "9005", **more}
    return Bench(world, **settings)


def lost(order_id: str = "ord_1", **changes: Any) -> Order:
    """An order for what is on no menu."""
    return plain_order(order_id, lines=[GONE], **changes)


def test_ticket_spells_out_order_in_notes_at_no_price() -> None:
    bench = shop()
    error = bench.refused(lost(note="Ring the bell"))
    assert isinstance(error, MenuError)
    assert error.outcome is Outcome.NOT_CREATED
    (entry,) = bench.simulator.ledger().shown
    assert (entry.reference, entry.total, entry.lines[0].item_id) == ("ticket ord_1", 0, "9005")
    wanted = ("ORDER ATTENTION REQUIRED", "PAID ONLINE", "Pavlova", "Ring the bell", "COOK IT ONCE")
    assert [text for text in wanted if text not in entry.note] == []


def test_without_product_there_is_no_ticket_but_order_error() -> None:
    bench = shop(attention_product=None)
    assert isinstance(bench.refused(lost()), MenuError)
    assert bench.simulator.ledger().entries == ()


def test_long_order_is_cut_with_a_notice_on_the_ticket() -> None:
    bench = shop()
    bench.refused(lost(note="No nuts. " * 5_000))
    (entry,) = bench.simulator.ledger().shown
    assert entry.lines[-1].note.endswith(CUT)


def test_long_order_is_whole_on_several_lines_of_the_ticket() -> None:
    bench = shop()
    bench.refused(lost(note="No nuts. " * 400 + "SEVERE PEANUT ALLERGY"))
    (entry,) = bench.simulator.ledger().shown
    notes = [entry.note, *(line.note for line in entry.lines)]
    assert "SEVERE PEANUT ALLERGY" in " ".join(notes)
    assert " ".join(notes).count("No nuts.") == 400
    assert not any(CUT in note for note in notes)
    assert (entry.total, {line.item_id for line in entry.lines}) == (0, {"9005"})


def test_ticket_is_never_found_as_order_even_at_no_price() -> None:
    bench = shop()
    cheap = plain_order("ord_1", 1, lines=[{**GONE, "unit_price": 1}])
    bench.refused(cheap)
    assert bench.till.find(cheap) is None


@pytest.mark.parametrize("made", [True, False], ids=["made", "not made"])
def test_ticket_with_lost_answer_is_looked_up_not_resent(made: bool) -> None:
    journal = MemoryJournal()
    bench = shop(journal=journal)
    left = ["once"]

    def lose(request: httpx.Request, carry_out: Callable[[], httpx.Response]) -> httpx.Response:
        if left and is_create(request):
            left.pop()
            if made:
                carry_out()
            raise httpx.ReadTimeout("late")
        return carry_out()

    bench.answer = lose
    bench.refused(lost())
    bench.refused(lost())
    assert len(bench.creates()) == 1
    assert len(bench.simulator.ledger().shown) == int(made)


def test_another_process_finds_the_one_that_is_there() -> None:
    bench = shop()
    bench.refused(lost())
    bench.till = bench.connect()
    bench.refused(lost())
    assert len(bench.creates()) == 1


def test_ticket_that_staff_put_items_on_is_found() -> None:
    bench = shop()
    bench.refused(lost())
    (ticket,) = bench.simulator.world.orders.values()
    ticket.lines.append(replace(ticket.lines[0], unit_price=Decimal(12), price_sent=True))
    bench.till = bench.connect()
    bench.refused(lost())
    assert len(bench.creates()) == 1


def test_processes_without_shared_journal_may_make_two_tickets() -> None:
    """What stays open, and how far: the docs say so."""
    bench = shop(World(oauth_limit=100_000, order_lag_seconds=9))
    bench.refused(lost())
    bench.till = bench.connect()
    bench.refused(lost())
    assert len(bench.creates()) == 2
    bench.wait(9)
    bench.till = bench.connect()
    bench.refused(lost())
    assert len(bench.creates()) == 2


def test_order_that_arrives_later_mentions_the_open_ticket() -> None:
    bench = shop()
    bench.refused(lost())
    pos_order = bench.till.submit(plain_order("ord_1"))
    assert TICKET_REMAINS in pos_order.notices
    assert [entry.reference for entry in bench.simulator.ledger().shown] == [
        "ticket ord_1",
        "ord_1",
    ]
