"""One store's POS, connected: `Till`, for threads. `AsyncTill` in `async_till` is the same for tasks.

    with Till.connect("square", location_id="L123", access_token=token) as till:
        pos_order = till.submit(order)

All the logic is in `submission`, `importing` and `operation`; here their commands are carried out. What was done for an
order stands in a journal in memory, so a second `submit` of the same order, also after an interruption, never makes a
second one. To survive the process, use an outbox.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
import stamina
from pydantic import ValidationError

from tillpost.adapter import Account, Adapter, Attempt, Credentials, Found
from tillpost.commands import Announce, Command, Flow, ImportMenu, Pause, Record, Reimport, Rest, Sending, Transmit
from tillpost.config import config_path, load_connections
from tillpost.connection import Connection
from tillpost.errors import Applied, ConfigError, Outcome, PosError
from tillpost.importing import MenuImport, importing
from tillpost.journal import Cancelled, Journal, MemoryJournal
from tillpost.locks import NamedLocks
from tillpost.menu import Menu
from tillpost.operation import Conduct, drive
from tillpost.order import Draft, Order, PosOrder
from tillpost.plugins import Hooks, adapter_named
from tillpost.readiness import Readiness
from tillpost.rebinding import rebind
from tillpost.recovery import Policy, fold
from tillpost.repeating import Again, Repeating, backoff
from tillpost.submission import Submission
from tillpost.transport import Limits, Line
from tillpost.webhooks import OrderChanged, SeenEvents, WebhookEvent, read_webhook, settled
from tillpost.words import explain

__all__ = ["BaseTill", "Options", "Till", "adapter_for", "configured"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Options:
    """What a Till is told beside its adapter's settings; see `Till.connect`. Tests set `clock` and `journal`."""

    name: str = ""
    policy: Policy = field(default_factory=Policy)
    limits: Limits = field(default_factory=Limits)
    hooks: Iterable[object] = ()
    support_contact: str = ""
    granted_by: str = ""
    journal: Journal | None = None
    clock: Callable[[], float] = time.time
    credentials: Credentials | None = None
    on_tokens: Callable[[Credentials], object] | None = None


class BaseTill:
    """What both kinds of Till share: the connection, the journal, the credentials, and the flows to be run."""

    def __init__(self, adapter: Adapter[Any], options: Options) -> None:
        self._told_time, self._skipped = options.clock, 0.0
        self._connection = Connection(
            options.name or adapter.platform,
            adapter,
            options.policy,
            self._clock,
            support_contact=options.support_contact,
            granted_by=options.granted_by,
        )
        self._limits = options.limits
        self._hooks = Hooks(self._connection.name, options.hooks)
        self._journal: Journal = options.journal or MemoryJournal()
        self._credentials: Credentials = options.credentials or adapter.config.credentials()
        self._on_tokens = options.on_tokens

    @property
    def platform(self) -> str:
        """The platform's name, such as "square"."""
        return self._connection.adapter.platform

    @property
    def capabilities(self) -> frozenset[str]:
        """The operations that the platform's adapter has."""
        return self._connection.adapter.capabilities()

    @property
    def menu(self) -> Menu | None:
        """The menu as it was last imported; set one that was kept, to save the first import."""
        return self._connection.shelf.menu

    @menu.setter
    def menu(self, menu: Menu | None) -> None:
        self._connection.shelf.menu = menu
        self._connection.shelf.imported_at = menu.imported_at.timestamp() if menu else 0.0

    @property
    def held_menu(self) -> Menu | None:
        """A menu that waits for a person because it lacks too much; `import_menu(accept=True)` takes it."""
        return self._connection.shelf.held

    def _clock(self) -> float:
        return self._told_time() + self._skipped

    def _skip(self, seconds: float) -> bool:
        """Under `stamina.set_testing` move the time on instead of waiting, and say so."""
        if stamina.is_testing():
            self._skipped += max(0.0, seconds)
            return True
        return False

    def _submitting(self, order: Order, is_new: bool) -> Flow[PosOrder]:
        return Submission(self._connection, order, self._journal.read(order.id)).flow(is_new=is_new)

    def _finding(self, order: Order) -> Flow[Found]:
        since = fold(self._journal.read(order.id)).since
        bound = rebind(order, self.menu, self._connection.policy.prices).order
        return drive(Conduct(self._connection, "find"), self._connection.adapter.find, bound, since)

    def _fetching(self, pos_order: PosOrder | str) -> Flow[PosOrder]:
        pos_id = pos_order if isinstance(pos_order, str) else pos_order.id
        return drive(Conduct(self._connection, "fetch"), self._connection.adapter.fetch, pos_id)

    def _checking(self) -> Flow[Readiness]:
        from tillpost.menu_faults import menu_finding  # here, since most programs never check

        readiness = yield from drive(Conduct(self._connection, "check"), self._connection.adapter.check)
        menu = (menu_finding(self.menu),) if self.menu else ()
        return Readiness(findings=(*readiness.findings, *menu))

    def _refreshing(self, expired: Credentials) -> Flow[Credentials]:
        return drive(Conduct(self._connection, "refresh"), self._connection.adapter.refresh, expired)

    def _exchanging(self) -> Flow[Credentials]:
        return drive(
            Conduct(self._connection, "exchange_code"), self._connection.adapter.exchange_code, self._credentials
        )

    def _seeing_account(self) -> Flow[Account]:
        return drive(Conduct(self._connection, "account"), self._connection.adapter.account)

    def _revoking(self) -> Flow[None]:
        return drive(Conduct(self._connection, "revoke"), self._connection.adapter.revoke, self._credentials)

    def _read_webhook(self, headers: Mapping[str, str], body: bytes, url: str) -> tuple[WebhookEvent, ...]:
        return read_webhook(self._connection.adapter.parse_webhook, headers, body, url, self._connection.clock())

    def _to_look_up(self, events: Iterable[WebhookEvent]) -> set[str]:
        """The platform's ids of orders whose state the signature of a webhook doesn't prove."""
        proved = self._connection.adapter.webhooks_proved
        return {event.pos_id for event in events if isinstance(event, OrderChanged) and not proved}

    def _settled(
        self, events: Sequence[WebhookEvent], found: Mapping[str, PosOrder], seen: SeenEvents | None
    ) -> tuple[WebhookEvent, ...]:
        return settled(events, found, seen, Conduct(self._connection, "parse_webhook").stamp)

    def _cancelling(self, pos_order: PosOrder) -> Flow[PosOrder]:
        conduct = Conduct(self._connection, "cancel")
        try:
            cancelled = yield from drive(conduct, self._connection.adapter.cancel, pos_order.id)
        except PosError as error:  # the order was there before
            error.pos_order = error.pos_order or pos_order
            error.outcome = Outcome.UNKNOWN if error.applied is Applied.MAYBE else Outcome.CREATED
            raise
        yield Record(Cancelled(self._connection.clock(), cancelled))
        return cancelled

    def _quoting(self, order: Order) -> Flow[int]:
        bound = rebind(order, self.menu, self._connection.policy.prices)
        attempt = Attempt(menu=self.menu, keep_paid=bound.keep_paid, remarks=bound.remarks)
        return drive(Conduct(self._connection, "quote"), self._connection.adapter.quote, bound.order, attempt)

    def __repr__(self) -> str:
        """The kind and the connection's name; no settings, since they hold secrets."""
        return f"<{type(self).__name__} {self._connection.name}>"


def adapter_for(platform: str, settings: dict[str, object]) -> Adapter[Any]:
    """Return the platform's adapter with its settings validated; raise `ConfigError` in one line.

    The dictionary is emptied, so that no traceback from here on holds a token in clear.
    """
    try:
        adapter = adapter_named(platform)
        return adapter(adapter.settings.model_validate(settings))
    except ValidationError as error:
        fault = explain(error)
    finally:
        settings.clear()
    raise ConfigError(f"{platform}: {fault}")  # out here, since the ValidationError holds what it refused


def configured(name: str, path: str | Path | None) -> tuple[Adapter[Any], Options]:
    """Return the adapter and the options of a connection in the TOML file."""
    connections = load_connections(path)
    if name not in connections:
        raise ConfigError(f"no connection {name!r}; {config_path(path)} has: {', '.join(connections)}")
    found = connections[name]
    return adapter_for(found.platform, found.settings), Options(name=name, policy=found.policy)


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
            raise TypeError(f"{type(self).__name__} needs an httpx.Client, not {type(http_client).__name__}")
        self._own_client = http_client is None
        self._client = http_client or httpx.Client(transport=httpx.HTTPTransport() if adapter.public_only else None)
        self._line = Line(self._client, adapter, self._limits)
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

        Args:
            platform: the adapter's name, such as "square"; `tillpost adapters` lists those installed.
            name: what plugins are told and logs show; the platform's name by default.
            policy: how trouble is dealt with: retries, prices, imports.
            limits: how long and how large an answer may be.
            http_client: your own httpx client, with your proxies and certificates. It isn't closed here.
            hooks: objects whose hooks are called beside those of the installed plugins.
            support_contact: a sentence that every remedy ends with.
            on_tokens: is handed renewed credentials, to be saved, before they are used.
            settings: what the platform needs, such as `access_token` and `location_id`.

        Raises:
            ConfigError: there is no such adapter, or a setting is wrong.
        """
        options = Options(
            name, Policy.model_validate(policy or {}), limits or Limits(), hooks, support_contact, on_tokens=on_tokens
        )
        return cls(adapter_for(platform, settings), options, http_client=http_client)

    @classmethod
    def from_config(cls, name: str, path: str | Path | None = None, *, http_client: httpx.Client | None = None) -> Self:
        """Connect by a name of the TOML file (`TILLPOST_CONFIG`, else `tillpost.toml`), its policy included.

        Raises `ConfigError`: the file or the name isn't there, or a setting is wrong.
        """
        return cls(*configured(name, path), http_client=http_client)

    def submit(self, order: Order, *, is_new: bool = False) -> PosOrder:
        """Bring a paid order to the register, once, and return it as the platform has it.

        Blocks until it is there or an error stands, at most about the policy's budget. `is_new` promises that the
        order was never sent before by anyone; it saves a look on platforms without idempotency keys. If it was sent all
        the same, such a platform may cook it twice.

        Raises:
            PosError: a subclass says what to do; `outcome` says whether the order may be there all the same.
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

        A menu that was imported is looked at too: nothing on it can be ordered, or its setup has faults.
        """
        return self._run(self._checking())

    def parse_webhook(
        self, headers: Mapping[str, str], body: bytes, url: str, *, seen: SeenEvents | None = None
    ) -> tuple[WebhookEvent, ...]:
        """Return what a webhook tells, once it is proved to be the platform's.

        `url` is the address that the platform called, as it knows it. `seen` remembers event ids, so that a repeated
        webhook is refused. Where the platform's signature proves little, an order is fetched before its state is
        believed. An order that staff have turned down comes as `OrderRefused`.

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
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
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
            case Pause(seconds) | Rest(seconds):
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
                for attempt in stamina.retry_context(on=backoff, attempts=transmit.retries + 1, timeout=None):
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
                    self._on_tokens(renewed)  # before they are used: a rotated token that isn't saved is lost
                self._credentials = renewed
            return True
