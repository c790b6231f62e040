"""Executors of flows, for threads or for tasks.

They carry out a flow's commands over a transport. `run_flow` is the loop that every flow runs in.
`SyncExecutor` carries out all commands for `Till`, and for the outbox those that don't touch its
orders. `AsyncExecutor` is the same with `await`, for `AsyncTill`.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import NamedTuple, TypeAlias, TypeVar

import stamina

from tillpost.adapter.base import Credentials
from tillpost.adapter.verdicts import Verdict
from tillpost.client.clock import SkippingClock
from tillpost.client.credentials import AsyncCredentialSource, CredentialSource
from tillpost.client.locks import NamedAsyncLocks, NamedLocks
from tillpost.client.retry import RetryAfter, RetryBudget, retry_wait
from tillpost.errors import PosError
from tillpost.plugins.manager import Hooks
from tillpost.submission.commands import (
    Announce,
    Command,
    Flow,
    ImportMenu,
    Pause,
    Record,
    Refresh,
    Reimport,
    Suspend,
    Transmission,
    Transmit,
)
from tillpost.submission.context import Connection
from tillpost.submission.journal import Event
from tillpost.submission.menu_import import MenuImport, import_menu
from tillpost.submission.store_flows import StoreFlows
from tillpost.transport.http import AsyncHttpTransport, HttpTransport

__all__ = ["AsyncExecutor", "Recorder", "RetryCap", "SyncExecutor", "run_flow"]

T = TypeVar("T")

Recorder: TypeAlias = Callable[[Event], object]
"""Persists an event of the order that a flow is about."""


class RetryCap(NamedTuple):
    """The limit of a request's retries, in number and seconds, whatever its budget."""

    retries: int
    seconds: float

    def applied_to(self, transmit: Transmit) -> Transmit:
        """Return the command with a budget within the cap."""
        retries = min(transmit.retries, self.retries)
        patience = min(transmit.patience, self.seconds)
        return transmit._replace(retries=retries, patience=patience)


def discard(_: Event) -> None:
    """Persist nothing, for flows without an order."""


def run_flow(flow: Flow[T], execute: Callable[[Command], object]) -> T:
    """Run a flow to its end and return its result.

    `execute` carries out a command and returns its result; a `PosError` that it raises is thrown
    into the flow. A flow dropped in the middle can be started again: see its journal.
    """
    result: object = None
    failure: PosError | None = None
    try:
        while True:
            try:
                command = flow.throw(failure) if failure else flow.send(result)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            result = failure = None
            try:
                result = execute(command)
            except PosError as error:
                failure = error
    finally:
        flow.close()


class SyncExecutor:
    """The executor of one connection's flows. It is safe for threads."""

    def __init__(
        self,
        connection: Connection,
        clock: SkippingClock,
        transport: HttpTransport,
        credentials: CredentialSource,
        hooks: Hooks,
        sleep: Callable[[float], None],
        retry_cap: RetryCap | None = None,
    ) -> None:
        """Take the parts; `clock` is the connection's own."""
        self._retry_cap = retry_cap
        self._connection = connection
        self._clock = clock
        self._transport = transport
        self._credentials = credentials
        self._hooks = hooks
        self._sleep = sleep
        self._import_lock = NamedLocks("importing the menu")

    def run(self, flow: Flow[T], record: Recorder = discard) -> T:
        """Run a flow to its end; `record` persists the events of its order."""
        return run_flow(flow, partial(self.execute, record=record))

    def execute(self, command: Command, record: Recorder = discard) -> object:
        """Carry out one command and return its result."""
        match command:
            case Record():
                record(command.event)
            case Transmit():
                return self.transmit(command)
            case Pause(seconds) | Suspend(seconds):
                self._wait(seconds)
            case Announce(hook, facts):
                self._hooks.call(hook, facts)
            case Reimport():
                return self._hooks.call("reimport_menu", {})
            case ImportMenu():
                return self.import_menu(asked_at=self._connection.clock())
            case Refresh(expired):
                return self._refresh(expired)
        return None

    def transmit(self, transmit: Transmit) -> Transmission:
        """Send a request, and again as its budget allows."""
        if self._retry_cap:
            transmit = self._retry_cap.applied_to(transmit)
        credentials = self._credentials.current
        budget = RetryBudget(transmit, self._connection.policy)
        verdict = self._send(transmit, credentials)
        retry = budget.next_retry(verdict, 1)
        if retry is None:
            return Transmission(verdict, 1, credentials)

        sends = 1
        attempts = stamina.retry_context(on=retry_wait, attempts=transmit.retries + 1, timeout=None)
        with suppress(RetryAfter):
            for attempt in attempts:
                with attempt:
                    # The first attempt is the send that has just failed.
                    if attempt.num > 1:
                        verdict = self._send(transmit, credentials).after(verdict)
                        sends = attempt.num
                        retry = budget.next_retry(verdict, sends)
                    if retry:
                        raise retry
        return Transmission(verdict, sends, credentials)

    def import_menu(
        self, *, forced: bool = False, accept: bool = False, asked_at: float = math.inf
    ) -> MenuImport:
        """Import the menu, one import at a time; see `menu_import.import_menu`."""
        with self._import_lock.hold():
            flow = import_menu(self._connection, forced=forced, accept=accept, asked_at=asked_at)
            return self.run(flow)

    def _send(self, transmit: Transmit, credentials: Credentials) -> Verdict:
        return transmit.judge(self._transport.send(transmit.request, credentials))

    def _wait(self, seconds: float) -> None:
        if not self._clock.skip(seconds):
            began = self._clock.steady()
            self._sleep(max(0.0, seconds))
            self._clock.catch_up(began, seconds)

    def _refresh(self, expired: Credentials) -> bool:
        def ask() -> Credentials:
            return self.run(StoreFlows(self._connection).refresh(expired))

        return self._credentials.refresh(expired, ask)


class AsyncExecutor:
    """`SyncExecutor` with `await`, for the tasks of one event loop."""

    def __init__(
        self,
        connection: Connection,
        clock: SkippingClock,
        transport: AsyncHttpTransport,
        credentials: AsyncCredentialSource,
        hooks: Hooks,
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        """Take the parts; `clock` is the connection's own."""
        self._connection = connection
        self._clock = clock
        self._transport = transport
        self._credentials = credentials
        self._hooks = hooks
        self._sleep = sleep
        self._import_lock = NamedAsyncLocks("importing the menu")

    async def run(self, flow: Flow[T], record: Recorder = discard) -> T:
        """Run a flow to its end, as `run_flow` does.

        `record` persists the events of its order.
        """
        result: object = None
        failure: PosError | None = None
        try:
            while True:
                try:
                    command = flow.throw(failure) if failure else flow.send(result)
                except StopIteration as end:
                    return end.value  # type: ignore[no-any-return]
                result = failure = None
                try:
                    result = await self.execute(command, record)
                except PosError as error:
                    failure = error
        finally:
            flow.close()

    async def execute(self, command: Command, record: Recorder = discard) -> object:
        """Carry out one command and return its result."""
        match command:
            case Record():
                record(command.event)
            case Transmit():
                return await self.transmit(command)
            case Pause(seconds) | Suspend(seconds):
                await self._wait(seconds)
            case Announce(hook, facts):
                await self._hooks.acall(hook, facts)
            case Reimport():
                return await self._hooks.acall("reimport_menu", {})
            case ImportMenu():
                return await self.import_menu(asked_at=self._connection.clock())
            case Refresh(expired):
                return await self._refresh(expired)
        return None

    async def transmit(self, transmit: Transmit) -> Transmission:
        """Send a request, and again as its budget allows."""
        credentials = self._credentials.current
        budget = RetryBudget(transmit, self._connection.policy)
        verdict = await self._send(transmit, credentials)
        retry = budget.next_retry(verdict, 1)
        if retry is None:
            return Transmission(verdict, 1, credentials)

        sends = 1
        attempts = stamina.retry_context(on=retry_wait, attempts=transmit.retries + 1, timeout=None)
        with suppress(RetryAfter):
            async for attempt in attempts:
                with attempt:
                    # The first attempt is the send that has just failed.
                    if attempt.num > 1:
                        latest = await self._send(transmit, credentials)
                        verdict = latest.after(verdict)
                        sends = attempt.num
                        retry = budget.next_retry(verdict, sends)
                    if retry:
                        raise retry
        return Transmission(verdict, sends, credentials)

    async def import_menu(
        self, *, forced: bool = False, accept: bool = False, asked_at: float = math.inf
    ) -> MenuImport:
        """Import the menu, one import at a time; see `menu_import.import_menu`."""
        async with self._import_lock.hold():
            flow = import_menu(self._connection, forced=forced, accept=accept, asked_at=asked_at)
            return await self.run(flow)

    async def _send(self, transmit: Transmit, credentials: Credentials) -> Verdict:
        return transmit.judge(await self._transport.send(transmit.request, credentials))

    async def _wait(self, seconds: float) -> None:
        if not self._clock.skip(seconds):
            began = self._clock.steady()
            await self._sleep(max(0.0, seconds))
            self._clock.catch_up(began, seconds)

    async def _refresh(self, expired: Credentials) -> bool:
        async def ask() -> Credentials:
            return await self.run(StoreFlows(self._connection).refresh(expired))

        return await self._credentials.arefresh(expired, ask)
