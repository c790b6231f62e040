"""Where situations are provoked: the real simulators over HTTP, an outbox in SQLite, and a worker over it.

A `Situation` is one row of the table in `situations`. `Stage.play` provokes it and returns what is
then known of the order, by a live look at the platform. All situations share one simulator for each
platform, which is put back first."""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adapters.kounta.bench import STAND_INS
from adapters.square.shop_orders import FLAT_WHITE, OAT, TOASTIE, paid
from tillpost import Order, Till
from tillpost.client.base import Options, adapter_for
from tillpost.models.menu import Menu
from tillpost.models.order import Pickup
from tillpost.models.outage import Whose
from tillpost.outbox import Connected, Outbox, OutboxSettings, Processor, from_mapping
from tillpost.outbox.delivery.tills import Source
from tillpost.outbox.operations.diagnosis import gather_facts
from tillpost.simulator import FaultPlan, Running, serve_in_thread
from tillpost.support.diagnosis import Facts, Hop
from tillpost.transport.http import Limits
from tillpost_simulators.generic import GenericSimulator
from tillpost_simulators.kounta import KountaSettings, KountaSimulator
from tillpost_simulators.square import SquareSimulator

SQUARE, KOUNTA, GENERIC = "square", "kounta", "generic"
ID = "ord_1"

QUICK = OutboxSettings(
    first_wait=0.05, longest_wait=0.1, lease=30.0, outage_after=2, give_up_after=600
)
OWN: Mapping[str, Mapping[str, Any]] = {
    SQUARE: {"look_after": (0.01, 0.01)},
    KOUNTA: {**STAND_INS, "import_pace": 0, "look_after": (30.0,)},
    GENERIC: {"look_after": (0.01, 0.01)},
}
"""Settings of each platform's connection, beside the simulator's own. Kounta's look is far enough to be waited for."""


def lunch(order_id: str = ID, **how: Any) -> Order:
    """Return an order that every simulated store takes: two flat whites with oat milk, and a toastie."""
    white = FLAT_WHITE.model_copy(update={"quantity": 2, "modifiers": (OAT,)})
    return paid(order_id, [white, TOASTIE], **how)


def toastie(order_id: str = ID, **how: Any) -> Order:
    """Return an order of one toastie."""
    return paid(order_id, [TOASTIE], **how)


def due_at(moment: Any) -> Callable[[], Order]:
    """Return what makes an order that is due at a time."""
    return lambda: toastie(fulfilment=Pickup(due_at=moment()))


def nothing(_: Stage) -> None:
    """Nothing happens."""


@dataclass(frozen=True)
class Situation:
    """One situation: what is provoked, and what has to be said of it.

    `before` happens ahead of the first attempt, `after` once the worker has laid the order down.
    `settings` differ from the connection's usual ones. `also` are other platforms that get an order
    each afterwards, `earlier` before all else. `unplugged` platforms can't be connected to by then.
    `fresh_menu` imports the menu after `before`. `times` is how many orders the connection gets,
    for an outage that all of them meet; `read` is how many seconds an answer is waited for."""

    name: str
    platform: str
    hop: Hop
    kind: str
    before: Callable[[Stage], object] = nothing
    after: Callable[[Stage], object] = nothing
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
        """Its name, with the platform's."""
        return f"{self.platform}: {self.name}"


class Stage:
    """The platforms, and what is provoked on them. `simulator` is that of the situation at hand."""

    def __init__(self, running: Mapping[str, Running[Any]], menu: Menu, template: Path) -> None:
        self._running = running
        self._menu = menu
        self._template = template
        self.simulator: Any = None
        self._outbox: Any = None
        self.ahead = 0.0

    def now(self) -> float:
        """The time by which the worker goes, which a situation may move on."""
        return time.time() + self.ahead

    def play(self, situation: Situation, folder: Path) -> Facts:
        """Provoke a situation, and return what is known of the order then."""
        for one in self._running.values():
            one.simulator.reset()
            one.simulator.set_faults(FaultPlan())
        self.simulator, self.ahead = self._running[situation.platform].simulator, 0.0
        shutil.copy(self._template, folder / "orders.db")
        with Outbox(f"sqlite:///{folder / 'orders.db'}", settings=QUICK) as outbox:
            if not situation.fresh_menu:
                self._keep_menu(outbox)
            return self._played(situation, outbox)

    def import_elsewhere(self) -> None:
        """Let another worker have begun to import the first menu of Kounta's store."""
        other = self._outbox.workers.enlist(self.now())
        with self._outbox.database.writing() as db:
            self._outbox.connection_rows.update(
                db, KOUNTA, {"menu": None, "menu_at": 0.0, "importer": other}
            )

    def _played(self, situation: Situation, outbox: Outbox) -> Facts:
        self._outbox = outbox
        if situation.earlier:
            with Processor(
                outbox, connections=self._source(situation), clock=self.now
            ) as processor:
                for platform in situation.earlier:
                    _add(outbox, toastie(f"earlier_{platform}"), platform)
                    _work(processor)
        situation.before(self)
        source = self._source(situation, late=True)
        with Processor(outbox, connections=source, clock=self.now) as processor:
            if situation.fresh_menu:
                processor.import_now(situation.platform)
            connection = situation.connection or situation.platform
            _add(outbox, situation.order(), connection)
            for number in range(1, situation.times):
                _add(outbox, toastie(f"ord_{number + 1}"), connection)
            if situation.worker:
                _work(processor)
            for platform in situation.also:
                _add(outbox, toastie(f"also_{platform}"), platform)
                _work(processor)
            situation.after(self)
            if situation.worker:  # who asks while a worker is there
                return gather_facts(outbox, ID, connections=source, clock=self.now)
        return gather_facts(outbox, ID, connections=source, clock=self.now)

    def _source(self, situation: Situation, *, late: bool = False) -> Source:
        return from_mapping(
            {name: self._connected(name, situation, late=late) for name in self._running}
        )

    def _connected(self, platform: str, situation: Situation, *, late: bool = False) -> Connected:
        known = {**self._running[platform].settings, **OWN[platform]}
        if platform == situation.platform:
            known |= situation.settings
        if late and platform in situation.unplugged:
            known["base_url"] = situation.nowhere
        return Connected(adapter_for(platform, known), Options(limits=Limits(read=situation.read)))

    def _keep_menu(self, outbox: Outbox) -> None:
        """Let Kounta's menu, without which nothing can go, be that of an hour ago."""
        with outbox.database.writing() as db:
            outbox.connection_rows.lock(db, KOUNTA)
            outbox.connection_rows.update(
                db,
                KOUNTA,
                {
                    "menu": self._menu.model_dump_json(),
                    "menu_at": time.time() - 3600,
                    "platform": KOUNTA,
                },
            )


def _add(outbox: Outbox, order: Order, connection: str) -> None:
    outbox.add(order, connection=connection, is_new=True)


def _work(processor: Processor) -> None:
    """Take what is due in hand, once."""
    for claim in processor.claim(20):
        processor.handle(claim)


@contextmanager
def staged(folder: Path) -> Generator[Stage]:
    """Serve a simulator for each platform, with all that takes time done once."""
    with ExitStack() as stack:
        running: dict[str, Running[Any]] = {
            SQUARE: stack.enter_context(serve_in_thread(SquareSimulator())),
            KOUNTA: stack.enter_context(
                serve_in_thread(KountaSimulator(KountaSettings(oauth_limit=100_000)))
            ),
            GENERIC: stack.enter_context(serve_in_thread(GenericSimulator())),
        }
        with Till(adapter_for(KOUNTA, {**running[KOUNTA].settings, **OWN[KOUNTA]})) as till:
            menu = till.import_menu().menu
        assert menu
        with Outbox(f"sqlite:///{folder / 'template.db'}", settings=QUICK) as outbox:
            outbox.prepare()
        yield Stage(running, menu, folder / "template.db")


@contextmanager
def nobody_listens() -> Generator[str]:
    """An address of this machine at which no connection comes about."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    yield f"http://127.0.0.1:{port}"
