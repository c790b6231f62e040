"""What both kinds of Till share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import stamina
from pydantic import ValidationError

from tillpost.adapter.base import Adapter, Attempt, Found
from tillpost.adapter.readiness import Readiness
from tillpost.adapter.settings import Account, Credentials
from tillpost.adapter.webhooks import OrderChanged, SeenEvents, WebhookEvent, read_webhook, settled
from tillpost.config import config_path, load_connections
from tillpost.errors.exceptions import Applied, ConfigError, Outcome, PosError
from tillpost.menus.matching import rebind
from tillpost.models.base import explain
from tillpost.models.menu import Menu
from tillpost.models.order import Order, PosOrder
from tillpost.plugins.manager import Hooks, adapter_named
from tillpost.submission.commands import Flow, Record
from tillpost.submission.context import Connection
from tillpost.submission.flow import Submission
from tillpost.submission.history import fold
from tillpost.submission.journal import Cancelled, Journal, MemoryJournal
from tillpost.submission.operation import OperationContext, drive
from tillpost.submission.policy import Policy
from tillpost.transport.http import Limits


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
        return self._connection.menu_cache.menu

    @menu.setter
    def menu(self, menu: Menu | None) -> None:
        self._connection.menu_cache.menu = menu
        self._connection.menu_cache.imported_at = menu.imported_at.timestamp() if menu else 0.0

    @property
    def held_menu(self) -> Menu | None:
        """A menu that waits for a person because it lacks too much; `import_menu(accept=True)` takes it."""
        return self._connection.menu_cache.held

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
        return drive(
            OperationContext(self._connection, "find"), self._connection.adapter.find, bound, since
        )

    def _fetching(self, pos_order: PosOrder | str) -> Flow[PosOrder]:
        pos_id = pos_order if isinstance(pos_order, str) else pos_order.id
        return drive(
            OperationContext(self._connection, "fetch"), self._connection.adapter.fetch, pos_id
        )

    def _checking(self) -> Flow[Readiness]:
        from tillpost.menus.lint import menu_finding  # here, since most programs never check

        readiness = yield from drive(
            OperationContext(self._connection, "check"), self._connection.adapter.check
        )
        menu = (menu_finding(self.menu),) if self.menu else ()
        return Readiness(findings=(*readiness.findings, *menu))

    def _refreshing(self, expired: Credentials) -> Flow[Credentials]:
        return drive(
            OperationContext(self._connection, "refresh"), self._connection.adapter.refresh, expired
        )

    def _exchanging(self) -> Flow[Credentials]:
        return drive(
            OperationContext(self._connection, "exchange_code"),
            self._connection.adapter.exchange_code,
            self._credentials,
        )

    def _seeing_account(self) -> Flow[Account]:
        return drive(
            OperationContext(self._connection, "account"), self._connection.adapter.account
        )

    def _revoking(self) -> Flow[None]:
        return drive(
            OperationContext(self._connection, "revoke"),
            self._connection.adapter.revoke,
            self._credentials,
        )

    def _read_webhook(
        self, headers: Mapping[str, str], body: bytes, url: str
    ) -> tuple[WebhookEvent, ...]:
        return read_webhook(
            self._connection.adapter.parse_webhook, headers, body, url, self._connection.clock()
        )

    def _to_look_up(self, events: Iterable[WebhookEvent]) -> set[str]:
        """The platform's ids of orders whose state the signature of a webhook doesn't prove."""
        proved = self._connection.adapter.webhooks_proved
        return {event.pos_id for event in events if isinstance(event, OrderChanged) and not proved}

    def _settled(
        self, events: Sequence[WebhookEvent], found: Mapping[str, PosOrder], seen: SeenEvents | None
    ) -> tuple[WebhookEvent, ...]:
        return settled(
            events, found, seen, OperationContext(self._connection, "parse_webhook").stamp
        )

    def _cancelling(self, pos_order: PosOrder) -> Flow[PosOrder]:
        context = OperationContext(self._connection, "cancel")
        try:
            cancelled = yield from drive(context, self._connection.adapter.cancel, pos_order.id)
        except PosError as error:  # the order was there before
            error.pos_order = error.pos_order or pos_order
            error.outcome = Outcome.UNKNOWN if error.applied is Applied.MAYBE else Outcome.CREATED
            raise
        yield Record(Cancelled(self._connection.clock(), cancelled))
        return cancelled

    def _quoting(self, order: Order) -> Flow[int]:
        bound = rebind(order, self.menu, self._connection.policy.prices)
        attempt = Attempt(menu=self.menu, keep_paid=bound.keep_paid, remarks=bound.remarks)
        return drive(
            OperationContext(self._connection, "quote"),
            self._connection.adapter.quote,
            bound.order,
            attempt,
        )

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
    raise ConfigError(
        f"{platform}: {fault}"
    )  # out here, since the ValidationError holds what it refused


def configured(name: str, path: str | Path | None) -> tuple[Adapter[Any], Options]:
    """Return the adapter and the options of a connection in the TOML file."""
    connections = load_connections(path)
    if name not in connections:
        raise ConfigError(
            f"no connection {name!r}; {config_path(path)} has: {', '.join(connections)}"
        )
    found = connections[name]
    return adapter_for(found.platform, found.settings), Options(name=name, policy=found.policy)
