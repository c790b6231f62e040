"""The steps of a diagnosis: those of the runbook, in its order, with nothing left to fill in."""

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
    """Build the facts of an order at Kounta."""
    values = {
        "connection": "cafe-42",
        "error": error.record() if error else None,
        "register_steps": steps,
        **more,
    }
    return Facts("ord_1", "Kounta", state, **values)  # type: ignore[arg-type]


def steps_of(known: Facts) -> tuple[Step, ...]:
    return diagnose(known).steps


def assert_in_order(steps: tuple[Step, ...], *texts: str) -> None:
    """Assert that each text is part of a step that comes after the step before it."""
    start = 0
    for text in texts:
        matches = [number for number, step in enumerate(steps[start:], start) if text in step.do]
        assert matches, f"{text!r} isn't in {[step.do for step in steps[start:]]}"
        start = matches[0] + 1


def test_failed_store_check_is_fixed_before_the_remedy() -> None:
    inactive = Finding(
        what="status", ok=False, text="Cafe is inactive", actor=Actor.STORE, reason=Reason.CLOSED
    )
    readiness = Readiness(findings=(inactive,))
    steps = steps_of(facts("error", error=SetupError("INVALID_LOCATION"), readiness=readiness))
    assert_in_order(steps, "accept it", "Cafe is inactive", "Send the order again")
    assert [step.who for step in steps[1:3]] == [Actor.STORE, Actor.DEVELOPER]


RECEIVED = facts("received", pos_order=PosOrder(id="1", reference="ord_1", status="SUBMITTED"))


def test_register_steps_follow_the_runbook() -> None:
    assert_in_order(
        steps_of(RECEIVED),
        "switched on, unlocked",
        "Open a web page",
        "Choose Sync",
        "accept the order",
        "support",
    )


def test_kounta_steps_sync_update_devices_then_lightspeed() -> None:
    steps = steps_of(facts("received", steps=Kounta.register_steps))
    assert_in_order(
        steps,
        "Choose Sync",
        "sync it while no sale is open",
        "update the Kounta app on every device",
        "Lightspeed",
        "accept",
    )
    assert any("websocket" in step.do for step in steps)


def test_square_steps_check_device_settings() -> None:
    assert_in_order(
        steps_of(facts("received", steps=Square.register_steps)),
        "Choose Sync",
        "location",
        "filters",
        "new online",
    )


def test_last_step_is_provider_support_with_the_export() -> None:
    for known in (
        RECEIVED,
        facts("error", error=MenuError("gone")),
        facts("due", waits_for="look"),
    ):
        last = steps_of(known)[-1]
        assert last.who is Actor.SUPPORT
        assert "tillpost orders export ord_1" in last.do


def test_refused_order_is_accepted_fixed_resubmitted_or_keyed_in() -> None:
    steps = steps_of(facts("error", error=MenuError("gone", reason="gone", subjects=("BLT",))))
    assert_in_order(
        steps,
        "Find the order",
        "BLT",
        "Send the order again",
        "without the register",
        "key in the order by hand",
        "support",
    )


def test_outage_is_reported_to_the_provider_at_once() -> None:
    steps = steps_of(
        facts("due", waits_for="retry", error=OutageError("503"), outage=Outage(began_at=1.0))
    )
    assert [step.who for step in steps[:2]] == [Actor.STORE, Actor.OPERATIONS]
    assert_in_order(
        steps, "Find the order", "Report the outage to Kounta at once", "key in the order by hand"
    )


@pytest.mark.parametrize("error", [PermissionsError("revoked", reason="withdrawn"), None])
def test_paused_connection_is_reconnected_by_another_admin(error: PosError | None) -> None:
    steps = steps_of(
        facts("due", waits_for="authorisation" if error else "", paused=True, error=error)
    )
    assert_in_order(
        steps, "Find the order", "tillpost reconnect cafe-42", "key in the order by hand", "support"
    )
    assert diagnose(facts("due", paused=True)).error == "PermissionsError"


def test_paused_connection_is_not_said_to_continue() -> None:
    waits = facts("due", due_at=1.0, now=0.0)
    assert any("continues automatically" in sentence for sentence in diagnose(waits).evidence)
    paused = facts("due", waits_for="authorisation", paused=True, due_at=1.0, now=0.0)
    assert not any("automatically" in sentence for sentence in diagnose(paused).evidence)


def test_rejected_order_is_refunded_then_closed() -> None:
    rejected = PosOrder(id="1", reference="ord_1", status="REJECTED", state=PosState.REJECTED)
    assert_in_order(
        steps_of(facts("rejected", pos_order=rejected)),
        "refund what was paid online",
        "tillpost orders cancel ord_1",
    )
    (only,) = steps_of(facts("received", live=rejected))
    assert "refund what was paid online" in only.do


def test_missing_docket_steps_follow_the_runbook() -> None:
    pos_order = PosOrder(id="1", reference="ord_1", status="ACCEPTED", state=PosState.ACCEPTED)
    steps = steps_of(facts("accepted", pos_order=pos_order))
    assert_in_order(
        steps,
        "routed to the kitchen's printer",
        "switched on, online",
        "scheduled",
        "to the front",
    )
    assert {step.who for step in steps} == {Actor.STORE}


@pytest.mark.parametrize(
    "state", ["due", "sending", "received", "accepted", "rejected", "error", "manual", "cancelled"]
)
def test_every_step_is_numbered_and_filled_in(state: str) -> None:
    errors = (
        None,
        MenuError("{brace}", subjects=("a {dish}",)),
        OutageError("x"),
        PermissionsError("y"),
    )
    for error in errors:
        steps = steps_of(facts(state, error=error, steps=Kounta.register_steps))
        assert [step.number for step in steps] == list(range(1, len(steps) + 1))
        for step in steps:
            assert "{platform}" not in step.do + step.see
            assert "{order}" not in step.do + step.see
