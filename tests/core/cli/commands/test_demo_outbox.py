"""`tillpost demo --outbox`: after a dead worker and an outage, every order is there once."""

from __future__ import annotations

from typing import Any

import pytest

from core.cli.conftest import Command
from tillpost_simulators.square import SquareSimulator

pytestmark = pytest.mark.slow


def test_outbox_demo_survives_dead_worker_and_outage(tillpost: Command) -> None:
    ended = tillpost("demo", "square", "--outbox")
    assert (ended.code, ended.err) == (0, "")
    for text in (
        "(SIGKILL)",
        "an outage has begun, reported once",
        "has ended, reported once",
        "None lost, none twice",
    ):
        assert ended.out.count(text) == 1
    ledger = dict(
        line.strip().split("  ", 1) for line in ended.out.splitlines() if line.startswith("  ")
    )
    assert {name: fact.strip() for name, fact in ledger.items()} == {
        "Orders added": "20",
        "In the outbox": "20 received",
        "On the register": "20",
        "Lost": "none",
        "Twice": "none",
        "Half done": "none",
    }


def test_order_lost_by_the_register_fails_the_demo(
    tillpost: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Losing(SquareSimulator):
        def ledger(self) -> Any:
            found = super().ledger()
            return found.model_copy(update={"entries": found.entries[1:]})

    monkeypatch.setattr("tillpost_simulators.square.SquareSimulator", Losing)
    ended = tillpost("demo", "square", "--outbox", "--json")
    assert ended.code == 1
    facts = ended.json
    assert facts["ok"] is False
    assert len(facts["ledger"]["lost"]) == 1
    assert facts["states"] == {"received": 20}
    begun = [event for event in facts["events"] if event["event"] == "begun"]
    assert len({event["process"] for event in begun}) == 3
