"""A worker in a process of its own, which tests may kill, stop and start. Run as a program, it is that worker.

with WorkerProcess(url, square, engine="embedded") as worker:
    worker.process.send_signal(signal.SIGKILL)
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from tillpost.client.base import adapter_for
from tillpost.outbox import (
    ConnectionOptions,
    Outbox,
    OutboxConnection,
    OutboxSettings,
    Processor,
    from_mapping,
    worker_for,
)


class WorkerProcess:
    """A worker over the database at `url`, whose one connection `cafe` is a Square with those settings."""

    def __init__(
        self,
        url: str,
        square: Mapping[str, str],
        *,
        engine: str,
        until_idle: bool = False,
        concurrency: int = 4,
        **settings: object,
    ) -> None:
        told = {"url": url, "square": dict(square), "settings": {"engine": engine, **settings}}
        command = [sys.executable, __file__, "--concurrency", str(concurrency)]
        environment = {**os.environ, "WORKER": json.dumps(told)}
        self.process = subprocess.Popen(
            [*command, *(["--until-idle"] if until_idle else [])], env=environment
        )

    def stop(self) -> float:
        """Ask it to end; return after how many seconds it did, properly."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=30)
        assert code == 0, code
        return time.monotonic() - began

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait(timeout=10)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.kill()


def until(holds: Callable[[], object], within: float, what: str = "it") -> float:
    """Wait until something holds; return after how many seconds it did, and fail after `within`."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() < began + within, f"{what} wasn't so within {within:g} s"
        time.sleep(0.02)
    return time.monotonic() - began


def main() -> None:
    """Work until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--until-idle", action="store_true")
    parser.add_argument("--concurrency", type=int, required=True)
    asked = parser.parse_args()
    logging.basicConfig(
        level=os.environ.get("LOGGED", "WARNING"), format="%(asctime)s %(name)s %(message)s"
    )
    told: dict[str, Any] = json.loads(os.environ["WORKER"])
    cafe = OutboxConnection(
        adapter_for("square", told["square"]),
        outbox=ConnectionOptions(concurrency=asked.concurrency),
    )
    with (
        Outbox(told["url"], settings=OutboxSettings.model_validate(told["settings"])) as outbox,
        Processor(outbox, connections=from_mapping({"cafe": cafe})) as processor,
    ):
        worker = worker_for(processor)
        signal.signal(signal.SIGTERM, lambda number, frame: worker.stop())
        worker.run(until_idle=asked.until_idle)


if __name__ == "__main__":
    main()
