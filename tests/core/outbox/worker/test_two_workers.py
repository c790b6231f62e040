"""Two workers, real processes: one is paused in the middle of an order, beyond its lease, and goes on later.

On Square the order is there once whatever happens, since its key is. On Kounta it is there once,
too, but for one case, which the last test shows."""

from __future__ import annotations

import signal
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from adapters.kounta.bench import STAND_INS, plain_order
from adapters.square.shop_orders import TOASTIE, paid
from core.outbox.pausing_worker import start, wait_until_stopped
from tillpost import Order
from tillpost.outbox import OrderState, Outbox
from tillpost.simulator import Ledger, Running, serve_in_thread
from tillpost.submission.journal import LookedUp
from tillpost_simulators.kounta import KountaSettings, KountaSimulator
from tillpost_simulators.square import SquareSimulator

pytestmark = pytest.mark.slow

SOON = (0.2, 0.2)
"""A look-up schedule that is over before a paused worker goes on."""

LATER = (0.2, 12.0)
"""One whose last look comes after that."""


@contextmanager
def shop(
    platform: str, look_after: tuple[float, ...]
) -> Generator[tuple[Running[Any], Mapping[str, object], Order]]:
    """A platform, how to connect to it, and an order for it."""
    if platform == "square":
        with serve_in_thread(SquareSimulator()) as square:
            yield square, {**square.settings, "look_after": look_after}, paid("ord_1", [TOASTIE])
        return
    with serve_in_thread(KountaSimulator(KountaSettings(oauth_limit=10**9))) as kounta:
        yield (
            kounta,
            {**kounta.settings, **STAND_INS, "import_pace": 0.0, "look_after": look_after},
            plain_order("ord_1"),
        )


def pause_and_go_on(
    url: str,
    platform: str,
    where: str,
    look_after: tuple[float, ...] = SOON,
    *,
    until_looked: bool = False,
) -> tuple[Ledger, list[str]]:
    """Pause a worker at a place while another takes its order over; return the ledger, and the journal's events.

    It goes on once the other one is through or, with `until_looked`, has looked for the order for
    the first time."""
    with shop(platform, look_after) as (running, settings, order), Outbox(url) as outbox:
        outbox.add(order, connection="cafe", is_new=True)
        workers = [start(url, platform, settings, where)]
        try:
            wait_until_stopped(workers[0])
            workers.append(start(url, platform, settings))
            if until_looked:
                wait_for_a_look(outbox)
            else:
                assert workers[1].wait(60) == 0
            workers[0].send_signal(signal.SIGCONT)
            assert [worker.wait(60) for worker in workers] == [0, 0]
        finally:
            for worker in workers:
                worker.kill()
                worker.wait()
        stored = outbox.get("ord_1")
        assert stored
        assert (stored.state, stored.worker, stored.due_at) == (OrderState.RECEIVED, None, None)
        return running.simulator.ledger(), [
            type(event).__name__ for event in outbox.journal("ord_1")
        ]


def wait_for_a_look(outbox: Outbox) -> None:
    until = time.monotonic() + 30
    while not any(isinstance(event, LookedUp) for event in outbox.journal("ord_1")):
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'orders.db'}"


@pytest.mark.parametrize("where", ["intent", "check"])
def test_on_square_a_worker_that_was_paused_beyond_its_lease_makes_no_second_order(
    where: str, url: str
) -> None:
    ledger, _ = pause_and_go_on(url, "square", where)

    assert len(ledger.shown) == 1
    assert ledger.half_done == ()


def test_on_kounta_a_worker_that_was_paused_between_the_intent_and_its_check_sends_nothing(
    url: str,
) -> None:
    ledger, journal = pause_and_go_on(url, "kounta", "intent")

    assert len(ledger.entries) == 1
    assert [kind for kind in journal if kind != "LookedUp"] == [
        "SubmissionRequested",
        "Intended",
        "DoubtResolved",
        "Intended",
        "Settled",
        "Submitted",
    ]
    assert journal[2] == "LookedUp"


def test_so_it_is_on_postgresql(postgres_url: str) -> None:
    ledger, _ = pause_and_go_on(postgres_url, "kounta", "intent")

    assert len(ledger.entries) == 1


def test_paused_after_its_check_its_order_is_found_if_it_goes_on_before_the_last_look(
    url: str,
) -> None:
    ledger, journal = pause_and_go_on(url, "kounta", "check", LATER, until_looked=True)

    assert len(ledger.entries) == 1
    assert journal == ["SubmissionRequested", "Intended", "LookedUp", "LookedUp", "Submitted"]


def test_what_remains_open_paused_after_its_check_and_beyond_the_last_look_it_makes_a_second_order(
    url: str,
) -> None:
    """Nothing in the process can tell between its last look at the clock and the request's first byte.

    See "What remains open" in docs/explanation/never-twice.md.
    """
    ledger, journal = pause_and_go_on(url, "kounta", "check")

    assert len(ledger.entries) == 2
    assert journal.count("Submitted") == 1
