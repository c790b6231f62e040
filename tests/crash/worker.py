"""A worker in a process: `python worker.py WORLD.json`. It ends when nothing is left to do.

`World.write` writes the file: the outbox's settings, and each connection with its platform's
settings. The connections have short timeouts, so that a hanging platform doesn't delay the test.
"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

from tillpost.client.base import adapter_for
from tillpost.outbox import (
    Outbox,
    OutboxConnection,
    OutboxSettings,
    Processor,
    from_mapping,
    worker_for,
)
from tillpost.submission.policy import Policy
from tillpost.transport.http import Limits


def connected(known: dict[str, Any]) -> OutboxConnection:
    """Return the connection that the file describes."""
    return OutboxConnection(
        adapter_for(known["platform"], known["settings"]),
        policy=Policy.model_validate(known["policy"]),
        limits=Limits(**known["limits"]),
    )


def main(world: Path) -> None:
    """Work until idle."""
    content: dict[str, Any] = json.loads(world.read_text())
    settings = OutboxSettings.model_validate(content["outbox"])
    connections = from_mapping(
        {name: connected(known) for name, known in content["connections"].items()}
    )
    with (
        Outbox(settings=settings) as outbox,
        Processor(outbox, connections=connections) as processor,
    ):
        worker_for(processor).run(until_idle=True)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(process)d %(message)s")
    logging.getLogger("stamina").setLevel(logging.ERROR)
    main(Path(sys.argv[1]))
