"""`tillpost status`: stores, problems and waiting orders on one screen, and its exit code."""

from __future__ import annotations

import re

from sqlalchemy import update

from core.cli.commands.test_outbox import waffles, write_order
from core.cli.conftest import Command
from tillpost.outbox import Outbox
from tillpost.outbox.db import schema as t
from tillpost.simulator import Running
from tillpost_simulators.square import SquareSimulator

Store = Running[SquareSimulator]


def test_healthy_outbox_exits_with_0(tillpost: Command, store: Store) -> None:
    tillpost("outbox", "add", write_order("ord-1"))
    tillpost("worker", "--until-idle")
    result = tillpost("status")
    assert result.code == 0
    for text in ("All is well.", "cafe", "square", "well"):
        assert text in result.out
    assert tillpost("status", "--json").json["ok"] is True


def test_problems_are_counted_by_kind_and_exit_with_1(tillpost: Command, store: Store) -> None:
    tillpost("outbox", "add", waffles("ord-1"))
    tillpost("worker", "--until-idle")
    result = tillpost("status")
    assert result.code == 1
    assert "Somebody has to act." in result.out
    assert "1 MenuError (tillpost orders list --problem)" in result.out
    program = tillpost("status", "--json")
    assert program.code == 1
    assert program.json["ok"] is False
    assert program.json["problems"] == {"MenuError": 1}


def test_waiting_order_without_worker_is_reported(tillpost: Command, store: Store) -> None:
    tillpost("outbox", "add", write_order("ord-1"))
    tillpost("outbox", "add", write_order("ord-2"))
    result = tillpost("status")
    assert "All is well" not in result.out
    since = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
    first, *_ = result.out.splitlines()
    assert re.fullmatch(f"2 orders wait since {since}, and no worker is running\\.", first)
    assert "none: nothing is sent until one runs (tillpost worker)" in result.out
    tillpost("worker", "--until-idle")
    assert "nothing is sent" not in tillpost("status").out


def test_order_that_waits_for_long_without_worker_exits_with_1(
    tillpost: Command, store: Store
) -> None:
    tillpost("outbox", "add", write_order("ord-1"))
    with Outbox.from_config() as outbox, outbox.database.writing() as db:
        an_hour_ago = outbox.clock() - 3600.0
        db.execute(update(t.orders).values(added_at=an_hour_ago, due_at=an_hour_ago))
    result = tillpost("status")
    assert result.code == 1
    assert "Somebody has to act." in result.out
    assert "1 order waits since " in result.out
    assert "no worker is running" in result.out


def test_store_to_reconnect_is_named(tillpost: Command, store: Store) -> None:
    store.simulator.revoke_authorisation()
    tillpost("outbox", "add", write_order("ord-1"))
    tillpost("worker", "--until-idle")
    result = tillpost("status")
    assert result.code == 1
    assert "cafe (tillpost reconnect cafe)" in result.out
    assert "1 PermissionsError" in result.out
    oldest = tillpost("status", "--json").json["oldest"]
    assert (oldest["order"], oldest["waits_for"]) == ("ord-1", "authorisation")


def test_missing_outbox_is_one_line(tillpost: Command, store: Store) -> None:
    result = tillpost("status")
    assert (result.code, result.out) == (3, "")
    assert "no outbox at tillpost.db" in result.err
