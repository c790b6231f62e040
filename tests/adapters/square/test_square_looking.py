"""Finding, fetching and cancelling at Square, and what proves that the register has it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from adapters.square.bench import (
    Bench,
    an_order,
    checked_bench,
    drive,
    json_response,
    plain_order,
    refused,
    scripted,
)
from tillpost.adapter.base import Attempt
from tillpost.adapter.exchange import Fault
from tillpost.errors import Applied, OrderError, OutageError, PosError, UnknownPosError
from tillpost.models.order import Draft, PosOrder, PosState, Progress
from tillpost_simulators.square import WorldSettings
from tillpost_square.status import pos_order
from tillpost_square.wire import SquareOrder


@pytest.fixture
def bench() -> Bench:
    return checked_bench()


def submit(bench: Bench, **changes: Any) -> PosOrder:
    order = plain_order(**changes)
    return bench.run(bench.adapter.submit(order, Attempt()), order)


def leave_half_done(bench: Bench, attempt: Attempt | None = None, **changes: Any) -> None:
    order = plain_order(**changes)
    bench.spoil = lambda request, carry_out: (
        Fault(Applied.NO, "refused") if request.path == "/v2/payments" else carry_out()
    )
    with pytest.raises(OutageError):
        bench.run(bench.adapter.submit(order, attempt or Attempt()), order)
    bench.spoil = None


def find(bench: Bench, since: float | None = None) -> PosOrder | Draft | None:
    return bench.run(bench.adapter.find(plain_order(), since), plain_order())


def test_a_paid_order_is_found_by_its_exact_reference(bench: Bench) -> None:
    submit(bench, id=plain_order().id + "-2")
    assert find(bench) is None

    made = submit(bench)
    found = find(bench)
    assert isinstance(found, PosOrder)
    assert (found.id, found.reference, found.total) == (made.id, plain_order().id, 1450)


def test_an_unpaid_order_is_found_as_a_draft_which_finish_pays(bench: Bench) -> None:
    leave_half_done(bench)

    draft = find(bench)

    assert isinstance(draft, Draft)
    assert (draft.total, draft.version) == (1450, 1)
    done = bench.run(bench.adapter.finish(plain_order(), draft), plain_order())
    assert (done.id, bench.simulator.ledger().half_done) == (draft.id, ())


def test_finished_order_has_no_notices_of_another_attempt() -> None:
    """It went as a pickup, so it has no substitute for a phone number."""
    bench = Bench(delivery_as_pickup=False)
    delivery = {"type": "delivery", "address": {"line1": "1 Wattle St"}}
    known: dict[str, Any] = {"fulfilment": delivery, "customer": {"name": "Mia Chen"}}
    leave_half_done(bench, Attempt(withheld=frozenset({"customer.phone"})), **known)
    (unpaid,) = bench.simulator.ledger().half_done
    order = plain_order(**known)
    finishing = bench.adapter.finish(order, Draft(id=unpaid.order_id, total=1450))
    assert bench.run(finishing, order).notices == ()


def test_an_order_that_was_undone_is_not_found(bench: Bench) -> None:
    bench.simulator.change_price("5312", 1500)
    with pytest.raises(PosError):
        submit(bench)

    assert find(bench) is None


def test_paid_order_is_preferred_to_unpaid_in_any_sequence(bench: Bench) -> None:
    made = submit(bench)
    order = plain_order()
    bench.spoil = lambda request, carry_out: (
        Fault(Applied.NO, "refused") if request.path == "/v2/payments" else carry_out()
    )
    with pytest.raises(OutageError):
        bench.run(bench.adapter.submit(order, Attempt(generation=1)), order)

    found = find(bench)
    assert isinstance(found, PosOrder)
    assert found.id == made.id


def test_an_order_on_a_later_page_is_found() -> None:
    bench = Bench(WorldSettings(orders_page_size=2))
    submit(bench)
    for other in range(5):
        submit(bench, id=f"other-{other}")

    assert isinstance(find(bench), PosOrder)
    assert bench.paths().count("POST /v2/orders/search") == 3


def test_cancelled_paid_order_is_found_and_not_sent_again() -> None:
    bench = Bench()
    order_json = {
        "id": "SQ1",
        "state": "CANCELED",
        "reference_id": plain_order().id,
        "tenders": [{"type": "OTHER", "amount_money": {"amount": 1450}}],
    }

    found = drive(
        bench.adapter,
        bench.adapter.find(plain_order(), None),
        scripted(json_response({"orders": [order_json]})),
        None,
    )

    assert isinstance(found, PosOrder)
    assert found.state is PosState.CANCELLED


def test_an_order_in_the_page_that_has_no_total_hides_no_other() -> None:
    bench = Bench()
    orders = [
        {"id": "RETURN", "total_money": None, "tenders": None},
        {"id": "SQ1", "state": "OPEN", "reference_id": plain_order().id},
    ]

    found = drive(
        bench.adapter,
        bench.adapter.find(plain_order(), None),
        scripted(json_response({"orders": orders})),
        None,
    )

    assert found == Draft(id="SQ1", total=-1, version=1)


def test_search_starts_early_sorts_by_its_filter_in_any_state(
    bench: Bench,
) -> None:
    find(bench, since=datetime(2026, 11, 23, 2, tzinfo=UTC).timestamp())

    (body,) = bench.bodies("/v2/orders/search")
    assert body["query"]["filter"] == {
        "date_time_filter": {"created_at": {"start_at": "2026-11-23T01:00:00+00:00"}}
    }
    assert body["query"]["sort"]["sort_field"] == "CREATED_AT"


def test_the_search_does_not_trust_a_clock_that_is_ahead() -> None:
    bench = checked_bench()
    submit(bench)
    in_two_days = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    ahead = plain_order(placed_at=in_two_days)

    assert bench.run(bench.adapter.find(ahead, None), ahead) is not None


def test_a_search_that_never_ends_is_given_up() -> None:
    bench = Bench()
    exchange = bench.adapter.find(plain_order(), None)

    with pytest.raises(OutageError, match="doesn't end"):
        drive(
            bench.adapter,
            exchange,
            lambda _: json_response({"orders": [], "cursor": "again"}),
            None,
        )


def test_an_order_is_received_until_staff_show_that_they_have_it(bench: Bench) -> None:
    made = submit(bench)

    def now() -> tuple[PosState, Progress, str]:
        seen = bench.run(bench.adapter.fetch(made.id))
        return seen.state, seen.progress, seen.status

    assert now() == (PosState.RECEIVED, Progress.NEW, "PROPOSED")
    bench.simulator.staff_accept(made.id)
    assert now() == (PosState.ACCEPTED, Progress.PREPARING, "RESERVED")
    bench.simulator.staff_prepare(made.id)
    assert now() == (PosState.ACCEPTED, Progress.READY, "PREPARED")
    bench.simulator.staff_complete(made.id)
    assert now() == (PosState.ACCEPTED, Progress.COMPLETED, "COMPLETED")


@pytest.mark.parametrize("state", ["FAILED", "CANCELED"])
def test_order_that_staff_refused_is_rejected(bench: Bench, state: Any) -> None:
    made = submit(bench)
    bench.simulator.staff_reject(made.id, state)

    seen = bench.run(bench.adapter.fetch(made.id))

    assert (seen.state, seen.progress) == (PosState.REJECTED, Progress.CANCELLED)


def test_stamped_pickup_is_accepted_although_its_state_is_old() -> None:
    stamped = {"state": "PROPOSED", "pickup_details": {"accepted_at": "2026-11-23T01:00:00Z"}}

    seen = pos_order(
        SquareOrder.model_validate({"id": "SQ1", "state": "OPEN", "fulfillments": [stamped]})
    )

    assert (seen.state, seen.progress, seen.total) == (PosState.ACCEPTED, Progress.ACCEPTED, None)


def test_slowest_of_several_fulfilments_is_the_progress() -> None:
    states = [{"state": "COMPLETED"}, {"state": "RESERVED"}, {"state": "CANCELED"}]

    seen = pos_order(
        SquareOrder.model_validate({"id": "SQ1", "state": "OPEN", "fulfillments": states})
    )

    assert (seen.progress, seen.status) == (Progress.PREPARING, "OPEN")


def test_a_total_includes_the_tip_of_the_payment(bench: Bench) -> None:
    order = an_order()
    made = bench.run(bench.adapter.submit(order, Attempt()), order)

    assert bench.run(bench.adapter.fetch(made.id)).total == 2881


def test_an_unpaid_order_is_cancelled_with_its_fulfilments(bench: Bench) -> None:
    leave_half_done(bench)
    (entry,) = bench.simulator.ledger().entries

    cancelled = bench.run(bench.adapter.cancel(entry.order_id))

    assert cancelled.state is PosState.CANCELLED
    assert bench.simulator.ledger().entries[0].cancelled
    assert bench.run(bench.adapter.cancel(entry.order_id)).state is PosState.CANCELLED


def test_of_a_paid_order_only_the_fulfilments_are_cancelled(bench: Bench) -> None:
    made = submit(bench)

    cancelled = bench.run(bench.adapter.cancel(made.id))

    assert (cancelled.state, cancelled.progress) == (PosState.CANCELLED, Progress.CANCELLED)
    assert "state" not in json.loads(bench.sent[-1].body)["order"]
    assert bench.simulator.ledger().entries[0].fulfilment_state == "CANCELED"


def test_an_order_that_is_handed_over_cannot_be_cancelled(bench: Bench) -> None:
    made = submit(bench)
    bench.simulator.staff_complete(made.id)

    with pytest.raises(OrderError, match="refund"):
        bench.run(bench.adapter.cancel(made.id))


def test_cancellation_without_effect_is_not_trusted() -> None:
    bench = Bench()
    still = json_response(
        {
            "order": {
                "id": "SQ1",
                "state": "OPEN",
                "total_money": {"amount": 1},
                "fulfillments": [{"state": "PROPOSED"}],
            }
        }
    )

    with pytest.raises(OutageError):
        drive(bench.adapter, bench.adapter.cancel("SQ1"), scripted(still, still), None)


def test_an_id_cannot_leave_its_place_in_the_path() -> None:
    bench = Bench()
    seen: list[str] = []

    def answer(request: Any) -> Any:
        seen.append(request.path)
        return refused("NOT_FOUND", "Order not found.", "order_id", 404)

    with pytest.raises(OrderError):
        drive(bench.adapter, bench.adapter.fetch("catalog/list?x=1"), answer, None)
    assert seen == ["/v2/orders/catalog%2Flist%3Fx%3D1"]
    with pytest.raises(UnknownPosError, match="can't be part of an address"):
        drive(bench.adapter, bench.adapter.fetch("../catalog/list?x=1"), answer, None)
    assert len(seen) == 1
