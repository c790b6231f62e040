"""Runs a program whose machine's clock is wrong: `wrong_clock.py SECONDS PROGRAM ARGUMENTS...`.

The clock is ahead by so many seconds, or behind if they are negative. It is wrong before the
program imports anything, since modules keep `time.time` as a default.
"""

from __future__ import annotations

import runpy
import sys
import time
from collections.abc import Sequence
from pathlib import Path


def command(ahead: float, program: str | Path, *arguments: str | Path) -> Sequence[str | Path]:
    """Return the command that runs a Python program with a wrong clock."""
    return [sys.executable, __file__, str(ahead), program, *arguments]


def main() -> None:
    """Set the clock wrong, and run the program."""
    _, ahead, program, *arguments = sys.argv
    true_time, seconds = time.time, float(ahead)
    time.time = lambda: true_time() + seconds
    sys.argv = [program, *arguments]
    runpy.run_path(program, run_name="__main__")


if __name__ == "__main__":
    main()
