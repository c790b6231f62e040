"""Everything goes wrong at once, and the good stores are served all the while.

Workers have unequal leases, and clocks that are hours apart. They are killed. PostgreSQL
falls silent and restarts, and one store of each platform turns hostile. Poisons are mixed in:
orders whose rows can't be read or whose tips are invalid, hooks and an importer that raise
`SystemExit`, and others that hang.
`--crash-orders 2000 --kills 60` is a long run.
"""

from __future__ import annotations

import json
import random
import statistics
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from sqlalchemy import select, update

from adapters.square.shop_orders import paid
from crash.deliveries import Deliveries
from crash.hostile_stores import UNPROVING, Hostility
from crash.poison_hooks import HANGING_EVENTS, HANGING_IMPORTS, HUNG_FOR
from crash.tally import tally
from crash.test_crash import STUCK_AFTER, Run, journals
from crash.workers import Variant, Workers, working
from crash.world import GONE, LEAD, LIMITS, End, Store, World, place, serving
from databases import PostgresServer
from relay import IMPOSTORS, Relay, Streams, passing_to
from tillpost.outbox import Outbox, OutboxSettings
from tillpost.outbox.db import schema as t
from tillpost.outbox.worker.processor import STUCK_SET_ASIDE_AFTER
from tillpost.simulator import FaultPlan
from tillpost.testing.adversary import hostile_server

pytestmark = pytest.mark.slow

WORKERS = (
    Variant(("--poison", "--lease", "3"), ahead=-1200.0),
    Variant(("--poison", "--lease", "8")),
    Variant(("--poison", "--lease", "5"), ahead=10_800.0),
)
"""The workers: their leases, and by how much their clocks are ahead, in seconds."""

DELIVERED_WITHIN = 30.0
"""How long an order at a good store may take, in seconds, whatever else goes on."""

FULL_SIZE = 2000
"""Orders of a full run. A shorter one has all the trouble within a minute, so nothing is timed."""

RESPITE = (3.0, 7.0)
"""The shortest and the longest pause after a kill in a full run, in seconds.

A dead worker's orders are released once another has lived for as long as that one's lease. If all
three were killed within seconds, again and again, no order of theirs could be in time.
"""

SILENCE = 4.0
"""For how long the database is silent."""

UNREADABLE = ("", "{", '{"id": 1}', '{"version": 99}')
"""What no order can be read from."""

INVALID_TIPS: Sequence[object] = (-1, 150.5, "1.50", "lots", 10**30, None, [])
"""Tips in minor units, of an order that is valid otherwise."""

IMPORT_LIMIT = 3.0
"""How long an import may take at the store whose importer hangs, in seconds."""

HANGING_EVERY = 10
"""In which rounds an order is added whose importer hangs."""

HANGS = STUCK_SET_ASIDE_AFTER + 1
"""How often an order hangs at most, until it was stuck so often that a person gets it."""

ROUNDS = 20
HOSTILE_ROUNDS = range(4, 15)
SILENT_ROUNDS = (6, 12)
RESTART_ROUND = 9


@contextmanager
def hostile_serving(seed: int, orders: int) -> Generator[tuple[World, Mapping[str, Relay]]]:
    """Serve stores, of which the first of each platform is reached through a relay.

    The requests of these fail now and then besides; the others are good stores.
    """
    with ExitStack() as stack:
        world = stack.enter_context(serving(seed, orders))
        relays: dict[str, Relay] = {}
        stores: dict[str, Store] = {}
        for name, store in world.stores.items():
            stores[name] = store
            if not name.endswith("-0"):
                store.simulator.set_faults(FaultPlan())
                continue
            url = str(store.settings["base_url"])
            port = port_of(url)
            relay = stack.enter_context(Relay(port))
            settings = {**store.settings, "base_url": url.replace(f":{port}", f":{relay.port}")}
            stores[name] = replace(store, settings=settings)
            relays[name] = relay
        yield World(stores), relays


class HostileRun(Run):
    """A run in which the database and some stores fail too."""

    def __init__(
        self,
        world: World,
        outbox: Outbox,
        workers: Workers,
        seed: int,
        *,
        hostile: Mapping[str, Relay],
        database: Relay,
        server: PostgresServer,
        deliveries: Deliveries,
        impostors: Sequence[Streams],
    ) -> None:
        super().__init__(world, outbox, workers, seed)
        self._impostors = impostors
        self._hostile = hostile
        self._database = database
        self._server = server
        self._deliveries = deliveries
        self._lots = random.Random(f"{seed} rounds")
        self.poisoned: list[str] = []
        self.hung: list[str] = []

    @property
    def stuck_after(self) -> float:
        """One order's import may wait for another's, and each of them hangs a few times."""
        return STUCK_AFTER + HANGS * HUNG_FOR * len(self.hung)

    def rounds(self, orders: int, kills: int) -> None:
        """Add the orders, a share in each round, while the world changes."""
        for number in range(ROUNDS):
            self._change_world(number)
            self._poison(number)
            kills_of_round = kills * (number + 1) // ROUNDS - kills * number // ROUNDS
            steps = max(1, kills_of_round)
            for step in range(steps):
                self._add_share(orders * (number * steps + step + 1) // (ROUNDS * steps))
                if kills_of_round:
                    self._kill_one()
                    if orders >= FULL_SIZE:
                        self._pause(self._lots.uniform(*RESPITE))
            self._wait_for(self._good_stores_are_nearly_idle)
        for relay in self._hostile.values():
            relay.recover()

    def _kill_one(self) -> None:
        """Kill a worker soon, and start another."""
        self._pause(self._lots.uniform(0.2, 1.0))
        process = self._workers.kill_one(self._lots, self._at_work())
        self.in_flight += self._held_by(process)
        self._workers.fill()

    def _change_world(self, number: int) -> None:
        for relay in self._hostile.values():
            if number == HOSTILE_ROUNDS.start:
                relay.turn_hostile(self._impostors)
            if number == HOSTILE_ROUNDS.stop:
                relay.recover()
        if number == ROUNDS // 2:
            self._world.drift()
        if number == RESTART_ROUND:
            self._server.restart("immediate")
        if number in SILENT_ROUNDS:
            self._database.fall_silent()
            time.sleep(SILENCE)
            self._database.recover()

    def _add_share(self, up_to: int) -> None:
        begin = len(self.placed)
        self._add(up_to)
        for placed in self.placed[begin:]:
            is_soon = placed.order.due_at is None
            if placed.store not in self._hostile and placed.end is End.ARRIVES and is_soon:
                self._deliveries.expect(placed)

    def _poison(self, number: int) -> None:
        """Add orders to a good store that can't be read, and now and then one that hangs."""
        good = [name for name in self._world.stores if name not in self._hostile]
        invalid_tip = INVALID_TIPS[number % len(INVALID_TIPS)]
        self._spoil(100_000 + number, good, lambda _: self._lots.choice(UNREADABLE))
        self._spoil(200_000 + number, good, lambda content: with_tip(content, invalid_tip))
        if number % HANGING_EVERY == 0:
            hanging = paid(f"hanging_{self._seed}_{number}", [GONE])
            self._outbox.add(hanging, connection=HANGING_IMPORTS, is_new=True)
            self.hung.append(hanging.id)

    def _spoil(self, number: int, stores: Sequence[str], spoilt: Callable[[str], str]) -> None:
        """Add an order, and replace its content before anybody sees it."""
        placed = place(number, self._seed, stores)
        its_row = t.orders.c.id == placed.order.id
        with self._outbox.database.writing() as db:
            self._outbox.add(placed.order, connection=placed.store, session=db)
            content = db.scalar(select(t.orders.c.content).where(its_row))
            assert content
            db.execute(update(t.orders).where(its_row).values(content=spoilt(content)))
        self.poisoned.append(placed.order.id)

    def _good_stores_are_nearly_idle(self) -> bool:
        good = [name for name in self._world.stores if name not in self._hostile]
        is_due = t.orders.c.due_at <= time.time() + 5
        return self._count(is_due & t.orders.c.connection.in_(good)) <= 20


def port_of(url: str) -> int:
    """Return the port of an address."""
    port = urlsplit(url).port
    assert port
    return port


def with_tip(content: str, tip: object) -> str:
    """Return an order's stored content with another tip, which its payments don't pay for."""
    return json.dumps({**json.loads(content), "tip": tip})


@pytest.mark.timeout(7200)
def test_good_stores_are_served_in_a_hostile_world(
    postgres: PostgresServer,
    postgres_url: str,
    crash_orders: int,
    kills: int,
    seed: int,
    tmp_path: Path,
) -> None:
    program = tmp_path / "world.json"
    log = tmp_path / "workers.log"
    began = time.monotonic()
    with ExitStack() as stack:
        world, hostile = stack.enter_context(hostile_serving(seed, crash_orders))
        database = stack.enter_context(Relay(postgres.port))
        hostility = Hostility(seed, UNPROVING)
        adversary = stack.enter_context(hostile_server(hostility))
        settings = OutboxSettings(
            db=postgres_url.replace(f":{postgres.port}/", f":{database.port}/"),
            threads=6,
            concurrency=16,
            first_wait=0.05,
            longest_wait=0.5,
            lead=LEAD,
        )
        limits = {**LIMITS, "menu_import": IMPORT_LIMIT}
        hanging = {HANGING_IMPORTS: replace(world.stores[HANGING_EVENTS], limits=limits)}
        World({**world.stores, **hanging}).write(program, settings)
        outbox = stack.enter_context(Outbox(postgres_url))
        outbox.prepare()
        deliveries = stack.enter_context(Deliveries(outbox))
        workers = stack.enter_context(working(program, log, len(WORKERS), WORKERS))
        workers.may_fail = True
        run = HostileRun(
            world,
            outbox,
            workers,
            seed,
            hostile=hostile,
            database=database,
            server=postgres,
            deliveries=deliveries,
            impostors=(*IMPOSTORS, *[passing_to(port_of(adversary.url))] * len(IMPOSTORS)),
        )
        run.rounds(crash_orders, kills)
        run.drain()
        result = tally(world, outbox, run.placed, spoiled=[*run.poisoned, *run.hung])
        seconds = sorted(deliveries.seconds.values())
        print(
            f"\n--seed {seed}: {crash_orders} orders, {len(run.poisoned)} unreadable,"
            f" {len(run.hung)} hanging, {hostility.met.total()} requests to the adversary,"
            f" {kills} kills of {workers.started} workers with {run.in_flight} claimed orders,"
            f" {world.struck} of {world.requests} requests failed,"
            f" {time.monotonic() - began:.0f} s; {len(seconds)} orders of good stores took"
            f" {statistics.median(seconds):.1f} s, {seconds[-1]:.1f} s at most\n{result}"
        )
        events = journals(outbox, result.suspects)
        assert not result.wrong, f"--seed {seed}: {result}\n{events}\n{workers.log()}"
        late = {id_: took for id_, took in deliveries.seconds.items() if took > DELIVERED_WITHIN}
        is_timed = crash_orders >= FULL_SIZE
        assert not (is_timed and late), (
            f"--seed {seed}: {late}\n{journals(outbox, list(late))}\n{workers.log()}"
        )
