"""A worker in a process of its own that stops itself once (SIGSTOP), in the middle of an order. Run by tests.

`WORKER` in the environment says over which store, for which shop and where: `intent` (the intent of
a create is on disk), `check` (it has made sure of its right to send, and nothing has left yet), or
nowhere. It ends when it is idle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection

from tillpost.adapter.exchange import Effect
from tillpost.client.base import adapter_for
from tillpost.errors import Transcript
from tillpost.outbox import Outbox, OutboxConnection, OutboxSettings, Processor, Worker
from tillpost.outbox.orders.claims import Claim
from tillpost.submission.journal import Event, Intended

LEASE = 1.0
"""In seconds: so long after a worker was paused another takes its orders over."""


def start(
    url: str, platform: str, settings: Mapping[str, object], where: str = ""
) -> subprocess.Popen[bytes]:
    """Start a worker."""
    told = json.dumps(
        {"url": url, "platform": platform, "settings": dict(settings), "where": where}
    )
    return subprocess.Popen([sys.executable, __file__], env={**os.environ, "WORKER": told})


def wait_until_stopped(process: subprocess.Popen[bytes], seconds: float = 30.0) -> None:
    """Wait until a process is stopped by a signal."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pid, status = os.waitpid(process.pid, os.WUNTRACED | os.WNOHANG)
        if pid and os.WIFSTOPPED(status):
            return
        assert not pid, f"the worker ended: {status}"
        time.sleep(0.01)
    raise AssertionError("the worker never came to where it stops")


class Pausing(Processor):
    """Stops itself at one place, the first time that it comes there."""

    where = ""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        record, check = self.claims.recording, self._heartbeat.check

        @contextmanager
        def recording(
            claim: Claim,
            events: Sequence[tuple[Event, Transcript | None]],
            now: float,
            **columns: Any,
        ) -> Generator[Connection]:
            with record(claim, events, now, **columns) as db:
                yield db
            if any(isinstance(e, Intended) and e.effect is Effect.CREATE for e, _ in events):
                self._stop_at("intent")

        def checking(worker: str) -> None:
            check(worker)
            self._stop_at("check")

        self.claims.recording = recording  # type: ignore[method-assign]
        self._heartbeat.check = checking  # type: ignore[method-assign]

    def _stop_at(self, place: str) -> None:
        if self.where == place:
            self.where = ""
            os.kill(os.getpid(), signal.SIGSTOP)
            time.sleep(0.1)  # another thread may be the first to hear of it


def main() -> None:
    told: dict[str, Any] = json.loads(os.environ["WORKER"])
    settings = OutboxSettings(lease=LEASE, first_wait=0.1, longest_wait=0.2)

    def connected(_: str) -> OutboxConnection:
        return OutboxConnection(adapter_for(told["platform"], dict(told["settings"])))

    with (
        Outbox(told["url"], settings=settings) as outbox,
        Pausing(outbox, connections=connected) as processor,
    ):
        processor.where = told["where"]
        Worker(processor).run(until_idle=True)


if __name__ == "__main__":
    main()
