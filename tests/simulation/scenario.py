"""One scenario: a few orders, a short hostile time, then peace.

The peace lasts until nothing is due. All is drawn by one seed.

    outcome = Runner(file).run(seed)
    outcome.wrong            # what broke a promise, with the trace that shows how

Each scenario draws which kinds of trouble it has, so that some scenarios have much of few kinds:
trouble of all kinds at once hides what each can do.
"""

# pyright: reportPrivateUsage=false, reportUnknownLambdaType=false

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from unittest.mock import patch

import httpx

from simulation import checks
from simulation.clocks import Stage
from simulation.network import EARLY_EFFECT, FAULTS, LATEST_EFFECT, Network
from simulation.processes import (
    LONGEST_IDLE,
    Person,
    Plugin,
    SharedDatabase,
    SimulatedDatabase,
    WebApp,
    Worker,
    new_client,
)
from simulation.schedule import EPOCH, Killed, Process, Schedule, Task
from simulation.stores import KINDS, MENU, Delivery, GenericStore, Store, is_live
from tillpost.models.order import Order
from tillpost.outbox import OutboxSettings
from tillpost.outbox import outbox as outbox_module
from tillpost.outbox.exceptions import DatabaseError
from tillpost.outbox.outbox import Outbox
from tillpost.outbox.worker import retention
from tillpost.outbox.worker.retention import erase, prune
from tillpost.submission.policy import Policy

PEACE_AFTER = 32.0
"""How long a scenario is hostile at most, in seconds."""

PATIENCE = 1500.0
"""How long after that everything must be at rest, in seconds."""

HELD_UP_AFTER = 40.0
"""An order of a store that never fails must be at the register within so many seconds."""

LONGEST_BLACKOUT = 90.0
"""For how long nothing is reached at most, in seconds."""

PAYMENTS = "/v2/payments"
"""Where an order is paid for at Square."""

MOST_STALLS = 2
MOST_KILLS = 3
MOST_CRASHES = 10

TROUBLES = (
    "network",
    "effects late",
    "kills",
    "pauses",
    "database",
    "locked",
    "skew",
    "leaps",
    "plugins",
    "people",
    "staff",
    "webhooks",
    "settings",
    "tokens",
    "menus",
    "lines dropped",
    "late refusals",
    "prunes",
    "poison",
    "leases",
    "stalls",
    "payments refused",
    "stale answers",
)
"""The kinds of trouble that a scenario may have.

"blackouts" come only with `COINCIDENCES`: they take twice the time of others.
"""


@dataclass(frozen=True, slots=True)
class Coincidence:
    """Kinds of trouble that do harm only together, perhaps only at one platform."""

    troubles: Sequence[str]
    platform: str = ""


AT_PLATFORM = {
    "stalls": "kounta",
    "lines dropped": "kounta",
    "late refusals": "generic",
    "payments refused": "square",
}
"""The platforms at which alone some kinds of trouble do harm."""

COINCIDENCES = (
    Coincidence(("late refusals", "prunes"), "generic"),
    Coincidence(("stalls", "leases"), "kounta"),
    Coincidence(("blackouts", "webhooks", "lines dropped"), "kounta"),
    Coincidence(("blackouts", "webhooks", "people")),
    Coincidence(("payments refused", "network"), "square"),
    Coincidence(("effects late", "pauses", "kills"), "kounta"),
    Coincidence(("network", "settings"), "generic"),
    Coincidence(("network", "tokens")),
)
"""A third of the scenarios has one of these, besides what else is drawn."""

NEED_CARE = {"skew", "leaps", "tokens"}
"""The kinds of trouble that a worker's recurring tasks mend.

The tasks are left out in most other scenarios, because they take half of the time.
"""


@dataclass(slots=True)
class Added:
    """An order that was added, and what is known of its way."""

    order: Order
    store: str
    at: float
    arrived_at: float | None = None
    poisoned: bool = False
    lost_at_pos: bool = False


@dataclass(slots=True)
class Outcome:
    """What a scenario came to."""

    seed: int
    wrong: list[str] = field(default_factory=list[str])
    states: list[str] = field(default_factory=list[str])
    trace: list[str] = field(default_factory=list[str])

    def __str__(self) -> str:
        head = f"seed {self.seed}: " + ("; ".join(self.wrong) or "well")
        return "\n".join([head, *self.trace])


class Scenario:
    """One scenario. `run` returns its outcome.

    Besides the gaps that "Never twice" names, two things are left out. A POS that loses an order
    while the outbox is in doubt of it, and answers the same key with its old success for ever
    after: no answer shows then that the order is gone. And a POS that refuses an order late when
    the connection has another address by now, where its id is another order's.
    """

    def __init__(
        self, seed: int, runner: Runner, without: Sequence[str] = (), only: Sequence[str] = ()
    ) -> None:
        self.seed = seed
        self.schedule = Schedule(seed)
        self.runner = runner
        self.client = runner.client
        self.random = self.schedule.random
        self.draw = self.random.random
        self.peace = False
        self.over = False
        self.wrong: list[str] = []
        self.hostile_for = 12.0
        self.orders: dict[str, Added] = {}
        self.plugin = runner.plugin
        self.workers: list[Worker] = []
        self._answers: list[tuple[str, str, httpx.Response]] = []
        self._idle: list[Task] = []
        self._kills = 0
        self._crash_count = 0
        self._stalls = 0
        self._intents = 0
        self._dark_until: float | None = None
        self._names = 0
        self._at_rest_since: float | None = None
        self._plan(without, only)

    # ------------------------------------------------------------------ the plan

    def _plan(self, without: Sequence[str], only: Sequence[str]) -> None:
        draw = self.random
        planned = draw.choice(COINCIDENCES) if draw.random() < 1 / 3 else Coincidence(())
        some = draw.sample(TROUBLES, draw.randint(0, 2) if planned.troubles else draw.randint(1, 5))
        chosen = {trouble for trouble in (*planned.troubles, *some) if trouble not in without}
        self.troubles = {*chosen, *only}
        kinds = draw.sample(KINDS, draw.choice((1, 1, 1, 2)))
        platform = planned.platform or next(
            (known for trouble, known in AT_PLATFORM.items() if trouble in self.troubles), ""
        )
        if platform:
            others = [kind for kind in kinds if kind.kind != platform]
            chosen_kind = next(kind for kind in KINDS if kind.kind == platform)
            kinds = [chosen_kind, *others[: len(kinds) - 1]]
        self.stores: dict[str, Store] = {kind.kind: kind(kind.kind) for kind in kinds}
        if len(kinds) > 1:
            self.stores[kinds[-1].kind].calm = True
        # The schedule of a dead sender's doubt begins when another claims the order, perhaps at
        # once. A platform that takes longer than the schedule is an open gap.
        hindered = {"kills", "pauses", "stalls", "leases", "database", "plugins"}
        gives_up_early = hindered & self.troubles
        self.latest_effect = EARLY_EFFECT if gives_up_early else LATEST_EFFECT
        self._cares = bool(self.troubles & NEED_CARE)
        known = [fault for fault in FAULTS if fault not in without]
        self.network_faults = draw.sample(known, draw.randint(1, 6))
        self.network_rate = draw.choice((0.1, 0.3, 0.6)) if "network" in self.troubles else 0.0
        self.policy = Policy(import_cooldown=draw.choice((0.0, 60.0)))
        self.settings = OutboxSettings(
            lease=10.0 if "stalls" in self.troubles else draw.choice((10.0, 30.0)),
            give_up_after=60.0 if "blackouts" in self.troubles else draw.choice((60.0, 7200.0)),
            longest_wait=30.0 if "blackouts" in self.troubles else 8.0,
            outage_after=draw.choice((2, 5)),
            prune_after_days=None,
        )

    def has(self, trouble: str, chance: float = 1.0) -> bool:
        """Return whether a kind of trouble strikes now."""
        return not self.peace and trouble in self.troubles and self.draw() < chance

    # ------------------------------------------------------------------ running

    def run(self) -> Outcome:
        """Live, and check the promises."""
        Stage.schedule = self.schedule
        self.schedule.note(f"troubles: {', '.join(sorted(self.troubles)) or 'none'}")
        if self.network_rate:
            self.schedule.note(f"network: {self.network_rate} of {self.network_faults}")
        self.deliveries = 0
        self.web = WebApp(self, self._process("web"), self.settings)
        self.person = Person(self, self._process("mia"), self.settings)
        for _ in range(2 if "stalls" in self.troubles else self.random.choice((1, 2, 2))):
            self._start_worker()
        self._place_orders()
        self._schedule_troubles()
        self.schedule.call(self.hostile_for, self._make_peace)
        self.schedule.run(lambda: self.over)
        for failure in self.schedule.failures:
            if not isinstance(failure, DatabaseError):  # no worker's, and nobody else's
                self._found(f"thread ended: {type(failure).__name__}")
        if not self.wrong:
            self.wrong += checks.wrongs(self)
        for process in self._processes:
            self.schedule.unwind(process)
        states = checks.states(self)
        return Outcome(self.seed, self.wrong, states, self.schedule.trace)

    _processes: list[Process]

    def _process(self, name: str) -> Process:
        offset = self.random.uniform(-2, 2)
        if self.has("skew") and name != "web":  # a web app whose clock is wrong gets no webhooks
            offset = self.random.choice((-7200.0, -600.0, -20.0, 20.0, 600.0, 7200.0))
        booted = self.random.uniform(0, 100_000)
        process = Process(name, wall_offset=offset, booted=booted)
        if not hasattr(self, "_processes"):
            self._processes = []
        self._processes.append(process)
        return process

    def _start_worker(self) -> None:
        self._names += 1
        process = self._process(f"worker{self._names}")
        settings = self.settings
        if self.has("leases"):
            lease = self.random.choice((4.0, 4.0, 10.0, 60.0, 60.0))
            settings = settings.model_copy(update={"lease": lease})
        process.frail = True
        self.schedule.note(
            f"{process.name} starts: lease {settings.lease:g}, clock {process.wall_offset:+.0f} s"
        )
        worker = Worker(self, process, settings)
        self.workers.append(worker)
        worker.start(after=self.random.uniform(0, 1))

    def died(self, worker: Worker, failure: Exception) -> None:
        """Start a worker in place of one that ended with a traceback."""
        self.schedule.note(f"the worker ends: {type(failure).__name__}")
        self._crash_count += 1
        self.schedule.kill(worker.process)
        if self._crash_count < MOST_CRASHES:
            self.schedule.call(5.0, self._start_worker)

    def _place_orders(self) -> None:
        counts = (2, 3) if "stale answers" in self.troubles else (1, 1, 1, 1, 2, 3)
        self.placed = self.random.choice(counts)
        for number in range(self.placed):
            order = self._order(number + 1)
            store = self.random.choice(list(self.stores))
            is_new = self.draw() < 0.5
            add = partial(self.web.add, order, store, is_new=is_new)
            self._at(self.random.uniform(0, 10), self.web.process, add)

    def _order(self, number: int) -> Order:
        chosen = self.random.sample(list(MENU), self.random.choice((1, 2)))
        lines: list[dict[str, object]] = []
        for item in chosen:
            name, sku, price = MENU[item]
            quantity = self.random.randint(1, 2)
            line = {"item_id": item, "name": name, "sku": sku, "unit_price": price}
            lines.append({**line, "quantity": quantity})
        tip = self.random.choice((0, 0, 150))
        total = tip + sum(MENU[str(line["item_id"])][2] * line["quantity"] for line in lines)  # type: ignore[operator, misc]
        placed_at = datetime.fromtimestamp(EPOCH + self.schedule.now, UTC)
        return Order.model_validate(
            {
                "id": f"ord_{number}",
                "code": f"B{number}",
                "placed_at": placed_at,
                "currency": "AUD",
                "fulfilment": {"type": "pickup"},
                "lines": lines,
                "tip": tip,
                "payments": [{"method": "card", "amount": total, "reference": "pi_1"}],
            }
        )

    def _at(self, after: float, process: Process, run: Callable[[], object]) -> None:
        self.schedule.call(after, lambda: self.schedule.spawn(process, run))

    # ------------------------------------------------------------------ trouble that comes by time

    def _schedule_troubles(self) -> None:
        if self.troubles & {"effects late", "kills", "pauses", "network", "database"}:
            self.hostile_for = 25.0
        if "blackouts" in self.troubles:
            self.hostile_for = LONGEST_BLACKOUT + 15.0
        acts: dict[str, Callable[[], object]] = {
            "leaps": self._leap,
            "people": self._person_acts,
            "staff": self._staff_act,
            "webhooks": self._webhook,
            "settings": self._change_settings,
            "tokens": self._revoke,
            "menus": self._change_menu,
            "late refusals": self._refuse_late,
            "prunes": self._prune,
            "poison": self._poison,
        }
        for trouble, act in acts.items():
            if trouble not in self.troubles:
                continue
            for _ in range(self.random.randint(1, 4)):
                at = self.random.uniform(1, PEACE_AFTER - 1)
                self.hostile_for = max(self.hostile_for, at + 1)
                self.schedule.call(at, act)

    def _any_order(self) -> Added | None:
        return self.random.choice(list(self.orders.values())) if self.orders else None

    def _leap(self) -> None:
        process = self.random.choice([it for it in self._processes if it is not self.web.process])
        leap = self.random.choice((-10_800.0, -3600.0, -30.0, 30.0, 3600.0, 10_800.0))
        process.wall_offset += leap
        self.schedule.note(f"the clock of {process.name} leaps by {leap:g} s")

    def _person_acts(self, action: str = "", added: Added | None = None) -> None:
        added = added or self._any_order()
        if added is None:
            return
        action = action or self.random.choice(
            ("resubmit", "resubmit", "manual", "cancel", "accept", "advance")
        )
        in_doubt = self.draw() < 0.5
        person = self.person
        self.schedule.note(f"a person: {action} {added.order.id}")
        self.schedule.spawn(
            person.process,
            lambda: person.act(action, added.order.id, even_in_doubt=in_doubt),
        )

    def _staff_act(self) -> None:
        added = self._any_order()
        if added is None:
            return
        act = self.random.choice(("accept", "reject", "delete", "complete"))
        if added.order.id in self.stores[added.store].ended:
            return
        with suppress(LookupError, Exception):
            self.stores[added.store].staff(act, added.order.id)
            self.schedule.note(f"staff: {act} {added.order.id}")

    def _webhook(self) -> None:
        """Send a webhook about an order as it is now: soon, late, or twice."""
        added = self._any_order()
        if added is None:
            return
        store = self.stores[added.store]
        entries = store.entries(added.order.id)
        if not entries:
            return
        pos_id = self.random.choice(entries).order_id
        event_id = f"e{self.random.randint(1, 9)}"
        is_news_then = self.draw() < 0.5
        webhook = partial(store.webhook, pos_id, event_id)
        delivery = webhook() if is_news_then else None
        for _ in range(self.random.choice((1, 1, 2))):
            late = self.random.choice((0.1, 1.0, 20.0))
            self._at(
                late,
                self.web.process,
                lambda: self.web.receive(store, lambda: delivery or webhook()),
            )

    def _change_settings(self) -> None:
        store = self.random.choice(list(self.stores.values()))
        if store.calm:
            return
        store.address = 1 - store.address
        store.changed()
        self.schedule.note(f"{store.name}: orders go to address {store.address} from now on")

    def _revoke(self) -> None:
        store = self.random.choice(list(self.stores.values()))
        if store.calm:
            return
        store.revoke()
        self.schedule.note(f"{store.name}: its token is revoked")
        self.schedule.call(self.random.uniform(1, 20), lambda: self._reconnect(store))

    def _reconnect(self, store: Store) -> None:
        store.reconnect()
        self.schedule.note(f"{store.name}: reconnected")

    def _change_menu(self) -> None:
        store = self.random.choice(list(self.stores.values()))
        if store.calm:
            return
        item = self.random.choice(list(MENU))
        kind = self.random.choice(("id", "price", "gone"))
        if kind == "id":
            store.renew_item(item)
            self.schedule.note(f"{store.name}: item {item} has a new id")
        elif kind == "price":
            store.change_price(item, MENU[item][2] + self.random.choice((-50, 50)))
            self.schedule.note(f"{store.name}: item {item} has a new price")
        else:
            store.sell_out(item)
            self.schedule.note(f"{store.name}: item {item} is gone")
            self.schedule.call(
                self.random.uniform(1, 30), lambda: store.sell_out(item, sold_out=False)
            )

    def _refuse_late(self) -> None:
        if "settings" in self.troubles:
            return  # see `Scenario`
        for added in self.orders.values():
            store = self.stores[added.store]
            if not isinstance(store, GenericStore):
                continue
            live = store.live(added.order.id)
            # An order that the outbox is still in doubt of isn't refused late: see `Scenario`.
            is_known = self._state(added.order.id) in ("received", "accepted")
            if is_known and live and live[0].order_id in store.simulator.world.orders:
                pos_id = live[0].order_id
                if self.has("prunes", 0.7):
                    pruned = partial(self._refuse_pruned, store, added, pos_id)
                    self._at(0.0, self.web.process, pruned)
                else:
                    self._refuse_one_late(store, added, pos_id)
                return

    def _refuse_pruned(self, store: GenericStore, added: Added, pos_id: str) -> None:
        """Refuse an order that the register had confirmed, and whose journal was pruned since."""
        with suppress(LookupError):
            store.staff("accept", added.order.id)
        self.web.receive(store, partial(store.webhook, pos_id, f"a{self.schedule.now}"))
        self.schedule.note("prune, as if a day had passed")

        def tomorrow(outbox: Outbox, _: float) -> float:
            return outbox.clock() + 86_400.0

        with suppress(DatabaseError), patch.object(retention, "_cutoff", tomorrow):
            prune(self.web.outbox, 0.0)
        if pos_id in store.simulator.world.orders:
            self._refuse_one_late(store, added, pos_id)

    def _refuse_one_late(self, store: GenericStore, added: Added, pos_id: str) -> None:
        kind = self.random.choice(("MenuError", "OrderError"))
        self.schedule.note(f"{store.name}: refuses {added.order.id} late ({kind})")
        delivery = store.refuse_late(pos_id, kind, f"r{self.schedule.now}")
        added.arrived_at = None
        added.lost_at_pos = True
        after = self.random.choice((0.1, 1.0, 20.0))
        self._at(after, self.web.process, partial(self._deliver_refusal, store, added, delivery))

    def _state(self, order_id: str) -> str:
        query = "SELECT state FROM tillpost_orders WHERE id = ? AND worker IS NULL"
        row = self.runner.raw.execute(query, (order_id,)).fetchone()
        return row[0] if row else ""

    def _deliver_refusal(
        self, store: Store, added: Added, delivery: Callable[[], Delivery]
    ) -> None:
        """Deliver a refusal. Where that fails, polling has to find the order gone.

        A person may send again what was refused.
        """
        if self.web.receive(store, delivery):
            added.lost_at_pos = False
            if self.draw() < 0.5:
                self._person_acts("resubmit", added)

    def _prune(self) -> None:
        outbox = self.person.outbox
        run = self.random.choice((prune, prune, erase))
        self.schedule.note(run.__name__)

        def retain() -> None:
            with suppress(DatabaseError):
                run(outbox, 0.0)

        self.schedule.spawn(self.person.process, retain)

    def _poison(self) -> None:
        """Make an order unreadable, as a newer version or a broken program might."""
        added = self._any_order()
        if added is None or added.arrived_at is not None:
            return
        added.poisoned = True
        self.schedule.note(f"{added.order.id} is unreadable from now on")
        self.runner.raw.execute(
            'UPDATE tillpost_orders SET content = \'{"of": "a newer version"}\' WHERE id = ?',
            (added.order.id,),
        )

    # ------------------------------------------------------------------ trouble at each step

    def step(self, name: str) -> None:
        """Switch to others; the process may be killed or paused here."""
        schedule = self.schedule
        schedule.sleep(self.draw() * 0.01)
        process = schedule.process
        if process is None or not process.frail or self.peace:
            return
        if self._kills < MOST_KILLS and self.has("kills", 0.01):
            self._kills += 1
            schedule.note(f"killed at {name}")
            schedule.kill(process)
            schedule.call(self.random.uniform(0.5, 5), self._start_worker)
            raise Killed
        if not process.sending and self.has("pauses", 0.01):
            seconds = self.random.choice((1.0, 8.0, 15.0, 30.0, 60.0))
            schedule.note(f"paused at {name} for {seconds:g} s")
            self._pause(process, seconds)

    def _pause(self, process: Process, seconds: float) -> None:
        process.paused_until = self.schedule.now + seconds
        self.schedule.sleep(0.0)

    def _is_intent_new(self) -> bool:
        """Return whether the transaction has recorded that a request is about to be sent."""
        query = "SELECT count(*) FROM tillpost_events WHERE kind = 'Intended'"
        known: int = self.runner.raw.execute(query).fetchone()[0]
        is_new = known > self._intents
        self._intents = known
        return is_new

    def _stall(self) -> None:
        """Pause a worker just after it has recorded that it sends a request."""
        process = self.schedule.process
        if process is None or not process.frail or process.sending or self._stalls >= MOST_STALLS:
            return
        if not self.has("stalls", 0.7):
            return
        self._stalls += 1
        seconds = self.random.choice((self.random.uniform(24, 36), 60.0, 120.0))
        self.schedule.note(f"paused before a request for {seconds:g} s")
        self._pause(process, seconds)

    def before_transaction(self) -> None:
        """Switch, and let the database fail before a transaction."""
        self.schedule.ensure_alive()
        if self.schedule.process is None:
            return
        self.step("transaction")
        if self.has("locked", 0.01):
            self.schedule.note("the database is locked for 6 s")
            self.schedule.sleep(6.0)
        if self.has("database", 0.03):
            self.schedule.note("the database fails before a transaction")
            raise DatabaseError("the database failed: database is locked", transient=True)

    def after_transaction(self) -> None:
        """Switch, and let the database fail once a transaction is on disk."""
        if self.schedule.process is None:
            return
        has_intent = "stalls" in self.troubles and self._is_intent_new()
        self.step("commit")
        if self.has("database", 0.01):
            self.schedule.note("the database fails after a commit")
            raise DatabaseError("the database failed: connection lost", transient=True)
        if has_intent:
            self._stall()

    def maybe_raise(self, hook: str) -> None:
        """Let a plugin fail, in one of the ways in which code fails."""
        if self.has("plugins", 0.5):
            failure = self.random.choice((ValueError, SystemExit, RecursionError, GeneratorExit))
            self.schedule.note(f"the plugin's {hook} raises {failure.__name__}")
            raise failure

    def draw_network_fault(self, store: Store, request: httpx.Request) -> str:
        """Return which fault strikes a request; "" for none."""
        if self.peace or store.calm:
            return ""
        is_create = request.method == "POST" and "search" not in request.url.path
        if is_create and self.has("payments refused", 0.4) and request.url.path == PAYMENTS:
            return "payment refused"
        if is_create and self.has("stale answers", 0.3):
            return "another's answer instead"
        dark = self._blackout(is_create=is_create)
        if is_create and self.has("lines dropped", 0.3) and store.kind == "kounta":
            return "line dropped, answer lost" if dark else "line dropped"
        if dark:
            return dark
        if is_create and self.has("effects late", 0.5):
            return "effect late"
        if self.draw() >= self.network_rate:
            return ""
        fault = self.random.choice(self.network_faults)
        if fault == "sent twice" and not store.keyed:
            return ""
        return fault

    def _blackout(self, *, is_create: bool) -> str:
        """Return which fault a blackout is for a request; "" for none.

        It begins with a create whose answer is lost. Nothing is reached then, for longer than
        orders are retried; but webhooks still come.
        """
        now = self.schedule.now
        if self._dark_until is not None:
            return "503 before" if now < self._dark_until else ""
        if not is_create or not self.has("blackouts", 0.5):
            return ""
        seconds = self.random.uniform(62.0, LONGEST_BLACKOUT)
        self._dark_until = min(now + seconds, self.hostile_for)
        self.schedule.note(f"nothing is reached from now on for {seconds:.0f} s")
        if "webhooks" in self.troubles:
            self.schedule.call(seconds - self.random.uniform(0, 5), self._webhook)
        return "answer lost"

    # ------------------------------------------------------------------ what the others call

    def store_at(self, host: str) -> Store:
        """Return the store behind a host."""
        return self.stores[host.partition("-")[0]]

    def store_of(self, order_id: str) -> Store:
        """Return the store of an order that was added."""
        return self.stores[self.orders[order_id].store]

    def took_effect(self, store: Store, request: httpx.Request, answer: httpx.Response) -> None:
        """Check at once that no order is there twice."""
        if request.method == "GET":
            return
        self.schedule.note(f"  {request.method} {request.url.path}: {answer.status_code}")
        live = Counter(entry.reference for entry in store.all_entries() if is_live(entry))
        for added in self.orders.values():
            if added.store != store.name:
                continue
            copies = live[added.order.id]
            if copies and added.arrived_at is None:
                added.arrived_at = self.schedule.now
            if copies > 1:
                self._found(f"twice: {added.order.id}")

    def _found(self, wrong: str) -> None:
        if wrong not in self.wrong:
            self.schedule.note(f"WRONG: {wrong}")
            self.wrong.append(wrong)
            self.over = True

    def drop_line(self, store: Store) -> None:
        """Let a platform lose a line of the order that it has just made."""
        orders = list(store.simulator.world.orders.values())
        if orders and len(orders[-1].lines) > 1:
            orders[-1].lines.pop()

    def remember_answer(self, store: Store, request: httpx.Request, answer: httpx.Response) -> None:
        """Keep an answer, which may come to a later request."""
        is_wanted = "another's answer" in self.network_faults or "stale answers" in self.troubles
        if answer.status_code < 300 and is_wanted:
            shape = f"{request.method} {len(request.url.path.split('/'))}"
            self._answers.append((store.name, shape, answer))

    def earlier_answer(self, store: Store, request: httpx.Request) -> httpx.Response | None:
        """Return the answer to an earlier request of the same kind, about another order.

        A platform that has lost an order, and repeats its old success, can't be seen through.
        """
        shape = f"{request.method} {len(request.url.path.split('/'))}"
        own = [
            order_id.encode() for order_id in self.orders if order_id.encode() in request.content
        ]
        known = [
            answer
            for name, kind, answer in self._answers
            if (name, kind) == (store.name, shape)
            and not any(order_id in answer.content for order_id in own)
        ]
        return self.random.choice(known) if known else None

    def added(self, order: Order, store: str) -> None:
        """Note that an order is on disk."""
        self.schedule.note(f"added {order.id} of {order.total} to {store}")
        self.orders[order.id] = Added(order, store, self.schedule.now)
        self.nudge()

    def nudge(self) -> None:
        """Wake the workers that are idle."""
        for task in self._idle:
            self.schedule.wake(task)

    def tends(self) -> bool:
        """Return whether a worker does its recurring tasks now."""
        chance = 0.15 if self._cares else 0.01
        return self.draw() < chance

    def is_due(self) -> bool:
        """Return whether an order is due by the running process's clock."""
        query = "SELECT 1 FROM tillpost_orders WHERE worker IS NULL AND due_at <= ? LIMIT 1"
        return self.runner.raw.execute(query, (Stage.wall(),)).fetchone() is not None

    def _is_any_claimed(self) -> bool:
        query = "SELECT 1 FROM tillpost_orders WHERE worker IS NOT NULL LIMIT 1"
        return self.runner.raw.execute(query).fetchone() is not None

    def idle(self) -> None:
        """Let a worker sleep until something is due by its clock, or until it is nudged."""
        query = "SELECT min(due_at) FROM tillpost_orders WHERE worker IS NULL"
        (due_at,) = self.runner.raw.execute(query).fetchone()
        if due_at is None:
            seconds = self.random.uniform(1.0, LONGEST_IDLE)
        else:
            left = due_at - Stage.wall()
            seconds = min(max(left, 0.2 if left > 0 else 4.0), LONGEST_IDLE)
        if "stalls" in self.troubles and self._is_any_claimed():
            seconds = min(seconds, self.random.uniform(1.0, 3.0))  # it may be released by a reap
        task = self.schedule.task
        self._idle.append(task)
        try:
            self.schedule.sleep(seconds)
        finally:
            self._idle.remove(task)

    # ------------------------------------------------------------------ peace

    def _make_peace(self) -> None:
        self._check_pauses()
        self.peace = True
        self.schedule.note("peace")
        for store in self.stores.values():
            store.make_peace()
        if all(worker.process.dead for worker in self.workers):
            self._start_worker()
        self.schedule.call(5.0, self._look_for_rest)

    def _check_pauses(self) -> None:
        """Check that no connection is paused whose platform refused nobody access."""
        query = "SELECT name FROM tillpost_connections WHERE paused != ''"
        paused = [name for (name,) in self.runner.raw.execute(query)]
        if paused and "tokens" not in self.troubles:
            self._found(f"paused: {', '.join(paused)}, although no access was refused")

    def _look_for_rest(self) -> None:
        """End the scenario once nothing is due, and what staff did is known."""
        if self._is_at_rest() or self.schedule.now > self.hostile_for + PATIENCE:
            self.over = True
        else:
            self.schedule.call(5.0, self._look_for_rest)

    def _is_at_rest(self) -> bool:
        rows = self.runner.raw.execute(
            "SELECT id, state, due_at, worker, poll_at FROM tillpost_orders"
        ).fetchall()
        for order_id, state, due_at, worker, poll_at in rows:
            if due_at is not None or worker is not None:
                return False
            if state in ("received", "accepted") and poll_at is not None:
                store = self.stores[self.orders[order_id].store]
                if not store.live(order_id):
                    self._cares = True  # only polling shows what staff did
                    return False
        return len(rows) == self.placed and not self.deliveries


class Runner:
    """Runs scenarios, one after the other, over one SQLite database.

    Attributes:
        raw: The database's connection.
    """

    def __init__(self, file: Path, *, is_direct: bool = True) -> None:
        """Prepare a database, for which the file is the template."""
        logging.disable(logging.CRITICAL)
        url = f"sqlite:///{file}"
        with Outbox(url) as outbox:
            outbox.prepare()
            self._database = SharedDatabase(outbox.database, is_direct=is_direct)
        self.raw = self._database.driver
        tables = self.raw.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'tillpost_%'"
        ).fetchall()
        self._tables = [name for (name,) in tables if "version" not in name]
        self._network = Network()
        self.plugin = Plugin()
        self.client = new_client(self._network, is_direct=is_direct)

    def run(self, seed: int, *, without: Sequence[str] = (), only: Sequence[str] = ()) -> Outcome:
        """Run the scenario of a seed, without some kinds of trouble, or certainly with some."""
        for table in self._tables:
            self.raw.execute(f"DELETE FROM {table}")
        scenario = Scenario(seed, self, without, only)
        self._network.scenario = scenario
        self.plugin.scenario = scenario
        original = outbox_module._open_database
        outbox_module._open_database = lambda *_: SimulatedDatabase(self._database, scenario)
        try:
            return scenario.run()
        finally:
            outbox_module._open_database = original

    def close(self) -> None:
        """Close the database."""
        logging.disable(logging.NOTSET)
        self.client.close()
        self._database.close()
