"""The conformance suite: what any adapter must do, whatever its platform. Import it, describe your platform, run it.

    class TestCorner(Conformance):
        @pytest.fixture
        def world(self):
            with serve_in_thread(CornerSimulator()) as running:
                yield CornerWorld(running)

A `World` says how to connect, which orders to try, and how each kind of trouble is provoked on the
platform, or why it can't occur there. The suite never looks at a platform's name. Needs the extra
`testing`.
"""

from __future__ import annotations

from typing import Any

import pytest

from tillpost.adapter.error_table import unreachable
from tillpost.client.sync import Till
from tillpost.errors import MenuError, OrderError, Outcome, PosError
from tillpost.models.menu import Menu
from tillpost.models.order import Draft, PosOrder, PosState
from tillpost.simulator import Fault, FaultKind, FaultPlan, FaultRule
from tillpost.submission.journal import MemoryJournal
from tillpost.support.runbook import numbered
from tillpost.testing.access import AccessConformance
from tillpost.testing.world import KINDS, Impossible, Trouble, World

__all__ = ["KINDS", "Conformance", "Impossible", "Trouble", "World"]


class Conformance(AccessConformance):
    """The suite. Derive a test class from it, with a fixture `world`."""

    # What every adapter is

    def test_its_error_table_has_no_row_that_nothing_can_reach(self, world: World[Any]) -> None:
        assert unreachable(world.adapter.errors) == []

    def test_it_has_the_operations_that_every_adapter_has(self, world: World[Any]) -> None:
        needed = {"submit", "find", "fetch", "import_menu", "check"}
        assert needed <= world.adapter.capabilities()

    def test_every_kind_of_error_is_provoked_or_impossible_for_a_reason(
        self, world: World[Any]
    ) -> None:
        troubles = world.troubles()
        assert set(troubles) == set(KINDS)
        assert all(t.reason for t in troubles.values() if isinstance(t, Impossible))

    def test_its_register_steps_say_who_does_what_and_what_they_see(
        self, world: World[Any]
    ) -> None:
        told = world.adapter.register_steps
        steps = numbered(told, platform=world.adapter.title, order="conform-1", connection="cafe")
        assert [step.number for step in steps] == list(range(1, len(told) + 1))
        for step in steps:
            assert step.do.strip(), step
            assert step.see.strip(), step
            assert not set("{}") & set(step.do + step.see), step

    # Submitting

    def test_a_healthy_order_is_on_the_register_once_for_what_was_paid(
        self, world: World[Any]
    ) -> None:
        order = world.order("conform-1")
        with self.till(world) as till:
            there = till.submit(order)
        (entry,) = world.simulator.ledger().shown
        assert (entry.reference, entry.order_id, entry.total) == (order.id, there.id, order.total)
        assert there.reference == order.id

    def test_the_same_order_submitted_again_is_the_same_order(self, world: World[Any]) -> None:
        with self.till(world) as till:
            first = till.submit(world.order("conform-1"))
            assert till.submit(world.order("conform-1")).id == first.id
        assert len(world.simulator.ledger().shown) == 1

    def test_a_new_process_that_submits_it_again_makes_no_second_one(
        self, world: World[Any]
    ) -> None:
        for _ in range(2):
            with self.till(world) as till:
                till.submit(world.order("conform-1"))
        assert len(world.simulator.ledger().shown) == 1

    @pytest.mark.parametrize("when", ["before", "after"])
    @pytest.mark.parametrize(
        "kind", [FaultKind.LOST_ANSWER, FaultKind.SERVER_ERROR, FaultKind.TRUNCATED]
    )
    def test_an_answer_that_is_lost_makes_no_second_order_and_loses_none(
        self, world: World[Any], kind: FaultKind, when: str
    ) -> None:
        fault = Fault.model_validate({"kind": kind, "when": when})
        world.simulator.set_faults(
            FaultPlan(rules=(FaultRule(fault=fault, method="POST", path=world.create_path),))
        )
        with self.till(world) as till:
            till.submit(world.order("conform-1"))
        ledger = world.simulator.ledger()
        assert ([entry.reference for entry in ledger.shown], ledger.half_done) == (
            ["conform-1"],
            (),
        )

    def test_orders_whose_references_begin_alike_are_told_apart(self, world: World[Any]) -> None:
        with self.till(world) as till:
            first, second = (till.submit(world.order(ref)) for ref in ("conform-1", "conform-12"))
        assert first.id != second.id
        with self.till(world) as till:
            assert till.submit(world.order("conform-1")).id == first.id

    # Looking

    def test_an_order_that_is_there_is_found_and_another_isnt(self, world: World[Any]) -> None:
        with self.till(world) as till:
            there = till.submit(world.order("conform-1"))
            found = till.find(world.order("conform-1"))
            assert isinstance(found, PosOrder)
            assert found.id == there.id
            assert till.find(world.order("conform-2")) is None

    def test_an_order_left_half_done_is_found_as_a_draft_and_finished(
        self, world: World[Any]
    ) -> None:
        if not world.advance_path:
            assert "finish" not in world.adapter.capabilities()
            return
        lost = FaultRule(
            fault=Fault(kind=FaultKind.RESET), method="POST", path=world.advance_path, times=None
        )
        world.simulator.set_faults(FaultPlan(rules=(lost,)))
        with self.till(world) as till:
            assert self.refusal(till, world.order("conform-1")).outcome is Outcome.UNKNOWN
        assert len(world.simulator.ledger().half_done) == 1
        world.simulator.set_faults(FaultPlan())
        with self.till(world) as till:
            assert isinstance(till.find(world.order("conform-1")), Draft)
            till.submit(world.order("conform-1"))
        ledger = world.simulator.ledger()
        assert ([entry.reference for entry in ledger.shown], ledger.half_done) == (
            ["conform-1"],
            (),
        )

    def test_an_order_that_is_there_is_fetched_and_accepted_only_on_proof(
        self, world: World[Any]
    ) -> None:
        with self.till(world) as till:
            there = till.submit(world.order("conform-1"))
            assert till.fetch(there).state is PosState.RECEIVED
            world.accept(there)
            assert till.fetch(there).state is PosState.ACCEPTED

    # The menu

    def imported(self, till: Till) -> Menu:
        """Return the menu."""
        menu = till.import_menu().menu
        assert menu
        return menu

    def test_the_menu_holds_what_the_order_names_at_the_price_that_was_paid(
        self, world: World[Any]
    ) -> None:
        order = world.order("conform-1")
        with self.till(world) as till:
            menu = self.imported(till)
        for line in order.lines:
            item, variation = menu.by_variation[line.item_id]
            assert variation.price == line.unit_price
            assert {m.modifier_id for m in line.modifiers} <= set(menu.options(item))

    def test_a_drifted_menu_is_imported_and_the_order_goes_by_itself(
        self, world: World[Any]
    ) -> None:
        order = world.drifted("conform-1")
        with self.till(world) as till:
            till.submit(order)
        (entry,) = world.simulator.ledger().shown
        assert entry.total == order.total

    def test_what_is_gone_for_good_is_refused_and_the_line_is_named(
        self, world: World[Any]
    ) -> None:
        order = world.gone("conform-1")
        with self.till(world) as till:
            error = self.refusal(till, order)
        assert isinstance(error, MenuError)
        assert error.lines == (len(order.lines) - 1,)
        assert error.outcome is Outcome.NOT_CREATED
        assert world.simulator.ledger().shown == ()

    def test_a_store_that_is_in_order_is_ready(self, world: World[Any]) -> None:
        with self.till(world) as till:
            readiness = till.check()
        assert readiness.ready, readiness

    # Refusals

    @pytest.mark.parametrize("kind", KINDS, ids=[kind.__name__ for kind in KINDS])
    def test_each_kind_of_trouble_is_told_for_what_it_is(
        self, world: World[Any], kind: type[PosError]
    ) -> None:
        trouble = world.troubles()[kind]
        if isinstance(trouble, Impossible):
            return
        order = (trouble.order or world.order)("conform-1")
        with self.till(world, None, None, **trouble.settings) as till:
            if trouble.after_import:
                till.import_menu()
            trouble.provoke()
            error = self.refusal(till, order)
        assert type(error) is kind, repr(error)
        assert error.platform == world.adapter.platform
        assert error.outcome is trouble.outcome, repr(error)
        assert error.remedy.manager
        shown = world.simulator.ledger().shown
        if error.outcome is Outcome.NOT_CREATED:
            assert shown == ()
        assert len(shown) <= 1

    def test_a_refused_order_goes_to_the_register_as_one_ticket_that_is_never_taken_for_it(
        self, world: World[Any]
    ) -> None:
        if "attention" not in world.adapter.capabilities():
            return
        self.policy = self.policy.model_copy(update={"attention_ticket": True})
        order, journal = world.gone("conform-1"), MemoryJournal()
        for kept in (MemoryJournal(), journal):  # in two processes that know nothing of each other
            with self.till(world, kept) as till:
                assert self.refusal(till, order).outcome is Outcome.NOT_CREATED
                assert till.find(order) is None
        (ticket,) = world.simulator.ledger().shown
        said = "\n".join((ticket.note, *(line.note for line in ticket.lines)))
        wanted = ("TAKE NO MONEY", order.code, *(line.name for line in order.lines))
        assert (ticket.total, [text for text in wanted if text not in said]) == (0, [])
        with self.till(world, journal) as till:
            there = till.submit(world.order("conform-1"))
            withdrawn = "cancel" in till.capabilities
            assert (till.fetch(ticket.order_id).state is PosState.CANCELLED) == withdrawn
        assert bool(there.notices) == (not withdrawn)
        assert [
            entry.order_id for entry in world.simulator.ledger().for_reference("conform-1")
        ] == [there.id]

    def test_a_cancelled_order_is_gone_from_the_register_and_isnt_sent_again(
        self, world: World[Any]
    ) -> None:
        with self.till(world) as till:
            there = till.submit(world.order("conform-1"))
            if "cancel" not in till.capabilities:
                return
            assert till.cancel(there).state is PosState.CANCELLED
            assert isinstance(self.refusal(till, world.order("conform-1")), OrderError)
