"""`tillpost diagnose`: the conclusion, the hops, the evidence and the steps; and its JSON."""

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


def test_refused_order_failed_at_the_platform(tillpost: Command, store: Store) -> None:
    tillpost("outbox", "add", waffles("ord-1"))
    tillpost("worker", "--until-idle")
    result = tillpost("diagnose", "B42")
    assert result.code == 1
    head, *lines = result.out.splitlines()
    assert (
        head == "Order B42: Square hasn't accepted it, so it can't be on the register. (MenuError)"
    )
    assert lines[:3] == [
        "  1. Captured, and sent on: done",
        "  2. Received by Square: failed here",
        "  3. Shown on the register: unknown",
    ]
    for text in (
        "1. the store: Find the order",
        "you should see",
        "orders resubmit ord-1",
        "key in the order by hand",
        "orders export ord-1",
    ):
        assert text in result.out


def test_json_has_exactly_five_keys(tillpost: Command, store: Store) -> None:
    tillpost("outbox", "add", waffles("ord-1"))
    tillpost("worker", "--until-idle")
    result = tillpost("diagnose", "ord-1", "--json")
    assert result.code == 1
    assert list(result.json) == ["order", "hop", "error", "evidence", "steps"]
    assert (result.json["order"], result.json["hop"], result.json["error"]) == (
        "ord-1",
        "platform",
        "MenuError",
    )
    assert [list(step) for step in result.json["steps"]] == [["number", "who", "do", "see"]] * len(
        result.json["steps"]
    )
    assert "Mia" not in result.out


def test_live_query_sees_that_the_register_confirmed(tillpost: Command, store: Store) -> None:
    tillpost("outbox", "add", write_order("ord-1"))
    tillpost("worker", "--until-idle")
    store.simulator.staff_accept("ord-1")
    offline = tillpost("diagnose", "ord-1", "--offline")
    assert offline.code == 1
    assert "hasn't confirmed it yet" in offline.out
    live = tillpost("diagnose", "ord-1")
    assert live.code == 0
    assert "The register has confirmed it." in live.out
    assert "3. Shown on the register: done" in live.out
    stored = tillpost("orders", "show", "ord-1", "--json").json["order"]
    assert stored["state"] == "received", "a diagnosis changes nothing"


def test_unreachable_platform_is_reported_as_evidence(tillpost: Command, store: Store) -> None:
    tillpost("outbox", "add", write_order("ord-1"))
    tillpost("worker", "--until-idle")
    write_config(cafe={**store.settings, "base_url": "http://127.0.0.1:1"})
    result = tillpost("diagnose", "ord-1")
    assert result.code == 1
    assert "Square couldn't be queried about it" in result.out
    assert "Square has it. The register hasn't confirmed it yet" in result.out


def test_orders_show_prints_the_three_hops(tillpost: Command, store: Store) -> None:
    tillpost("outbox", "add", write_order("ord-1"))
    waiting = tillpost("orders", "show", "ord-1")
    assert "1. Captured, and sent on: failed here" in waiting.out, "no worker is running"
    tillpost("worker", "--until-idle")
    shown = tillpost("orders", "show", "ord-1")
    assert "2. Received by Square: done" in shown.out
    assert "3. Shown on the register: unknown" in shown.out, "it may still take its time"
    with Outbox.from_config() as outbox, outbox.database.writing() as db:
        db.execute(update(t.orders).values(expected_at=time.time() - 1))
    assert "3. Shown on the register: failed here" in tillpost("orders", "show", "ord-1").out


def test_terminal_wraps_steps_and_keeps_their_indent(
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


def test_unknown_order_is_one_line(tillpost: Command, store: Store) -> None:
    tillpost("outbox", "add", write_order("ord-1"))
    assert "no order 'nowhere'" in tillpost("diagnose", "nowhere").error_line
