"""The steps are the runbook's, in its order: who does each, and that nothing is left to be filled in."""

from __future__ import annotations

import pytest

from tillpost.adapter.readiness import Finding, Readiness, Reason
from tillpost.errors import MenuError, OutageError, PermissionsError, PosError, SetupError
from tillpost.errors.remedies import Actor, StepText
from tillpost.models.order import PosOrder, PosState
from tillpost.models.outage import Outage
from tillpost.support.diagnosis import Facts, diagnose
from tillpost.support.runbook import Step
from tillpost_kounta.adapter import Kounta
from tillpost_square.adapter import Square


def facts(
    state: str, *, error: PosError | None = None, steps: tuple[StepText, ...] = (), **more: object
) -> Facts:
    known = {
        "connection": "cafe-42",
        "error": error.record() if error else None,
        "register_steps": steps,
        **more,
    }
    return Facts("ord_1", "Kounta", state, **known)  # type: ignore[arg-type]


def steps_of(known: Facts) -> tuple[Step, ...]:
    return diagnose(known).steps


def follow(steps: tuple[Step, ...], *beginnings: str) -> None:
    """See that these texts come in the steps, in this order."""
    at = 0
    for beginning in beginnings:
        found = [number for number, step in enumerate(steps[at:], at) if beginning in step.do]
        assert found, f"{beginning!r} isn't in {[step.do for step in steps[at:]]}"
        at = found[0] + 1


def test_what_a_check_of_the_store_finds_is_mended_before_a_developer_is_asked() -> None:
    inactive = Finding(
        what="status", ok=False, text="Cafe is inactive", actor=Actor.STORE, reason=Reason.CLOSED
    )
    steps = steps_of(
        facts(
            "error", error=SetupError("INVALID_LOCATION"), readiness=Readiness(findings=(inactive,))
        )
    )
    follow(steps, "accept it", "Cafe is inactive", "Send it again")
    assert [step.who for step in steps[1:3]] == [Actor.STORE, Actor.DEVELOPER]


RECEIVED = facts("received", pos_order=PosOrder(id="1", reference="ord_1", status="SUBMITTED"))


def test_at_the_register_the_steps_come_in_the_runbooks_order() -> None:
    follow(
        steps_of(RECEIVED),
        "switched on, unlocked",
        "Open a web page",
        "Choose Sync",
        "accept the order",
        "support",
    )


def test_kountas_steps_force_a_sync_then_update_every_device_then_ask_lightspeed() -> None:
    steps = steps_of(facts("received", steps=Kounta.register_steps))
    follow(
        steps,
        "Choose Sync",
        "Force a sync",
        "update the Kounta app on every device",
        "Lightspeed",
        "accept",
    )
    assert any("websocket" in step.do for step in steps)


def test_squares_steps_look_at_the_devices_settings() -> None:
    follow(
        steps_of(facts("received", steps=Square.register_steps)),
        "Choose Sync",
        "location",
        "filters",
        "new online",
    )


def test_the_last_step_is_the_providers_support_with_the_export() -> None:
    for known in (
        RECEIVED,
        facts("error", error=MenuError("gone")),
        facts("due", waits_for="look"),
    ):
        last = steps_of(known)[-1]
        assert last.who is Actor.SUPPORT
        assert "tillpost orders export ord_1" in last.do


def test_a_refused_order_is_accepted_mended_sent_again_and_else_keyed_in_as_paid() -> None:
    steps = steps_of(facts("error", error=MenuError("gone", reason="gone", subjects=("BLT",))))
    follow(
        steps,
        "Find the order",
        "BLT",
        "Send it again",
        "without the register",
        "as PAID",
        "support",
    )


def test_of_an_outage_operations_tell_the_provider_at_once() -> None:
    steps = steps_of(
        facts("due", waits_for="retry", error=OutageError("503"), outage=Outage(began_at=1.0))
    )
    assert [step.who for step in steps[:2]] == [Actor.STORE, Actor.OPERATIONS]
    follow(steps, "Find the order", "Tell Kounta at once", "as PAID")


@pytest.mark.parametrize("error", [PermissionsError("revoked", reason="withdrawn"), None])
def test_a_paused_connection_is_connected_again_by_another_admin(error: PosError | None) -> None:
    steps = steps_of(
        facts("due", waits_for="authorisation" if error else "", paused=True, error=error)
    )
    follow(steps, "Find the order", "tillpost reconnect cafe-42", "as PAID", "support")
    assert diagnose(facts("due", paused=True)).error == "PermissionsError"


def test_nothing_is_said_to_go_on_by_itself_while_its_connection_is_paused() -> None:
    waits = facts("due", due_at=1.0, now=0.0)
    assert any("goes on by itself" in said for said in diagnose(waits).evidence)
    paused = facts("due", waits_for="authorisation", paused=True, due_at=1.0, now=0.0)
    assert not any("by itself" in said for said in diagnose(paused).evidence)


def test_an_order_that_staff_turned_down_is_paid_back_and_then_closed_once_the_outbox_knows() -> (
    None
):
    said_no = PosOrder(id="1", reference="ord_1", status="REJECTED", state=PosState.REJECTED)
    follow(
        steps_of(facts("rejected", pos_order=said_no)),
        "pay the money back",
        "tillpost orders cancel ord_1",
    )
    (only,) = steps_of(facts("received", live=said_no))
    assert "pay the money back" in only.do


def test_without_a_docket_the_kitchens_steps_are_routing_printer_schedule_and_app() -> None:
    there = PosOrder(id="1", reference="ord_1", status="ACCEPTED", state=PosState.ACCEPTED)
    steps = steps_of(facts("accepted", pos_order=there))
    follow(
        steps, "routed to the kitchen's printer", "switched on, online", "scheduled", "to the front"
    )
    assert {step.who for step in steps} == {Actor.STORE}


@pytest.mark.parametrize(
    "state", ["due", "sending", "received", "accepted", "rejected", "error", "manual", "cancelled"]
)
def test_whatever_is_known_every_step_is_numbered_and_filled_in(state: str) -> None:
    for error in (
        None,
        MenuError("{brace}", subjects=("a {dish}",)),
        OutageError("x"),
        PermissionsError("y"),
    ):
        for number, step in enumerate(
            steps_of(facts(state, error=error, steps=Kounta.register_steps)), 1
        ):
            assert step.number == number
            assert "{platform}" not in step.do + step.see
            assert "{order}" not in step.do + step.see
