"""One store's POS, connected: `Till`, for threads. `AsyncTill` in `async_till` is the same for tasks.

    with Till.connect("square", location_id="L123", access_token=token) as till:
        pos_order = till.submit(order)

All the logic is in `submission`, `importing` and `operation`; here their commands are carried out.
What was done for an order stands in a journal in memory, so a second `submit` of the same order,
also after an interruption, never makes a second one. To survive the process, use an outbox.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
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
from tillpost.client.locks import NamedLocks
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
from tillpost.transport.http import HttpTransport, Limits

__all__ = ["BaseTill", "Options", "Till", "adapter_for", "configured"]

T = TypeVar("T")


class Till(BaseTill):
    """A store's POS, for threads. A context manager: keep it for as long as the store is served, since it pools.

    Every operation raises a `PosError` when the platform refuses or can't be reached.
    """

    def __init__(
        self,
        adapter: Adapter[Any],
        options: Options | None = None,
        *,
        http_client: httpx.Client | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Take an adapter that is set up already. `connect` is the usual way."""
        super().__init__(adapter, options or Options())
        if not isinstance(http_client, httpx.Client | None):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(
                f"{type(self).__name__} needs an httpx.Client, not {type(http_client).__name__}"
            )
        self._own_client = http_client is None
        self._client = http_client or httpx.Client(
            transport=httpx.HTTPTransport() if adapter.public_only else None
        )
        self._line = HttpTransport(self._client, adapter, self._limits)
        self._sleep = sleep
        self._order_locks = NamedLocks()
        self._import_lock = threading.Lock()
        self._refresh_lock = threading.Lock()

    @classmethod
    def connect(
        cls,
        platform: str,
        *,
        name: str = "",
        policy: Policy | None = None,
        limits: Limits | None = None,
        http_client: httpx.Client | None = None,
        hooks: Iterable[object] = (),
        support_contact: str = "",
        on_tokens: Callable[[Credentials], object] | None = None,
        **settings: object,
    ) -> Self:
        """Connect to a store's POS. Nothing is sent yet.

        Args: platform: the adapter's name, such as "square"; `tillpost adapters` lists those
            installed. name: what plugins are told and logs show; the platform's name by default.
            policy: how trouble is dealt with: retries, prices, imports. limits: how long and how
            large an answer may be. http_client: your own httpx client, with your proxies and
            certificates. It isn't closed here. hooks: objects whose hooks are called beside those
            of the installed plugins. support_contact: a sentence that every remedy ends with.
            on_tokens: is handed renewed credentials, to be saved, before they are used. settings:
            what the platform needs, such as `access_token` and `location_id`.

        Raises:
            ConfigError: there is no such adapter, or a setting is wrong.
        """
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
        cls, name: str, path: str | Path | None = None, *, http_client: httpx.Client | None = None
    ) -> Self:
        """Connect by a name of the TOML file (`TILLPOST_CONFIG`, else `tillpost.toml`), its policy included.

        Raises `ConfigError`: the file or the name isn't there, or a setting is wrong.
        """
        return cls(*configured(name, path), http_client=http_client)

    def submit(self, order: Order, *, is_new: bool = False) -> PosOrder:
        """Bring a paid order to the register, once, and return it as the platform has it.

        Blocks until it is there or an error stands, at most about the policy's budget. `is_new`
        promises that the order was never sent before by anyone; it saves a look on platforms
        without idempotency keys. If it was sent all the same, such a platform may cook it twice.

        Raises: PosError: a subclass says what to do; `outcome` says whether the order may be there
            all the same.
        """
        with self._order_locks.hold(order.id):
            return self._run(self._submitting(order, is_new), order.id)

    def find(self, order: Order) -> PosOrder | Draft | None:
        """Look for the order at the platform by its reference: there, there but unseen by staff (a draft), or not."""
        return self._run(self._finding(order))

    def fetch(self, pos_order: PosOrder | str) -> PosOrder:
        """Return what the platform says of the order (or of the platform's id) now."""
        return self._run(self._fetching(pos_order))

    def cancel(self, pos_order: PosOrder) -> PosOrder:
        """Withdraw the order at the platform. The same order isn't submitted again after that."""
        with self._order_locks.hold(pos_order.reference):
            return self._run(self._cancelling(pos_order), pos_order.reference)

    def quote(self, order: Order) -> int:
        """Return the total, in minor units, that the platform would compute, without creating anything."""
        return self._run(self._quoting(order))

    def import_menu(self, *, accept: bool = False) -> MenuImport:
        """Import the store's menu now. `accept` takes one that lacks so much that it would be held."""
        with self._import_lock:
            return self._run(importing(self._connection, forced=True, accept=accept))

    def check(self) -> Readiness:
        """Return whether the store can take an order now, and if not, whose move it is.

        A menu that was imported is looked at too: nothing on it can be ordered, or its setup has
        faults.
        """
        return self._run(self._checking())

    def parse_webhook(
        self, headers: Mapping[str, str], body: bytes, url: str, *, seen: SeenEvents | None = None
    ) -> tuple[WebhookEvent, ...]:
        """Return what a webhook tells, once it is proved to be the platform's.

        `url` is the address that the platform called, as it knows it. `seen` remembers event ids,
        so that a repeated webhook is refused. Where the platform's signature proves little, an
        order is fetched before its state is believed. An order that staff have turned down comes as
        `OrderRefused`.

        Raises:
            WebhookError: it isn't the platform's, or isn't readable; answer it with a 4xx.
            PosError: the order couldn't be fetched; answer with a 5xx, so that it is sent again.
        """
        events = self._read_webhook(headers, body, url)
        found = {pos_id: self.fetch(pos_id) for pos_id in self._to_look_up(events)}
        return self._settled(events, found, seen)

    def exchange_code(self) -> Credentials:
        """Exchange the authorisation code among the credentials; `authorisation.exchange_code` is the usual way."""
        return self._run(self._exchanging())

    def account(self) -> Account:
        """Return who let us in, and what may be chosen there: locations, payment methods."""
        return self._run(self._seeing_account())

    def revoke(self) -> None:
        """Give back the access that the store granted: nothing works until it is connected again."""
        self._run(self._revoking())

    def close(self) -> None:
        """Close the connections, unless the HTTP client was handed in."""
        if self._own_client:
            self._client.close()

    def __enter__(self) -> Self:
        """Return the Till itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        self.close()

    def _run(self, flow: Flow[T], order_id: str = "") -> T:
        """Carry out a flow's commands until it ends. Dropped in the middle, its journal tells where it was."""
        return self._conduct(flow, lambda command: self._carry_out(command, order_id))

    def _conduct(self, flow: Flow[T], carry_out: Callable[[Command], object]) -> T:
        """Drive a flow to its end: `carry_out` answers its commands, and what that raises is thrown into it."""
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
                    result = carry_out(command)
                except PosError as refused:
                    failure = refused
        finally:
            flow.close()

    def _carry_out(self, command: Command, order_id: str) -> object:
        match command:
            case Record():
                if order_id:  # an order that names no reference isn't one of ours
                    self._journal.append(order_id, command.event)
            case Transmit():
                return self._transmit(command)
            case Pause(seconds) | Suspend(seconds):
                if not self._skip(seconds):
                    self._sleep(max(0.0, seconds))
            case Announce(hook, facts):
                self._hooks.call(hook, facts)
            case Reimport():
                return self._hooks.call("reimport_menu", {})
            case ImportMenu():
                asked_at = self._connection.clock()
                with self._import_lock:
                    return self._run(importing(self._connection, asked_at=asked_at))
            case _:
                return self._refresh(command.expired)
        return None

    def _transmit(self, transmit: Transmit) -> Sending:
        """Send a request, and again as `repeating` says."""
        repeating, credentials = Repeating(transmit, self._connection.policy), self._credentials
        verdict, sends = transmit.judge(self._line.send(transmit.request, credentials)), 1
        if again := repeating.after(verdict, sends):
            with suppress(Again):
                for attempt in stamina.retry_context(
                    on=backoff, attempts=transmit.retries + 1, timeout=None
                ):
                    with attempt:
                        if attempt.num > 1:  # the first attempt is the send that failed just now
                            verdict = transmit.judge(self._line.send(transmit.request, credentials))
                            sends = attempt.num
                            again = repeating.after(verdict, sends)
                        if again:
                            raise again
        return Sending(verdict, sends, credentials)

    def _refresh(self, expired: Credentials) -> bool:
        """Renew the credentials, once for all threads that found the same ones expired."""
        with self._refresh_lock:
            if self._credentials is expired:
                try:
                    renewed = self._run(self._refreshing(expired))
                except PosError as refused:
                    if refused.transient:
                        raise
                    return False
                if self._on_tokens:
                    self._on_tokens(
                        renewed
                    )  # before they are used: a rotated token that isn't saved is lost
                self._credentials = renewed
            return True
