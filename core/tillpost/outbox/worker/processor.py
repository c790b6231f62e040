"""The processor of due orders.

It claims them, runs each as far as it goes now, and writes the result.

    with Processor(outbox) as processor:
        due_at = processor.process(order_id)    # called by an engine: Procrastinate, Celery, yours

Threads may share one. It never sleeps through a wait: it writes when the order is due again, and
notifies the engine. `Worker` is the loop that needs no other engine.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import NamedTuple, Self, TypeVar

from tillpost.errors import ConfigError, PosError, is_interruption
from tillpost.models.arguments import require_list, require_type
from tillpost.models.order import PosOrder
from tillpost.models.safe_text import log_value, safe_logger
from tillpost.outbox.connections.credentials import CredentialStore
from tillpost.outbox.connections.token_refresh import RefreshMarks
from tillpost.outbox.delivery.connections import ConnectionSource
from tillpost.outbox.delivery.foreign_source import as_source
from tillpost.outbox.delivery.menu_import import import_shared_menu
from tillpost.outbox.delivery.open_connections import OpenConnection, OpenConnections
from tillpost.outbox.delivery.run_result import RunResult
from tillpost.outbox.delivery.runner import OrderRunner
from tillpost.outbox.delivery.sources import default_source
from tillpost.outbox.event_log import HookCall, log_event
from tillpost.outbox.exceptions import DatabaseError
from tillpost.outbox.menus.shared import Menus
from tillpost.outbox.orders.claims import SET_ASIDE_AFTER, Claim, LeaseLostError
from tillpost.outbox.orders.heartbeat import Heartbeat
from tillpost.outbox.outbox import Outbox
from tillpost.outbox.worker.bounded_hooks import BoundedHooks
from tillpost.outbox.worker.noted_stores import NotedStores
from tillpost.outbox.worker.passed_over import PassedOver
from tillpost.outbox.worker.results import ResultWriter, broken_result, unconnected_result
from tillpost.outbox.worker.stuck_orders import StuckOrders
from tillpost.outbox.worker.thread_shares import ThreadShares
from tillpost.plugins.manager import Hooks
from tillpost.submission.journal import OfTicket
from tillpost.submission.menu_import import MenuImport

__all__ = ["Processor"]

T = TypeVar("T")

log = safe_logger("tillpost.outbox")

LOOP_RETRY = 1.0
"""Seconds until a worker's loop goes on after a step of it failed."""

CLAIM_RETRY = 1.0
"""In how many seconds an order is tried again that can't be claimed yet."""

FAILURE_RETRY = 10.0
"""In how many seconds an order is tried again whose processing broke down."""

GRACE_OF_HOOKS = 1.0
"""Seconds that a worker that retires waits for hooks that haven't returned."""

STUCK_AFTER = 60.0
"""A worker whose loop makes no progress for this long is stuck, in seconds."""

STUCK_SET_ASIDE_AFTER = 2
"""An order that is stuck this many times in a row is left to a person."""


class _Unreleased(NamedTuple):
    """A claim that couldn't be released yet, and how it is to be released."""

    claim: Claim
    due_in: float
    crashes: int


class Processor:
    """A processor of an outbox's orders.

    A context manager: a worker while the block lasts.
    """

    def __init__(
        self,
        outbox: Outbox,
        *,
        connections: ConnectionSource | None = None,
        hooks: Iterable[object] = (),
        clock: Callable[[], float] | None = None,
    ) -> None:
        """Take the outbox.

        Args:
            outbox: Whose orders to process.
            connections: The source of connections; by default those of the TOML file, of the
                database and of the installed plugins.
            hooks: Objects whose hooks are called besides those of the installed plugins.
            clock: Returns the time in epoch seconds; by default `Outbox.clock`.

        Raises:
            ConfigError: One of the objects has a hook that doesn't exist, or isn't marked.
            TypeError: An argument has a wrong type.
        """
        require_type("outbox", outbox, Outbox)
        self.outbox = outbox
        self.clock = clock or outbox.clock
        self.claims = outbox.claims
        self.workers = outbox.workers
        self.connection_rows = outbox.connection_rows
        require_list("hooks", hooks, "objects")
        self._hooks = tuple(hooks)
        self._heartbeat = Heartbeat(self.workers, outbox.settings.lease, self.clock)
        self._heartbeat.vouch = self._gets_on
        self._progress_at: float | None = None
        store = CredentialStore(outbox.database)
        marks = RefreshMarks(store, lambda: self._heartbeat.worker)
        self.connections = OpenConnections(
            as_source(connections, lambda: default_source(store, outbox.config, marks)),
            outbox.settings,
            self.clock,
            self._hooks,
            marks=marks,
        )
        self.menus = Menus(self.workers, self.connection_rows, self.clock)
        self._bounded_hooks = BoundedHooks()
        self._results = ResultWriter(outbox, self.clock, self.call_hooks)
        self._lock = threading.Lock()
        self._shares = ThreadShares[tuple[str, int]](outbox.settings.threads)
        self._stuck = StuckOrders()
        self._passed_over = PassedOver("claim")
        self._isolated: tuple[str, int] | None = None
        self.noted_stores = NotedStores()
        self._takes_more = True
        self._may_hold_unknown_claims = False
        self._unreleased: list[_Unreleased] = []

    def __enter__(self) -> Self:
        """Prepare the database and enlist as a worker. Raises `DatabaseError`."""
        self.outbox.prepare()
        self._heartbeat.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Store unsaved tokens, retire as a worker and close the connections."""
        self.take_no_more()
        self.connections.save_tokens()
        self._heartbeat.__exit__(kind, error, trace)
        self._bounded_hooks.close(GRACE_OF_HOOKS)
        self.connections.close()

    @property
    def in_flight(self) -> int:
        """How many orders are claimed here now."""
        return self._shares.running

    @property
    def slow(self) -> int:
        """How many of them take long, so that other threads work in their place."""
        return self._shares.slow

    def progress(self, *, ended: bool = False) -> None:
        """Note that the worker's loop gets on, or that it has ended.

        A worker whose loop hasn't for `STUCK_AFTER` seconds loses its heartbeat, so that others
        take its orders over. Without a loop nothing is noted, and nothing expected.
        """
        self._progress_at = None if ended else time.monotonic()

    def attempt(self, step: Callable[[], T]) -> T | None:
        """Run one step of a worker's loop.

        Returns None if it failed, after `LOOP_RETRY` seconds. What fails is logged, so that the
        loop goes on. A `ConfigError` and an interruption are raised.
        """
        self.progress()
        try:
            return step()
        except DatabaseError as error:
            log.warning("worker_step_failed error=%s", log_value(error))
        except ConfigError:
            raise
        except BaseException as failure:
            if is_interruption(failure):
                raise
            log.exception("worker_step_failed")
        time.sleep(LOOP_RETRY)
        return None

    def _gets_on(self) -> bool:
        progress_at = self._progress_at
        return progress_at is None or time.monotonic() - progress_at < STUCK_AFTER

    # ------------------------------------------------------------------ for engines

    def process(self, order_id: str) -> float | None:
        """Process an order, after those of its connection that fell due before it.

        Whatever happens to the order is written, so nothing is raised for it.

        Returns:
            When it is due again, by `clock`; None when nothing is due automatically.

        Raises:
            DatabaseError: The database fails.
        """
        while True:
            status = self.claims.status(order_id)
            if status is None or status.due_at is None:
                return None
            if status.worker:
                return max(status.due_at, self.clock() + CLAIM_RETRY)
            if status.due_at > self.clock():
                return status.due_at
            claims = self.claim(1, status.connection)
            if not claims:
                return self.clock() + CLAIM_RETRY
            self.handle(claims[0])

    def claim(self, most: int, connection: str = "") -> list[Claim]:
        """Claim up to `most` due orders, of all connections or of one.

        Each claim is to be passed to `handle`. No order is claimed beside one that runs isolated;
        where one is due that must, it waits for the running orders to end, and is claimed alone. An
        order that has become slow counts as ended here.

        Raises:
            DatabaseError: The database fails.
        """
        now = self.clock()
        with self._lock:
            if not self._takes_more or self._shares.is_quick(self._isolated):
                return []
            claimed: list[Claim] = []
            if self.claims.is_isolated_due(now):
                if self._shares.running > self._shares.slow:
                    return []
                claimed = self._claim_due(now, 1, connection, isolated=True)
                self._isolated = _key(claimed[0]) if claimed else None
            # An isolated order whose connection may begin none waits, but not the others with it.
            return claimed or self._claim_due(now, most, connection, isolated=False)

    def _claim_due(self, now: float, most: int, connection: str, *, isolated: bool) -> list[Claim]:
        """Claim due orders, of the connection first whose oldest order has waited longest.

        A connection that holds its share of the threads has to wait. One whose claim fails by
        itself is passed over for a while.
        """
        due_at_by_connection = self.claims.next_due_by_connection()
        due = [(at, name) for name, at in due_at_by_connection.items() if at <= now]
        claimed: list[Claim] = []
        for _, name in sorted(due):
            room = most - len(claimed)
            if room <= 0 or connection not in ("", name):
                continue
            if not self._passed_over.allows(name):
                continue
            try:
                with self._passed_over.attempt(name):
                    claimed += self._claim_of(name, now, room, isolated=isolated)
            except DatabaseError:
                # The claim may have been written before the database failed.
                self._may_hold_unknown_claims = True
                if not claimed:
                    raise
                break
        return claimed

    def _claim_of(self, name: str, now: float, most: int, *, isolated: bool) -> list[Claim]:
        if not self.connections.is_outlined(name):
            return []
        host = self.connections.host(name)
        if not self._shares.may_begin(name, host):
            return []
        limit = self.connections.options(name).concurrency
        worker = self._heartbeat.worker
        claims = self.claims.claim(name, worker, now, limit=limit, most=most, isolated=isolated)
        for claim in claims:
            self._shares.begin(_key(claim), name, host)
        return claims

    def take_no_more(self) -> None:
        """Claim no further order: `process` returns once its current order is released.

        Safe in a signal handler and from any thread.
        """
        self._takes_more = False

    def handle(self, claim: Claim) -> None:
        """Run a claimed order as far as it goes now, and write the result."""
        self._stuck.begin(claim)
        try:
            self._handle(claim)
        except LeaseLostError:
            # A worker whose heartbeat was late may still hold the order, and then nobody else
            # would release it.
            log.warning("lease_lost order=%s", claim.order.id)
            self._unreleased.append(_Unreleased(claim, CLAIM_RETRY, 0))
        except DatabaseError as error:
            # The order isn't to blame, so this doesn't count as a crash.
            log.error("order_run_failed order=%s error=%s", claim.order.id, log_value(error))
            self._unreleased.append(_Unreleased(claim, FAILURE_RETRY, 0))
        except BaseException as failure:
            if is_interruption(failure):
                self._unreleased.append(_Unreleased(claim, CLAIM_RETRY, 0))
                raise
            log.exception("order_run_failed order=%s", claim.order.id)
            self._end_broken(claim, failure)
        finally:
            self._stuck.end(claim)
            self._shares.end(_key(claim))
            self.release_unfinished()

    def release_stuck(self) -> None:
        """Release the orders whose handling makes no progress.

        This worker itself gets on. The thread that hangs stays lost to the connection, so a person
        gets the order soon.
        """
        stuck = self._stuck.take()
        for claim in stuck:
            log.error("order_stuck order=%s connection=%s", claim.order.id, claim.connection)
            failure = TimeoutError("its handling makes no progress")
            self._end_broken(claim, failure, most=STUCK_SET_ASIDE_AFTER)
        if stuck:
            self.release_unfinished()

    def _end_broken(
        self, claim: Claim, failure: BaseException, *, most: int = SET_ASIDE_AFTER
    ) -> None:
        """Release an order whose processing broke down.

        After some times it is left to a person.
        """
        if claim.crash_count + 1 >= most:
            try:
                self._results.write(claim, broken_result(claim, failure), None)
                return
            except LeaseLostError:
                return
            except Exception:
                log.exception("order_set_aside_failed order=%s", claim.order.id)
        self._unreleased.append(_Unreleased(claim, FAILURE_RETRY, 1))

    def release_unfinished(self) -> None:
        """Release the claims that couldn't be released, or whose making went unnoticed."""
        self.menus.release_unfinished()
        while True:
            try:
                unreleased = self._unreleased.pop()
            except IndexError:
                break
            try:
                self.claims.release(
                    unreleased.claim,
                    self.clock(),
                    due_in=unreleased.due_in,
                    crashes=unreleased.crashes,
                )
            except DatabaseError:
                self._unreleased.append(unreleased)
                return
        if self._may_hold_unknown_claims:
            self._release_unknown_claims()

    def _release_unknown_claims(self) -> None:
        """Release claims that were written, though the database failed before it said so."""
        with self._lock:
            known = {order_id for order_id, _ in self._shares.current()}
            try:
                self.claims.release_except(self._heartbeat.worker, known, self.clock())
            except DatabaseError:
                return
            self._may_hold_unknown_claims = False

    # ------------------------------------------------------------------ for people's actions

    def claim_order(self, order_id: str, seen: float | None = None) -> Claim | None:
        """Claim an order that nobody holds.

        The caller acts on it and releases it with `claims.recording`. Returns None if another
        worker holds it, or if it has changed since `seen`, which is its `updated_at` as it was
        seen.
        """
        return self.claims.claim_order(order_id, self._heartbeat.worker, self.clock(), seen)

    def withdraw_doubt(self, claim: Claim) -> RunResult:
        """Look up a claimed order that may exist at the platform; withdraw it if found.

        The result, which isn't written yet, says whether and when that has to go on.
        """
        try:
            opened = self.connections[claim.connection]
        except ConfigError as error:
            may_pass = self.connections.may_be_readable_soon(claim.connection)
            return unconnected_result(replace(claim, taken_over=True), error, may_pass=may_pass)
        result = self._runner(opened, claim).withdraw(at_once=True)
        if result.error:
            log_event(
                "order_withdrawal_failed",
                id=claim.order.id,
                connection=claim.connection,
                error=result.error.kind,
            )
        return result

    def withdraw(self, claim: Claim, pos_order: PosOrder) -> bool:
        """Cancel a claimed order at the platform; return whether the platform says it did."""
        try:
            opened = self.connections[claim.connection]
            if "cancel" not in opened.adapter.capabilities():
                return False
            self._runner(opened, claim).cancel(pos_order)
        except (ConfigError, PosError) as error:
            _log_failure("order_cancel_failed", claim, error)
            return False
        return True

    def withdraw_ticket(self, claim: Claim) -> bool:
        """Withdraw a claimed order's attention ticket; return whether none is left."""
        if not any(isinstance(event, OfTicket) for event in claim.events):
            return True
        try:
            opened = self.connections[claim.connection]
        except ConfigError:
            return False
        return self._runner(opened, claim).withdraw_ticket()

    def import_now(self, connection: str) -> MenuImport:
        """Import a connection's menu now, however young the last one is.

        Raises:
            ConfigError: There is no such connection, or it is wrong.
            PosError: The platform's.
            MenuImportRunning: Another worker is importing the menu.
        """
        opened = self.connections[connection]
        return import_shared_menu(opened, self.menus, self._heartbeat.worker, forced=True)

    def call_hooks(
        self,
        connection: str,
        hook_calls: Iterable[HookCall],
        opened: OpenConnection | None = None,
    ) -> None:
        """Call hooks of the plugins, and of the objects that this processor was given.

        An open connection has objects of its own, too. Hooks that don't return soon are left alone.
        """
        if hook_calls:
            self.noted_stores.note(connection)
        call_hook = opened.call_hook if opened else Hooks(connection, self._hooks).call
        self._bounded_hooks.call(connection, hook_calls, call_hook)

    # ------------------------------------------------------------------ one order

    def _handle(self, claim: Claim) -> None:
        try:
            opened = self.connections.get(claim.connection, claim.credentials_version)
        except ConfigError as error:
            may_pass = self.connections.may_be_readable_soon(claim.connection)
            result = unconnected_result(claim, error, may_pass=may_pass)
            self._results.write(claim, result, None)
            return
        # If the cached menu is the newer one, this worker's import is being stored.
        if opened.menu_cache.imported_at < claim.menu_at:
            self.menus.refresh(claim.connection, opened.menu_cache)
        runner = self._runner(opened, claim)
        result = runner.withdraw() if claim.taken_over else runner.run()
        self._results.write(claim, result, opened)

    def _runner(self, opened: OpenConnection, claim: Claim) -> OrderRunner:
        return OrderRunner(
            opened,
            claim,
            claims=self.claims,
            heartbeat=self._heartbeat,
            menus=self.menus,
            clock=self.clock,
            begin_step=partial(self._stuck.begin_step, claim),
        )


def _key(claim: Claim) -> tuple[str, int]:
    """Return what names a claim among all."""
    return claim.order.id, claim.fencing_token


def _log_failure(event: str, claim: Claim, error: Exception) -> None:
    kind = type(error).__name__
    log_event(event, id=claim.order.id, connection=claim.connection, error=kind)
