"""`tillpost worker`: brings the outbox's orders to their registers until it is told to stop.

It prints when it begins and when it ends, and a line for each decision on standard error. With
`--json`, all of these are JSON objects, one a line, on standard output: {"at", "level", "event",
...}; the first event is "begun", the last "ended" with {"why", "arrived", "stopped"}, and what
isn't a decision is {"event": "log", "text"}.

SIGTERM and Ctrl-C end it within ten seconds: orders in hand are carried on for eight of these, and
a request that hangs longer is left. What became of it, the next worker finds out. A second Ctrl-C
ends it at once.
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
from tillpost.cli.output import complain, one_line, tell

if TYPE_CHECKING:
    from tillpost.outbox import Outbox, Runs

__all__ = ["worker"]

log = logging.getLogger("tillpost.outbox")

STOPS_WITHIN = 9.5
"""A worker that was told to stop ends within so many seconds, whatever it is doing."""


def worker(
    until_idle: Annotated[
        bool,
        typer.Option(
            "--until-idle", help="End when nothing is left that becomes due by itself soon."
        ),
    ] = False,
    engine: Annotated[
        str,
        typer.Option("--engine", metavar="NAME", help="What wakes it. [[outbox] engine, embedded]"),
    ] = "",
    db: DatabaseUrl = "",
    config: ConfigFile = "",
    as_json: AsJson = False,
) -> None:
    """Bring the outbox's orders to their registers, until Ctrl-C or SIGTERM.

    Run as many as you like, on one machine with SQLite, on many with PostgreSQL. Orders in hand are
    carried to an end before it stops, for a few seconds at most.
    """
    need_outbox()
    with opened(db, config, engine=engine, new=True) as outbox, _logging(as_json) as told:
        from tillpost.outbox import Processor, worker_for
        from tillpost.outbox.operations.connections import Connections

        known = Connections(outbox).states()
        if not known:
            raise CliError(
                "there are no connections: tillpost connect makes one, and so does a TOML file"
            )
        for state in (state for state in known if state.fault):
            log.warning(
                "connection %s can't be used, and its orders will need a person: %s",
                state.name,
                state.fault,
            )
        with _stopping() as stopping, Processor(outbox) as processor:
            runs = stopping.runs = worker_for(processor)
            told.begun(outbox, engine or outbox.settings.engine)
            if not stopping.asked:
                runs.run(until_idle=until_idle)
        told.ended("it was told to stop" if stopping.asked else "nothing is left to do")
    if stopping.asked:
        _leave_behind_what_hangs()


class DecisionLog(logging.Handler):
    """Shows what a worker decides, one line each, and counts how many orders arrived and how many stopped."""

    def __init__(self, as_json: bool) -> None:
        super().__init__(logging.INFO)
        self._as_json = as_json
        self._arrived = self._stopped = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Print the record, with an exception's kind but not its traceback."""
        kind = record.exc_info[0] if record.exc_info else None
        text = record.getMessage() + (f" ({kind.__name__})" if kind else "")
        decision: dict[str, object] = getattr(
            record, "outbox_event", {"event": "log", "text": text}
        )
        if decision["event"] == "order_processed":
            self._arrived += decision["state"] in ("received", "accepted")
            self._stopped += (
                decision["state"] == "error" or decision.get("waits_for") == "authorisation"
            )
        at, level = datetime.fromtimestamp(record.created, UTC), record.levelname.lower()
        if self._as_json:
            self._print({"at": at.isoformat(), "level": level, **decision})
        else:
            sys.stderr.write(f"{at:%Y-%m-%dT%H:%M:%S.%fZ} {level} {one_line(text)}\n")

    def begun(self, outbox: Outbox, engine: str) -> None:
        """Say that the worker has begun."""
        where = name_of(outbox.database)
        if self._as_json:
            self._print(
                {**_now(), "event": "begun", "db": where, "engine": engine, "process": os.getpid()}
            )
        else:
            tell(
                f"The worker has begun, on {where} with the engine {engine}. Ctrl-C ends it.",
                "bold green",
            )
            sys.stdout.flush()

    def ended(self, why: str) -> None:
        """Say that the worker has ended, and what it has done."""
        if self._as_json:
            self._print(
                {
                    **_now(),
                    "event": "ended",
                    "why": why,
                    "arrived": self._arrived,
                    "stopped": self._stopped,
                }
            )
            return
        stopped = (
            f", and {self._stopped} need a person: tillpost orders list --problem"
            if self._stopped
            else ""
        )
        tell(
            f"The worker has ended, since {why}. Orders that arrived: {self._arrived}{stopped}.",
            "bold",
        )

    def _print(self, facts: dict[str, object]) -> None:
        sys.stdout.write(json.dumps(facts) + "\n")
        sys.stdout.flush()


class Stopping:
    """What the signals do: the first asks the worker to stop, and sees that it does; the second ends the process."""

    def __init__(self) -> None:
        self.asked = False
        self.over = threading.Event()
        self.runs: Runs | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal. Whatever might wait for a lock that the interrupted code holds is done in a thread."""
        if self.asked:
            os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, b"tillpost: interrupted\n")
            os._exit(INTERRUPTED)
        self.asked = True
        threading.Thread(target=self._stop, name="tillpost-stopping", daemon=True).start()

    def _stop(self) -> None:
        if self.runs:
            self.runs.stop()
        if not self.over.wait(STOPS_WITHIN):
            complain(
                "the worker didn't end in time; the orders that it has in hand are free after its lease"
            )
            os._exit(NOT_RIGHT)


@contextmanager
def _stopping() -> Generator[Stopping]:
    stopping = Stopping()
    before = {number: signal.signal(number, stopping) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        stopping.over.set()


@contextmanager
def _logging(as_json: bool) -> Generator[DecisionLog]:
    """Show Tillpost's log while the block lasts, in the place of what the command shows otherwise."""
    ours, told = logging.getLogger("tillpost"), DecisionLog(as_json)
    handlers, level = ours.handlers[:], ours.level
    ours.handlers[:] = [told]
    ours.setLevel(logging.INFO)
    try:
        yield told
    finally:
        ours.handlers[:] = handlers
        ours.setLevel(level)


def _leave_behind_what_hangs() -> None:
    """End the process although a thread hangs in a request: Python would wait for it, however long that takes."""
    for thread in threading.enumerate():
        if thread.name.startswith("tillpost-order"):
            thread.join(0.2)
            if thread.is_alive():
                complain(
                    "a request hung and was left; the next worker finds out what became of its order"
                )
                sys.stdout.flush()
                os._exit(0)


def _now() -> dict[str, object]:
    return {"at": datetime.now(UTC).isoformat(), "level": "info"}
