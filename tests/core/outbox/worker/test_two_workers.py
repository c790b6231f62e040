"""Two worker processes: one is paused during an order for longer than its lease, then resumed.

At Square the order arrives once in every case, because its idempotency key does. At Kounta it
arrives once except in the case of the last test.
"""

from __future__ import annotations

import signal
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from adapters.kounta.bench import SUBSTITUTES, plain_order
from adapters.square.shop_orders import TOASTIE, paid
from core.outbox.pausing_worker import start, wait_until_stopped
from tillpost import Order
from tillpost.outbox import OrderState, Outbox
from tillpost.simulator import Ledger, Running, serve_in_thread
from tillpost.submission.journal import LookedUp
from tillpost_simulators.kounta import KountaSettings, KountaSimulator
from tillpost_simulators.square import SquareSimulator
from waiting import eventually

pytestmark = pytest.mark.slow

SHORT_SCHEDULE = (0.2, 0.2)
"""A look-up schedule that ends before the paused worker is resumed."""

LONG_SCHEDULE = (0.2, 12.0)
"""A look-up schedule that ends after that."""


@contextmanager
def shop(
    platform: str, look_after: tuple[float, ...]
) -> Generator[tuple[Running[Any], Mapping[str, object], Order]]:
    """Run a platform; yield it with the connection's settings and an order for it."""
    if platform == "square":
        with serve_in_thread(SquareSimulator()) as square:
            settings = {**square.settings, "look_after": look_after}
            yield square, settings, paid("ord_1", [TOASTIE])
        return
    with serve_in_thread(KountaSimulator(KountaSettings(oauth_limit=10**9))) as kounta:
        settings = {
            **kounta.settings,
            **SUBSTITUTES,
            "import_pace": 0.0,
            "look_after": look_after,
        }
        yield kounta, settings, plain_order("ord_1")


def pause_and_resume(
    url: str,
    platform: str,
    where: str,
    look_after: tuple[float, ...] = SHORT_SCHEDULE,
    *,
    until_lookup: bool = False,
) -> tuple[Ledger, list[str]]:
    """Pause a worker while another takes its order over, then resume it.

    Args:
        url: The outbox's database.
        platform: The order's platform.
        where: At which step the first worker is paused; see `pausing_worker`.
        look_after: The look-up schedule of the connection.
        until_lookup: Resume the first worker once the second has looked the order up for the first
            time; otherwise once the second has finished.

    Returns:
        The platform's ledger, and the kinds of the events in the order's journal.
    """
    with shop(platform, look_after) as (running, settings, order), Outbox(url) as outbox:
        outbox.add(order, connection="cafe", is_new=True)
        paused = start(url, platform, settings, where)
        workers = [paused]
        try:
            wait_until_stopped(paused)
            second = start(url, platform, settings)
            workers.append(second)
            if until_lookup:
                wait_for_lookup(outbox)
            else:
                assert second.wait(60) == 0
            paused.send_signal(signal.SIGCONT)
            assert [worker.wait(60) for worker in workers] == [0, 0]
        finally:
            for worker in workers:
                worker.kill()
                worker.wait()
        stored = outbox.get("ord_1")
        assert stored
        assert (stored.state, stored.worker, stored.due_at) == (OrderState.RECEIVED, None, None)
        journal = [type(event).__name__ for event in outbox.journal("ord_1")]
        return running.simulator.ledger(), journal


def wait_for_lookup(outbox: Outbox) -> None:
    eventually(lambda: any(isinstance(each, LookedUp) for each in outbox.journal("ord_1")))


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'orders.db'}"


@pytest.mark.parametrize("where", ["intent", "check"])
def test_worker_paused_beyond_lease_makes_no_second_square_order(where: str, url: str) -> None:
    ledger, _ = pause_and_resume(url, "square", where)

    assert len(ledger.shown) == 1
    assert ledger.half_done == ()


def test_worker_paused_before_lease_check_sends_kounta_nothing(url: str) -> None:
    ledger, journal = pause_and_resume(url, "kounta", "intent")

    assert len(ledger.entries) == 1
    assert [kind for kind in journal if kind != "LookedUp"] == [
        "SubmissionRequested",
        "Intended",
        "Settled",
        "DoubtResolved",
        "Intended",
        "Settled",
        "Submitted",
    ]
    assert journal[2:4] == ["Settled", "LookedUp"]


def test_pause_before_lease_check_on_postgresql_makes_one_order(postgres_url: str) -> None:
    ledger, _ = pause_and_resume(postgres_url, "kounta", "intent")

    assert len(ledger.entries) == 1


def test_order_sent_after_pause_is_found_by_last_lookup(url: str) -> None:
    """The worker was paused after its lease check, and resumed before the last look-up."""
    ledger, journal = pause_and_resume(url, "kounta", "check", LONG_SCHEDULE, until_lookup=True)

    assert len(ledger.entries) == 1
    assert journal == [
        "SubmissionRequested",
        "Intended",
        "Settled",
        "LookedUp",
        "LookedUp",
        "Submitted",
    ]


def test_pause_after_lease_check_may_duplicate_order(url: str) -> None:
    """A process can't detect a pause between its lease check and the request's first byte.

    See "What remains open" in docs/explanation/never-twice.md.
    """
    ledger, journal = pause_and_resume(url, "kounta", "check")

    assert len(ledger.entries) == 2
    assert journal.count("Submitted") == 1
