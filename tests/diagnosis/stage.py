"""The stage for the situations: real simulators over HTTP, an outbox in SQLite, and a worker.

A `Situation` is one row of the table in `situations`. `Stage.play` plays it and returns the facts,
including a live query of the platform. All situations share one simulator per platform, which is
reset first.
"""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adapters.kounta.bench import SUBSTITUTES
from adapters.square.shop_orders import FLAT_WHITE, OAT, TOASTIE, paid
from tillpost import Order, Till
from tillpost.client.base import adapter_for
from tillpost.models.menu import Menu
from tillpost.models.order import Pickup
from tillpost.models.outage import Whose
from tillpost.outbox import (
    ConnectionSource,
    Outbox,
    OutboxConnection,
    OutboxSettings,
    Processor,
    from_mapping,
)
from tillpost.outbox.operations.diagnosis import gather_facts
from tillpost.simulator import FaultPlan, Running, serve_in_thread
from tillpost.submission.context import Connection
from tillpost.support.diagnosis import Facts, Hop
from tillpost.transport.http import Limits
from tillpost_simulators.generic import GenericSimulator
from tillpost_simulators.kounta import KountaSettings, KountaSimulator
from tillpost_simulators.square import SquareSimulator

SQUARE, KOUNTA, GENERIC = "square", "kounta", "generic"
ORDER_ID = "ord_1"

OUTBOX_SETTINGS = OutboxSettings(
    first_wait=0.05, longest_wait=0.1, lease=600.0, outage_after=2, give_up_after=600
)
"""Short waits between attempts, and a lease that no busy machine lets expire within a situation."""

ADAPTER_SETTINGS: Mapping[str, Mapping[str, Any]] = {
    SQUARE: {"look_after": (0.01, 0.01)},
    KOUNTA: {**SUBSTITUTES, "import_pace": 0, "look_after": (30.0,)},
    GENERIC: {"look_after": (0.01, 0.01)},
}
"""Settings in addition to the simulator's own. Kounta's look-up comes after the situation's end."""

BEAT_EVERY = 0.02
"""How often the workers of a situation show that they are alive, in seconds."""


def lunch(order_id: str = ORDER_ID, **more: Any) -> Order:
    """Build an order that every simulated store accepts."""
    white = FLAT_WHITE.model_copy(update={"quantity": 2, "modifiers": (OAT,)})
    return paid(order_id, [white, TOASTIE], **more)


def toastie(order_id: str = ORDER_ID, **more: Any) -> Order:
    """Build an order of one toastie."""
    return paid(order_id, [TOASTIE], **more)


def due_at(moment: Any) -> Callable[[], Order]:
    """Return a function that builds an order that is due at a time."""
    return lambda: toastie(fulfilment=Pickup(due_at=moment()))


def nothing(_: Stage) -> None:
    """Do nothing."""


Event = Callable[["Stage"], None]
"""Something that happens on the stage."""


@dataclass(frozen=True)
class Situation:
    """One situation, and its expected diagnosis.

    Attributes:
        name: What happens.
        platform: Where the order goes.
        hop: The expected hop.
        kind: The expected class of the error; empty for none.
        before: What happens ahead of the first attempt.
        after: What happens once the worker has finished with the order.
        order: Builds the order.
        settings: Settings that differ from the connection's usual ones.
        whose: Whose fault the outage is; None without an outage.
        connection: The connection, when it isn't named like the platform.
        times: How many orders the connection gets.
        also: Other platforms that get an order each afterwards.
        earlier: Platforms that get an order each before everything else.
        unplugged: Platforms that refuse connections from then on.
        nowhere: The address of unplugged platforms.
        fresh_menu: Whether the menu is imported after `before`.
        worker: Whether a worker runs.
        read: How long an answer is waited for, in seconds.
    """

    name: str
    platform: str
    hop: Hop
    kind: str
    before: Event = nothing
    after: Event = nothing
    order: Callable[[], Order] = lunch
    settings: Mapping[str, object] = field(default_factory=dict[str, object])
    whose: Whose | None = None
    connection: str = ""
    times: int = 1
    also: tuple[str, ...] = ()
    earlier: tuple[str, ...] = ()
    unplugged: tuple[str, ...] = ()
    nowhere: str = ""
    fresh_menu: bool = False
    worker: bool = True
    read: float = 10.0

    def __str__(self) -> str:
        """Return the platform and the name."""
        return f"{self.platform}: {self.name}"


class Stage:
    """The platforms, and the outbox of the situation that is being played.

    `simulator` is the one of the situation's platform.
    """

    def __init__(self, running: Mapping[str, Running[Any]], menu: Menu, template: Path) -> None:
        self._running = running
        self._menu = menu
        self._template = template
        self.simulator: Any = None
        self._outbox: Any = None

    def play(self, situation: Situation, folder: Path) -> Facts:
        """Play a situation and return the facts about its order."""
        for running in self._running.values():
            running.simulator.reset()
            running.simulator.set_faults(FaultPlan())
        self.simulator = self._running[situation.platform].simulator
        database = folder / "orders.db"
        shutil.copy(self._template, database)
        with Outbox(f"sqlite:///{database}", settings=OUTBOX_SETTINGS) as outbox:
            self._outbox = outbox
            if not situation.fresh_menu:
                self._store_menu(outbox)
            return self._play(situation, outbox)

    def import_elsewhere(self) -> None:
        """Let another worker begin the first menu import of Kounta's store."""
        other = self._outbox.workers.enlist(time.time())
        values = {"menu": None, "menu_at": 0.0, "importer": other}
        with self._outbox.database.writing() as db:
            self._outbox.connection_rows.update(db, KOUNTA, values)

    def _play(self, situation: Situation, outbox: Outbox) -> Facts:
        if situation.earlier:
            with Processor(outbox, connections=self._source(situation)) as processor:
                for platform in situation.earlier:
                    _add(outbox, toastie(f"earlier_{platform}"), platform)
                    _process(processor)
        situation.before(self)
        source = self._source(situation, unplug=True)
        with Processor(outbox, connections=source) as processor:
            self._deliver(situation, outbox, processor)
            situation.after(self)
            if situation.worker:
                with _beating(outbox):
                    return gather_facts(outbox, ORDER_ID, connections=source)
        return gather_facts(outbox, ORDER_ID, connections=source)

    def _deliver(self, situation: Situation, outbox: Outbox, processor: Processor) -> None:
        """Add the situation's orders, and process them if it has a worker."""
        if situation.fresh_menu:
            processor.import_now(situation.platform)
        connection = situation.connection or situation.platform
        _add(outbox, situation.order(), connection)
        for number in range(1, situation.times):
            _add(outbox, toastie(f"ord_{number + 1}"), connection)
        if situation.worker:
            _process(processor)
        for platform in situation.also:
            _add(outbox, toastie(f"also_{platform}"), platform)
            _process(processor)

    def _source(self, situation: Situation, *, unplug: bool = False) -> ConnectionSource:
        connections = {
            name: self._connection(name, situation, unplug=unplug) for name in self._running
        }
        return from_mapping(connections)

    def _connection(self, platform: str, situation: Situation, *, unplug: bool) -> OutboxConnection:
        settings = {**self._running[platform].settings, **ADAPTER_SETTINGS[platform]}
        if platform == situation.platform:
            settings |= situation.settings
        if unplug and platform in situation.unplugged:
            settings["base_url"] = situation.nowhere
        limits = Limits(read=situation.read)
        return OutboxConnection(adapter_for(platform, settings), limits=limits)

    def _store_menu(self, outbox: Outbox) -> None:
        """Store Kounta's menu as of an hour ago. Kounta accepts no order without one."""
        imported_at = time.time() - 3600
        menu = self._menu.model_dump_json()
        values = {"menu": menu, "menu_at": imported_at, "platform": KOUNTA}
        with outbox.database.writing() as db:
            outbox.connection_rows.lock(db, KOUNTA)
            outbox.connection_rows.update(db, KOUNTA, values)


def _add(outbox: Outbox, order: Order, connection: str) -> None:
    outbox.add(order, connection=connection, is_new=True)


def _process(processor: Processor) -> None:
    """Make one attempt at each order that is due."""
    for claim in processor.claim(20):
        processor.handle(claim)


@contextmanager
def _beating(outbox: Outbox) -> Generator[None]:
    """Raise the heartbeat of all workers while the block runs.

    A diagnosis waits for a heartbeat, which comes several times per lease. The lease here is long.
    """
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(BEAT_EVERY):
            for worker in outbox.workers.beats():
                outbox.workers.beat(worker)

    thread = threading.Thread(target=beat, name="heartbeats")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextmanager
def staged(folder: Path) -> Generator[Stage]:
    """Serve a simulator for each platform, and prepare the database and menu once."""
    kounta_settings = KountaSettings(oauth_limit=100_000)
    with ExitStack() as stack:
        running: dict[str, Running[Any]] = {
            SQUARE: stack.enter_context(serve_in_thread(SquareSimulator())),
            KOUNTA: stack.enter_context(serve_in_thread(KountaSimulator(kounta_settings))),
            GENERIC: stack.enter_context(serve_in_thread(GenericSimulator())),
        }
        settings = {**running[KOUNTA].settings, **ADAPTER_SETTINGS[KOUNTA]}
        connection = Connection(adapter_for(KOUNTA, settings))
        with Till(connection) as till:
            menu = till.import_menu().menu
        assert menu
        template = folder / "template.db"
        with Outbox(f"sqlite:///{template}", settings=OUTBOX_SETTINGS) as outbox:
            outbox.prepare()
        yield Stage(running, menu, template)


@contextmanager
def nobody_listens() -> Generator[str]:
    """Give an address of this machine that refuses connections."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    yield f"http://127.0.0.1:{port}"
