"""A worker process for tests of token refresh: it checks the store once, and prints the result.

    python -m core.outbox.renewing_worker DATABASE_URL CONNECTION START_FILE

It waits until the file exists, so that several begin at the same moment.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from tillpost import PosError
from tillpost.outbox import Outbox, OutboxSettings, Processor
from tillpost.outbox.delivery.store_queries import StoreQueries


def main(url: str, connection: str, start: str) -> None:
    """Check the connection, as a worker."""
    with Outbox(url, settings=OutboxSettings(lease=2.0)) as outbox, Processor(outbox) as processor:
        store = StoreQueries(processor.connections[connection])
        print("up", flush=True)
        while not Path(start).exists():
            time.sleep(0.002)
        try:
            readiness = store.check()
        except PosError as error:
            print(type(error).__name__, flush=True)
        else:
            failed = [finding.text for finding in readiness.findings if not finding.ok]
            print("ready" if readiness.ready else "; ".join(failed), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
