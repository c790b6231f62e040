"""The processor: takes due orders in hand, carries each as far as it goes now, and writes how it stands then.

    with Processor(outbox) as processor: due_at = processor.process(order_id)     # what an engine
        calls: Procrastinate, Celery, a loop of your own

Threads may share one. It never sleeps through a wait: it writes when the order is due again, and
tells the engine. `worker` is the loop that does without any other engine.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Self

from tillpost.errors import ConfigError, Outcome, PosError, SetupError, Transcript
from tillpost.models.order import Draft, PosOrder, Progress
from tillpost.outbox.connections.credentials import CredentialStore
from tillpost.outbox.delivery.connection_state import tell_place
from tillpost.outbox.delivery.runner import OutboxTill, RunResult
from tillpost.outbox.delivery.sources import FromFileAndDatabase
from tillpost.outbox.delivery.tills import Source, Tills
from tillpost.outbox.event_log import HookCall, decided, error_in_short
from tillpost.outbox.exceptions import DatabaseError
from tillpost.outbox.menus.shared import Menus
from tillpost.outbox.orders.claims import Claim, LeaseLostError
from tillpost.outbox.orders.heartbeat import Heartbeat
from tillpost.outbox.orders.models import OrderState
from tillpost.outbox.orders.problems import problem_columns
from tillpost.outbox.orders.transitions import arrived, lower_than, refusal, told_by
from tillpost.outbox.outbox import Outbox
from tillpost.plugins.manager import Hooks
from tillpost.submission.journal import Event, OfTicket
from tillpost.submission.menu_import import MenuImport

__all__ = ["Processor"]

log = logging.getLogger("tillpost.outbox")

NO_ROOM = 1.0
"""An order whose turn hasn't come is looked at again after so many seconds."""

AFTER_A_BUG = 10.0
"""An order whose handling broke down is due again after so many seconds."""


class Processor:
    """Processes the orders of an outbox. A context manager: it is a worker, alive while the block lasts.

    `connections` gives a connection by its name; the TOML file and the database do by default.
    `hooks` are objects whose hooks are called beside the plugins'. `clock` returns epoch seconds.
    """

    def __init__(
        self,
        outbox: Outbox,
        *,
        connections: Source | None = None,
        hooks: Iterable[object] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.outbox = outbox
        self.clock = clock
        self.claims = outbox.claims
        self.workers = outbox.workers
        self.connection_rows = outbox.connection_rows
        self._hooks = tuple(hooks)
        known = connections or FromFileAndDatabase(
            CredentialStore(outbox.database), outbox.config, lambda: self._life.worker
        )
        self.tills = Tills(known, outbox.settings, self._hooks)
        self.menus = Menus(self.workers, self.connection_rows, clock)
        self._life = Heartbeat(self.workers, outbox.settings.lease, clock)
        self._lock = threading.Lock()
        self._in_flight: set[tuple[str, int]] = set()
        self._unsure = False
        self._alone = False
        self._takes_more = True
        self._unfinished: list[tuple[Claim, float, int]] = []

    def __enter__(self) -> Self:
        """Make the database ready, and enlist as a worker. Raises `DatabaseError`."""
        self.outbox.prepare()
        self._life.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Retire, and close the connections."""
        self.take_no_more()
        self._life.__exit__(kind, error, trace)
        self.tills.close()

    @property
    def in_flight(self) -> int:
        """How many orders are in hand here now."""
        return len(self._in_flight)

    # ------------------------------------------------------------------ for engines

    def process(self, order_id: str) -> float | None:
        """Do what is due for an order, after those of its connection that fell due before it.

        Returns when it is due again, in epoch seconds; None when nothing is to be done for it by
        itself. Whatever happens to the order is in the store, so nothing is raised for it. Raises
        `DatabaseError` when the store fails.
        """
        while True:
            stands = self.claims.status(order_id)
            if stands is None or stands.due_at is None:
                return None
            if stands.worker:
                return max(stands.due_at, self.clock() + NO_ROOM)
            if stands.due_at > self.clock():
                return stands.due_at
            claims = self.claim(1, stands.connection)
            if not claims:
                return self.clock() + NO_ROOM
            self.handle(claims[0])

    def claim(self, most: int, connection: str = "") -> list[Claim]:
        """Take up to `most` due orders in hand, of all connections or of one. Each has to be handed to `handle`.

        None are taken while an order runs alone, and no others while one waits to. Raises
        `DatabaseError`.
        """
        now, taken = self.clock(), list[Claim]()
        with self._lock:
            if self._alone or not self._takes_more:
                return taken
            alone = self.claims.is_isolated_due(now)
            if alone and self._in_flight:
                return taken
            due = sorted(
                (at, name) for name, at in self.claims.next_due_by_connection().items() if at <= now
            )
            for _, name in due:
                room = (1 if alone else most) - len(taken)
                if room > 0 and connection in ("", name):
                    limit = self.tills.options(name).concurrency
                    try:
                        taken += self.claims.claim(
                            name, self._life.worker, now, limit=limit, most=room, isolated=alone
                        )
                    except DatabaseError:
                        self._unsure = True
                        if not taken:
                            raise
                        break
            self._in_flight |= {(claim.order.id, claim.fencing_token) for claim in taken}
            self._alone = alone and bool(taken)
        return taken

    def take_no_more(self) -> None:
        """Take no further order in hand: `process` returns once the one that it has in hand is laid down.

        Safe in a signal handler and from any thread.
        """
        self._takes_more = False

    def handle(self, claim: Claim) -> None:
        """Carry an order as far as it goes now, and write how it stands then."""
        try:
            self._handle(claim)
        except LeaseLostError:
            # A worker whose sign of life was late may still be the holder, and then nobody else
            # would free the order.
            log.warning("order %s is somebody else's by now, or may soon be", claim.order.id)
            self._unfinished.append((claim, NO_ROOM, 0))
        except DatabaseError as trouble:
            log.error("order %s: %s", claim.order.id, trouble)
            self._unfinished.append((claim, AFTER_A_BUG, 0))  # the store's fault, not the order's
        except Exception:
            log.exception("order %s couldn't be handled", claim.order.id)
            self._unfinished.append((claim, AFTER_A_BUG, 1))
        finally:
            with self._lock:
                self._in_flight.discard((claim.order.id, claim.fencing_token))
                self._alone = False
            self.release_unfinished()

    def release_unfinished(self) -> None:
        """Free orders that couldn't be laid down, or were taken in hand unheard, once the store works again."""
        while True:
            try:
                claim, rest, crash_count = self._unfinished.pop()
            except IndexError:  # another thread was quicker
                break
            try:
                self.claims.release(claim, self.clock(), due_in=rest, crashes=crash_count)
            except DatabaseError:
                self._unfinished.append((claim, rest, crash_count))
                return
        if self._unsure:
            self._free_unheard()

    def _free_unheard(self) -> None:
        """Free orders whose claim the store has, although it failed before it could say so."""
        with self._lock:
            try:
                self.claims.release_except(
                    self._life.worker, {order_id for order_id, _ in self._in_flight}, self.clock()
                )
            except DatabaseError:
                return
            self._unsure = False

    # ------------------------------------------------------------------ for what people do

    def take(self, order_id: str, seen: float | None = None) -> Claim | None:
        """Take an order in hand that nobody has, to act on it and lay it down with `claims.recording`; else None.

        None too when it has changed since it was `seen`: that is its `updated_at` then.
        """
        return self.claims.claim_order(order_id, self._life.worker, seen)

    def seek(self, claim: Claim) -> PosOrder | None:
        """Look for an order in hand, also where staff can't see it; None when it isn't found or can't be looked for."""
        try:
            found = self.tills[claim.connection].find(claim.order)
        except (ConfigError, PosError) as trouble:
            decided(
                "look_failed",
                id=claim.order.id,
                connection=claim.connection,
                error=type(trouble).__name__,
            )
            return None
        return (
            PosOrder(id=found.id, reference=claim.order.id) if isinstance(found, Draft) else found
        )

    def withdraw(self, claim: Claim, pos_order: PosOrder) -> bool:
        """Withdraw an order in hand at the platform; return whether it says that it is gone."""
        try:
            till = self.tills[claim.connection]
            if "cancel" not in till.capabilities:
                return False
            self.keep(claim, till.withdraw(claim, self, self.clock, pos_order))
        except (ConfigError, PosError) as trouble:
            why = type(trouble).__name__
            decided("withdraw_failed", id=claim.order.id, connection=claim.connection, error=why)
            return False
        return True

    def withdraw_ticket(self, claim: Claim) -> bool:
        """Withdraw the attention ticket of an order in hand; return whether none is left, as far as is known."""
        if not any(isinstance(event, OfTicket) for event in claim.events):
            return True
        try:
            return self.tills[claim.connection].withdraw_ticket(claim, self, self.clock)
        except ConfigError:
            return False

    def tell(self, connection: str, told: Iterable[HookCall]) -> None:
        """Call the plugins' hooks, and those that were handed in."""
        hooks = Hooks(connection, self._hooks)
        for hook, facts in told:
            hooks.call(hook, facts)

    # ------------------------------------------------------------------ one order

    def _handle(self, claim: Claim) -> None:
        try:
            till = self.tills.of(claim.connection, claim.credentials_version)
        except ConfigError as wrong:
            self._finish(claim, _unconnected(claim, wrong), None)
            return
        menu_cache = till.menu_cache
        if (
            menu_cache.imported_at < claim.menu_at
        ):  # while it's the other way, this worker's import is being kept
            self.menus.refresh(claim.connection, menu_cache)
        self._finish(claim, till.handle(claim, self, self.clock), till)

    def _finish(self, claim: Claim, ending: RunResult, till: OutboxTill | None) -> None:
        now = self.clock()
        due_at = None if ending.rest is None else now + ending.rest
        if ending.pause:
            due_at = (
                claim.eligible_at
            )  # when it goes on, it comes before those that fell due after it
        changes: dict[str, object] = {
            "state": ending.state.value,
            "waits_for": ending.waits_for.value,
            "suspended_until": ending.suspended_until,
            "new_request": ending.new_request,
            "error": ending.error.model_dump_json() if ending.error else None,
            "ticket": ending.ticket.model_dump_json() if ending.ticket else None,
            "worker": None,
            "crash_count": 0,
            **problem_columns(
                ending.state, ending.waits_for, now, self.outbox.settings.escalate_after
            ),
        }
        if (
            not ending.pause
        ):  # an order that waits for the store to be connected again keeps its turn
            changes["due_at"] = due_at
        if there := ending.pos_order:
            changes["pos_order"] = there.model_dump_json()
            changes |= arrived(there, claim.order, ending.state, now, self.outbox.settings)
        if ending.new_request and due_at:
            changes["eligible_at"] = due_at
        told: Sequence[HookCall] = ()
        with self.claims.recording(claim, ending.happened, now, **changes) as db:
            if there and (further := told_by(there)) is not Progress.NEW:
                self.claims.advance_progress(db, claim.order.id, lower_than(further), further)
            if till:
                told = tell_place(
                    self.connection_rows,
                    db,
                    claim.connection,
                    till,
                    ending,
                    now,
                    self.outbox.settings,
                )
            paused = ending.pause and bool(
                self.connection_rows.lock(db, claim.connection)["paused"]
            )
            if due_at is not None and not paused:
                self.outbox.engine.wake(db, claim.order.id, due_at)
        _log(claim, ending, told)
        tell = till.tell if till else Hooks(claim.connection, self._hooks).call
        for hook, facts in (*ending.announced, *refusal(claim.order, ending.state, there), *told):
            tell(hook, facts)

    # ------------------------------------------------------------------ what a handling needs: see
    # `Hands`

    def keep(self, claim: Claim, happened: Sequence[tuple[Event, Transcript | None]]) -> None:
        """Write events of an order in hand."""
        if happened:
            with self.claims.recording(claim, happened, self.clock(), new_request=False):
                pass

    def check(self, claim: Claim) -> None:
        """Raise `LeaseLostError` unless this worker is surely taken for alive."""
        self._life.check(claim.worker)

    def import_menu(self, claim: Claim) -> MenuImport:
        """Import the connection's menu, once for all workers."""
        till = self.tills[claim.connection]
        return _logged(
            claim.connection,
            self.menus.importing(claim.connection, claim.worker, till.menu_cache, till.import_once),
        )

    def import_now(self, connection: str) -> MenuImport:
        """Import a connection's menu now, however young the last one is.

        Raises `ConfigError`, the platform's `PosError`, or `MenuImportRunning` when another worker
        is importing it.
        """
        till = self.tills[connection]
        return _logged(
            connection,
            self.menus.importing(connection, self._life.worker, till.menu_cache, till.import_menu),
        )


def _unconnected(claim: Claim, wrong: ConfigError) -> RunResult:
    error: PosError = SetupError(str(wrong))
    error.operation, error.title = "connect", claim.connection
    error.outcome = Outcome.UNKNOWN if claim.events else Outcome.NOT_CREATED
    record = error.record()
    told: Sequence[tuple[str, Mapping[str, object]]] = [
        ("order_failed", {"order": claim.order, "error": error})
    ]
    return RunResult(OrderState.ERROR, error=record, announced=told)


def _log(claim: Claim, ending: RunResult, told: Sequence[HookCall]) -> None:
    for event, _ in told:
        decided(event, connection=claim.connection)
    decided(
        "order",
        id=claim.order.id,
        connection=claim.connection,
        state=ending.state.value,
        waits_for=ending.waits_for.value,
        due_in=None if ending.rest is None else round(ending.rest, 1),
        pos_order=ending.pos_order.id if ending.pos_order else "",
        ticket=ending.ticket.id if ending.ticket else "",
        **error_in_short(ending.error),
    )


def _logged(connection: str, result: MenuImport) -> MenuImport:
    if result.fresh:
        decided("menu_import_held" if result.held else "menu_imported", connection=connection)
    return result
