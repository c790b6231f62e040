"""A store in a test: a Till or an AsyncTill behind one blocking interface.

`ask` runs any operation of the adapter, such as `find` or `finish`, in the way that a Till runs its
own.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Coroutine
from typing import Any, Literal, TypeAlias, TypeVar, cast

from tillpost.adapter.readiness import Readiness
from tillpost.client.aio import AsyncTill
from tillpost.client.base import BaseTill
from tillpost.client.sync import Till
from tillpost.models.order import Order, PosOrder
from tillpost.submission.commands import Flow
from tillpost.submission.context import Connection
from tillpost.submission.history import NO_TICKET
from tillpost.submission.journal import Journal
from tillpost.submission.menu_import import MenuImport
from tillpost.submission.operation import OperationContext, run_operation
from tillpost.submission.order_journal import OrderJournal

__all__ = ["KINDS", "Kind", "OpenAsyncTill", "OpenTill", "Store"]

Kind: TypeAlias = Literal["sync", "async"]
KINDS: tuple[Kind, ...] = ("sync", "async")
T = TypeVar("T")

Arguments: TypeAlias = tuple[object, ...]
"""The arguments of an operation of an adapter, after the order."""


class _AnyOperation(BaseTill):
    def __init__(self, connection: Connection, journal: Journal | None) -> None:
        super().__init__(connection, journal)
        # A recording is of one operation, so the store's currency isn't asked for beside it.
        self._connection.menu_cache.currency = ""

    def _operation(self, operation: str, order: Order | None, arguments: Arguments) -> Flow[Any]:
        journal = OrderJournal()
        if operation == "attention":
            # A ticket is known to be new. Without a key, the adapter would look it up.
            journal = OrderJournal(NO_TICKET)
        context = OperationContext(self._connection, operation, order, journal)
        method = getattr(self._connection.adapter, operation)
        if order is None:
            return run_operation(context, method, *arguments)
        return run_operation(context, method, order, *arguments)


class OpenTill(Till, _AnyOperation):
    """A Till that runs any operation of its adapter."""

    def ask(self, operation: str, order: Order | None, arguments: Arguments) -> Any:
        """Run the operation and return its result."""
        flow = self._operation(operation, order, arguments)
        return self._run(flow)


class OpenAsyncTill(AsyncTill, _AnyOperation):
    """An AsyncTill that runs any operation of its adapter."""

    async def ask(self, operation: str, order: Order | None, arguments: Arguments) -> Any:
        """Run the operation and return its result."""
        flow = self._operation(operation, order, arguments)
        return await self._run(flow)


class Store:
    """The interface. Each method raises what the Till's method raises."""

    def __init__(self, till: OpenTill | OpenAsyncTill) -> None:
        self.till = till
        self._runner = asyncio.Runner()

    def submit(self, order: Order, *, is_new: bool = False) -> PosOrder:
        """Submit a paid order."""
        submitted = self.till.submit(order, is_new=is_new)
        return self._done(submitted)

    def fetch(self, pos_order: PosOrder | str) -> PosOrder:
        """Return the order's current state at the platform."""
        return self._done(self.till.fetch(pos_order))

    def cancel(self, pos_order: PosOrder) -> PosOrder:
        """Cancel the order at the platform."""
        return self._done(self.till.cancel(pos_order))

    def quote(self, order: Order) -> int:
        """Return the total that the platform computes, in minor units."""
        return self._done(self.till.quote(order))

    def import_menu(self) -> MenuImport:
        """Import the store's menu."""
        return self._done(self.till.import_menu())

    def check(self) -> Readiness:
        """Return whether the store can take an order now."""
        return self._done(self.till.check())

    def ask(self, operation: str, *arguments: object, order: Order | None = None) -> Any:
        """Run an operation of the adapter by name.

        `order` is its first argument if it has one.
        """
        return self._done(self.till.ask(operation, order, arguments))

    def close(self) -> None:
        """Close the Till."""
        if isinstance(self.till, OpenAsyncTill):
            self._runner.run(self.till.aclose())
        else:
            self.till.close()
        self._runner.close()

    def _done(self, result: T | Coroutine[Any, Any, T]) -> T:
        if inspect.iscoroutine(result):
            awaited: T = self._runner.run(result)
            return awaited
        return cast(T, result)
