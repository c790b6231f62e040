"""The workers of the crash test: processes that are killed by SIGKILL and replaced."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections.abc import Collection, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import wrong_clock

PROGRAM = Path(__file__).with_name("worker.py")
TAIL = 6_000  # characters
MOSTLY = 0.8


class Variant(NamedTuple):
    """How a worker is started: its options, and by how many seconds its clock is ahead."""

    options: Sequence[str] = ()
    ahead: float = 0.0


class Workers:
    """Processes of `worker.py`. One that ends by itself found nothing more to do."""

    def __init__(
        self, world: Path, log: Path, size: int, variants: Sequence[Variant] = (Variant(),)
    ) -> None:
        """Take the file for the workers, and how they are started in turn."""
        self._world = world
        self._variants = variants
        self._log_file = log
        self._size = size
        self._running: list[subprocess.Popen[bytes]] = []
        self.started = 0
        self.may_fail = False
        """Whether one that ends with an error is replaced: it couldn't reach its database."""

    def fill(self) -> None:
        """Start as many as are missing."""
        self._running = [process for process in self._running if not self._ended(process)]
        while len(self._running) < self._size:
            with self._log_file.open("ab") as log:
                variant = self._variants[self.started % len(self._variants)]
                command = wrong_clock.command(variant.ahead, PROGRAM, self._world, *variant.options)
                process = subprocess.Popen(command, stdout=log, stderr=log)
            self._running.append(process)
            self.started += 1

    def kill_one(self, draw: random.Random, at_work: Collection[int]) -> int:
        """Kill a worker, mostly one of those `at_work`; return its process id."""
        busy = [process for process in self._running if process.pid in at_work]
        victim = draw.choice(busy if busy and draw.random() < MOSTLY else self._running)
        self._running.remove(victim)
        victim.kill()
        victim.wait()
        return victim.pid

    def wait(self, seconds: float) -> None:
        """Wait until all have ended of their own accord."""
        deadline = time.monotonic() + seconds
        for process in self._running:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                raise AssertionError(
                    f"a worker isn't idle after {seconds:.0f} s\n{self.log()}"
                    f"\n{self._stacks(process)}"
                ) from None
            self._ended(process)
        self._running = []

    def end(self) -> None:
        """Kill what is left."""
        for process in self._running:
            process.kill()
            process.wait()

    def log(self) -> str:
        """Return the end of what the workers logged."""
        return self._log_file.read_text(errors="replace")[-TAIL:] if self._log_file.exists() else ""

    def _stacks(self, process: subprocess.Popen[bytes]) -> str:
        """Return what the threads of a process are doing, which it writes to the log."""
        begin = self._log_file.stat().st_size
        process.send_signal(signal.SIGUSR1)
        time.sleep(1.0)
        return self._log_file.read_bytes()[begin:].decode(errors="replace")

    def _ended(self, process: subprocess.Popen[bytes]) -> bool:
        code = process.poll()
        is_fine = code in (None, 0) or self.may_fail
        assert is_fine, f"a worker ended with {code}\n{self.log()}"
        return code is not None


@contextmanager
def working(
    world: Path, log: Path, size: int, variants: Sequence[Variant] = (Variant(),)
) -> Generator[Workers]:
    """Run workers until the block ends."""
    workers = Workers(world, log, size, variants)
    try:
        workers.fill()
        yield workers
    finally:
        workers.end()
