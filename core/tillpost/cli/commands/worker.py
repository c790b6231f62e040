"""`tillpost worker`: submit the outbox's orders until it is stopped.

It prints when it starts and stops to standard output, and one line for each log event to standard
error. With `--json`, all of these are JSON objects, one per line, on standard output: {"at",
"level", "event", ...}. The first event is "begun" and the last is "ended" with {"why", "arrived",
"stopped"}. Other log messages are {"event": "log", "text"}.

SIGTERM and Ctrl-C stop it within ten seconds: orders in flight are finished for up to seven of
them, and a request that hangs longer is abandoned. The next worker finds out what became of it. A
second Ctrl-C ends the process at once.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from tillpost.cli.connection_option import AsJson, ConfigFile
from tillpost.cli.exit_codes import INTERRUPTED, NOT_RIGHT, CliError
from tillpost.cli.outbox_option import DatabaseUrl, name_of, need_outbox, opened
from tillpost.cli.output import one_line, print_error, print_line
from tillpost.models.safe_text import safe_logger

if TYPE_CHECKING:
    from tillpost.outbox import Outbox, Runs

__all__ = ["worker"]

log = safe_logger("tillpost.outbox")

STOPS_WITHIN = 9.5
"""How long a worker takes to stop at most, in seconds, whatever it is doing."""

_ORDER_THREADS = "tillpost-order"
"""How the names of threads that process orders begin."""


def worker(
    until_idle: Annotated[
        bool,
        typer.Option("--until-idle", help="Stop once no order is due soon."),
    ] = False,
    engine: Annotated[
        str,
        typer.Option(
            "--engine", metavar="NAME", help="What schedules the work. [[outbox] engine, embedded]"
        ),
    ] = "",
    db: DatabaseUrl = "",
    config: ConfigFile = "",
    as_json: AsJson = False,
) -> None:
    """Submit the outbox's orders until Ctrl-C or SIGTERM.

    Several workers can run at once: on one machine with SQLite, on many with PostgreSQL. A worker
    that is stopped finishes the orders in flight, which takes up to ten seconds.
    """
    need_outbox()
    with opened(db, config, engine=engine, new=True) as outbox, _printed_log(as_json) as printed:
        from tillpost.outbox import Processor, worker_for

        _check_connections(outbox)
        with _handling_signals() as stop, Processor(outbox) as processor:
            running = worker_for(processor)
            stop.running = running
            printed.started(outbox, engine or outbox.settings.engine)
            if not stop.requested:
                running.run(until_idle=until_idle)
        printed.stopped("a stop was requested" if stop.requested else "nothing is left to do")
    if stop.requested:
        _abandon_hanging_requests()


def _check_connections(outbox: Outbox) -> None:
    """Warn of connections that can't be used.

    Raises `CliError` when there are none at all.
    """
    from tillpost.outbox.operations.connections import Connections

    states = Connections(outbox).states()
    if not states:
        raise CliError(
            "no connections: connect a store with `tillpost connect`, or add one to the TOML file"
        )
    for state in states:
        if state.fault:
            log.warning(
                "connection %s can't be used, so its orders will fail: %s", state.name, state.fault
            )


class PrintedLog(logging.Handler):
    """A handler that prints a worker's log events, one line each.

    It counts the orders that arrived and stopped.
    """

    def __init__(self, as_json: bool) -> None:
        super().__init__(logging.INFO)
        self._as_json = as_json
        self._arrived = 0
        self._stopped = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Print the record, with an exception's class but not its traceback."""
        exception = record.exc_info[0] if record.exc_info else None
        suffix = f" ({exception.__name__})" if exception else ""
        text = record.getMessage() + suffix
        event: dict[str, object] = getattr(record, "outbox_event", {"event": "log", "text": text})
        if event["event"] == "order_processed":
            self._count(event)
        at = datetime.fromtimestamp(record.created, UTC)
        level = record.levelname.lower()
        if self._as_json:
            self._print({"at": at.isoformat(), "level": level, **event})
        else:
            sys.stderr.write(f"{at:%Y-%m-%dT%H:%M:%S.%fZ} {level} {one_line(text)}\n")

    def started(self, outbox: Outbox, engine: str) -> None:
        """Print that the worker has started."""
        database = name_of(outbox.database)
        if self._as_json:
            facts = {"db": database, "engine": engine, "process": os.getpid()}
            self._print({**_now(), "event": "begun", **facts})
            return
        print_line(
            f"Worker started on {database} with the engine {engine}. Ctrl-C stops it.", "bold green"
        )
        sys.stdout.flush()

    def stopped(self, why: str) -> None:
        """Print that the worker has stopped, and what it has done."""
        if self._as_json:
            facts = {"why": why, "arrived": self._arrived, "stopped": self._stopped}
            self._print({**_now(), "event": "ended", **facts})
            return
        problems = ""
        if self._stopped:
            problems = (
                f" Orders that need a person: {self._stopped} (tillpost orders list --problem)."
            )
        print_line(
            f"Worker stopped: {why}. Orders that arrived: {self._arrived}.{problems}", "bold"
        )

    def _count(self, event: dict[str, object]) -> None:
        state = event["state"]
        self._arrived += state in ("received", "accepted")
        self._stopped += state == "error" or event.get("waits_for") == "authorisation"

    def _print(self, facts: dict[str, object]) -> None:
        sys.stdout.write(json.dumps(facts) + "\n")
        sys.stdout.flush()


class StopSignal:
    """A signal handler that stops the worker.

    The first signal stops it in time, the second ends the process.
    """

    def __init__(self) -> None:
        self.requested = False
        self.finished = threading.Event()
        self.running: Runs | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        if self.requested:
            stderr = sys.__stderr__.fileno() if sys.__stderr__ else 2
            os.write(stderr, b"tillpost: interrupted\n")
            os._exit(INTERRUPTED)
        self.requested = True
        # In a thread, since stopping takes locks that the interrupted code may hold.
        threading.Thread(target=self._stop, name="tillpost-stopping", daemon=True).start()

    def _stop(self) -> None:
        if self.running:
            self.running.stop()
        if not self.finished.wait(STOPS_WITHIN):
            print_error(
                "the worker didn't stop in time; its orders are released when its lease expires"
            )
            os._exit(NOT_RIGHT)


@contextmanager
def _handling_signals() -> Generator[StopSignal]:
    """Handle SIGINT and SIGTERM for the duration of the block."""
    stop = StopSignal()
    numbers = (signal.SIGINT, signal.SIGTERM)
    previous = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        stop.finished.set()


@contextmanager
def _printed_log(as_json: bool) -> Generator[PrintedLog]:
    """Print Tillpost's log during the block, in place of its usual handlers."""
    logger = logging.getLogger("tillpost")
    printed = PrintedLog(as_json)
    handlers = logger.handlers[:]
    level = logger.level
    logger.handlers[:] = [printed]
    logger.setLevel(logging.INFO)
    try:
        yield printed
    finally:
        logger.handlers[:] = handlers
        logger.setLevel(level)


def _abandon_hanging_requests() -> None:
    """End the process if a request hangs. Python itself would wait for its thread."""
    for thread in threading.enumerate():
        if not thread.name.startswith(_ORDER_THREADS):
            continue
        thread.join(0.2)
        if thread.is_alive():
            print_error(
                "a hanging request was abandoned; the next worker finds out what became of it"
            )
            sys.stdout.flush()
            os._exit(0)


def _now() -> dict[str, object]:
    return {"at": datetime.now(UTC).isoformat(), "level": "info"}
