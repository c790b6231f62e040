"""A submission over a platform in memory: what heals, what stops, and never twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
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
    Made,
    MenuAnswer,
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
from tillpost.adapter.base import Attempt, Found, Row
from tillpost.adapter.exchange import (
    Effect,
    Exchange,
    Fault,
    Request,
    Response,
    ask,
    reading,
    to_body,
)
from tillpost.errors import Applied
from tillpost.models.menu import Menu
from tillpost.models.order import Draft, Order
from tillpost.submission.address import address_of
from tillpost.submission.flow import Submission
from tillpost.submission.journal import (
    Cancelled,
    DoubtResolved,
    Failed,
    Intended,
    LookedUp,
    Settled,
    Sighted,
    SubmissionRequested,
    Submitted,
)
from tillpost.submission.menu_import import import_menu
from tillpost.submission.operation import OperationContext, run_operation

KEYLESS = Keyless(StandInSettings())


def keyless(failing: Failing = lambda _r, _n: None, **more: Any) -> Run:
    return Run(Platform(needs_payment=False), adapter=KEYLESS, failing=failing, **more)


def paths(run: Run) -> list[str]:
    return [f"{r.method} {r.path}" for r in run.requests]


def cache_menu(run: Run, menu: Menu, imported_at: float) -> None:
    """Give a run a menu that was imported at that time."""
    run.connection.menu_cache.menu = menu
    run.connection.menu_cache.imported_at = imported_at


# ---------------------------------------------------------------- a healthy order


def test_healthy_order_is_created_paid_and_announced() -> None:
    run = Run(Platform())
    pos_order = run.submit(an_order())
    assert pos_order == PosOrder(id="o1", reference="ord_1", total=1000)
    assert paths(run) == ["POST /orders", "POST /pay/o1"]
    assert run.announced == ["order_submitted"]


def test_resubmit_sends_nothing_and_returns_the_same_order() -> None:
    run = Run(Platform())
    first = run.submit(an_order())
    assert run.submit(an_order()) == first
    assert len(run.requests) == 2
    assert run.announced == ["order_submitted"]


def test_other_content_under_an_arrived_orders_id_is_refused() -> None:
    run = Run(Platform())
    run.submit(an_order())
    with pytest.raises(OrderError, match="another content") as caught:
        run.submit(an_order(count=2))
    assert caught.value.outcome is Outcome.CREATED
    assert len(run.requests) == 2


def test_other_content_is_refused_while_in_doubt() -> None:
    run = Run(Platform(), failing=fail_on("/orders", ("after", LOST)), policy=Policy(retries=0))
    assert isinstance(run.attempt(an_order()), OutageError)
    error = run.attempt(an_order(count=2))
    assert isinstance(error, OrderError)
    assert error.outcome is Outcome.UNKNOWN


def test_other_content_is_sent_after_a_proved_refusal() -> None:
    run = Run(Platform())
    assert isinstance(run.attempt(an_order(item="nowhere", sku="")), MenuError)
    assert isinstance(run.attempt(an_order()), PosOrder)


def test_cancelled_order_is_not_submitted_again() -> None:
    run = Run(Platform())
    pos_order = run.submit(an_order())
    run.journal.append("ord_1", Cancelled(run.now, pos_order))
    error = run.attempt(an_order())
    assert isinstance(error, OrderError)
    assert "cancelled" in str(error)


# ---------------------------------------------------------------- menu errors


def test_stale_menu_is_imported_and_the_order_retried() -> None:
    run = Run(Platform(items={"i9": ("S1", 1000)}))
    assert isinstance(run.attempt(an_order()), PosOrder)
    assert paths(run) == ["POST /orders", "GET /menu", "POST /orders", "POST /pay/o1"]
    assert run.announced == ["menu_error", "menu_imported", "order_submitted"]


class SendsSkus(Keyed):
    """Sends the menu's SKU with each line, where it knows the menu."""

    def submit(self, order: Order, attempt: Attempt) -> Exchange[PosOrder]:
        skus: list[str] = []
        if attempt.menu:
            known = attempt.menu.by_variation
            sold = [known[line.item_id] for line in order.lines if line.item_id in known]
            skus = [each.variation.sku for each in sold]
        key = f"{order.id}-{attempt.generation}"
        items = [line.item_id for line in order.lines]
        body = to_body(key=key, ref=order.id, items=items, skus=skus, counts=[1] * len(items))
        made = yield from ask(Request("POST", "/orders", reading(Made), body, Effect.CREATE, key))
        return (yield from self.finish(order, Draft(id=made.id, total=made.total)))


def without_sku(request: Request[Any], _: int) -> tuple[str, Response] | None:
    lacks_sku = request.path == "/orders" and b'"skus":[]' in request.body
    return ("before", refusal(400, "GONE", "line 0")) if lacks_sku else None


def test_order_that_the_import_translates_otherwise_is_resent() -> None:
    run = Run(Platform(), adapter=SendsSkus(StandInSettings()), failing=without_sku)
    assert isinstance(run.attempt(an_order()), PosOrder)
    assert paths(run) == ["POST /orders", "GET /menu", "POST /orders", "POST /pay/o1"]


@pytest.mark.parametrize("generation", [0, 1])
def test_order_that_would_be_sent_unchanged_is_not_resent(generation: int) -> None:
    def gone(request: Request[Any], _: int) -> tuple[str, Response] | None:
        is_create = request.path == "/orders"
        return ("before", refusal(400, "GONE", "line 0")) if is_create else None

    run = Run(Platform(), failing=gone)
    for _ in range(generation):
        run.journal.append("ord_1", DoubtResolved(run.now))
    assert isinstance(run.attempt(an_order()), MenuError)
    assert paths(run) == ["POST /orders", "GET /menu"]


def test_import_that_fails_for_now_is_retried_without_a_resubmit() -> None:
    """The platform would refuse the same order again."""
    run = Run(Platform(items={"i9": ("S1", 1000)}), failing=fail_on("/menu", ("before", BROKEN)))
    assert isinstance(run.attempt(an_order()), PosOrder)
    sent = ["POST /orders", "GET /menu", "GET /menu", "POST /orders", "POST /pay/o1"]
    assert paths(run) == sent
    assert run.announced == ["menu_error", "menu_imported", "order_submitted"]


def test_retried_import_that_changes_nothing_raises_the_refusal() -> None:
    gone = refusal(400, "GONE", "line 0")
    answers = {"/orders": [gone], "/menu": [BROKEN]}

    def failing(request: Request[Any], _: int) -> tuple[str, Response] | None:
        left = answers[request.path]
        return ("before", left.pop()) if left else None

    run = Run(Platform(), failing=failing)
    error = run.attempt(an_order())
    assert isinstance(error, MenuError)
    assert (error.operation, error.lines, error.menu_imported) == ("submit", (0,), True)
    assert paths(run) == ["POST /orders", "GET /menu", "GET /menu"]


def test_import_that_stays_down_ends_as_an_outage() -> None:
    failing = fail_on("/menu", *[("before", BROKEN)] * 99)
    run = Run(Platform(items={"i9": ("S1", 1000)}), failing=failing)
    assert isinstance(run.attempt(an_order()), OutageError)
    assert paths(run).count("POST /orders") == 1


def test_refused_import_ends_the_submission() -> None:
    failing = fail_on("/menu", ("before", refusal(403, "REVOKED")))
    run = Run(Platform(items={"i9": ("S1", 1000)}), failing=failing)
    assert isinstance(run.attempt(an_order()), PermissionsError)
    assert paths(run) == ["POST /orders", "GET /menu"]


def test_second_import_that_fails_for_now_is_retried() -> None:
    run = Run(Platform(items={"i1": ("S1", 1000), "i9": ("S2", 500)}))
    run.connection.policy = Policy(import_cooldown=0)

    def failing(request: Request[Any], number: int) -> tuple[str, Response] | None:
        if number == 2:  # after the import, another item gets another id
            run.platform.items = {"i7": ("S1", 1000), "i9": ("S2", 500)}
        return ("before", BROKEN) if number == 3 else None

    run.failing = failing
    assert isinstance(run.attempt(order_of_two_lines()), PosOrder)
    sent = ["POST /orders", "GET /menu", "POST /orders", "GET /menu", "GET /menu", "POST /orders"]
    assert paths(run) == [*sent, "POST /pay/o1"]


class ReadsParts(Keyed):
    """Needs the menu, and can read a part of it."""

    needs_menu = True

    def menu_for(self, order: Order) -> Exchange[Menu | None]:
        answer = yield from ask(Request("GET", "/menu/part", reading(MenuAnswer)))
        ordered = {line.item_id for line in order.lines}
        return menu_of(
            {i: (i, int(v.split("/")[1])) for i, v in answer.items.items() if i in ordered}
        )


def test_part_of_menu_that_fails_for_now_is_read_again() -> None:
    """The order that was refused isn't sent again meanwhile."""
    run = Run(Platform(), adapter=ReadsParts(StandInSettings()))
    run.submit(an_order("ord_1", sku="i1"))
    gone = refusal(400, "GONE", "line 0")
    answers = {"/orders": [gone], "/menu/part": [BROKEN]}

    def failing(request: Request[Any], _: int) -> tuple[str, Response] | None:
        left = answers[request.path]
        return ("before", left.pop()) if left else None

    run.failing = failing
    run.requests.clear()
    error = run.attempt(an_order("ord_2", sku="i1"))
    assert isinstance(error, MenuError)
    assert error.operation == "submit"
    assert paths(run) == ["POST /orders", "GET /menu/part", "GET /menu/part"]


class RefusesSizes(Keyed):
    """Refuses an order by itself, once it knows the menu."""

    def submit(self, order: Order, attempt: Attempt) -> Exchange[PosOrder]:
        if attempt.menu:
            raise MenuError("the size is missing")
        return (yield from super().submit(order, attempt))


def test_order_that_the_adapter_refuses_after_import_says_why() -> None:
    failing = fail_on("/orders", ("before", refusal(400, "GONE", "line 0")))
    run = Run(Platform(), adapter=RefusesSizes(StandInSettings()), failing=failing)
    error = run.attempt(an_order())
    assert isinstance(error, MenuError)
    assert error.detail == "the size is missing"
    assert paths(run) == ["POST /orders", "GET /menu"]


def test_missing_item_stops_after_one_import_and_names_its_line() -> None:
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


def test_menu_that_changes_after_the_import_is_imported_again() -> None:
    run = Run(Platform(items={"i1": ("S1", 1000), "i9": ("S2", 500)}))
    run.connection.policy = Policy(import_cooldown=0)

    def failing(_: Request[Any], number: int) -> None:
        if number == 2:  # after the import, another item gets another id
            run.platform.items = {"i7": ("S1", 1000), "i9": ("S2", 500)}

    run.failing = failing
    assert isinstance(run.attempt(order_of_two_lines()), PosOrder)
    sent = ["POST /orders", "GET /menu", "POST /orders", "GET /menu", "POST /orders"]
    assert paths(run) == [*sent, "POST /pay/o1"]
    assert run.announced.count("menu_error") == 2


def order_of_two_lines() -> Order:
    """An order of S1 and S2, of which the second has an id of an older menu."""
    one, other = an_order(), an_order(item="i2", sku="S2", price=500)
    payments = [one.payments[0].model_copy(update={"amount": 1500})]
    return one.model_copy(update={"lines": (*one.lines, *other.lines), "payments": payments})


def test_misfit_with_the_menu_is_refused_without_a_request() -> None:
    run = Run(Platform())
    cache_menu(run, menu_of({"i9": ("S9", 900)}), run.now)
    run.platform.items = {"i9": ("S9", 900)}
    error = run.attempt(an_order())
    assert isinstance(error, MenuError)
    assert error.operation == "precheck"
    assert run.requests == []


def test_misfit_with_an_old_menu_imports_first() -> None:
    run = Run(Platform())
    cache_menu(run, menu_of({"i9": ("S9", 900)}), run.now - 3600)
    run.policy = Policy()
    run.connection.policy = Policy(import_brake=1.0)
    assert isinstance(run.attempt(an_order()), PosOrder)
    assert paths(run)[0] == "GET /menu"


def test_import_within_the_cooldown_reuses_the_last_one() -> None:
    run = Run(Platform(items={"i9": ("S1", 1000)}))
    run.submit(an_order("ord_1"))
    run.platform.items = {"i7": ("S1", 1000)}
    error = run.attempt(an_order("ord_2"))
    assert isinstance(error, MenuError)
    assert paths(run).count("GET /menu") == 1
    run.now += 61
    assert isinstance(run.attempt(an_order("ord_2")), PosOrder)


def test_import_that_removes_too_much_is_held() -> None:
    run = Run(Platform(items={"i2": ("S2", 500)}))
    run.connection.menu_cache.menu = menu_of({f"i{n}": (f"S{n}", 1000) for n in range(1, 10)})
    error = run.attempt(an_order())
    assert isinstance(error, MenuError)
    assert error.remedy.manager.startswith("Keyed's menu has lost so many items")
    assert "menu_import_held" in run.announced
    assert run.connection.menu_cache.held is not None
    assert len(run.connection.menu_cache.menu.items) == 9


def test_other_price_is_refused_and_leaves_nothing_behind() -> None:
    run = Run(Platform(items={"i1": ("S1", 1300)}))
    error = run.attempt(an_order())
    assert isinstance(error, MenuError)
    assert error.reason == "price"
    assert run.platform.half_done() == []


def test_other_price_is_sent_as_paid_under_keep_paid() -> None:
    run = Run(Platform(items={"i1": ("S1", 1300)}), policy=Policy(prices="keep_paid"))
    result = run.attempt(an_order())
    assert isinstance(result, PosOrder)
    assert result.total == 1000
    assert run.platform.half_done() == []


def test_tax_error_stops_and_undoes_the_draft() -> None:
    run = Run(Platform(two_taxes=True))
    error = run.attempt(an_order())
    assert isinstance(error, TaxError)
    assert error.outcome is Outcome.NOT_CREATED
    assert run.announced == ["order_failed"]
    assert run.platform.half_done() == []


def test_order_arrives_once_the_taxes_are_corrected() -> None:
    run = Run(Platform(two_taxes=True))
    run.attempt(an_order())
    run.platform.two_taxes = False
    assert isinstance(run.attempt(an_order()), PosOrder)
    assert len(run.platform.shown("ord_1")) == 1


# ---------------------------------------------------------------- outages, budgets, doubt


def test_lost_answer_is_repeated_under_the_same_key() -> None:
    run = Run(Platform(), failing=fail_on("/orders", ("after", LOST)))
    assert isinstance(run.attempt(an_order()), PosOrder)
    assert len(run.platform.orders) == 1


def test_outage_ends_in_an_error_after_the_retries() -> None:
    run = Run(Platform(), failing=lambda _r, _n: ("before", BROKEN), policy=Policy(retries=2))
    error = run.attempt(an_order())
    assert isinstance(error, OutageError)
    assert error.outcome is Outcome.UNKNOWN
    assert len(run.requests) == 3


@pytest.mark.parametrize("off", [Policy(retries=0), Policy(retry_seconds=0)])
def test_zero_turns_retries_off(off: Policy) -> None:
    run = Run(Platform(), failing=lambda _r, _n: ("before", REFUSED), policy=off)
    error = run.attempt(an_order())
    assert isinstance(error, OutageError)
    assert error.outcome is Outcome.NOT_CREATED
    assert len(run.requests) == 1


def test_no_retry_begins_after_retry_seconds() -> None:
    policy = Policy(retries=100, retry_seconds=10, first_wait=4, longest_wait=4)
    run = Run(Platform(), failing=lambda _r, _n: ("before", REFUSED), policy=policy)
    began = run.now
    assert isinstance(run.attempt(an_order()), OutageError)
    assert run.now - began < 15


def test_retry_after_is_honoured() -> None:
    busy = Response(429, {"retry-after": "7"}, b"{}")
    run = Run(Platform(), failing=fail_on("/orders", ("before", busy)))
    began = run.now
    assert isinstance(run.attempt(an_order()), PosOrder)
    assert run.now - began >= 7


def test_too_long_retry_after_is_not_waited_for() -> None:
    busy = Response(429, {"retry-after": "3600"}, b"{}")
    run = Run(Platform(), failing=fail_on("/orders", ("before", busy)))
    error = run.attempt(an_order())
    assert isinstance(error, OutageError)
    assert error.retry_after == 3600


def test_revoked_token_stops_and_asks_for_reconnection() -> None:
    run = Run(Platform(), failing=lambda _r, _n: ("before", refusal(401, "REVOKED")))
    assert isinstance(run.attempt(an_order()), PermissionsError)
    assert run.announced == ["order_failed", "reauthorisation_needed"]
    assert len(run.requests) == 1


def test_expired_token_is_refreshed_unseen_by_the_adapter() -> None:
    run = Run(
        Platform(), failing=fail_on("/orders", ("before", refusal(401, "EXPIRED"))), refreshes=True
    )
    assert isinstance(run.attempt(an_order()), PosOrder)


def test_refused_refresh_is_a_permissions_error() -> None:
    run = Run(Platform(), failing=lambda _r, _n: ("before", refusal(401, "EXPIRED")))
    assert isinstance(run.attempt(an_order()), PermissionsError)
    assert len(run.requests) == 1


def test_refreshed_token_refused_again_does_not_loop() -> None:
    run = Run(
        Platform(), failing=lambda _r, _n: ("before", refusal(401, "EXPIRED")), refreshes=True
    )
    assert isinstance(run.attempt(an_order()), PermissionsError)
    assert len(run.requests) == 2


class KeylessBehindAProxy(Keyless):
    """A 401 may come from a proxy in front of the platform that has passed the request on."""

    errors = (Row(PermissionsError, status=(401,), refreshable=True, bodyless=True),)


def test_keyless_create_is_not_repeated_after_unproved_expiry() -> None:
    failing = fail_on("/orders", ("after", Response(401, {}, b"")))
    platform = Platform(needs_payment=False)
    run = Run(
        platform, adapter=KeylessBehindAProxy(StandInSettings()), failing=failing, refreshes=True
    )
    assert isinstance(run.attempt(an_order(), is_new=True), PosOrder)
    assert paths(run) == ["POST /orders", "GET /search/ord_1"]
    assert len(run.platform.orders) == 1


class Raising(Keyless):
    """An adapter that raises what isn't an `Exception`."""

    failure: type[BaseException] = SystemExit

    def submit(self, order: Order, attempt: Attempt) -> Exchange[PosOrder]:
        raise self.failure


class Interrupted(Raising):
    """An adapter during which somebody presses Ctrl-C."""

    failure = KeyboardInterrupt


def test_adapter_that_exits_is_an_error_and_an_interrupt_isnt() -> None:
    run = Run(Platform(needs_payment=False), adapter=Raising(StandInSettings()))
    error = run.attempt(an_order(), is_new=True)
    assert isinstance(error, UnknownPosError)
    assert error.detail == "the adapter failed: SystemExit"
    with pytest.raises(KeyboardInterrupt):
        Run(Platform(), adapter=Interrupted(StandInSettings())).attempt(an_order(), is_new=True)


def test_unknown_refusal_stops_and_keeps_its_text() -> None:
    run = Run(
        Platform(),
        failing=fail_on("/orders", ("before", refusal(418, "TEAPOT", "short and stout"))),
    )
    error = run.attempt(an_order())
    assert isinstance(error, UnknownPosError)
    assert error.detail == "short and stout"
    assert error.outcome is Outcome.UNKNOWN


def test_failed_import_leaves_the_orders_doubt() -> None:
    def failing(_request: Request[Any], number: int) -> tuple[str, Response | Fault]:
        if number == 0:
            return "before", LOST
        if number == 1:
            return "after", refusal(400, "GONE", "line 0")
        return "before", BROKEN

    run = Run(Platform(), failing=failing, policy=Policy(retries=1))
    error = run.attempt(an_order())
    assert isinstance(error, OutageError)
    assert error.operation == "import_menu"
    assert error.outcome is Outcome.UNKNOWN


def refused_in_doubt(when: str, then: Response, adapter: Keyed | None = None) -> Run:
    """Return a run whose create is lost before or after its effect, and then refused for good."""
    failing = fail_on("/orders", (when, LOST), ("before", then))
    return Run(Platform(), adapter=adapter or Keyed(StandInSettings()), failing=failing)


NO_ADDRESS = refusal(400, "NO_ADDRESS", "an address is missing")
"""A refusal that neither waiting nor a menu import can solve."""


def test_refused_order_in_doubt_that_isnt_there_is_not_created() -> None:
    run = refused_in_doubt("before", NO_ADDRESS)
    error = run.attempt(an_order())
    assert isinstance(error, OrderError)
    assert (error.detail, error.outcome) == ("an address is missing", Outcome.NOT_CREATED)
    assert paths(run) == ["POST /orders"] * 2 + ["GET /search/ord_1"] * 2
    assert run.announced == ["order_failed"]


def test_refused_order_in_doubt_that_is_found_arrives() -> None:
    """The look-up finds a draft, which is paid."""
    run = refused_in_doubt("after", NO_ADDRESS)
    assert run.submit(an_order()).id == "o1"
    assert paths(run) == ["POST /orders"] * 2 + ["GET /search/ord_1", "POST /pay/o1"]
    assert len(run.platform.shown("ord_1")) == 1


def test_unmendable_menu_error_in_doubt_is_looked_up() -> None:
    """What was lost before the item was removed is paid; what was never made isn't."""
    off_menu = refusal(400, "GONE", "line 0")
    run = refused_in_doubt("after", off_menu)
    assert run.submit(an_order()).id == "o1"
    run = refused_in_doubt("before", off_menu)
    run.platform.items = {"i9": ("S9", 900)}
    error = run.attempt(an_order())
    assert isinstance(error, MenuError)
    assert error.outcome is Outcome.NOT_CREATED


def test_refusal_in_doubt_keeps_outcome_if_look_ups_are_refused() -> None:
    run = refused_in_doubt("after", NO_ADDRESS)
    create = run.failing
    run.failing = lambda r, n: (
        ("before", refusal(403, "REVOKED")) if r.path.startswith("/search") else create(r, n)
    )
    error = run.attempt(an_order())
    assert isinstance(error, PermissionsError)
    assert error.outcome is Outcome.UNKNOWN
    assert paths(run) == ["POST /orders"] * 2 + ["GET /search/ord_1"]


def test_draft_in_doubt_that_is_refused_again_stops() -> None:
    """A draft that can be neither paid nor undone isn't looked up for ever."""

    class Unpayable(Keyed):
        def finish(self, order: Order, draft: Draft) -> Exchange[PosOrder]:
            raise OrderError("it can't be paid")
            yield

    run = refused_in_doubt("after", NO_ADDRESS, Unpayable(StandInSettings()))
    error = run.attempt(an_order())
    assert isinstance(error, OrderError)
    assert (error.detail, error.outcome) == ("it can't be paid", Outcome.UNKNOWN)
    assert paths(run) == ["POST /orders"] * 2 + ["GET /search/ord_1"]


def test_refused_order_after_look_ups_goes_under_the_next_key() -> None:
    run = refused_in_doubt("before", NO_ADDRESS)
    run.attempt(an_order())
    run.submit(an_order())
    assert [request.key for request in run.requests if request.path == "/orders"] == [
        "ord_1-0",
        "ord_1-0",
        "ord_1-1",
    ]


def test_import_refused_with_menu_error_does_not_loop() -> None:
    def failing(_request: Request[Any], number: int) -> tuple[str, Response | Fault] | None:
        return ("before", refusal(400, "GONE", "line 0")) if number < 50 else None

    run = Run(Platform(), failing=failing)
    error = run.attempt(an_order())
    assert isinstance(error, MenuError)
    assert error.operation == "import_menu"
    assert len(paths(run)) == 2


def test_exception_in_an_adapter_becomes_a_pos_error() -> None:
    class Broken(Keyed):
        def submit(self, order: Any, attempt: Any) -> Any:
            raise KeyError("oops")

    error = Run(Platform(), adapter=Broken(StandInSettings())).attempt(an_order())
    assert isinstance(error, UnknownPosError)
    assert isinstance(error.__cause__, KeyError)


# ---------------------------------------------------------------- idempotency keys


def test_other_body_is_never_sent_under_a_doubtful_key() -> None:
    run = Run(Platform(), failing=fail_on("/orders", ("after", LOST)), policy=Policy(retries=0))
    run.attempt(an_order())
    cache_menu(run, menu_of({"i2": ("S1", 1000)}), run.now)
    run.platform.items["i2"] = ("S1", 1000)
    run.connection.policy = Policy()
    result = run.attempt(an_order())
    assert isinstance(result, PosOrder)
    assert len(run.platform.shown("ord_1")) == 1
    assert run.platform.half_done() == []
    assert "GET /search/ord_1" in paths(run)


def test_new_process_with_other_body_finds_the_first_order() -> None:
    platform = Platform()
    Run(platform).submit(an_order())
    run = Run(platform)
    cache_menu(run, menu_of({"i2": ("S1", 1000)}), run.now)
    assert run.submit(an_order()).id == "o1"
    assert len(platform.shown("ord_1")) == 1


def test_new_process_with_keys_makes_no_second_order() -> None:
    platform = Platform()
    Run(platform).submit(an_order())
    assert Run(platform).submit(an_order()).id == "o1"
    assert len(platform.orders) == 1


def test_new_process_with_other_content_is_refused_with_totals() -> None:
    platform = Platform()
    Run(platform).submit(an_order())
    error = Run(platform).attempt(an_order(count=2))
    assert isinstance(error, OrderError)
    assert error.outcome is Outcome.CREATED
    assert "the platform has an order of 10.00 AUD under this id; 20.00 AUD was paid" in str(error)
    assert len(platform.orders) == 1


def test_new_process_retires_the_key_of_an_undone_order() -> None:
    platform = Platform(two_taxes=True)
    Run(platform).attempt(an_order())
    platform.two_taxes = False
    assert isinstance(Run(platform).attempt(an_order()), PosOrder)
    assert len(platform.shown("ord_1")) == 1


def test_endless_cancelled_orders_end_in_a_doubt_error() -> None:
    run = Run(
        Platform(),
        failing=lambda r, _n: ("after", refusal(400, "NOT_OPEN")) if "/pay" in r.path else None,
    )
    error = run.attempt(an_order())
    assert isinstance(error, DoubtError)
    assert len(run.requests) < 40


def test_draft_found_by_look_up_is_undone_and_the_order_resent() -> None:
    platform = Platform(two_taxes=True)
    dying = Run(platform, drop_at=4)
    with pytest.raises(Dropped):
        dying.submit(an_order())
    platform.two_taxes = False
    run = Run(platform, journal=dying.journal, now=dying.now)
    assert isinstance(run.attempt(an_order()), PosOrder)
    assert len(platform.shown("ord_1")) == 1
    assert platform.half_done() == []


def test_created_but_wrong_order_is_not_sent_again() -> None:
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


# ---------------------------------------------------------------- without a key


def test_keyless_order_is_looked_up_before_its_first_create() -> None:
    run = keyless()
    run.submit(an_order())
    assert paths(run)[:2] == ["GET /search/ord_1", "POST /orders"]


def test_new_order_is_created_without_a_look_up() -> None:
    run = keyless()
    run.submit(an_order(), is_new=True)
    assert paths(run)[0] == "POST /orders"


def test_order_found_by_look_up_is_not_created_again() -> None:
    run = keyless()
    run.submit(an_order())
    again = Run(run.platform, adapter=KEYLESS)
    assert again.submit(an_order()).id == "o1"
    assert len(run.platform.orders) == 1
    assert again.announced == ["order_submitted"]


def test_keyless_lost_answer_follows_the_look_up_schedule() -> None:
    run = keyless(fail_on("/orders", ("before", LOST)))
    began = run.now
    run.submit(an_order(), is_new=True)
    assert paths(run).count("GET /search/ord_1") == 4
    assert run.now - began >= 16
    assert paths(run).count("POST /orders") == 2


def test_order_found_by_the_last_look_up_is_not_sent_again() -> None:
    hidden = Response(200, {}, b'{"orders": []}')

    def failing(request: Request[Any], number: int) -> tuple[str, Response | Fault] | None:
        if number == 0:
            return "after", LOST
        if "search" in request.path and number < 4:
            return "before", hidden
        return None

    run = keyless(failing)
    run.submit(an_order(), is_new=True)
    assert len(run.platform.orders) == 1


class Cutting(Keyless):
    """Cuts each order's note."""

    def submit(self, order: Order, attempt: Attempt) -> Exchange[PosOrder]:
        exchange = super().submit(order, attempt)
        create = next(exchange)
        assert isinstance(create, Request)
        answered = yield replace(create, notices=("The note was cut",))
        try:
            exchange.send(answered)
        except StopIteration as end:
            pos_order: PosOrder = end.value
            return pos_order.model_copy(update={"notices": ("The note was cut",)})
        raise AssertionError


@pytest.mark.parametrize("lost", [True, False])
def test_arrived_order_has_the_notices_of_its_create_once(lost: bool) -> None:
    run = keyless(fail_on("/orders", ("after", LOST)) if lost else lambda _r, _n: None)
    run = replace(run, adapter=Cutting(StandInSettings()))
    pos_order = run.submit(an_order(), is_new=True)
    assert pos_order.notices == ("The note was cut",)
    assert len(run.platform.shown("ord_1")) == 1


def test_draft_found_at_another_address_is_not_finished() -> None:
    run = Run(Platform())
    other = Keyed(StandInSettings(base_url="https://other.example"))
    order = an_order()
    run.journal.append(order.id, SubmissionRequested(0, order.digest))
    draft = Draft(id="o1", total=1000)
    run.journal.append(order.id, LookedUp(1, draft, address_of(other)))
    error = run.attempt(order)
    assert isinstance(error, DoubtError)
    assert "base_url was https://other.example then" in error.detail
    assert error.outcome is Outcome.UNKNOWN
    assert run.requests == []
    assert run.announced == ["order_failed"]


def test_unsettled_request_is_given_up_by_a_new_flow() -> None:
    run = keyless(drop_at=2)
    with pytest.raises(Dropped):
        run.submit(an_order(), is_new=True)
    run.drop_at, run.now = None, run.now + 3600
    begun_at = run.now
    run.submit(an_order())
    lookups = [r for r in run.requests if r.path.startswith("/search/")]
    assert len(lookups) == len(KEYLESS.look_after)
    assert run.now == pytest.approx(begun_at + sum(KEYLESS.look_after), abs=1)


def reported(answer: Response) -> Run:
    """Return a run of an order in doubt that the platform reported; its fetch is answered so."""
    run = keyless(fail_on("/orders/o9", *[("before", answer)] * 20), drop_at=2)
    with pytest.raises(Dropped):
        run.submit(an_order(), is_new=True)
    run.drop_at = None
    run.journal.append("ord_1", Settled(run.now, Applied.MAYBE))
    run.journal.append("ord_1", Sighted(run.now, "o9"))
    return run


def test_reported_order_that_is_not_shown_is_left_to_a_person() -> None:
    run = reported(refusal(404, "NOT_FOUND"))
    with pytest.raises(DoubtError, match="reported its order o9"):
        run.submit(an_order())
    assert run.platform.orders == {}


def test_reported_order_of_another_reference_is_not_believed() -> None:
    another = stand_in.success(
        {"id": "o9", "ref": "ord_9", "total": 1000, "state": "OPEN", "paid": True}
    )
    run = reported(another)
    with pytest.raises(DoubtError, match="reported its order o9"):
        run.submit(an_order())
    assert run.platform.orders == {}


class Terse(Keyless):
    """Answers a create with nothing but the order's id; a look-up has the total."""

    def finish(self, order: Order, draft: Draft) -> Exchange[PosOrder]:
        return PosOrder(id=draft.id)
        yield

    def verify(self, order: Order, pos_id: str) -> Exchange[Found]:
        made = yield from ask(Request("GET", f"/orders/{pos_id}", reading(stand_in.Made)))
        return PosOrder(id=made.id, reference=made.ref, total=made.total)


def test_answer_without_a_total_is_proved_by_its_id() -> None:
    run = Run(Platform(needs_payment=False), adapter=Terse(StandInSettings()))
    pos_order = run.submit(an_order(), is_new=True)
    assert (pos_order.id, pos_order.reference, pos_order.total) == ("o1", "ord_1", 1000)
    assert paths(run) == ["POST /orders", "GET /orders/o1"]


def test_order_named_as_created_and_never_shown_is_in_doubt() -> None:
    def hidden(request: Request[Any], _: int) -> tuple[str, Response | Fault] | None:
        if request.path == "/orders/o1":
            return "before", refusal(404, "NOT_FOUND")
        if request.path.startswith("/search/"):
            return "before", stand_in.success({"orders": []})
        return None

    run = Run(Platform(needs_payment=False), adapter=Terse(StandInSettings()), failing=hidden)
    error = run.attempt(an_order(), is_new=True)
    assert isinstance(error, OutageError)
    assert "named its order o1 as created" in error.detail
    assert error.outcome is Outcome.UNKNOWN
    assert paths(run).count("POST /orders") == 1


class PagedMenu(Keyed):
    """Imports its menu in two pages, half a second apart."""

    import_pace = 0.5

    def import_menu(self) -> Exchange[Menu]:
        yield from ask(Request("GET", "/menu", reading(stand_in.MenuAnswer)))
        return (yield from super().import_menu())


def test_pages_of_a_menu_keep_the_adapters_pace() -> None:
    run = Run(Platform(), adapter=PagedMenu(StandInSettings()))
    begun_at = run.now
    run.drive(import_menu(run.connection))
    assert paths(run) == ["GET /menu", "GET /menu"]
    assert 1.0 <= run.now - begun_at < 1.5  # half a second after each answer


def test_reported_order_that_cannot_be_asked_for_stays_in_doubt() -> None:
    run = reported(refusal(401, "REVOKED"))
    with pytest.raises(PermissionsError) as refused:
        run.submit(an_order())
    assert refused.value.outcome is Outcome.UNKNOWN
    assert run.platform.orders == {}


def test_adapter_that_repeats_a_keyless_create_is_refused() -> None:
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


def test_adapter_that_needs_a_menu_gets_one_first() -> None:
    class Hungry(Keyed):
        needs_menu = True

    run = Run(Platform(), adapter=Hungry(StandInSettings()))
    run.submit(an_order())
    run.submit(an_order("ord_2"))
    assert paths(run)[0] == "GET /menu"
    assert paths(run).count("GET /menu") == 1


def test_wait_in_an_adapter_pauses_the_operation() -> None:
    run = Run(Platform())
    began = run.now
    run.drive(run_operation(OperationContext(run.connection, "check"), run.adapter.check))
    assert run.now - began == pytest.approx(0.1)


def test_plugin_may_import_the_menu() -> None:
    run = Run(Platform(), plugin_menu=menu_of({"i9": ("S1", 1000)}))
    run.platform.items = {"i9": ("S1", 1000)}
    run.submit(an_order())
    assert "GET /menu" not in paths(run)


# ---------------------------------------------------------------- dropped at any command

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
def test_stop_at_any_command_and_restart_ends_right(world: str, mended: bool) -> None:
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


# ---------------------------------------------------------------- any failure at any time

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


def assert_one_order_with_a_true_outcome(data: st.DataObject, kind: str) -> None:
    platform, adapter = WORLDS[kind]()

    def failing(request: Request[Any], _: int) -> tuple[str, Response | Fault] | None:
        if data.draw(st.integers(0, 2)):
            return None
        fault = data.draw(st.sampled_from(FAULTS))
        never = isinstance(fault, Fault) and fault.applied is Applied.NO
        rate_limited = isinstance(fault, Response) and fault.status == 429
        if never or rate_limited:
            return "before", fault
        return data.draw(st.sampled_from(["before", "after"])), fault

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
        orders_shown = len(platform.shown("ord_1"))
        assert orders_shown <= 1
        if isinstance(result, PosOrder):
            assert orders_shown == 1
            break
        if result.outcome is Outcome.NOT_CREATED:
            assert orders_shown == 0
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


DRAWN = {"data": st.data(), "kind": st.sampled_from(list(WORLDS))}


@settings(max_examples=30, deadline=None)
@given(**DRAWN)
def test_any_failure_makes_one_order_with_a_true_outcome(data: st.DataObject, kind: str) -> None:
    assert_one_order_with_a_true_outcome(data, kind)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(**DRAWN)
def test_any_failure_of_many_makes_one_order(data: st.DataObject, kind: str) -> None:
    assert_one_order_with_a_true_outcome(data, kind)


def test_journal_of_an_arrived_order_is_pruned() -> None:
    run = Run(Platform())
    run.submit(an_order())
    events = run.journal.read("ord_1")
    assert [type(e).__name__ for e in events] == ["SubmissionRequested", "Submitted"]
    assert isinstance(events[-1], Submitted)
    assert not any(isinstance(e, Intended) for e in events)


# ---------------------------------------------------------------- resumed flows


def test_resumed_flow_keeps_the_budget() -> None:
    run = Run(Platform(), failing=lambda _r, _n: ("before", BROKEN), policy=Policy(retries=2))
    assert isinstance(run.attempt(an_order()), OutageError)
    sent = len(run.requests)
    resumed = Submission(run.connection, an_order(), run.journal.read("ord_1")).flow(resumed=True)
    with pytest.raises(OutageError):
        run.drive(resumed, "ord_1")
    assert len(run.requests) == sent
    run.attempt(an_order())
    assert len(run.requests) == 2 * sent


def test_late_stop_after_an_unsettled_create_is_in_doubt() -> None:
    """A process is killed in a create, and found by another when there is no time left.

    The failure that the journal has is older, of a time when nothing had been sent.
    """
    run = Run(Platform(), policy=Policy(retry_seconds=60))
    order = an_order()
    before = OutageError("no answer in time", applied=Applied.NO)
    before.outcome = Outcome.NOT_CREATED
    create = Intended(run.now, Effect.CREATE, 0, "ord_1-0", "body")
    for event in (
        SubmissionRequested(run.now, order.digest, is_new=True),
        Failed(run.now, before.record()),
        create,
    ):
        run.journal.append(order.id, event)
    run.now += 61
    resumed = Submission(run.connection, order, run.journal.read(order.id)).flow(resumed=True)
    with pytest.raises(OutageError) as caught:
        run.drive(resumed, order.id)
    assert caught.value.outcome is Outcome.UNKNOWN


def test_resumed_flow_without_a_request_records_one() -> None:
    run = Run(Platform())
    pos_order = run.drive(Submission(run.connection, an_order(), ()).flow(resumed=True), "ord_1")
    assert pos_order == PosOrder(id="o1", reference="ord_1", total=1000)


def test_menu_imported_by_another_order_counts_as_changed() -> None:
    run = Run(Platform(items={"i9": ("S1", 1000)}))
    run.drop_at = 7  # in the order's own import
    with pytest.raises(Dropped):
        run.submit(an_order())
    assert isinstance(run.journal.read("ord_1")[-1], Failed)
    run.drop_at = None
    run.drive(import_menu(run.connection))
    pos_order = run.drive(
        Submission(run.connection, an_order(), run.journal.read("ord_1")).flow(resumed=True),
        "ord_1",
    )
    assert pos_order.reference == "ord_1"
    assert paths(run).count("GET /menu") == 1


def test_order_refused_during_another_import_is_retried() -> None:
    run = Run(Platform(items={"i9": ("S1", 1000)}), policy=Policy(import_cooldown=600))

    def failing(request: Request[Any], _: int) -> None:
        if request.path == "/orders" and run.connection.menu_cache.menu is None:
            run.drive(import_menu(run.connection))

    run.failing = failing
    assert run.submit(an_order()).reference == "ord_1"
    assert paths(run).count("GET /menu") == 1
