"""A worker in its own process that pauses itself (SIGSTOP) once, in the middle of an order.

The environment variable `WORKER` names its database, its platform and where it pauses: `intent`
(the intent of a create is on disk), `check` (it has checked its lease, and nothing is sent yet), or
nowhere. It ends when it is idle. Run by tests.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

# Run as a program, its folder is `tests/core/outbox`.
sys.path.insert(0, str(Path(__file__).parents[2]))

from core.outbox.asking import Asking
from tillpost.adapter.exchange import Effect
from tillpost.client.base import adapter_for
from tillpost.errors import Transcript
from tillpost.outbox import Outbox, OutboxConnection, OutboxSettings, Processor, Worker
from tillpost.outbox.db.database import BUSY_SECONDS
from tillpost.outbox.db.write_queue import WriteQueue
from tillpost.outbox.orders.claims import Claim
from tillpost.submission.journal import Event, Intended

LEASE = 1.0
"""How long after a worker was paused another takes its orders over, in seconds."""


def start(
    url: str, platform: str, settings: Mapping[str, object], where: str = ""
) -> subprocess.Popen[bytes]:
    """Start a worker."""
    arguments = {"url": url, "platform": platform, "settings": dict(settings), "where": where}
    environment = {**os.environ, "WORKER": json.dumps(arguments)}
    return subprocess.Popen([sys.executable, __file__], env=environment)


def wait_until_stopped(process: subprocess.Popen[bytes], seconds: float = 30.0) -> None:
    """Wait until a process is stopped by a signal."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pid, status = os.waitpid(process.pid, os.WUNTRACED | os.WNOHANG)
        if pid and os.WIFSTOPPED(status):
            return
        assert not pid, f"the worker ended: {status}"
        time.sleep(0.01)
    raise AssertionError("the worker never paused")


class Pausing(Processor):
    """A processor that pauses its process at one place, the first time it gets there."""

    where = ""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        record = self.claims.recording
        check = self._heartbeat.check

        @contextmanager
        def recording(
            claim: Claim,
            events: Sequence[tuple[Event, Transcript | None]],
            now: float,
            **columns: Any,
        ) -> Generator[Connection]:
            with record(claim, events, now, **columns) as db:
                yield db
            if any(_is_create_intent(event) for event, _ in events):
                self._stop_at("intent")

        def checking(worker: str) -> None:
            check(worker)
            self._stop_at("check")

        self.claims.recording = recording  # type: ignore[method-assign]
        self._heartbeat.check = checking  # type: ignore[method-assign]

    def _stop_at(self, place: str) -> None:
        if self.where != place:
            return
        self.where = ""
        # Not while the heartbeat is in a transaction, which would keep an SQLite file locked.
        writers: WriteQueue = getattr(self.claims.database, "_writers")  # noqa: B009
        with writers.turn(BUSY_SECONDS):
            os.kill(os.getpid(), signal.SIGSTOP)
            # The signal may reach another thread first.
            time.sleep(0.1)


def _is_create_intent(event: Event) -> bool:
    return isinstance(event, Intended) and event.effect is Effect.CREATE


def main() -> None:
    arguments: dict[str, Any] = json.loads(os.environ["WORKER"])
    settings = OutboxSettings(lease=LEASE, first_wait=0.1, longest_wait=0.2)

    def connected(_: str) -> OutboxConnection:
        return OutboxConnection(adapter_for(arguments["platform"], dict(arguments["settings"])))

    with (
        Outbox(arguments["url"], settings=settings) as outbox,
        Pausing(outbox, connections=Asking(connected)) as processor,
    ):
        processor.where = arguments["where"]
        Worker(processor).run(until_idle=True)


if __name__ == "__main__":
    main()
