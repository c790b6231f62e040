"""A worker in its own process, which tests may kill, stop and start.

Run as a program, this module is the worker.

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
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

import wrong_clock
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
    """A worker over the database at `url`, with one connection, `cafe`, to a Square."""

    def __init__(
        self,
        url: str,
        square: Mapping[str, str],
        *,
        engine: str,
        until_idle: bool = False,
        concurrency: int = 4,
        ahead: float = 0.0,
        **settings: object,
    ) -> None:
        """Start the process, on a machine whose clock is ahead by so many seconds."""
        arguments = {
            "url": url,
            "square": dict(square),
            "settings": {"engine": engine, **settings},
        }
        environment = {**os.environ, "WORKER": json.dumps(arguments)}
        options = ["--concurrency", str(concurrency)]
        if until_idle:
            options.append("--until-idle")
        command = wrong_clock.command(ahead, __file__, *options)
        self.process = subprocess.Popen(command, env=environment)

    def stop(self) -> float:
        """Ask the process to end; return how many seconds that took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=120)
        assert code == 0, code
        return time.monotonic() - began

    def kill(self) -> None:
        """Kill the process."""
        self.process.kill()
        self.process.wait(timeout=60)

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
    """Wait until a condition holds; return how many seconds that took.

    Fails after `within` seconds.
    """
    began = time.monotonic()
    while not holds():
        assert time.monotonic() < began + within, f"{what}: not within {within:g} s"
        time.sleep(0.02)
    return time.monotonic() - began


def main() -> None:
    """Work until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--until-idle", action="store_true")
    parser.add_argument("--concurrency", type=int, required=True)
    options = parser.parse_args()
    logging.basicConfig(
        level=os.environ.get("LOGGED", "WARNING"), format="%(asctime)s %(name)s %(message)s"
    )
    arguments: dict[str, Any] = json.loads(os.environ["WORKER"])
    cafe = OutboxConnection(
        adapter_for("square", arguments["square"]),
        outbox=ConnectionOptions(concurrency=options.concurrency),
    )
    with (
        Outbox(
            arguments["url"], settings=OutboxSettings.model_validate(arguments["settings"])
        ) as outbox,
        Processor(outbox, connections=from_mapping({"cafe": cafe})) as processor,
    ):
        worker = worker_for(processor)
        signal.signal(signal.SIGTERM, lambda number, frame: worker.stop())
        worker.run(until_idle=options.until_idle)


if __name__ == "__main__":
    main()
