"""`tillpost submit`: its output for people and programs, on success and on failure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.cli.conftest import Command, write_config
from tillpost import Till
from tillpost.simulator import Fault, FaultKind, FaultPlan, FaultRule, Running
from tillpost_simulators.square import SquareSimulator

Store = Running[SquareSimulator]


def test_success_is_printed_for_people(tillpost: Command, store: Store, lunch: str) -> None:
    result = tillpost("submit", lunch)
    assert result.code == 0
    assert result.err == ""
    assert "Order B42 is at the POS" in result.out
    assert "28.81 AUD" in result.out
    assert "received by the platform; not yet confirmed by the register" in result.out
    assert [entry.total for entry in store.simulator.ledger().shown] == [2881]


def test_success_is_printed_as_json(tillpost: Command, store: Store, lunch: str) -> None:
    result = tillpost("submit", lunch, "--json", "--connection", "cafe")
    assert result.code == 0
    assert result.json["ok"] is True
    assert result.json["connection"] == "cafe"
    assert result.json["menu_imported"] is False
    assert result.json["pos_order"]["reference"] == "ord_01JD7Q3W8YB3T6"
    assert result.json["pos_order"]["total"] == 2881


def test_order_is_read_from_standard_input(tillpost: Command, store: Store, lunch: str) -> None:
    assert tillpost("submit", "-", "--new", input=Path(lunch).read_bytes()).code == 0
    assert len(store.simulator.ledger().shown) == 1


def test_same_order_twice_is_on_the_register_once(
    tillpost: Command, store: Store, lunch: str
) -> None:
    for _ in range(2):
        assert tillpost("submit", lunch).code == 0
    assert len(store.simulator.ledger().entries) == 1


def test_reimport_of_a_stale_menu_is_reported(tillpost: Command, store: Store, lunch: str) -> None:
    store.simulator.recreate_variation("5312")
    result = tillpost("submit", lunch)
    assert result.code == 0
    assert "the menu was stale; it was re-imported, and the order was matched to it" in result.out


def fail_posts(kind: FaultKind, **more: int) -> Callable[[SquareSimulator], None]:
    """Return a function that makes all POST requests fail."""
    fault = Fault.model_validate({"kind": kind, **more})
    rule = FaultRule(method="POST", fault=fault, times=None)
    plan = FaultPlan(rules=(rule,))
    return lambda square: square.set_faults(plan)


@dataclass(frozen=True)
class Failure:
    """A failure to provoke at the platform, and the output that is expected for it."""

    provoke: Callable[[SquareSimulator], object]
    code: int
    kind: str
    manager: str
    outcome: str = "not_created"


FAILURES: dict[str, Failure] = {
    "missing item": Failure(
        provoke=lambda square: square.remove_variation("5312"),
        code=10,
        kind="MenuError",
        manager="doesn't have BLT toastie (line 2) on its menu",
    ),
    "outage": Failure(
        provoke=lambda square: square.set_outage(),
        code=11,
        kind="OutageError",
        manager="as soon as Square is back",
        outcome="unknown",
    ),
    "rate limit": Failure(
        provoke=fail_posts(FaultKind.RATE_LIMITED, retry_after=7),
        code=12,
        kind="RateLimitError",
        manager="sent again shortly",
    ),
    "revoked token": Failure(
        provoke=lambda square: square.revoke_token(),
        code=14,
        kind="PermissionsError",
        manager="reconnect the store",
    ),
    "second tax": Failure(
        provoke=lambda square: square.add_tax("Surcharge", "5"),
        code=15,
        kind="TaxError",
        manager="Square's tax (Surcharge) isn't what the customer was charged",
    ),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES.keys())
def test_failure_says_who_must_act_and_has_its_exit_code(
    failure: Failure, tillpost: Command, store: Store, lunch: str
) -> None:
    failure.provoke(store.simulator)

    people = tillpost("submit", lunch)
    assert people.code == failure.code
    assert people.err == ""
    assert "Order B42 wasn't delivered" in people.out
    assert failure.manager in people.out
    assert f"{failure.kind}: " in people.out
    assert "Who must act" in people.out
    assert "not-a-real-square-token" not in people.out

    program = tillpost("submit", lunch, "--json")
    assert program.code == failure.code
    assert program.err == ""
    assert program.json["ok"] is False
    assert program.json["exit_code"] == failure.code
    assert failure.manager in program.json["remedy"]["manager"]
    error = program.json["error"]
    assert error["kind"] == failure.kind
    assert error["outcome"] == failure.outcome
    assert "not-a-real-square-token" not in program.out


def test_retry_after_is_printed(tillpost: Command, store: Store, lunch: str) -> None:
    FAILURES["rate limit"].provoke(store.simulator)
    assert "7 seconds" in tillpost("submit", lunch).out


def test_unknown_outcome_is_printed(tillpost: Command, store: Store, lunch: str) -> None:
    fail_posts(FaultKind.LOST_ANSWER)(store.simulator)
    result = tillpost("submit", lunch)
    assert result.code == 11
    assert "may be at the POS. Check the register before keying it in" in result.out
    assert "submitting it again is safe" in result.out


def test_wrong_location_is_for_the_developer(tillpost: Command, store: Store, lunch: str) -> None:
    write_config(cafe={**store.settings, "location_id": "L-ELSEWHERE"})
    result = tillpost("submit", lunch)
    assert result.code == 18
    assert "the ordering site's developer" in result.out


def test_ctrl_c_says_that_the_order_may_exist(
    tillpost: Command, store: Store, lunch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Till, "submit", interrupt)
    result = tillpost("submit", lunch)
    assert result.code == 130
    assert result.out == ""
    assert result.err == "tillpost: interrupted; the order may exist. Submit it again to find out\n"
