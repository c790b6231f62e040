"""One order's way to the register, over a platform in memory: what is healed, what stops, and never twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import stand_in
from core.stand_in import (
    BROKEN,
    LOST,
    REFUSED,
    Dropped,
    Failing,
    Keyed,
    Keyless,
    Platform,
    Run,
    StandInSettings,
    an_order,
    fail_on,
    menu_of,
    refusal,
)
from tillpost import (
    DoubtError,
    MenuError,
    OrderError,
    OutageError,
    Outcome,
    PermissionsError,
    Policy,
    PosError,
    PosOrder,
    TaxError,
    UnknownPosError,
)
from tillpost.adapter.base import Row
from tillpost.adapter.exchange import Effect, Fault, Request, Response, ask, reading, to_body
from tillpost.errors import Applied
from tillpost.models.order import Draft
from tillpost.submission.flow import Submission
from tillpost.submission.journal import Cancelled, Failed, Intended, Submitted
from tillpost.submission.menu_import import import_menu
from tillpost.submission.operation import OperationContext, run_operation

KEYLESS = Keyless(StandInSettings())


def keyless(failing: Failing = lambda _r, _n: None, **more: Any) -> Run:
    return Run(Platform(needs_payment=False), adapter=KEYLESS, failing=failing, **more)


def paths(run: Run) -> list[str]:
    return [f"{r.method} {r.path}" for r in run.requests]


# ---------------------------------------------------------------- the healthy way


def test_a_healthy_order_is_created_and_paid_and_the_plugins_are_told() -> None:
    run = Run(Platform())
    there = run.submit(an_order())
    assert there == PosOrder(id="o1", reference="ord_1", total=1000)
    assert paths(run) == ["POST /orders", "POST /pay/o1"]
    assert run.announced == ["order_submitted"]


def test_the_same_order_submitted_again_sends_nothing_and_returns_the_same() -> None:
    run = Run(Platform())
    first = run.submit(an_order())
    assert run.submit(an_order()) == first
    assert len(run.requests) == 2
    assert run.announced == ["order_submitted"]


def test_another_content_under_the_id_of_an_order_that_is_there_is_refused() -> None:
    run = Run(Platform())
    run.submit(an_order())
    with pytest.raises(OrderError, match="another content") as caught:
        run.submit(an_order(count=2))
    assert caught.value.outcome is Outcome.CREATED
    assert len(run.requests) == 2


def test_another_content_is_refused_while_the_first_may_be_there() -> None:
    run = Run(Platform(), failing=fail_on("/orders", ("after", LOST)), policy=Policy(retries=0))
    assert isinstance(run.attempt(an_order()), OutageError)
    error = run.attempt(an_order(count=2))
    assert isinstance(error, OrderError)
    assert error.outcome is Outcome.UNKNOWN


def test_another_content_goes_once_the_first_was_surely_refused() -> None:
    run = Run(Platform())
    assert isinstance(run.attempt(an_order(item="nowhere", sku="")), MenuError)
    assert isinstance(run.attempt(an_order()), PosOrder)


def test_a_cancelled_order_isnt_submitted_again() -> None:
    run = Run(Platform())
    there = run.submit(an_order())
    run.journal.append("ord_1", Cancelled(run.now, there))
    error = run.attempt(an_order())
    assert isinstance(error, OrderError)
    assert "cancelled" in str(error)


# ---------------------------------------------------------------- menu errors heal, once


def test_a_drifted_menu_is_imported_and_the_order_goes_once_more() -> None:
    run = Run(Platform(items={"i9": ("S1", 1000)}))
    assert isinstance(run.attempt(an_order()), PosOrder)
    assert paths(run) == ["POST /orders", "GET /menu", "POST /orders", "POST /pay/o1"]
    assert run.announced == ["menu_error", "menu_imported", "order_submitted"]


def test_an_item_that_is_gone_for_good_stops_after_one_import_and_names_the_line() -> None:
    run = Run(Platform(items={"i9": ("S9", 900)}))
    error = run.attempt(an_order())
    assert isinstance(error, MenuError)
    assert (error.lines, error.subjects, error.outcome) == (
        (0,),
        ("S1 (line 1)",),
        Outcome.NOT_CREATED,
    )
    assert "has been imported again" in error.remedy.manager
    assert paths(run) == ["POST /orders", "GET /menu"]
    assert run.announced == ["menu_error", "menu_imported", "order_failed"]


def test_an_order_that_doesnt_fit_the_menu_is_told_so_without_asking_the_platform() -> None:
    run = Run(Platform())
    run.connection.menu_cache.menu, run.connection.menu_cache.imported_at = (
        menu_of({"i9": ("S9", 900)}),
        run.now,
    )
    run.platform.items = {"i9": ("S9", 900)}
    error = run.attempt(an_order())
    assert isinstance(error, MenuError)
    assert error.operation == "precheck"
    assert run.requests == []


def test_an_old_menu_is_imported_before_anyone_is_told_no() -> None:
    run = Run(Platform())
    run.connection.menu_cache.menu, run.connection.menu_cache.imported_at = (
        menu_of({"i9": ("S9", 900)}),
        run.now - 3600,
    )
    run.policy = Policy()
    run.connection.policy = Policy(import_brake=1.0)
    assert isinstance(run.attempt(an_order()), PosOrder)
    assert paths(run)[0] == "GET /menu"


def test_inside_the_cooldown_the_last_import_serves() -> None:
    run = Run(Platform(items={"i9": ("S1", 1000)}))
    run.submit(an_order("ord_1"))
    run.platform.items = {"i7": ("S1", 1000)}
    error = run.attempt(an_order("ord_2"))
    assert isinstance(error, MenuError)
    assert paths(run).count("GET /menu") == 1
    run.now += 61
    assert isinstance(run.attempt(an_order("ord_2")), PosOrder)


def test_an_import_that_would_remove_too_much_is_held_and_the_error_says_so() -> None:
    run = Run(Platform(items={"i2": ("S2", 500)}))
    run.connection.menu_cache.menu = menu_of({f"i{n}": (f"S{n}", 1000) for n in range(1, 10)})
    error = run.attempt(an_order())
    assert isinstance(error, MenuError)
    assert error.remedy.manager.startswith("Keyed's menu has lost so many items")
    assert "menu_import_held" in run.announced
    assert run.connection.menu_cache.held is not None
    assert len(run.connection.menu_cache.menu.items) == 9


def test_a_price_that_differs_is_refused_by_default_and_nothing_is_left_behind() -> None:
    run = Run(Platform(items={"i1": ("S1", 1300)}))
    error = run.attempt(an_order())
    assert isinstance(error, MenuError)
    assert error.reason == "price"
    assert run.platform.half_done() == []


def test_a_price_that_differs_is_kept_as_paid_where_the_policy_says_so() -> None:
    run = Run(Platform(items={"i1": ("S1", 1300)}), policy=Policy(prices="keep_paid"))
    there = run.attempt(an_order())
    assert isinstance(there, PosOrder)
    assert there.total == 1000
    assert run.platform.half_done() == []


def test_taxes_stop_at_once_with_the_draft_undone() -> None:
    run = Run(Platform(two_taxes=True))
    error = run.attempt(an_order())
    assert isinstance(error, TaxError)
    assert error.outcome is Outcome.NOT_CREATED
    assert run.announced == ["order_failed"]
    assert run.platform.half_done() == []


def test_once_the_taxes_are_mended_the_same_order_goes() -> None:
    run = Run(Platform(two_taxes=True))
    run.attempt(an_order())
    run.platform.two_taxes = False
    assert isinstance(run.attempt(an_order()), PosOrder)
    assert len(run.platform.shown("ord_1")) == 1


# ---------------------------------------------------------------- outages, budgets, doubt


def test_a_lost_answer_is_asked_for_again_under_the_same_key() -> None:
    run = Run(Platform(), failing=fail_on("/orders", ("after", LOST)))
    assert isinstance(run.attempt(an_order()), PosOrder)
    assert len(run.platform.orders) == 1


def test_an_outage_ends_in_an_error_when_the_retries_are_spent() -> None:
    run = Run(Platform(), failing=lambda _r, _n: ("before", BROKEN), policy=Policy(retries=2))
    error = run.attempt(an_order())
    assert isinstance(error, OutageError)
    assert error.outcome is Outcome.UNKNOWN
    assert len(run.requests) == 3


@pytest.mark.parametrize("off", [Policy(retries=0), Policy(retry_seconds=0)])
def test_nought_turns_retrying_off(off: Policy) -> None:
    run = Run(Platform(), failing=lambda _r, _n: ("before", REFUSED), policy=off)
    error = run.attempt(an_order())
    assert isinstance(error, OutageError)
    assert error.outcome is Outcome.NOT_CREATED
    assert len(run.requests) == 1


def test_no_retry_begins_after_the_time_is_up() -> None:
    policy = Policy(retries=100, retry_seconds=10, first_wait=4, longest_wait=4)
    run = Run(Platform(), failing=lambda _r, _n: ("before", REFUSED), policy=policy)
    began = run.now
    assert isinstance(run.attempt(an_order()), OutageError)
    assert run.now - began < 15


def test_the_platforms_retry_after_is_honoured() -> None:
    busy = Response(429, {"retry-after": "7"}, b"{}")
    run = Run(Platform(), failing=fail_on("/orders", ("before", busy)))
    began = run.now
    assert isinstance(run.attempt(an_order()), PosOrder)
    assert run.now - began >= 7


def test_a_retry_after_that_is_too_long_isnt_waited_for() -> None:
    busy = Response(429, {"retry-after": "3600"}, b"{}")
    run = Run(Platform(), failing=fail_on("/orders", ("before", busy)))
    error = run.attempt(an_order())
    assert isinstance(error, OutageError)
    assert error.retry_after == 3600


def test_a_revoked_token_stops_and_asks_for_a_reconnection() -> None:
    run = Run(Platform(), failing=lambda _r, _n: ("before", refusal(401, "REVOKED")))
    assert isinstance(run.attempt(an_order()), PermissionsError)
    assert run.announced == ["order_failed", "reauthorisation_needed"]
    assert len(run.requests) == 1


def test_an_expired_token_is_refreshed_once_and_the_adapter_doesnt_notice() -> None:
    run = Run(
        Platform(), failing=fail_on("/orders", ("before", refusal(401, "EXPIRED"))), refreshes=True
    )
    assert isinstance(run.attempt(an_order()), PosOrder)


def test_an_expired_token_that_cant_be_refreshed_is_a_permissions_error() -> None:
    run = Run(Platform(), failing=lambda _r, _n: ("before", refusal(401, "EXPIRED")))
    assert isinstance(run.attempt(an_order()), PermissionsError)
    assert len(run.requests) == 1


def test_a_refreshed_token_that_is_refused_again_doesnt_loop() -> None:
    run = Run(
        Platform(), failing=lambda _r, _n: ("before", refusal(401, "EXPIRED")), refreshes=True
    )
    assert isinstance(run.attempt(an_order()), PermissionsError)
    assert len(run.requests) == 2


class KeylessBehindAGate(Keyless):
    """Whatever answers 401 may be a gate in front of the platform, which has let the request through."""

    errors = (Row(PermissionsError, status=(401,), refreshable=True),)


def test_without_a_key_nothing_is_sent_again_after_a_refresh_that_nobody_asked_for_in_so_many_words() -> (
    None
):
    failing = fail_on("/orders", ("after", Response(401, {}, b"<html>who are you?</html>")))
    platform = Platform(needs_payment=False)
    run = Run(
        platform, adapter=KeylessBehindAGate(StandInSettings()), failing=failing, refreshes=True
    )
    assert isinstance(run.attempt(an_order(), is_new=True), PosOrder)
    assert paths(run) == ["POST /orders", "GET /search/ord_1"]
    assert len(run.platform.orders) == 1


def test_words_that_nobody_knows_stop_and_are_kept() -> None:
    run = Run(
        Platform(),
        failing=fail_on("/orders", ("before", refusal(418, "TEAPOT", "short and stout"))),
    )
    error = run.attempt(an_order())
    assert isinstance(error, UnknownPosError)
    assert error.detail == "short and stout"
    assert error.outcome is Outcome.UNKNOWN


def test_an_import_that_fails_leaves_the_order_in_doubt_when_it_was() -> None:
    failing: Failing = lambda r, n: (  # noqa: E731
        ("after", refusal(400, "GONE", "line 0"))
        if n == 1
        else ("before", LOST)
        if n == 0
        else ("before", BROKEN)
    )
    run = Run(Platform(), failing=failing, policy=Policy(retries=1))
    error = run.attempt(an_order())
    assert isinstance(error, OutageError)
    assert error.operation == "import_menu"
    assert error.outcome is Outcome.UNKNOWN


def test_an_import_that_is_refused_as_an_order_would_be_is_not_tried_for_ever() -> None:
    failing: Failing = lambda _request, number: (
        ("before", refusal(400, "GONE", "line 0")) if number < 50 else None
    )
    run = Run(Platform(), failing=failing)
    error = run.attempt(an_order())
    assert isinstance(error, MenuError)
    assert error.operation == "import_menu"
    assert len(paths(run)) == 2


def test_an_adapter_that_fails_in_its_own_code_raises_a_pos_error() -> None:
    class Broken(Keyed):
        def submit(self, order: Any, attempt: Any) -> Any:
            raise KeyError("oops")

    error = Run(Platform(), adapter=Broken(StandInSettings())).attempt(an_order())
    assert isinstance(error, UnknownPosError)
    assert isinstance(error.__cause__, KeyError)


# ---------------------------------------------------------------- keys: reused until the order is
# proved dead


def test_another_body_never_goes_out_under_a_key_that_may_have_worked() -> None:
    run = Run(Platform(), failing=fail_on("/orders", ("after", LOST)), policy=Policy(retries=0))
    run.attempt(an_order())
    run.connection.menu_cache.menu, run.connection.menu_cache.imported_at = (
        menu_of({"i2": ("S1", 1000)}),
        run.now,
    )
    run.platform.items["i2"] = ("S1", 1000)
    run.connection.policy = Policy()
    there = run.attempt(an_order())
    assert isinstance(there, PosOrder)
    assert len(run.platform.shown("ord_1")) == 1
    assert run.platform.half_done() == []
    assert "GET /search/ord_1" in paths(run)


def test_a_new_process_with_another_body_looks_and_finds_the_first() -> None:
    platform = Platform()
    Run(platform).submit(an_order())
    run = Run(platform)
    run.connection.menu_cache.menu, run.connection.menu_cache.imported_at = (
        menu_of({"i2": ("S1", 1000)}),
        run.now,
    )
    assert run.submit(an_order()).id == "o1"
    assert len(platform.shown("ord_1")) == 1


def test_a_new_process_on_a_platform_with_keys_makes_no_second_order() -> None:
    platform = Platform()
    Run(platform).submit(an_order())
    assert Run(platform).submit(an_order()).id == "o1"
    assert len(platform.orders) == 1


def test_a_new_process_with_another_content_under_the_same_id_is_told_what_is_there() -> None:
    platform = Platform()
    Run(platform).submit(an_order())
    error = Run(platform).attempt(an_order(count=2))
    assert isinstance(error, OrderError)
    assert error.outcome is Outcome.CREATED
    assert "the platform has an order of 10.00 AUD under this id; 20.00 AUD was paid" in str(error)
    assert len(platform.orders) == 1


def test_a_new_process_steps_over_an_order_that_was_undone() -> None:
    platform = Platform(two_taxes=True)
    Run(platform).attempt(an_order())
    platform.two_taxes = False
    assert isinstance(Run(platform).attempt(an_order()), PosOrder)
    assert len(platform.shown("ord_1")) == 1


def test_a_platform_that_shows_one_cancelled_order_after_the_other_ends_in_doubt() -> None:
    run = Run(
        Platform(),
        failing=lambda r, _n: ("after", refusal(400, "NOT_OPEN")) if "/pay" in r.path else None,
    )
    error = run.attempt(an_order())
    assert isinstance(error, DoubtError)
    assert len(run.requests) < 40


def test_a_draft_that_a_look_finds_is_undone_and_the_order_goes_once_more() -> None:
    platform = Platform(two_taxes=True)
    dying = Run(platform, drop_at=4)
    with pytest.raises(Dropped):
        dying.submit(an_order())
    platform.two_taxes = False
    run = Run(platform, journal=dying.journal, now=dying.now)
    assert isinstance(run.attempt(an_order()), PosOrder)
    assert len(platform.shown("ord_1")) == 1
    assert platform.half_done() == []


def test_an_order_that_is_there_but_wrong_isnt_sent_again_and_raises_the_same_error() -> None:
    run = keyless()
    run.platform.two_taxes = True

    class Comparing(Keyless):
        def submit(self, order: Any, attempt: Any) -> Any:
            body = to_body(ref=order.id, items=["i1"], counts=[1])
            made = yield from ask(
                Request("POST", "/orders", reading(stand_in.Made), body, Effect.CREATE)
            )
            return (yield from self.finish(order, Draft(id=made.id, total=made.total)))

    run.connection.adapter = Comparing(StandInSettings())
    first = run.attempt(an_order())
    again = run.attempt(an_order())
    assert isinstance(first, TaxError)
    assert isinstance(again, TaxError)
    assert (first.outcome, again.outcome) == (Outcome.CREATED, Outcome.CREATED)
    assert again.record() == first.record()
    assert paths(run).count("POST /orders") == 1


# ---------------------------------------------------------------- without a key: look before
# sending


def test_without_a_key_an_order_is_looked_for_before_its_first_create() -> None:
    run = keyless()
    run.submit(an_order())
    assert paths(run)[:2] == ["GET /search/ord_1", "POST /orders"]


def test_an_order_known_to_be_new_is_created_at_once() -> None:
    run = keyless()
    run.submit(an_order(), is_new=True)
    assert paths(run)[0] == "POST /orders"


def test_an_order_that_a_look_finds_isnt_created_again() -> None:
    run = keyless()
    run.submit(an_order())
    again = Run(run.platform, adapter=KEYLESS)
    assert again.submit(an_order()).id == "o1"
    assert len(run.platform.orders) == 1
    assert again.announced == ["order_submitted"]


def test_after_a_lost_answer_it_is_looked_for_on_the_schedule_before_it_is_sent_again() -> None:
    run = keyless(fail_on("/orders", ("before", LOST)))
    began = run.now
    run.submit(an_order(), is_new=True)
    looks = paths(run).count("GET /search/ord_1")
    assert looks == 4
    assert run.now - began >= 16
    assert paths(run).count("POST /orders") == 2


def test_an_order_that_turns_up_on_the_last_look_isnt_sent_again() -> None:
    hidden = Response(200, {}, b'{"orders": []}')
    run = keyless(
        lambda r, n: (
            ("after", LOST)
            if n == 0
            else ("before", hidden)
            if "search" in r.path and n < 4
            else None
        )
    )
    run.submit(an_order(), is_new=True)
    assert len(run.platform.orders) == 1


def test_core_refuses_an_adapter_that_repeats_its_own_keyless_create() -> None:
    class Hasty(Keyless):
        def submit(self, order: Any, attempt: Any) -> Any:
            body = to_body(ref=order.id, items=["i1"], counts=[1])
            create = Request("POST", "/orders", reading(stand_in.Made), body, Effect.CREATE)
            try:
                made = yield from ask(create)
            except OutageError:
                made = yield from ask(create)
            return PosOrder(id=made.id)

    run = keyless(fail_on("/orders", ("after", LOST)))
    run.connection.adapter = Hasty(StandInSettings())
    assert isinstance(run.attempt(an_order()), PosOrder)
    assert len(run.platform.orders) == 1


def test_a_platform_that_needs_a_menu_gets_one_first() -> None:
    class Hungry(Keyed):
        needs_menu = True

    run = Run(Platform(), adapter=Hungry(StandInSettings()))
    run.submit(an_order())
    run.submit(an_order("ord_2"))
    assert paths(run)[0] == "GET /menu"
    assert paths(run).count("GET /menu") == 1


def test_an_adapters_short_wait_is_a_pause_within_the_conversation() -> None:
    run = Run(Platform())
    began = run.now
    run.drive(run_operation(OperationContext(run.connection, "check"), run.adapter.check))
    assert run.now - began == pytest.approx(0.1)


def test_a_plugin_may_run_the_import() -> None:
    run = Run(Platform(), plugin_menu=menu_of({"i9": ("S1", 1000)}))
    run.platform.items = {"i9": ("S1", 1000)}
    run.submit(an_order())
    assert "GET /menu" not in paths(run)


# ---------------------------------------------------------------- dropped at any command, begun
# again

World = Callable[[], tuple[Platform, Keyed]]
WORLDS: dict[str, World] = {
    "healthy": lambda: (Platform(), Keyed(StandInSettings())),
    "healed": lambda: (Platform(items={"i9": ("S1", 1000)}), Keyed(StandInSettings())),
    "undone": lambda: (Platform(two_taxes=True), Keyed(StandInSettings())),
    "dearer": lambda: (Platform(items={"i1": ("S1", 1300)}), Keyed(StandInSettings())),
    "keyless": lambda: (Platform(needs_payment=False), KEYLESS),
    "keyless, healed": lambda: (Platform(items={"i9": ("S1", 1000)}, needs_payment=False), KEYLESS),
}


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("mended", [False, True])
def test_stopped_at_every_command_and_begun_again_it_ends_right(world: str, mended: bool) -> None:
    points = 0
    while True:
        platform, adapter = WORLDS[world]()
        dying = Run(platform, adapter=adapter, drop_at=points)
        try:
            dying.attempt(an_order())
            break
        except Dropped:
            points += 1
        if mended:
            platform.two_taxes = False
        run = Run(platform, adapter=adapter, journal=dying.journal, now=dying.now + 1)
        result = run.attempt(an_order())
        if world == "dearer" or (world == "undone" and not mended):
            assert isinstance(result, PosError)
            assert result.outcome is Outcome.NOT_CREATED
        else:
            assert isinstance(result, PosOrder), (points, result)
            assert len(platform.shown("ord_1")) == 1
        assert platform.half_done() == []
    assert points > 5


# ---------------------------------------------------------------- whatever fails, and whenever

FAULTS: list[Response | Fault] = [
    LOST,
    REFUSED,
    Fault(Applied.MAYBE, "the connection broke"),
    BROKEN,
    Response(429, {"retry-after": "1"}, b""),
    Response(200, {}, b""),
    Response(200, {}, b"[]"),
    Response(502, {}, b"<html>"),
    Response(200, {}, b'{"id": 7}'),
]


@settings(max_examples=150, deadline=None)
@given(data=st.data(), kind=st.sampled_from(list(WORLDS)))
def test_whatever_fails_an_order_arrives_once_and_is_never_called_not_created_while_it_is_there(
    data: st.DataObject, kind: str
) -> None:
    platform, adapter = WORLDS[kind]()

    def failing(request: Request[Any], _: int) -> tuple[str, Response | Fault] | None:
        if data.draw(st.integers(0, 2)):
            return None
        fault = data.draw(st.sampled_from(FAULTS))
        never = isinstance(fault, Fault) and fault.applied is Applied.NO
        rate_limited = isinstance(fault, Response) and fault.status == 429
        return (
            "before" if never or rate_limited else data.draw(st.sampled_from(["before", "after"]))
        ), fault

    run = Run(
        platform,
        adapter=adapter,
        failing=failing,
        drop_at=data.draw(st.none() | st.integers(0, 30)),
    )
    for _ in range(12):
        try:
            result = run.attempt(an_order())
        except Dropped:
            run.drop_at = None
            continue
        there = len(platform.shown("ord_1"))
        assert there <= 1
        if isinstance(result, PosOrder):
            assert there == 1
            break
        if result.outcome is Outcome.NOT_CREATED:
            assert there == 0
            assert platform.half_done() == []
    run.failing = lambda _r, _n: None
    run.drop_at = None
    run.now += 100
    result = run.attempt(an_order())
    if kind in ("undone", "dearer"):
        assert isinstance(result, PosError)
    else:
        assert isinstance(result, PosOrder)
        assert len(platform.shown("ord_1")) == 1
    assert platform.half_done() == []


def test_the_journal_of_an_order_that_arrived_keeps_only_what_tells_so() -> None:
    run = Run(Platform())
    run.submit(an_order())
    kept = run.journal.read("ord_1")
    assert [type(e).__name__ for e in kept] == ["SubmissionRequested", "Submitted"]
    assert isinstance(kept[-1], Submitted)
    assert not any(isinstance(e, Intended) for e in kept)


# ---------------------------------------------------------------- going on instead of asking anew


def test_a_flow_that_goes_on_keeps_the_budget_of_the_one_before() -> None:
    run = Run(Platform(), failing=lambda _r, _n: ("before", BROKEN), policy=Policy(retries=2))
    assert isinstance(run.attempt(an_order()), OutageError)
    sent = len(run.requests)
    resumed = Submission(run.connection, an_order(), run.journal.read("ord_1")).flow(resumed=True)
    with pytest.raises(OutageError):
        run.drive(resumed, "ord_1")
    assert len(run.requests) == sent
    run.attempt(an_order())
    assert len(run.requests) == 2 * sent


def test_a_flow_that_was_never_asked_for_asks_even_if_it_is_to_go_on() -> None:
    run = Run(Platform())
    there = run.drive(Submission(run.connection, an_order(), ()).flow(resumed=True), "ord_1")
    assert there == PosOrder(id="o1", reference="ord_1", total=1000)


def test_an_order_that_failed_with_an_older_menu_goes_once_more_although_another_imported_the_new_one() -> (
    None
):
    run = Run(Platform(items={"i9": ("S1", 1000)}))
    run.drop_at = 7  # in the order's own import
    with pytest.raises(Dropped):
        run.submit(an_order())
    assert isinstance(run.journal.read("ord_1")[-1], Failed)
    run.drop_at = None
    run.drive(import_menu(run.connection))
    there = run.drive(
        Submission(run.connection, an_order(), run.journal.read("ord_1")).flow(resumed=True),
        "ord_1",
    )
    assert there.reference == "ord_1"
    assert paths(run).count("GET /menu") == 1


def test_an_order_that_is_refused_while_another_imports_the_menu_goes_once_more() -> None:
    run = Run(Platform(items={"i9": ("S1", 1000)}), policy=Policy(import_cooldown=600))

    def failing(request: Request[Any], _: int) -> None:
        if request.path == "/orders" and run.connection.menu_cache.menu is None:
            run.drive(import_menu(run.connection))

    run.failing = failing
    assert run.submit(an_order()).reference == "ord_1"
    assert paths(run).count("GET /menu") == 1
