"""The open connections of a worker.

They are opened when first needed, and again when their source changes. Those that are unused are
let go. `OpenConnection` has the parts that everything for one store runs on: the connection with
its adapter, a transport, credentials, hooks and an executor. `OrderRunner`, `StoreQueries` and the
webhook receiver share them.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple, TypeVar

import httpx

from tillpost.adapter.base import Adapter
from tillpost.client.clock import SkippingClock
from tillpost.client.credentials import CredentialSource
from tillpost.client.executor import RetryCap, SyncExecutor, run_flow
from tillpost.client.locks import NamedLocks
from tillpost.client.webhooks import WebhookReader
from tillpost.errors import ConfigError, PosError, UnreadableConfigError, as_exception
from tillpost.models.arguments import require_list
from tillpost.models.safe_text import log_value, safe_logger
from tillpost.outbox.connections.token_refresh import RefreshMarks, SharedCredentials
from tillpost.outbox.delivery.connections import (
    ConnectionSource,
    MarkedSource,
    OutboxConnection,
    Outline,
    OutlinedSource,
    is_ours,
    outbox_clock,
    same_but_tokens,
)
from tillpost.outbox.delivery.foreign_source import (
    LONGEST_NAME,
    ForeignSource,
    UnreadableSourceError,
)
from tillpost.outbox.delivery.kept import Kept
from tillpost.outbox.delivery.patient_calls import LateError, PatientCalls
from tillpost.outbox.delivery.shared_clients import SharedClients
from tillpost.outbox.delivery.source_tokens import credentials_of, save_unsaved_tokens
from tillpost.outbox.exceptions import DatabaseError
from tillpost.outbox.settings import ConnectionOptions, OutboxSettings
from tillpost.plugins.manager import Hooks
from tillpost.submission.commands import Command, Flow
from tillpost.submission.context import MenuCache
from tillpost.submission.menu_import import MenuImport
from tillpost.submission.store_flows import StoreFlows
from tillpost.transport.http import HttpTransport, Limits

__all__ = ["SHORT_RETRIES", "OpenConnection", "OpenConnections"]

T = TypeVar("T")

log = safe_logger("tillpost.outbox")

FILE_PATIENCE = 300.0
"""For how many seconds orders wait for a file or a source that can't be read.

Then a person has to act.
"""

PATIENCE = 5.0
"""How long a source may take to give a connection, in seconds."""

CHECK_INTERVAL = 1.0
"""How often a source without marks is asked again for a connection, in seconds."""

OUTLINE_AGE = 60.0
"""How old an unused connection's outline may be, without marks, in seconds."""

IDLE = 600.0
"""After how many seconds without use a connection is let go."""

MOST_OUTLINES = 100_000
"""How many connections' outlines are kept, whatever names orders come with."""

MOST_OUTAGES = 10_000
"""How many connections are known not to be readable.

Webhooks may come with any number of names.
"""

ONE_BY_ONE = Outline(options=ConnectionOptions(concurrency=1))
"""What counts as the outline of a connection that can't be read now."""

MOST_OPEN = 10_000
"""How many connections are kept open at most. Each takes about 7 KB."""

MOST_MENUS = 200
"""How many connections are kept open with a menu, which may take a megabyte."""

SHORT_RETRIES = RetryCap(retries=2, seconds=10.0)
"""How a request is retried that isn't an order's own.

It fetches a page of a menu or a further page of a search, or refreshes a token, for example.
"""


@dataclass(slots=True)
class Given:
    """A connection as its source gave it, its mark then, and when it was checked."""

    connection: OutboxConnection
    mark: object
    checked_at: float


class OpenConnection:
    """One store's POS as a worker uses it. Safe for threads."""

    def __init__(
        self,
        connection: OutboxConnection,
        credentials: CredentialSource,
        clients: SharedClients,
    ) -> None:
        """Open a connection; it gets a menu cache of its own.

        Args:
            connection: The connection.
            credentials: What signs its requests.
            clients: Lends it a client, if it has none of its own.
        """
        clock = SkippingClock(connection.clock)
        adapter = connection.adapter
        self.given = Given(connection, None, 0.0)
        self.connection = replace(connection, clock=clock, menu_cache=MenuCache())
        # Signatures name the real time, also where waits are skipped.
        self._signing_clock = connection.clock
        self.credentials = credentials
        self._owns_client = connection.http_client is None
        self._client: httpx.Client = connection.http_client or clients.lend(
            self, adapter.config.base_url, guarded=adapter.public_only
        )
        self._hooks = Hooks(connection.name, connection.hooks)
        self.transport = self.limited_transport(connection.limits)
        self.flows = StoreFlows(self.connection)
        self.webhooks = WebhookReader(self.connection)
        self.executor = SyncExecutor(
            self.connection,
            clock,
            self.transport,
            self.credentials,
            self._hooks,
            time.sleep,
            retry_cap=SHORT_RETRIES,
        )

    @property
    def adapter(self) -> Adapter[Any]:
        """The platform's adapter."""
        return self.connection.adapter

    @property
    def platform(self) -> str:
        """The platform's name, such as "square"."""
        return self.adapter.platform

    @property
    def menu_cache(self) -> MenuCache:
        """The menu as this process knows it."""
        return self.connection.menu_cache

    @property
    def credentials_version(self) -> int | None:
        """The version of the database row of the credentials; None if they have none."""
        if isinstance(self.credentials, SharedCredentials):
            return self.credentials.tokens.version
        return None

    def fingerprint(self) -> str:
        """Return a digest of the credentials, which shows only whether they have changed."""
        secrets = "\n".join(self.credentials.current.secrets())
        return hashlib.sha256(secrets.encode()).hexdigest()

    def run(self, flow: Flow[T], execute: Callable[[Command], object] | None = None) -> T:
        """Run a flow to its end.

        `execute` carries out its commands instead of the executor.
        """
        if self._client.is_closed:
            raise RuntimeError(f"the connection {self.connection.name} is closed")
        return run_flow(flow, execute or self.executor.execute)

    def import_menu(self, *, forced: bool = False) -> MenuImport:
        """Import the menu into the cache, unless the cached one is young enough.

        With `forced`, its age doesn't matter.
        """
        return self.executor.import_menu(forced=forced)

    def limited_transport(self, limits: Limits) -> HttpTransport:
        """Return a transport over the connection's client, with these limits."""
        return HttpTransport(
            self._client,
            self.adapter,
            limits,
            own_network=self._owns_client,
            clock=self._signing_clock,
        )

    def call_hook(self, hook: str, facts: Mapping[str, object]) -> None:
        """Call a hook of the plugins."""
        self._hooks.call(hook, facts)

    def stamp(self, error: PosError, operation: str) -> PosError:
        """Add the platform, the operation and the contacts to an error made by core."""
        return self.flows.stamp(error, operation)


class _Outlined(NamedTuple):
    """A connection's outline as it was given.

    Attributes:
        outline: The outline.
        asked_at: When its source was asked for it.
        mark: The source's mark then, if the source has outlined it itself.
    """

    outline: Outline
    asked_at: float
    mark: object = None


class _Outage(NamedTuple):
    """Since when a connection can't be read, and why it can't."""

    since: float
    why: str


class OpenConnections:
    """The open connections of a worker, by name. Safe for threads.

    A connection is opened again when its source gives another one, so that a new token or another
    setting counts from the next order on. While the source can't be read, connections that are open
    stay as they are. Those that were used least recently are let go, but never one that is in use.

    `get` waits for a source. What a worker's loop calls doesn't: `options`, `host`, `is_outlined`
    and `at_once`.
    """

    def __init__(
        self,
        source: ConnectionSource,
        settings: OutboxSettings,
        clock: Callable[[], float],
        hooks: Iterable[object] = (),
        *,
        marks: RefreshMarks | None = None,
    ) -> None:
        """Take where connections come from.

        Args:
            source: The source of connections.
            settings: What holds for connections that don't say otherwise.
            clock: The clock of connections that have none of their own, in epoch seconds.
            hooks: Objects whose hooks are called besides those of the connections.
            marks: The marks of this worker's token refreshes; None if nobody else refreshes.

        Raises:
            ConfigError: One of these objects has a hook that doesn't exist.
            TypeError: They are no list.
        """
        require_list("hooks", hooks, "objects")
        self._source = source
        # Tokens have errors of their own for what a source raises.
        self._token_source = source.source if isinstance(source, ForeignSource) else source
        # Asked for each order, and slow: `isinstance` with a protocol looks through the attributes.
        self._marked = source if isinstance(source, MarkedSource) else None
        self._outlined = source if isinstance(source, OutlinedSource) else None
        self._settings = settings
        self._clock = clock
        self._hooks = tuple(hooks)
        Hooks("", self._hooks)  # refused now, and not for each order
        self._refresh_marks = marks
        self._clients = SharedClients()
        self._kept = Kept[OpenConnection](MOST_OPEN, IDLE, _has_menu, MOST_MENUS)
        self._outlines: dict[str, _Outlined] = {}
        self._outages: dict[str, _Outage] = {}
        self._file_fault = ""
        self._is_ours = is_ours(source)
        self._calls = PatientCalls("tillpost-source")
        self._names: Collection[str] = ()
        self._lock = threading.Lock()
        self._turns = NamedLocks("opening the connection")

    def __getitem__(self, name: str) -> OpenConnection:
        """Return the open connection. Raises `ConfigError`."""
        return self.get(name)

    def get(self, name: str, version: int = 0) -> OpenConnection:
        """Return the connection, with credentials of the database's `version` or later.

        Raises:
            ConfigError: There is no such connection, or it is wrong.
            UnreadableConfigError: Its source can't be read now.
        """
        if len(name) > LONGEST_NAME or not name.isprintable():
            raise ConfigError("no connection has such a name")
        opened = self._use(name)
        if opened and not self._may_have_changed(name, opened, version):
            return opened
        # A source may be slow: meanwhile, the other connections are served.
        with self._turns.hold(name):
            opened = self._use(name)
            if opened and not self._may_have_changed(name, opened, version):
                return opened
            return self._current(name, opened, version)

    def _use(self, name: str) -> OpenConnection | None:
        with self._lock:
            return self._kept.use(name)

    def _may_have_changed(self, name: str, opened: OpenConnection, version: int) -> bool:
        given = opened.given
        mark = self._mark(name, given.mark, now=_is_older(opened, version))
        if mark is None and given.mark is None:
            return time.monotonic() - given.checked_at >= CHECK_INTERVAL
        return mark != given.mark

    def _current(self, name: str, opened: OpenConnection | None, version: int) -> OpenConnection:
        """Return the connection as its source gives it now, the open one if it's the same."""
        mark = self._mark(name, None, now=opened is not None and _is_older(opened, version))
        try:
            current = self._opened(name, opened)
        except UnreadableConfigError as error:
            self._note_outage(name, error)
            if opened is None or _is_older(opened, version):
                raise
            opened.given.checked_at = time.monotonic()
            return opened
        except ConfigError:
            # A name that opens nothing leaves nothing behind: strangers choose the names that
            # webhooks come with.
            with self._lock:
                self._kept.remove(name)
            self._outlines.pop(name, None)
            self._outages.pop(name, None)
            raise
        current.given.mark = mark
        with self._lock:
            self._kept.put(name, current)
        known = self._outlines.get(name)
        if known is None or known.mark is None:
            self._keep_outline(name, _outline_of(current.given.connection))
        self._outages.pop(name, None)
        self._file_fault = ""
        return current

    def _opened(self, name: str, opened: OpenConnection | None) -> OpenConnection:
        """Return a connection as its source gives it now.

        A source that takes too long can't be read. Whatever the connection's adapter raises is a
        `ConfigError`; where the connection is open, it can't be read either: strangers' code fails
        for a moment, too.
        """
        try:
            found = self._get(name)
            if opened is None or not _is_same(opened, found):
                opened = OpenConnection(*self._parts(name, found), self._clients)
        except ConfigError:
            raise
        except LateError as late:
            text = (
                f"the connection {name} can't be read now: get hasn't returned for {PATIENCE:g} s"
            )
            fault: ConfigError = UnreadableSourceError(text)
            fault.__cause__ = late
        except BaseException as failure:  # noqa: BLE001  see `_raise_unless_foreign`
            _raise_unless_foreign(failure)
            text = f"the connection {name} can't be opened ({type(failure).__name__})"
            fault = UnreadableConfigError(text) if opened else ConfigError(text)
        else:
            opened.given = Given(found, None, time.monotonic())
            return opened
        raise fault

    def may_be_readable_soon(self, name: str) -> bool:
        """Return whether a connection can't be read, but may be readable soon.

        It hasn't been unreadable for `FILE_PATIENCE` seconds yet.
        """
        outage = self._outages.get(name)
        return outage is not None and time.monotonic() - outage.since < FILE_PATIENCE

    def _note_outage(self, name: str, error: UnreadableConfigError) -> None:
        """Note since when a connection can't be read, and log why, once.

        What a source raises is logged already.
        """
        why = str(error)
        outage = self._outages.get(name)
        if len(self._outages) >= MOST_OUTAGES:
            self._outages.clear()
        self._outages[name] = _Outage(outage.since if outage else time.monotonic(), why)
        if not isinstance(error, UnreadableSourceError):
            self._log_file(error)
        elif isinstance(error.__cause__, LateError) and (outage is None or outage.why != why):
            text = "connection_source_failed method=get connection=%s error=%s"
            log.warning(text, log_value(name), log_value(why))

    def _log_file(self, error: UnreadableConfigError) -> None:
        """Log why the file can't be read, once."""
        if self._file_fault != str(error):
            self._file_fault = str(error)
            log.warning("connections_file_unreadable error=%s", log_value(error))

    def options(self, name: str) -> ConnectionOptions:
        """Return how a connection's orders are treated, without opening it.

        Returns the defaults for a connection that is wrong, or isn't outlined yet.
        """
        return self._settings.options_of((self._outline(name) or Outline()).options)

    def host(self, name: str) -> str:
        """Return the host that a connection's requests go to, without opening it.

        Returns "" for one that is wrong, or isn't outlined yet.
        """
        return (self._outline(name) or Outline()).host

    def is_outlined(self, name: str) -> bool:
        """Return whether `options` and `host` are known by now, as far as they can be."""
        return self._outline(name) is not None

    def _outline(self, name: str) -> Outline | None:
        """Return a connection's outline; None while its source may still give it."""
        known = self._outlines.get(name)
        if known and self._is_current(name, known):
            return known.outline
        try:
            if self._outlined and self._outlined.has(name):
                mark = self._mark(name, None, now=False)
                outline = self._outlined.outline(name)
                self._keep_outline(name, outline, mark)
                return outline
            outline = _outline_of(self._get(name, at_once=True))
        except LateError as late:
            if known or late.seconds < PATIENCE:
                return known.outline if known else None
            outline = ONE_BY_ONE
        except UnreadableSourceError:
            outline = known.outline if known else ONE_BY_ONE
        except UnreadableConfigError as error:
            self._log_file(error)
            return known.outline if known else Outline()
        except BaseException as failure:  # noqa: BLE001  see `_raise_unless_foreign`
            _raise_unless_foreign(failure)
            outline = Outline()
        self._keep_outline(name, outline)
        return outline

    def _is_current(self, name: str, known: _Outlined) -> bool:
        """Return whether an outline needn't be asked for again.

        Only a mark that file and database give is asked for here, since nothing waits for others.
        """
        if known.mark is not None:
            return known.mark == self._mark(name, known.mark, now=False)
        return time.monotonic() - known.asked_at < OUTLINE_AGE

    def _keep_outline(self, name: str, outline: Outline, mark: object = None) -> None:
        if len(self._outlines) >= MOST_OUTLINES:
            self._outlines.clear()
        self._outlines[name] = _Outlined(outline, time.monotonic(), mark)

    def at_once(self, name: str) -> OpenConnection | None:
        """Return the connection if its source gives it at once.

        None if it doesn't, and for one that is wrong.
        """
        try:
            if not self._is_foreign(name):
                return self.get(name)
            return self._calls.ask_briefly(("open", name), partial(self.get, name))
        except (ConfigError, LateError):
            return None

    def names(self, *, at_once: bool = False) -> Collection[str]:
        """Return the names of all connections, as far as the source can list them.

        Returns those known last if the source takes too long, which is at once for a loop.
        """
        try:
            self._names = tuple(self._ask("names", self._source.names, at_once=at_once))
        except LateError:
            return self._names
        except BaseException as failure:  # noqa: BLE001  see `_raise_unless_foreign`
            _raise_unless_foreign(failure)
            return ()
        return self._names

    def _get(self, name: str, *, at_once: bool = False) -> OutboxConnection:
        """Return what the source gives. Raises `LateError` if a stranger's takes too long."""
        if not self._is_foreign(name):
            return self._source.get(name)
        return self._ask(("get", name), partial(self._source.get, name), at_once=at_once)

    def _is_foreign(self, name: str) -> bool:
        """Return whether somebody else's source is asked for a connection."""
        if self._outlined:
            return not self._outlined.has(name)
        return not self._is_ours

    def _ask(self, key: Hashable, function: Callable[[], T], *, at_once: bool) -> T:
        if self._is_ours:
            return function()
        if at_once:
            return self._calls.ask_briefly(key, function)
        return self._calls.ask(key, function, PATIENCE)

    def save_tokens(self) -> None:
        """Store new tokens that couldn't be stored when they came."""
        if self._refresh_marks:
            save_unsaved_tokens(self._source, self._refresh_marks)

    def close(self) -> None:
        """Close all connections, also those in use."""
        with self._lock:
            self._kept.clear()
        self._clients.close()
        self._calls.close()

    def _parts(
        self, name: str, found: OutboxConnection
    ) -> tuple[OutboxConnection, CredentialSource]:
        """Return a connection with this worker's settings, and what signs for it."""
        connection = replace(
            found,
            name=name,
            policy=self._settings.policy_of(found.policy),
            outbox=self._settings.options_of(found.outbox),
            hooks=(*found.hooks, *self._hooks),
            clock=self._clock if found.clock is outbox_clock else found.clock,
        )
        return connection, credentials_of(self._token_source, connection, self._refresh_marks)

    def _mark(self, name: str, last: object, *, now: bool) -> object:
        """Return the source's mark of a connection, or the last one if asking fails."""
        if self._marked is None:
            return None
        try:
            return self._marked.mark(name, now=now)
        except UnreadableSourceError:
            return last
        except BaseException as failure:
            _raise_unless_foreign(failure)
            log.exception("connection_source_failed method=mark connection=%s", name)
            return last


def _has_menu(opened: OpenConnection) -> bool:
    return opened.menu_cache.menu is not None


def _outline_of(connection: OutboxConnection) -> Outline:
    return Outline.of(connection.adapter.config.base_url, connection.outbox)


def _is_older(opened: OpenConnection, version: int) -> bool:
    """Return whether credentials of the database are older than this version."""
    own = opened.credentials_version
    return own is not None and own < version


def _is_same(opened: OpenConnection, found: OutboxConnection) -> bool:
    """Return whether an open connection is what its source gives now, tokens included."""
    given = opened.given.connection
    if found is given:
        return True
    if not same_but_tokens(given, found):
        return False
    current = opened.credentials
    if isinstance(found.credentials, SharedCredentials):
        return isinstance(current, SharedCredentials) and current.tokens == found.credentials.tokens
    if found.credentials is not given.credentials:
        return False
    tokens = found.adapter.config.credentials()
    if isinstance(current, SharedCredentials) and current.is_outdated(tokens):
        return True
    used = current.current
    return (tokens.access_token, tokens.refresh_token) == (used.access_token, used.refresh_token)


def _raise_unless_foreign(failure: BaseException) -> None:
    """Raise a failure again if it is the database's, or interrupts this program."""
    as_exception(failure)
    if isinstance(failure, DatabaseError):
        raise failure
