"""`tillpost diagnose` says in the runbook's words where an order is stuck, and in JSON with exactly its five keys."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import update

from core.cli.commands.test_outbox import waffles, write_order
from core.cli.conftest import Command, write_config
from tillpost import Outbox
from tillpost.outbox.db import schema as t
from tillpost.simulator import Running
from tillpost_simulators.square import SquareSimulator

Store = Running[SquareSimulator]


def test_an_order_for_what_isnt_on_the_menu_failed_at_the_platform(
    tillpost: Command, store: Store
) -> None:
    tillpost("outbox", "add", waffles("ord-1"))
    tillpost("worker", "--until-idle")
    told = tillpost("diagnose", "B42")
    assert told.code == 1
    head, *lines = told.out.splitlines()
    assert head == "Order B42: Square hasn't taken it, so it can't be on the register. (MenuError)"
    assert lines[:3] == [
        "  1. Captured, and sent on: done",
        "  2. Taken by Square: failed here",
        "  3. Shown on the register: unknown",
    ]
    for said in (
        "1. the store: Find the order",
        "you should see",
        "orders resubmit ord-1",
        "as PAID",
        "orders export ord-1",
    ):
        assert said in told.out


def test_programs_are_told_the_five_keys_and_no_others(tillpost: Command, store: Store) -> None:
    tillpost("outbox", "add", waffles("ord-1"))
    tillpost("worker", "--until-idle")
    told = tillpost("diagnose", "ord-1", "--json")
    assert told.code == 1
    assert list(told.json) == ["order", "hop", "error", "evidence", "steps"]
    assert (told.json["order"], told.json["hop"], told.json["error"]) == (
        "ord-1",
        "platform",
        "MenuError",
    )
    assert [list(step) for step in told.json["steps"]] == [["number", "who", "do", "see"]] * len(
        told.json["steps"]
    )
    assert "Mia" not in told.out


def test_an_order_that_the_register_shows_is_well_by_the_platforms_word_of_now(
    tillpost: Command, store: Store
) -> None:
    tillpost("outbox", "add", write_order("ord-1"))
    tillpost("worker", "--until-idle")
    store.simulator.staff_accept("ord-1")
    known = tillpost("diagnose", "ord-1", "--offline")
    assert (known.code, "hasn't shown it yet" in known.out) == (1, True)
    now = tillpost("diagnose", "ord-1")
    assert (now.code, "The register has shown that it has it" in now.out) == (0, True)
    assert "3. Shown on the register: done" in now.out
    assert tillpost("orders", "show", "ord-1", "--json").json["order"]["state"] == "received", (
        "it only looked"
    )


def test_a_platform_that_cant_be_asked_is_said_and_the_rest_is_known_all_the_same(
    tillpost: Command, store: Store
) -> None:
    tillpost("outbox", "add", write_order("ord-1"))
    tillpost("worker", "--until-idle")
    write_config(cafe={**store.settings, "base_url": "http://127.0.0.1:1"})
    told = tillpost("diagnose", "ord-1")
    assert told.code == 1
    assert "Square couldn't be asked about it" in told.out
    assert (
        "Square has it; the register hasn't shown it yet, which may take some minutes." in told.out
    )


def test_orders_show_tells_the_three_hops(tillpost: Command, store: Store) -> None:
    tillpost("outbox", "add", write_order("ord-1"))
    waiting = tillpost("orders", "show", "ord-1")
    assert "1. Captured, and sent on: failed here" in waiting.out, "no worker is at work"
    tillpost("worker", "--until-idle")
    there = tillpost("orders", "show", "ord-1")
    assert "2. Taken by Square: done" in there.out
    assert "3. Shown on the register: unknown" in there.out, "it came a moment ago"
    with Outbox.from_config() as outbox, outbox.database.writing() as db:
        db.execute(update(t.orders).values(expected_at=time.time() - 1))
    assert "3. Shown on the register: failed here" in tillpost("orders", "show", "ord-1").out


def test_on_a_terminal_a_step_is_wrapped_between_words_and_stays_indented(
    tillpost: Command, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    tillpost("outbox", "add", waffles("ord-1"))
    tillpost("worker", "--until-idle")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")  # 80 columns, and no bold letters that would hide the margin
    lines = tillpost("diagnose", "ord-1", "--offline").out.splitlines()
    steps = lines[lines.index("What to do") + 1 :]
    assert max(map(len, steps)) <= 80
    assert all(line.startswith("  ") for line in steps)


def test_an_order_that_isnt_there_is_one_line(tillpost: Command, store: Store) -> None:
    tillpost("outbox", "add", write_order("ord-1"))
    assert "no order 'nowhere'" in tillpost("diagnose", "nowhere").complaint
