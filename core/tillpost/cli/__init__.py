"""The `tillpost` command.

It needs the extra `tillpost[cli]`. `app` assembles the commands, which are in `commands`, one
module each. `input` reads files, `output` prints, `exit_codes` maps errors to exit codes, and
`connection_option` and `outbox_option` open what `--connection` and `--db` name.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec

__all__ = ["main"]


def main() -> None:
    """Run the command with the process's arguments, and exit.

    The exit code is one from `exit_codes`.
    """
    if not (find_spec("typer") and find_spec("rich")):
        sys.stderr.write("tillpost: the command needs an extra: pip install 'tillpost[cli]'\n")
        raise SystemExit(2)
    from tillpost.cli.app import run

    run()
