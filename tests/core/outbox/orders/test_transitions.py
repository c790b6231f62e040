"""Whatever statuses come in whatever sequence, nothing goes back and each hook is called once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.outbox.corner_shop import lunch
from tillpost.adapter.exchange import Effect
from tillpost.errors import Applied, ErrorRecord, Outcome
from tillpost.models.order import PosOrder, PosState, Progress
from tillpost.outbox import OrderState, OutboxSettings, StoredOrder, WaitsFor
from tillpost.outbox.orders.transitions import (
    POLL_FOR,
    Change,
    KnownOrder,
    apply_refusal,
    apply_status,
    arrival_columns,
    expected_by,
    later_of,
    next_poll_at,
    steps_before,
)
from tillpost.submission.history import fold
from tillpost.submission.journal import (
    Event,
    Failed,
    Imported,
    Intended,
    Settled,
    SubmissionRequested,
    Submitted,
)

SETTINGS = OutboxSettings()
ORDER = lunch()
OVER = (OrderState.REJECTED, OrderState.CANCELLED, OrderState.MANUAL)
RANK = {
    OrderState.RECEIVED: 0,
    OrderState.ACCEPTED: 1,
    OrderState.REJECTED: 2,
    OrderState.CANCELLED: 2,
}
SENT: tuple[Event, ...] = (
    SubmissionRequested(1, "d"),
    Intended(2, Effect.CREATE, 0, "k", "b"),
    Settled(3, Applied.YES),
    Submitted(4, PosOrder(id="p1")),
)


def known(
    state: OrderState = OrderState.RECEIVED, progress: Progress = Progress.NEW, **more: Any
) -> KnownOrder:
    pos_order = (
        PosOrder(id="p1", reference="ord-1")
        if state not in (OrderState.DUE, OrderState.MANUAL)
        else None
    )
    facts: dict[str, Any] = {
        "id": "ord-1",
        "connection": "cafe",
        "state": state,
        "progress": progress,
        "code": "B42",
        "customer": "Mia",
        "added_at": 0.0,
        "eligible_at": 0.0,
        "due_at": None,
        "waits_for": WaitsFor.NOTHING,
        "updated_at": 0.0,
        "pos_order": pos_order,
        "order": ORDER,
        **more,
    }
    return KnownOrder(StoredOrder.model_construct(**facts), received_at=0.0)


def after(before: KnownOrder, change: Change) -> KnownOrder:
    """Return the order after a change was written."""
    v: Mapping[str, Any] = change.values
    facts: dict[str, Any] = {"state": OrderState(v["state"])} if "state" in v else {}
    facts |= {"progress": Progress(v["progress"])} if "progress" in v else {}
    if "pos_order" in v:
        facts["pos_order"] = (
            PosOrder.model_validate_json(v["pos_order"]) if v["pos_order"] else None
        )
    if "error" in v:
        facts["error"] = ErrorRecord.model_validate_json(v["error"]) if v["error"] else None
    stored = before.stored.model_copy(update=facts)
    return replace(before, stored=stored, confirmed_at=v.get("confirmed_at", before.confirmed_at))


seen = st.builds(
    PosOrder,
    id=st.just("p1"),
    reference=st.sampled_from(["", "ord-1"]),
    state=st.sampled_from(PosState),
    progress=st.sampled_from(Progress),
    total=st.sampled_from([None, ORDER.total]),
)


@given(
    start=st.sampled_from(OrderState),
    progress=st.sampled_from(Progress),
    statuses=st.lists(seen, max_size=12),
)
def test_no_sequence_of_statuses_moves_an_order_back(
    start: OrderState, progress: Progress, statuses: Sequence[PosOrder]
) -> None:
    now = known(start, progress)
    called: list[str] = []
    for number, pos_order in enumerate(statuses):
        before, change = now.stored, apply_status(now, pos_order, float(number), SETTINGS)
        now = after(now, change)
        stored = now.stored
        if before.state in (*OVER, OrderState.DUE, OrderState.SENDING):
            assert (stored.state, stored.progress) == (before.state, before.progress)
        if before.state in RANK:
            assert RANK[stored.state] >= RANK[before.state]
        if stored.progress is not before.progress:
            assert before.progress in steps_before(stored.progress)
        if stored.state is OrderState.ACCEPTED:
            assert now.confirmed_at is not None or start is OrderState.ACCEPTED
        if before.pos_order and stored.pos_order and stored.state in RANK:
            ranks = [RANK[OrderState(p.state.value)] for p in (before.pos_order, stored.pos_order)]
            assert ranks == sorted(ranks)
            assert (
                later_of(before.pos_order.progress, stored.pos_order.progress)
                == stored.pos_order.progress
            )
        changed = (stored.state, stored.progress) != (before.state, before.progress)
        hooks = [name for name, _ in change.hooks]
        assert ("order_status_changed" in hooks) is changed
        called += hooks
        assert not apply_status(now, pos_order, float(number), SETTINGS).hooks, (
            "repeated, it changes nothing"
        )
    assert called.count("order_rejected") <= 1
    assert (now.stored.state in (OrderState.REJECTED, OrderState.CANCELLED)) is (
        "order_rejected" in called or start in (OrderState.REJECTED, OrderState.CANCELLED)
    )


@given(
    statuses=st.lists(
        seen.filter(lambda pos_order: pos_order.state is PosState.RECEIVED), max_size=6
    )
)
def test_received_statuses_never_confirm_an_order(
    statuses: Sequence[PosOrder],
) -> None:
    now = known()
    for pos_order in statuses:
        now = after(now, apply_status(now, pos_order, 1.0, SETTINGS))
    assert now.stored.state is OrderState.RECEIVED
    assert now.confirmed_at is None


def test_accepted_state_advances_progress_but_never_back() -> None:
    pos_order = PosOrder(id="p1", state=PosState.ACCEPTED)
    assert (
        after(known(), apply_status(known(), pos_order, 1, SETTINGS)).stored.progress
        is Progress.ACCEPTED
    )
    moved = known(progress=Progress.READY)
    assert (
        after(moved, apply_status(moved, pos_order, 1, SETTINGS)).stored.progress is Progress.READY
    )


def test_notices_and_total_not_repeated_are_retained() -> None:
    first = PosOrder(id="p1", total=2881, notices=("the note was cut",))
    now = known(pos_order=first)
    pos_order = after(
        now, apply_status(now, PosOrder(id="p1", state=PosState.ACCEPTED), 1, SETTINGS)
    ).stored.pos_order
    assert pos_order
    assert (pos_order.total, pos_order.notices, pos_order.state) == (
        2881,
        ("the note was cut",),
        "accepted",
    )


def error(
    kind: str, outcome: Outcome = Outcome.NOT_CREATED, pos_order: PosOrder | None = None
) -> ErrorRecord:
    return ErrorRecord(kind=kind, detail="no", outcome=outcome, pos_order=pos_order)


CASES: list[tuple[str, KnownOrder, ErrorRecord, Sequence[Event], OrderState]] = [
    ("a menu error leads to an import", known(), error("MenuError"), SENT, OrderState.DUE),
    (
        "also after it was accepted",
        known(OrderState.ACCEPTED),
        error("MenuError"),
        SENT,
        OrderState.DUE,
    ),
    ("but not in doubt", known(), error("MenuError", Outcome.UNKNOWN), SENT, OrderState.ERROR),
    (
        "nor while the order exists",
        known(),
        error("MenuError", pos_order=PosOrder(id="p1")),
        SENT,
        OrderState.ERROR,
    ),
    (
        "nor twice",
        known(),
        error("MenuError"),
        (*SENT[:1], Imported(1, True), *SENT[1:]),
        OrderState.ERROR,
    ),
    (
        "nor once its content was erased",
        known(order=None),
        error("MenuError"),
        SENT,
        OrderState.ERROR,
    ),
    ("nor once its journal was pruned", known(), error("MenuError"), (), OrderState.ERROR),
    ("another error is left to a person", known(), error("TaxError"), SENT, OrderState.ERROR),
    ("so is an outage", known(), error("OutageError"), SENT, OrderState.ERROR),
    ("a due order stays due", known(OrderState.DUE), error("MenuError"), SENT, OrderState.DUE),
    (
        "an order keyed in by hand stays so",
        known(OrderState.MANUAL),
        error("MenuError"),
        SENT,
        OrderState.MANUAL,
    ),
    ("a rejection stays", known(OrderState.REJECTED), error("TaxError"), SENT, OrderState.REJECTED),
]


@pytest.mark.parametrize(
    ("now", "why", "journal", "ends"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_late_refusal_leads_to_expected_state(
    now: KnownOrder, why: ErrorRecord, journal: Sequence[Event], ends: OrderState
) -> None:
    change = apply_refusal(now, why, journal, 10.0, SETTINGS)
    assert after(now, change).stored.state is ends
    assert change.due is (ends is OrderState.DUE and now.stored.state is not OrderState.DUE)
    history = fold((*journal, *change.events))
    if change.due:
        assert (history.pos_order, history.generation, history.asked_at) == (None, 1, 10.0)
        assert change.events == (Failed(10.0, why, sends=0, menu_at=2),)
        assert change.values["new_request"] is False


def test_rejection_by_staff_ends_the_order() -> None:
    pos_order = PosOrder(id="p1", state=PosState.REJECTED, progress=Progress.CANCELLED)
    change = apply_refusal(
        known(), error("OrderError", Outcome.CREATED, pos_order), SENT, 1.0, SETTINGS
    )
    assert [name for name, _ in change.hooks] == ["order_status_changed", "order_rejected"]
    assert change.values["escalate_at"] == 1.0 + SETTINGS.escalate_after


@given(
    now=st.floats(0, 1e6),
    ago=st.floats(0, 1e5),
    due=st.none() | st.floats(0, 2e6),
    state=st.sampled_from(OrderState),
)
def test_polling_interval_is_bounded_and_polling_ends(
    now: float, ago: float, due: float | None, state: OrderState
) -> None:
    at = next_poll_at(state, Progress.NEW, now - ago, due, now)
    if state not in (OrderState.RECEIVED, OrderState.ACCEPTED):
        assert at is None
    if at is not None:
        assert at - now + 1e-6 >= 30
        assert at - now <= 300 + 1e-6
        assert at <= max(now - ago, due or 0) + POLL_FOR


def test_confirmation_is_expected_in_five_minutes() -> None:
    assert expected_by(1000.0, None, SETTINGS) == 1300.0
    assert expected_by(1000.0, 1200.0, SETTINGS) == 1300.0
    assert expected_by(1000.0, 10_000.0, SETTINGS) == 8500.0


def test_order_that_arrives_rejected_is_a_problem() -> None:
    pos_order = PosOrder(id="p1", state=PosState.REJECTED)
    values = arrival_columns(pos_order, ORDER, OrderState.REJECTED, 1.0, SETTINGS)
    assert (values["problem_at"], values["poll_at"], values["expected_at"]) == (1.0, None, None)
    accepted = arrival_columns(
        PosOrder(id="p1", state=PosState.ACCEPTED), ORDER, OrderState.ACCEPTED, 1.0, SETTINGS
    )
    assert (accepted["confirmed_at"], accepted["expected_at"]) == (1.0, None)
