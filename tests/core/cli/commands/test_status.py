"""`tillpost status` says on one screen how everything stands, and by its exit code whether somebody has to act."""

from __future__ import annotations

from core.cli.commands.test_outbox import waffles, write_order
from core.cli.conftest import Command
from tillpost.simulator import Running
from tillpost_simulators.square import SquareSimulator

Store = Running[SquareSimulator]


def test_while_all_is_well_the_code_is_0(tillpost: Command, store: Store) -> None:
    tillpost("outbox", "add", write_order("ord-1"))
    tillpost("worker", "--until-idle")
    told = tillpost("status")
    assert told.code == 0
    for said in ("All is well.", "cafe", "square", "well"):
        assert said in told.out
    assert tillpost("status", "--json").json["ok"] is True


def test_a_problem_is_told_by_kind_with_the_command_that_shows_it_and_the_code_is_1(
    tillpost: Command, store: Store
) -> None:
    tillpost("outbox", "add", waffles("ord-1"))
    tillpost("worker", "--until-idle")
    told = tillpost("status")
    assert told.code == 1
    assert "Somebody has to act." in told.out
    assert "1 MenuError (tillpost orders list --problem)" in told.out
    facts = tillpost("status", "--json")
    assert (facts.code, facts.json["ok"], facts.json["problems"]) == (1, False, {"MenuError": 1})


def test_while_an_order_waits_and_no_worker_is_there_it_says_that_nothing_is_sent(
    tillpost: Command, store: Store
) -> None:
    tillpost("outbox", "add", write_order("ord-1"))
    assert "none: nothing is sent until one runs (tillpost worker)" in tillpost("status").out
    tillpost("worker", "--until-idle")
    assert "nothing is sent" not in tillpost("status").out


def test_a_store_to_be_connected_again_is_named(tillpost: Command, store: Store) -> None:
    store.simulator.revoke_authorisation()
    tillpost("outbox", "add", write_order("ord-1"))
    tillpost("worker", "--until-idle")
    told = tillpost("status")
    assert told.code == 1
    assert "cafe (tillpost reconnect cafe)" in told.out
    assert "1 PermissionsError" in told.out
    (oldest,) = [tillpost("status", "--json").json["oldest"]]
    assert (oldest["order"], oldest["waits_for"]) == ("ord-1", "authorisation")


def test_without_an_outbox_it_says_so_in_a_line(tillpost: Command, store: Store) -> None:
    told = tillpost("status")
    assert (told.code, told.out) == (3, "")
    assert "no outbox at tillpost.db" in told.err
