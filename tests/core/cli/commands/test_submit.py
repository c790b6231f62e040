"""`tillpost submit`: what people and programs are told when an order arrives, and when it doesn't."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from core.cli.conftest import Command, write_config
from tillpost import Till
from tillpost.simulator import Fault, FaultKind, FaultPlan, FaultRule, Running
from tillpost_simulators.square import SquareSimulator

Store = Running[SquareSimulator]


def test_an_order_that_arrives_is_told_to_a_person(
    tillpost: Command, store: Store, lunch: str
) -> None:
    ended = tillpost("submit", lunch)
    assert (ended.code, ended.err) == (0, "")
    assert "Order B42 is at the POS" in ended.out
    assert "28.81 AUD" in ended.out
    assert (
        "received: the platform has it; that the register has it too isn't shown yet" in ended.out
    )
    assert [entry.total for entry in store.simulator.ledger().shown] == [2881]


def test_an_order_that_arrives_is_told_to_a_program(
    tillpost: Command, store: Store, lunch: str
) -> None:
    ended = tillpost("submit", lunch, "--json", "--connection", "cafe")
    assert ended.code == 0
    assert ended.json["ok"] is True
    assert ended.json["connection"] == "cafe"
    assert ended.json["menu_imported"] is False
    assert ended.json["pos_order"]["reference"] == "ord_01JD7Q3W8YB3T6"
    assert ended.json["pos_order"]["total"] == 2881


def test_an_order_can_come_from_standard_input(tillpost: Command, store: Store, lunch: str) -> None:
    assert tillpost("submit", "-", "--new", input=Path(lunch).read_bytes()).code == 0
    assert len(store.simulator.ledger().shown) == 1


def test_the_same_order_twice_is_on_the_register_once(
    tillpost: Command, store: Store, lunch: str
) -> None:
    assert [tillpost("submit", lunch).code for _ in range(2)] == [0, 0]
    assert len(store.simulator.ledger().entries) == 1


def test_a_menu_that_has_drifted_is_said_to_have_been_healed(
    tillpost: Command, store: Store, lunch: str
) -> None:
    store.simulator.recreate_variation("5312")
    ended = tillpost("submit", lunch)
    assert ended.code == 0
    assert "it had drifted; it was imported again, and the order bound to it" in ended.out


def _fault(kind: FaultKind, **more: int) -> Callable[[SquareSimulator], None]:
    rule = FaultRule(method="POST", fault=Fault.model_validate({"kind": kind, **more}), times=None)
    return lambda square: square.set_faults(FaultPlan(rules=(rule,)))


TROUBLE: dict[str, tuple[Callable[[SquareSimulator], object], int, str, str]] = {
    "an item that is gone": (
        lambda s: s.remove_variation("5312"),
        10,
        "MenuError",
        "BLT toastie (line 2) isn't on",
    ),
    "an outage": (lambda s: s.set_outage(), 11, "OutageError", "as soon as Square is back"),
    "too many requests": (
        _fault(FaultKind.RATE_LIMITED, retry_after=7),
        12,
        "RateLimitError",
        "sent again shortly",
    ),
    "a revoked token": (lambda s: s.revoke_token(), 14, "PermissionsError", "connect it again"),
    "a second tax": (lambda s: s.add_tax("Surcharge", "5"), 15, "TaxError", "GST and Surcharge"),
}


@pytest.mark.parametrize("name", TROUBLE)
def test_trouble_is_told_with_who_must_act_and_has_its_exit_code(
    name: str, tillpost: Command, store: Store, lunch: str
) -> None:
    provoke, code, kind, manager = TROUBLE[name]
    provoke(store.simulator)
    people, program = tillpost("submit", lunch), tillpost("submit", lunch, "--json")
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


def test_how_long_the_platform_asks_to_wait_is_told(
    tillpost: Command, store: Store, lunch: str
) -> None:
    TROUBLE["too many requests"][0](store.simulator)
    assert "7 seconds" in tillpost("submit", lunch).out


def test_an_order_that_may_be_there_is_said_to_be_looked_for(
    tillpost: Command, store: Store, lunch: str
) -> None:
    _fault(FaultKind.LOST_ANSWER)(store.simulator)
    ended = tillpost("submit", lunch)
    assert ended.code == 11
    assert "may be at the POS: look before keying it in; submitting it again is safe" in ended.out


def test_a_wrong_location_is_the_developers(tillpost: Command, store: Store, lunch: str) -> None:
    write_config(cafe={**store.settings, "location_id": "L-ELSEWHERE"})
    ended = tillpost("submit", lunch)
    assert ended.code == 18
    assert "the site's developer" in ended.out


def test_ctrl_c_says_in_one_line_that_the_order_may_be_there(
    tillpost: Command, store: Store, lunch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Till, "submit", interrupt)
    ended = tillpost("submit", lunch)
    assert (ended.code, ended.out) == (130, "")
    assert (
        ended.err == "tillpost: interrupted; the order may be there: submit it again to find out\n"
    )
