"""The start of the `tillpost` command.

Ctrl-C shows no traceback while modules are imported. Importing `tillpost` takes a third of a
second. An interruption in that time can only be caught from outside of the package, so this one
imports nothing of it before `main` is called.
"""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command with the process's arguments, and exit with its code.

    The code is 130 after Ctrl-C.
    """
    try:
        from tillpost.cli import main as run

        run()
    except KeyboardInterrupt:
        # The command itself wasn't running yet, so it can't say what was interrupted.
        sys.stderr.write("tillpost: interrupted\n")
        raise SystemExit(130) from None
