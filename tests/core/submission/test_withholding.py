"""What a platform refuses of an order that can do without it, and a time that has passed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, ClassVar, Literal

import pytest

from core import stand_in
from core.stand_in import (
    LOST,
    Keyed,
    Keyless,
    Made,
    Platform,
    Run,
    StandInSettings,
    fail_on,
    refusal,
)
from tillpost import OrderError, OutageError, Outcome, Policy, PosOrder
from tillpost.adapter.base import Attempt, Row
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
from tillpost.models.docket import docket
from tillpost.models.order import (
    Address,
    Curbside,
    Customer,
    Delivery,
    DineIn,
    Draft,
    Fulfilment,
    Order,
    Pickup,
)
from tillpost.submission.journal import Intended
from tillpost.submission.withholding import OPTIONAL_FIELDS, has_field, without

PHONE_ROW = Row(OrderError, codes=frozenset({"PHONE"}), order_field="customer.phone")
TIME_ROW = Row(OrderError, codes=frozenset({"TIME"}), reason="late", order_field="due_at")


class Contacts(Keyed):
    """Sends the customer's phone number and when the order is due, with the remarks."""

    errors: ClassVar[tuple[Row, ...]] = (PHONE_ROW, TIME_ROW, *Keyed.errors)

    def submit(self, order: Order, attempt: Attempt) -> Exchange[PosOrder]:
        key = f"{order.id}-{attempt.generation}" if self.keyed else None
        body = to_body(
            key=key,
            ref=order.id,
            items=[line.item_id for line in order.lines],
            counts=[line.quantity for line in order.lines],
            phone=order.customer.phone if order.customer else "",
            due=order.due_at.isoformat() if order.due_at else "",
            remarks=attempt.remarks,
        )
        made = yield from ask(Request("POST", "/orders", reading(Made), body, Effect.CREATE, key))
        return (yield from self.finish(order, Draft(id=made.id, total=made.total)))


class KeylessContacts(Contacts, Keyless):
    """The same without keys, in one call."""

    platform = "keyless"
    title = "Keyless"
    keyed = False


@pytest.fixture(params=[Contacts, KeylessContacts])
def run(request: pytest.FixtureRequest) -> Run:
    adapter: Keyed = request.param(StandInSettings())
    return Run(Platform(needs_payment=adapter.keyed), adapter=adapter)


def order_due(run: Run, seconds: float | None) -> Order:
    """Return an order with a phone number, due some seconds after the run's clock."""
    due_at = None
    if seconds is not None:
        due_at = datetime.fromtimestamp(run.now, UTC) + timedelta(seconds=seconds)
    customer = Customer(name="Mia", phone="+61400111222", email="mia@example.com")
    update = {"customer": customer, "fulfilment": Pickup(due_at=due_at)}
    return stand_in.an_order().model_copy(update=update)


def bodies(run: Run) -> Sequence[str]:
    return [request.body.decode() for request in run.requests if request.path == "/orders"]


def refuses(part: bytes, code: str) -> stand_in.Failing:
    """Refuse each create that has this in its body."""

    def failing(request: Request[Any], _: int) -> tuple[str, Response | Fault] | None:
        is_refused = request.path == "/orders" and part in request.body
        return ("before", refusal(400, code)) if is_refused else None

    return failing


def test_refused_phone_number_goes_into_the_note(run: Run) -> None:
    run.failing = refuses(b'"phone":"+61', "PHONE")
    there = run.submit(order_due(run, None))
    refused, sent = bodies(run)
    assert '"phone":""' in sent
    assert "Phone: +61400111222" in sent
    assert "Phone: " not in refused
    assert any("phone number is in the note" in notice for notice in there.notices)
    assert len(run.platform.shown("ord_1")) == 1


def test_refused_field_that_stays_refused_stops(run: Run) -> None:
    run.failing = refuses(b"", "PHONE")
    error = run.attempt(order_due(run, None))
    assert isinstance(error, OrderError)
    assert (error.outcome, len(bodies(run))) == (Outcome.NOT_CREATED, 2)


@pytest.mark.parametrize("code", ["PHONE", "TIME"])
def test_refusal_of_a_field_the_order_lacks_is_not_sent_again(run: Run, code: str) -> None:
    run.failing = refuses(b"", code)
    order = order_due(run, None).model_copy(update={"customer": None})
    error = run.attempt(order)
    assert isinstance(error, OrderError)
    assert (error.outcome, error.detail, error.reason) == (Outcome.NOT_CREATED, code, "")
    assert len(bodies(run)) == 1


def test_time_that_was_not_sent_is_no_reason_of_a_refusal(run: Run) -> None:
    """It had passed, so the order was sent as one that is due as soon as possible."""
    run.failing = refuses(b"", "TIME")
    error = run.attempt(order_due(run, -60))
    assert isinstance(error, OrderError)
    assert (error.reason, len(bodies(run))) == ("", 1)


def test_adapter_that_sends_something_else_without_a_field_is_tried(run: Run) -> None:
    """Its platform requires a phone number, so it has sent another one."""

    class Substitute(Contacts):
        def submit(self, order: Order, attempt: Attempt) -> Exchange[PosOrder]:
            remarks = ("no number", *attempt.remarks) if attempt.withheld else attempt.remarks
            return (yield from super().submit(order, replace(attempt, remarks=remarks)))

    own = Run(Platform(needs_payment=True), adapter=Substitute(StandInSettings()))
    own.failing = refuses(b'"remarks":[]', "PHONE")
    order = order_due(own, None).model_copy(update={"customer": None})
    assert own.submit(order).id
    assert len(bodies(own)) == 2


def test_phone_number_is_not_sent_again_in_the_next_request(run: Run) -> None:
    run.failing = refuses(b"", "PHONE")
    order = order_due(run, None)
    run.attempt(order)
    run.failing = lambda _request, _number: None
    assert isinstance(run.attempt(order), PosOrder)
    assert '"phone":""' in bodies(run)[-1]


def test_other_content_may_have_a_phone_number_again(run: Run) -> None:
    run.failing = refuses(b"", "PHONE")
    order = order_due(run, None)
    run.attempt(order)
    run.failing = lambda _request, _number: None
    customer = Customer(name="Mia", phone="0412345678")
    assert isinstance(run.attempt(order.model_copy(update={"customer": customer})), PosOrder)
    assert '"phone":"0412345678"' in bodies(run)[-1]


def test_field_refused_after_a_lost_answer_is_looked_up_first(run: Run) -> None:
    """The first send may have worked: nothing else is sent before that is known."""
    planned: list[tuple[str, Response | Fault]]
    planned = [("after", LOST), ("before", refusal(400, "PHONE"))]
    answers = iter(planned)

    def failing(request: Request[Any], _: int) -> tuple[str, Response | Fault] | None:
        return next(answers, None) if request.path == "/orders" else None

    run.failing = failing
    there = run.submit(order_due(run, None), is_new=True)
    assert there.id == "o1"
    assert len(run.platform.shown("ord_1")) == 1


@pytest.mark.parametrize("seconds", [-3600, 0, 30])
def test_time_that_has_passed_becomes_as_soon_as_possible(run: Run, seconds: float) -> None:
    order = order_due(run, seconds)
    there = run.submit(order)
    (sent,) = bodies(run)
    assert '"due":""' in sent
    assert "as soon as possible" in sent
    assert any("as soon as possible" in notice for notice in there.notices)


def test_time_is_judged_by_the_platforms_clock(run: Run) -> None:
    """Our clock is an hour ahead."""
    an_hour_ago = datetime.fromtimestamp(run.now - 3600, UTC)
    answer = Response(200, {"date": format_datetime(an_hour_ago)}, b"")
    run.connection.platform_clock.observe(answer, run.now, "cafe")
    run.submit(order_due(run, -1800))
    assert '"due":"1969' in bodies(run)[0]


def test_time_to_come_is_sent(run: Run) -> None:
    there = run.submit(order_due(run, 3600))
    assert '"due":"1970' in bodies(run)[0]
    assert there.notices == ()


def test_time_that_is_refused_becomes_as_soon_as_possible(run: Run) -> None:
    run.failing = refuses(b'"due":"1970', "TIME")
    there = run.submit(order_due(run, 3600))
    assert '"due":""' in bodies(run)[-1]
    assert any("as soon as possible" in notice for notice in there.notices)


@pytest.mark.parametrize("past_due", ["as_soon_as_possible", "refuse"])
def test_refused_time_far_ahead_is_not_cooked_now(
    run: Run, past_due: Literal["as_soon_as_possible", "refuse"]
) -> None:
    run.connection.policy = Policy(past_due=past_due)
    run.failing = refuses(b'"due":"1970', "TIME")
    order = order_due(run, 21 * 24 * 3600)
    error = run.attempt(order)
    assert isinstance(error, OrderError)
    assert (error.reason, error.outcome, len(bodies(run))) == ("early", Outcome.NOT_CREATED, 1)
    assert "nearer to its time" in error.remedy.manager
    assert "mustn't be prepared now" in error.remedy.manager
    assert "lead" in error.remedy.developer

    run.now += 20 * 24 * 3600
    run.failing = lambda _request, _number: None
    assert isinstance(run.attempt(order), PosOrder)
    assert '"due":"1970' in bodies(run)[-1]


def test_policy_may_refuse_a_time_that_has_passed(run: Run) -> None:
    run.connection.policy = Policy(past_due="refuse")
    error = run.attempt(order_due(run, -60))
    assert isinstance(error, OrderError)
    assert error.reason == "late"
    assert "another time" in error.remedy.manager
    assert bodies(run) == []


def test_policy_may_refuse_a_time_that_the_platform_refuses(run: Run) -> None:
    run.connection.policy = Policy(past_due="refuse")
    run.failing = refuses(b"", "TIME")
    error = run.attempt(order_due(run, 3600))
    assert isinstance(error, OrderError)
    assert (error.code, len(bodies(run))) == ("TIME", 1)


@pytest.mark.parametrize("adapter", [Contacts, KeylessContacts])
def test_time_that_passes_while_in_doubt_changes_no_body(adapter: type[Keyed]) -> None:
    policy = Policy(retries=3, retry_seconds=9000, first_wait=60, longest_wait=60)
    run = Run(Platform(needs_payment=adapter.keyed), adapter(StandInSettings()), policy)
    run.failing = fail_on("/orders", ("before", LOST), ("before", LOST))
    order = order_due(run, 90)
    there = run.submit(order, is_new=True)
    assert there.id == "o1"
    sent = bodies(run)
    if adapter.keyed:
        assert len(set(sent)) == 1
    else:
        # Each was proved absent before the next, so the last may be for as soon as possible.
        assert '"due":"1970' in sent[0]


def test_time_that_passes_before_sending_is_judged_anew(run: Run) -> None:
    refused = Fault(stand_in.REFUSED.applied, "no connection")
    run.connection.policy = Policy(retries=5, first_wait=120, longest_wait=120, retry_seconds=9000)
    run.failing = fail_on("/orders", ("before", refused), ("before", refused))
    run.submit(order_due(run, 90), is_new=True)
    assert '"due":"1970' in bodies(run)[0]
    assert '"due":""' in bodies(run)[-1]


def test_what_was_withheld_is_recorded_with_the_intent(run: Run) -> None:
    outage = fail_on("/", *[("before", LOST)] * 9)
    run.failing = outage
    assert isinstance(run.attempt(order_due(run, -60), is_new=True), OutageError)
    (intent,) = [e for e in run.journal.read("ord_1") if isinstance(e, Intended)][:1]
    assert intent.withheld == ("due_at",)
    assert "as soon as possible" in intent.notices[0]


def test_finished_draft_keeps_the_notices_of_its_create() -> None:
    run = Run(Platform(), Contacts(StandInSettings()))
    run.failing = fail_on("/pay", ("before", stand_in.BROKEN))
    there = run.submit(order_due(run, -60))
    assert any("as soon as possible" in notice for notice in there.notices)


def test_withheld_customer_keeps_the_name() -> None:
    run = Run(Platform())
    withheld = without(order_due(run, None), {"customer"}, "Kounta")
    assert withheld.order.customer == Customer(name="Mia")
    assert withheld.remarks == ("Phone: +61400111222", "Email: mia@example.com")


def test_nothing_is_withheld_of_an_order_without_it() -> None:
    order = stand_in.an_order()
    withheld = without(order, {"customer.phone", "due_at"}, "Square")
    assert withheld == (order, (), ())


ADDRESS = Address(
    line1="1 High St", line2="Flat 2", city="Leeds", region="Yorks", postcode="ABC", country="GB"
)
HANDOVERS: list[tuple[str, Fulfilment, Fulfilment, str]] = [
    (
        "fulfilment.address.postcode",
        Delivery(address=ADDRESS),
        Delivery(address=ADDRESS.model_copy(update={"postcode": ""})),
        "Postcode: ABC",
    ),
    (
        "fulfilment.address.country",
        Delivery(address=ADDRESS),
        Delivery(address=ADDRESS.model_copy(update={"country": None})),
        "Country: GB",
    ),
    (
        "fulfilment.address",
        Delivery(address=ADDRESS),
        Pickup(),
        "DELIVER TO: 1 High St, Flat 2, Leeds Yorks ABC, GB",
    ),
    (
        "fulfilment.instructions",
        Delivery(address=ADDRESS, instructions="Ring twice"),
        Delivery(address=ADDRESS),
        "For the courier: Ring twice",
    ),
    ("fulfilment.guests", DineIn(table="5", guests=120), DineIn(table="5"), "GUESTS: 120"),
    ("fulfilment.table", DineIn(table="5"), Pickup(), "TABLE: 5"),
    ("fulfilment.curbside", Pickup(curbside=Curbside(details="red")), Pickup(), "CURBSIDE: red"),
]


@pytest.mark.parametrize(("field", "fulfilment", "sent", "remark"), HANDOVERS)
def test_refused_part_of_the_handover_goes_into_the_note(
    field: str, fulfilment: Fulfilment, sent: Fulfilment, remark: str
) -> None:
    order = stand_in.an_order().model_copy(update={"fulfilment": fulfilment})
    withheld = without(order, [field], "Square")
    assert withheld.order.fulfilment == sent
    assert withheld.remarks == (remark,)
    assert len(withheld.notices) == 1
    assert not has_field(withheld.order, field)


def test_order_that_goes_as_a_pickup_keeps_all_texts() -> None:
    due_at = datetime(2026, 12, 1, tzinfo=UTC)
    delivery = Delivery(address=ADDRESS, instructions="Ring twice", due_at=due_at)
    order = stand_in.an_order().model_copy(update={"fulfilment": delivery})
    withheld = without(order, ["fulfilment.address", "fulfilment.address.city"], "Square")
    assert withheld.order.fulfilment == Pickup(due_at=due_at)
    assert withheld.remarks[0].startswith("DELIVER TO: 1 High St")
    assert withheld.remarks[1:] == ("For the courier: Ring twice",)
    seated = order.model_copy(update={"fulfilment": DineIn(table="5", guests=3)})
    assert without(seated, ["fulfilment.table"], "Square").remarks == ("TABLE: 5", "GUESTS: 3")


def test_refused_name_is_replaced_by_the_orders_code(run: Run) -> None:
    order = order_due(run, None)
    withheld = without(order, {"customer.name"}, "Square")
    assert withheld.order.customer is not None
    assert withheld.order.customer.name == order.code
    assert withheld.remarks == ("Name: Mia",)


@pytest.mark.parametrize("field", sorted(OPTIONAL_FIELDS))
def test_no_optional_field_is_missed_in_an_order_without_it(field: str) -> None:
    order = stand_in.an_order()
    assert not has_field(order, field)
    assert without(order, [field], "Square") == (order, (), ())


@pytest.mark.parametrize(
    ("due_at", "words"),
    [
        ("2026-11-27T20:42:00Z", "Fri 27 Nov 2026 20:42 UTC"),
        ("2026-11-28T06:42:00+10:00", "Sat 28 Nov 2026 06:42 +10:00"),
        ("2020-01-01T00:00:00-03:30", "Wed 01 Jan 2020 00:00 -03:30"),
    ],
)
def test_withheld_time_has_its_year_and_zone(due_at: str, words: str) -> None:
    pickup = Pickup.model_validate({"due_at": due_at})
    order = stand_in.an_order().model_copy(update={"fulfilment": pickup})
    withheld = without(order, {"due_at"}, "Square")
    assert words in withheld.remarks[0]
    assert words in withheld.notices[0]
    assert words in docket(order, platform="Square")
