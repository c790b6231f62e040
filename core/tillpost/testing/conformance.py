"""The conformance suite: what every adapter must do, whatever its platform.

Import it, describe your platform, and run it:

    class TestCorner(Conformance):
        world_class = CornerWorld

        @pytest.fixture
        def world(self):
            with serve_in_thread(CornerSimulator()) as running:
                yield CornerWorld(running)

A `World` says how to connect, which orders to submit, and how each class of error is provoked on
the platform, or why it can't occur there. Tests of operations that the adapter lacks, and of errors
that can't occur, aren't collected. No test depends on a platform's name. Needs the extra `testing`.
"""

from __future__ import annotations

import pytest

from tillpost.adapter.error_table import unreachable
from tillpost.adapter.order_features import OrderFeature, uncarried_fields
from tillpost.client.sync import Till
from tillpost.errors import MenuError, OrderError, Outcome, PosError
from tillpost.models.menu import Menu
from tillpost.models.order import Draft, PosOrder, PosState
from tillpost.simulator import Fault, FaultKind, FaultPlan, FaultRule
from tillpost.submission.journal import MemoryJournal
from tillpost.support.runbook import numbered
from tillpost.testing.access import AccessConformance
from tillpost.testing.adversary import BEHAVIOURS, hostile_server
from tillpost.testing.order_parts import order_with
from tillpost.testing.world import (
    KINDS,
    AnyWorld,
    Impossible,
    Trouble,
    World,
    needs,
    only_where,
)

__all__ = ["KINDS", "Conformance", "Impossible", "Trouble", "World"]

HOSTILE = ("reset", "deep_json", "gzip_wide_list", "html_page", "redirect_without_host", "echo")
"""The behaviours of a hostile server that the suite tries."""


class Conformance(AccessConformance):
    """The conformance suite.

    Derive a test class from it, with a fixture `world` and its `world_class`.
    """

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Provoke each error class that can occur on the platform."""
        if "trouble_class" in metafunc.fixturenames:
            impossible = () if self.world_class is None else self.world_class.impossible
            kinds = [kind for kind in KINDS if kind not in impossible]
            metafunc.parametrize("trouble_class", kinds, ids=[kind.__name__ for kind in kinds])

    # The adapter class

    def test_every_row_of_the_error_table_can_match(self, world: AnyWorld) -> None:
        assert unreachable(world.adapter.errors) == []

    def test_adapter_has_the_required_operations(self, world: AnyWorld) -> None:
        needed = {"submit", "find", "fetch", "import_menu", "check"}
        assert needed <= world.adapter.capabilities()

    def test_each_error_class_is_provoked_or_said_to_be_impossible(self, world: AnyWorld) -> None:
        troubles = world.troubles()
        assert not set(troubles) & set(world.impossible)
        assert {*troubles, *world.impossible} == set(KINDS)
        assert all(world.impossible.values())
        for trouble in troubles.values():
            if isinstance(trouble, Impossible):
                assert trouble.reason

    def test_register_steps_say_what_to_do_and_what_is_seen(self, world: AnyWorld) -> None:
        texts = world.adapter.register_steps
        title = world.adapter.title
        steps = numbered(texts, platform=title, order="conform-1", connection="cafe")
        assert len(steps) == len(texts)
        for number, step in enumerate(steps, start=1):
            assert step.number == number
            assert step.do.strip(), step
            assert step.see.strip(), step
            text = step.do + step.see
            assert "{" not in text, step
            assert "}" not in text, step

    # Submitting

    def test_submitted_order_is_on_the_register_once_at_its_total(self, world: AnyWorld) -> None:
        order = world.order("conform-1")
        with self.till(world) as till:
            pos_order = till.submit(order)
        (entry,) = self.shown(world)
        assert entry.reference == order.id
        assert entry.order_id == pos_order.id
        assert entry.total == order.total
        assert pos_order.reference == order.id

    @pytest.mark.parametrize("feature", OrderFeature)
    def test_part_that_is_not_carried_is_refused_before_sending(
        self, world: AnyWorld, feature: OrderFeature
    ) -> None:
        if feature in world.adapter.carries:
            assert feature in world.adapter.capabilities()
            return
        order = order_with(world.order("conform-1"), feature)
        with self.till(world) as till, pytest.raises(OrderError) as refused:
            till.submit(order)
        error = refused.value
        (paths,) = uncarried_fields(order, frozenset(OrderFeature) - {feature}).values()
        assert all(path in error.detail for path in paths)
        assert (error.reason, error.outcome) == ("unsupported", Outcome.NOT_CREATED)
        assert not world.simulator.ledger().entries

    def test_resubmitted_order_is_the_same_order(self, world: AnyWorld) -> None:
        order = world.order("conform-1")
        with self.till(world) as till:
            first = till.submit(order)
            second = till.submit(order)
        assert second.id == first.id
        assert len(self.shown(world)) == 1

    def test_resubmit_by_a_new_process_makes_no_second_order(self, world: AnyWorld) -> None:
        order = world.order("conform-1")
        for _ in range(2):
            with self.till(world) as till:
                till.submit(order)
        assert len(self.shown(world)) == 1

    @pytest.mark.parametrize("when", ["before", "after"])
    @pytest.mark.parametrize(
        "kind", [FaultKind.LOST_ANSWER, FaultKind.SERVER_ERROR, FaultKind.TRUNCATED]
    )
    def test_lost_answer_leaves_exactly_one_order(
        self, world: AnyWorld, kind: FaultKind, when: str
    ) -> None:
        order = world.order("conform-1")
        fault = Fault.model_validate({"kind": kind, "when": when})
        first_create = FaultRule(fault=fault, method="POST", path=world.create_path)
        plan = FaultPlan(rules=(first_create,))
        world.simulator.set_faults(plan)
        with self.till(world) as till:
            till.submit(order)
        self.assert_one_whole_order(world, "conform-1")

    @pytest.mark.parametrize("name", HOSTILE)
    def test_hostile_answer_makes_no_second_order_and_shows_no_token(
        self, world: AnyWorld, name: str
    ) -> None:
        order = world.order("conform-1")
        token = str(world.settings.get("access_token", "no token"))
        spoilt = f"^POST .*{world.create_path}"
        hostile = hostile_server(
            BEHAVIOURS[name],
            upstream=world.running.url,
            only=spoilt,
            after=True,
        )
        with hostile as server, self.till(world, None, None, base_url=server.url) as till:
            try:
                till.submit(order)
            except PosError as error:
                shown = f"{error!r} {error.record()!r}"
                assert token not in shown
        entries = world.simulator.ledger().for_reference("conform-1")
        live = [entry for entry in entries if not entry.cancelled]
        assert len(live) <= 1

    def test_references_with_a_common_prefix_are_two_orders(self, world: AnyWorld) -> None:
        order = world.order("conform-1")
        with self.till(world) as till:
            first = till.submit(order)
            second = till.submit(world.order("conform-12"))
        assert first.id != second.id
        with self.till(world) as till:
            again = till.submit(order)
        assert again.id == first.id

    # Look-up

    def test_find_returns_the_order_and_none_for_another(self, world: AnyWorld) -> None:
        order = world.order("conform-1")
        with self.till(world) as till:
            pos_order = till.submit(order)
            found = till.find(order)
            assert isinstance(found, PosOrder)
            assert found.id == pos_order.id
            assert till.find(world.order("conform-2")) is None

    @only_where(
        lambda world: bool(world.advance_path) or "finish" in world.adapter.capabilities(),
        "one request creates an order",
    )
    def test_half_done_order_is_found_as_a_draft_and_finished(self, world: AnyWorld) -> None:
        assert world.advance_path, "the adapter has the operation 'finish'"
        order = world.order("conform-1")
        each_advance = FaultRule(
            fault=Fault(kind=FaultKind.RESET),
            method="POST",
            path=world.advance_path,
            times=None,
        )
        plan = FaultPlan(rules=(each_advance,))
        world.simulator.set_faults(plan)
        with self.till(world) as till:
            error = self.refusal(till, order)
        assert error.outcome is Outcome.UNKNOWN
        ledger = world.simulator.ledger()
        assert len(ledger.half_done) == 1
        world.simulator.set_faults(FaultPlan())
        with self.till(world) as till:
            assert isinstance(till.find(order), Draft)
            till.submit(order)
        self.assert_one_whole_order(world, "conform-1")

    def test_fetched_order_is_accepted_only_once_staff_accept_it(self, world: AnyWorld) -> None:
        order = world.order("conform-1")
        with self.till(world) as till:
            pos_order = till.submit(order)
            before = till.fetch(pos_order)
            assert before.state is PosState.RECEIVED
            world.accept(pos_order)
            after = till.fetch(pos_order)
            assert after.state is PosState.ACCEPTED

    # Whose answer it is

    def test_create_answered_about_another_order_is_not_believed(self, world: AnyWorld) -> None:
        order = world.order("conform-1")
        renamed = (order.id, "conform-2")
        with self.till(world, None, None, (renamed,)) as till:
            error = self.refusal(till, order)
        assert error.outcome is Outcome.UNKNOWN
        with self.till(world) as till:
            assert till.submit(order).reference == order.id
        self.assert_one_whole_order(world, order.id)

    def test_fetch_or_cancel_answered_about_another_order_is_refused(self, world: AnyWorld) -> None:
        with self.till(world) as till:
            pos_order = till.submit(world.order("conform-1"))
            other = till.submit(world.order("conform-2"))
        renamed = (pos_order.id, other.id)
        with self.till(world, None, None, (renamed,)) as till:
            with pytest.raises(PosError):
                till.fetch(pos_order)
            if "cancel" in till.capabilities:
                with pytest.raises(PosError):
                    till.cancel(pos_order)

    # The menu

    def imported(self, till: Till) -> Menu:
        """Import the menu and return it."""
        menu = till.import_menu().menu
        assert menu
        return menu

    def test_imported_menu_has_the_order_lines_at_their_prices(self, world: AnyWorld) -> None:
        order = world.order("conform-1")
        with self.till(world) as till:
            menu = self.imported(till)
        for line in order.lines:
            item, variation = menu.by_variation[line.item_id]
            assert variation.price == line.unit_price
            chosen = {modifier.modifier_id for modifier in line.modifiers}
            assert chosen <= set(menu.options(item))

    def test_stale_item_id_is_healed_and_the_order_arrives(self, world: AnyWorld) -> None:
        order = world.drifted("conform-1")
        with self.till(world) as till:
            till.submit(order)
        (entry,) = self.shown(world)
        assert entry.total == order.total

    def test_item_off_the_menu_is_a_menu_error_naming_its_line(self, world: AnyWorld) -> None:
        order = world.off_menu("conform-1")
        with self.till(world) as till:
            error = self.refusal(till, order)
        assert isinstance(error, MenuError)
        assert error.lines == (len(order.lines) - 1,)
        assert error.outcome is Outcome.NOT_CREATED
        assert self.shown(world) == ()

    def test_check_of_a_working_store_is_ready(self, world: AnyWorld) -> None:
        with self.till(world) as till:
            readiness = till.check()
        assert readiness.ready, readiness

    # Refusals

    def test_each_trouble_raises_its_error_class_and_outcome(
        self, world: AnyWorld, trouble_class: type[PosError]
    ) -> None:
        if trouble_class in world.impossible:
            pytest.skip(world.impossible[trouble_class])
        trouble = world.troubles()[trouble_class]
        if isinstance(trouble, Impossible):
            pytest.skip(trouble.reason)
        make_order = trouble.order or world.order
        order = make_order("conform-1")
        with self.till(world, None, None, (), **trouble.settings) as till:
            if trouble.after_import:
                till.import_menu()
            trouble.provoke()
            error = self.refusal(till, order)
        assert type(error) is trouble_class, repr(error)
        assert error.platform == world.adapter.platform
        assert error.outcome is trouble.outcome, repr(error)
        assert error.remedy.manager
        shown = self.shown(world)
        if error.outcome is Outcome.NOT_CREATED:
            assert shown == ()
        assert len(shown) <= 1

    @needs("attention")
    def test_refused_order_leaves_one_ticket_never_taken_for_it(self, world: AnyWorld) -> None:
        self.policy = self.policy.model_copy(update={"attention_ticket": True})
        order = world.off_menu("conform-1")
        journal = MemoryJournal()
        for journal_of_process in (MemoryJournal(), journal):
            with self.till(world, journal_of_process) as till:
                error = self.refusal(till, order)
                assert error.outcome is Outcome.NOT_CREATED
                assert till.find(order) is None
        (ticket,) = self.shown(world)
        assert ticket.total == 0
        line_notes = [line.note for line in ticket.lines]
        notes = "\n".join([ticket.note, *line_notes])
        line_names = [line.name for line in order.lines]
        for text in ("TAKE NO MONEY", order.code, *line_names):
            assert text in notes
        with self.till(world, journal) as till:
            pos_order = till.submit(world.order("conform-1"))
            can_cancel = "cancel" in till.capabilities
            ticket_state = till.fetch(ticket.order_id).state
        assert (ticket_state is PosState.CANCELLED) == can_cancel
        assert bool(pos_order.notices) == (not can_cancel)
        entries = world.simulator.ledger().for_reference("conform-1")
        assert [entry.order_id for entry in entries] == [pos_order.id]

    @needs("cancel")
    def test_cancelled_order_is_not_submitted_again(self, world: AnyWorld) -> None:
        order = world.order("conform-1")
        with self.till(world) as till:
            pos_order = till.submit(order)
            cancelled = till.cancel(pos_order)
            assert cancelled.state is PosState.CANCELLED
            error = self.refusal(till, order)
        assert isinstance(error, OrderError)
