"""The `tillpost` command. Its parts need the extra `tillpost[cli]`; without it, `main` says so in one line.

`exits` has the exit codes, `reading` what comes in, `showing` what goes out, `connecting` the
connection in between; the other modules are the commands. `scenarios` is what an adapter's demo is
made of.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec

__all__ = ["main"]


def main() -> None:
    """Run the command with the arguments of the process, and exit with a code from `exits`."""
    if not (find_spec("typer") and find_spec("rich")):
        sys.stderr.write("tillpost: the command needs an extra: pip install 'tillpost[cli]'\n")
        raise SystemExit(2)
    try:
        from tillpost.cli.app import run

        run()
    except KeyboardInterrupt:  # before a command could say more about it
        sys.stderr.write("tillpost: interrupted\n")
        raise SystemExit(130) from None
