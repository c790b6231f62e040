"""`tillpost submit`: its output for people and programs, on success and on failure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from core.cli.conftest import Command, write_config
from tillpost import Till
from tillpost.simulator import Fault, FaultKind, FaultPlan, FaultRule, Running
from tillpost_simulators.square import SquareSimulator

Store = Running[SquareSimulator]


def test_success_is_printed_for_people(tillpost: Command, store: Store, lunch: str) -> None:
    result = tillpost("submit", lunch)
    assert (result.code, result.err) == (0, "")
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
    assert [tillpost("submit", lunch).code for _ in range(2)] == [0, 0]
    assert len(store.simulator.ledger().entries) == 1


def test_reimport_of_a_stale_menu_is_reported(tillpost: Command, store: Store, lunch: str) -> None:
    store.simulator.recreate_variation("5312")
    result = tillpost("submit", lunch)
    assert result.code == 0
    assert "the menu was stale; it was re-imported, and the order was matched to it" in result.out


def _fault(kind: FaultKind, **more: int) -> Callable[[SquareSimulator], None]:
    rule = FaultRule(method="POST", fault=Fault.model_validate({"kind": kind, **more}), times=None)
    return lambda square: square.set_faults(FaultPlan(rules=(rule,)))


FAILURES: dict[str, tuple[Callable[[SquareSimulator], object], int, str, str]] = {
    "an item that is gone": (
        lambda s: s.remove_variation("5312"),
        10,
        "MenuError",
        "doesn't have BLT toastie (line 2) on its menu",
    ),
    "an outage": (lambda s: s.set_outage(), 11, "OutageError", "as soon as Square is back"),
    "too many requests": (
        _fault(FaultKind.RATE_LIMITED, retry_after=7),
        12,
        "RateLimitError",
        "sent again shortly",
    ),
    "a revoked token": (lambda s: s.revoke_token(), 14, "PermissionsError", "reconnect the store"),
    "a second tax": (lambda s: s.add_tax("Surcharge", "5"), 15, "TaxError", "GST and Surcharge"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_failure_says_who_must_act_and_has_its_exit_code(
    name: str, tillpost: Command, store: Store, lunch: str
) -> None:
    provoke, code, kind, manager = FAILURES[name]
    provoke(store.simulator)
    people = tillpost("submit", lunch)
    program = tillpost("submit", lunch, "--json")
    assert people.code == program.code == code
    assert people.err == program.err == ""
    assert "Order B42 wasn't delivered" in people.out
    assert manager in people.out
    assert f"{kind}: " in people.out
    assert "Who must act" in people.out
    facts = program.json
    assert (facts["ok"], facts["exit_code"], facts["error"]["kind"]) == (False, code, kind)
    assert manager in facts["remedy"]["manager"]
    assert facts["error"]["outcome"] == ("unknown" if kind == "OutageError" else "not_created")
    assert "not-a-real-square-token" not in people.out + program.out


def test_retry_after_is_printed(tillpost: Command, store: Store, lunch: str) -> None:
    FAILURES["too many requests"][0](store.simulator)
    assert "7 seconds" in tillpost("submit", lunch).out


def test_unknown_outcome_is_printed(tillpost: Command, store: Store, lunch: str) -> None:
    _fault(FaultKind.LOST_ANSWER)(store.simulator)
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
    assert (result.code, result.out) == (130, "")
    assert result.err == "tillpost: interrupted; the order may exist. Submit it again to find out\n"
