"""A worker in a process: `python worker.py WORLD.json`. It ends when nothing is left to do.

`--lease` overrides the file's setting; with `--for-ever` it ends on SIGTERM only. `--poison` gives
it plugins that do harm.

`World.write` writes the file: the outbox's settings, and each connection with its platform's
settings. The connections have short timeouts, so that a hanging platform doesn't delay the test.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # run as a program, its folder is `tests/crash`

from crash.poison_hooks import PATIENCE, Exits, Hangs
from tillpost.client.base import adapter_for
from tillpost.outbox import (
    Outbox,
    OutboxConnection,
    OutboxSettings,
    Processor,
    from_mapping,
    worker_for,
)
from tillpost.outbox.worker import stuck_orders
from tillpost.submission.policy import Policy
from tillpost.transport.http import Limits


def connected(known: dict[str, Any]) -> OutboxConnection:
    """Return the connection that the file describes."""
    return OutboxConnection(
        adapter_for(known["platform"], known["settings"]),
        policy=Policy.model_validate(known["policy"]),
        limits=Limits(**known["limits"]),
    )


def main() -> None:
    """Work until idle."""
    parser = argparse.ArgumentParser()
    parser.add_argument("world", type=Path)
    parser.add_argument("--lease", type=float)
    parser.add_argument("--for-ever", action="store_true")
    parser.add_argument("--poison", action="store_true")
    arguments = parser.parse_args()
    content: dict[str, Any] = json.loads(arguments.world.read_text())
    settings = OutboxSettings.model_validate(content["outbox"])
    if arguments.lease:
        settings = settings.model_copy(update={"lease": arguments.lease})
    hooks: Sequence[object] = ()
    if arguments.poison:
        hooks = (Exits(), Hangs())
        stuck_orders.PATIENCE = PATIENCE
    connections = from_mapping(
        {name: connected(known) for name, known in content["connections"].items()}
    )
    with (
        Outbox(settings=settings) as outbox,
        Processor(outbox, connections=connections, hooks=hooks) as processor,
    ):
        worker = worker_for(processor)
        signal.signal(signal.SIGTERM, lambda number, frame: worker.stop())
        worker.run(until_idle=not arguments.for_ever)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(process)d %(message)s")
    logging.getLogger("stamina").setLevel(logging.ERROR)
    faulthandler.register(signal.SIGUSR1)  # what `Workers.wait` asks of one that doesn't end
    main()
