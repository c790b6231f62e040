"""`AsyncTill`: a store's POS, connected, for the tasks of one asyncio loop. It is `Till` with `await`.

    async with AsyncTill.connect("square", location_id="L123", access_token=token) as till:
        pos_order = await till.submit(order)

The flows and everything they decide are the same; only the loop that carries out their commands
differs. A task that is cancelled in the middle leaves its doubt in the journal, and the next
`submit` of the same order looks or resumes.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
import stamina

from tillpost.adapter.base import Account, Adapter, Credentials
from tillpost.adapter.readiness import Readiness
from tillpost.adapter.webhooks import SeenEvents, WebhookEvent
from tillpost.client.base import BaseTill, Options, adapter_for, configured
from tillpost.client.locks import NamedAsyncLocks
from tillpost.client.retry import Again, Repeating, backoff
from tillpost.errors import PosError
from tillpost.models.order import Draft, Order, PosOrder
from tillpost.submission.commands import (
    Announce,
    Command,
    Flow,
    ImportMenu,
    Pause,
    Record,
    Reimport,
    Sending,
    Suspend,
    Transmit,
)
from tillpost.submission.menu_import import MenuImport, importing
from tillpost.submission.policy import Policy
from tillpost.transport.http import AsyncHttpTransport, Limits

__all__ = ["AsyncTill"]

T = TypeVar("T")


class AsyncTill(BaseTill):
    """A store's POS, for the tasks of one asyncio loop. An async context manager: keep it while the store is served.

    Every operation raises a `PosError` when the platform refuses or can't be reached.
    """

    def __init__(
        self,
        adapter: Adapter[Any],
        options: Options | None = None,
        *,
        http_client: httpx.AsyncClient | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Take an adapter that is set up already. `connect` is the usual way."""
        super().__init__(adapter, options or Options())
        if not isinstance(http_client, httpx.AsyncClient | None):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(
                f"{type(self).__name__} needs an httpx.AsyncClient, not {type(http_client).__name__}"
            )
        self._own_client = http_client is None
        self._client = http_client or httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport() if adapter.public_only else None
        )
        self._line = AsyncHttpTransport(self._client, adapter, self._limits)
        self._sleep = sleep
        self._order_locks = NamedAsyncLocks()
        self._import_lock = asyncio.Lock()
        self._refresh_lock = asyncio.Lock()

    @classmethod
    def connect(
        cls,
        platform: str,
        *,
        name: str = "",
        policy: Policy | None = None,
        limits: Limits | None = None,
        http_client: httpx.AsyncClient | None = None,
        hooks: Iterable[object] = (),
        support_contact: str = "",
        on_tokens: Callable[[Credentials], object] | None = None,
        **settings: object,
    ) -> Self:
        """Connect to a store's POS; the arguments are those of `Till.connect`. Not awaited: nothing is sent yet."""
        options = Options(
            name,
            Policy.model_validate(policy or {}),
            limits or Limits(),
            hooks,
            support_contact,
            on_tokens=on_tokens,
        )
        return cls(adapter_for(platform, settings), options, http_client=http_client)

    @classmethod
    def from_config(
        cls,
        name: str,
        path: str | Path | None = None,
        *,
        http_client: httpx.AsyncClient | None = None,
    ) -> Self:
        """Connect by a name of the TOML file; see `Till.from_config`."""
        return cls(*configured(name, path), http_client=http_client)

    async def submit(self, order: Order, *, is_new: bool = False) -> PosOrder:
        """Bring a paid order to the register, once, and return it as the platform has it.

        Takes until it is there or an error stands, at most about the policy's budget. `is_new`
        promises that the order was never sent before by anyone; it saves a look on platforms
        without idempotency keys.

        Raises: PosError: a subclass says what to do; `outcome` says whether the order may be there
            all the same.
        """
        async with self._order_locks.hold(order.id):
            return await self._run(self._submitting(order, is_new), order.id)

    async def find(self, order: Order) -> PosOrder | Draft | None:
        """Look for the order at the platform by its reference: there, there but unseen by staff (a draft), or not."""
        return await self._run(self._finding(order))

    async def fetch(self, pos_order: PosOrder | str) -> PosOrder:
        """Return what the platform says of the order (or of the platform's id) now."""
        return await self._run(self._fetching(pos_order))

    async def cancel(self, pos_order: PosOrder) -> PosOrder:
        """Withdraw the order at the platform. The same order isn't submitted again after that."""
        async with self._order_locks.hold(pos_order.reference):
            return await self._run(self._cancelling(pos_order), pos_order.reference)

    async def quote(self, order: Order) -> int:
        """Return the total, in minor units, that the platform would compute, without creating anything."""
        return await self._run(self._quoting(order))

    async def import_menu(self, *, accept: bool = False) -> MenuImport:
        """Import the store's menu now. `accept` takes one that lacks so much that it would be held."""
        async with self._import_lock:
            return await self._run(importing(self._connection, forced=True, accept=accept))

    async def check(self) -> Readiness:
        """Return whether the store can take an order now, and if not, whose move it is."""
        return await self._run(self._checking())

    async def parse_webhook(
        self, headers: Mapping[str, str], body: bytes, url: str, *, seen: SeenEvents | None = None
    ) -> tuple[WebhookEvent, ...]:
        """Return what a webhook tells, once it is proved to be the platform's; see `Till.parse_webhook`."""
        events = self._read_webhook(headers, body, url)
        found = {pos_id: await self.fetch(pos_id) for pos_id in self._to_look_up(events)}
        return self._settled(events, found, seen)

    async def exchange_code(self) -> Credentials:
        """Exchange the authorisation code among the credentials; `authorisation.aexchange_code` is the usual way."""
        return await self._run(self._exchanging())

    async def account(self) -> Account:
        """Return who let us in, and what may be chosen there: locations, payment methods."""
        return await self._run(self._seeing_account())

    async def revoke(self) -> None:
        """Give back the access that the store granted: nothing works until it is connected again."""
        await self._run(self._revoking())

    async def aclose(self) -> None:
        """Close the connections, unless the HTTP client was handed in."""
        if self._own_client:
            await self._client.aclose()

    async def __aenter__(self) -> Self:
        """Return the Till itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        await self.aclose()

    async def _run(self, flow: Flow[T], order_id: str = "") -> T:
        """Carry out a flow's commands until it ends. Dropped in the middle, its journal tells where it was."""
        if self._client.is_closed:
            flow.close()
            raise RuntimeError(f"{self!r} is closed")
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
                    result = await self._carry_out(command, order_id)
                except PosError as refused:
                    failure = refused
        finally:
            flow.close()

    async def _carry_out(self, command: Command, order_id: str) -> object:
        match command:
            case Record():
                if order_id:  # an order that names no reference isn't one of ours
                    self._journal.append(order_id, command.event)
            case Transmit():
                return await self._transmit(command)
            case Pause(seconds) | Suspend(seconds):
                if not self._skip(seconds):
                    await self._sleep(max(0.0, seconds))
            case Announce(hook, facts):
                await self._hooks.acall(hook, facts)
            case Reimport():
                return await self._hooks.acall("reimport_menu", {})
            case ImportMenu():
                asked_at = self._connection.clock()
                async with self._import_lock:
                    return await self._run(importing(self._connection, asked_at=asked_at))
            case _:
                return await self._refresh(command.expired)
        return None

    async def _transmit(self, transmit: Transmit) -> Sending:
        """Send a request, and again as `repeating` says."""
        repeating, credentials = Repeating(transmit, self._connection.policy), self._credentials
        verdict, sends = transmit.judge(await self._line.send(transmit.request, credentials)), 1
        if again := repeating.after(verdict, sends):
            with suppress(Again):
                async for attempt in stamina.retry_context(
                    on=backoff, attempts=transmit.retries + 1, timeout=None
                ):
                    with attempt:
                        if attempt.num > 1:  # the first attempt is the send that failed just now
                            verdict = transmit.judge(
                                await self._line.send(transmit.request, credentials)
                            )
                            sends = attempt.num
                            again = repeating.after(verdict, sends)
                        if again:
                            raise again
        return Sending(verdict, sends, credentials)

    async def _refresh(self, expired: Credentials) -> bool:
        """Renew the credentials, once for all tasks that found the same ones expired."""
        async with self._refresh_lock:
            if self._credentials is expired:
                try:
                    renewed = await self._run(self._refreshing(expired))
                except PosError as refused:
                    if refused.transient:
                        raise
                    return False
                if self._on_tokens:
                    saved = self._on_tokens(renewed)
                    if inspect.isawaitable(saved):
                        await saved
                self._credentials = renewed
            return True
