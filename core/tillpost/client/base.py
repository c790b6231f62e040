"""What `Till` and `AsyncTill` share, and how a connection is made of settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tillpost.adapter.base import Adapter, Found
from tillpost.client.clock import SkippingClock, flow_clock
from tillpost.client.webhooks import WebhookReader
from tillpost.config import load_connection
from tillpost.errors import ConfigError, is_interruption
from tillpost.models.arguments import require_order, require_type
from tillpost.models.base import explain_settings
from tillpost.models.menu import Menu
from tillpost.models.order import Order, PosOrder
from tillpost.plugins.manager import Hooks, adapter_named
from tillpost.submission.commands import Flow
from tillpost.submission.context import Connection
from tillpost.submission.flow import Submission
from tillpost.submission.history import History, fold
from tillpost.submission.journal import Event, Journal, MemoryJournal
from tillpost.submission.store_flows import StoreFlows

__all__ = ["BaseTill", "adapter_for", "connection_from_config"]


_NOT_THE_ADAPTERS = ("policy", "outbox", "hooks", "limits", "http_client", "on_tokens")
"""Names that stand beside an adapter's settings.

A misspelt setting may be meant to be one of them.
"""


class BaseTill:
    """The connection, journal and flows that `Till` and `AsyncTill` share."""

    def __init__(self, connection: Connection, journal: Journal | None) -> None:
        """Take the connection, and a journal instead of one in memory."""
        require_type("connection", connection, Connection)
        self._clock = SkippingClock(connection.clock)
        self._connection = replace(connection, clock=self._clock)
        self._journal: Journal = journal or MemoryJournal()
        self._hooks = Hooks(connection.name, connection.hooks)
        self._flows = StoreFlows(self._connection)
        self._webhooks = WebhookReader(self._connection)

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
        """The menu imported last. Set one that was stored to save the first import."""
        return self._connection.menu_cache.menu

    @menu.setter
    def menu(self, menu: Menu | None) -> None:
        self._connection.menu_cache.menu = menu
        self._connection.menu_cache.imported_at = menu.imported_at.timestamp() if menu else 0.0

    @property
    def held_menu(self) -> Menu | None:
        """A menu held for review, because it lacks too many items.

        `import_menu(accept=True)` accepts it.
        """
        return self._connection.menu_cache.held

    def _submission(self, order: Order, *, is_new: bool) -> Flow[PosOrder]:
        events = self._journal.read(order.id)
        clock = flow_clock(self._clock, events, steady=self._clock.steady)
        connection = replace(self._connection, clock=clock)
        return Submission(connection, order, events).flow(is_new=is_new)

    def _lookup(self, order: Order) -> Flow[Found]:
        require_order(order)
        return self._flows.find(order, self._history(order.id))

    def _cancellation(self, pos_order: PosOrder) -> Flow[PosOrder]:
        return self._flows.cancel(pos_order, self._history(pos_order.reference))

    def _history(self, order_id: str) -> History:
        return fold(self._journal.read(order_id))

    def _recorder(self, order_id: str) -> Callable[[Event], object]:
        """Return what persists an order's events. An order without a reference isn't ours."""
        if not order_id:
            return lambda _event: None
        return partial(self._journal.append, order_id)

    def __repr__(self) -> str:
        """Return the class and the connection's name, but no settings: they hold secrets."""
        return f"<{type(self).__name__} {self._connection.name}>"


def adapter_for(platform: str, settings: dict[str, object]) -> Adapter[Any]:
    """Return the platform's adapter with these settings.

    The dictionary is emptied, so that no traceback from here on holds a token in clear text.

    Raises:
        ConfigError: There is no such adapter, or a setting is wrong.
    """
    known: Iterable[str] = ()
    try:
        adapter = adapter_named(platform)
        known = [*adapter.settings.model_fields, *_NOT_THE_ADAPTERS]
        return adapter(adapter.settings.model_validate(settings))
    except ValidationError as error:
        fault = explain_settings(error, known)
    except ConfigError:
        raise
    except BaseException as failure:
        if is_interruption(failure):
            raise
        fault = f"its adapter failed: {type(failure).__name__}"
    finally:
        settings.clear()
    # Raised out here, because those errors may hold the values that were refused.
    raise ConfigError(f"{platform}: {fault}")


def connection_from_config(name: str, path: str | Path | None) -> Connection:
    """Return a connection of the TOML file.

    Raises:
        ConfigError: The file or the connection doesn't exist, or a setting is wrong.
    """
    configured = load_connection(name, path)
    adapter = adapter_for(configured.platform, configured.settings)
    return Connection(adapter, name=name, policy=configured.policy)
