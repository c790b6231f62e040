"""A source of connections that somebody else wrote, as the outbox calls it.

What it raises beyond a `ConfigError` means that a connection can't be read now, and is logged once
for an outage. What it returns is checked.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Collection, Iterable
from typing import TypeGuard, cast

from tillpost.adapter.settings import Credentials
from tillpost.errors import ConfigError, UnreadableConfigError, as_exception
from tillpost.models.safe_text import log_value, safe_logger
from tillpost.outbox.delivery.connections import (
    ConnectionSource,
    MarkedSource,
    OutboxConnection,
    is_ours,
    require_source,
)

__all__ = ["LONGEST_NAME", "ForeignSource", "UnreadableSourceError", "as_source"]

log = safe_logger("tillpost.outbox")

LONGEST_NAME = 200
"""Characters that a connection's name may have: what the database's columns hold."""

MOST_FAILING = 10_000
"""How many failures are known to be logged, whatever names webhooks come with."""


class UnreadableSourceError(UnreadableConfigError):
    """A source can't give a connection now."""


class ForeignSource:
    """A `ConnectionSource` of somebody else's, whose failures are ours.

    Args:
        source: The source.
        plugin: The name of the plugin that gives it; "" if it was given in code.
    """

    def __init__(self, source: ConnectionSource, plugin: str = "") -> None:
        self.source = source
        self._marked = source if isinstance(source, MarkedSource) else None
        self._plugin = f" plugin={plugin}" if plugin else ""
        self._names: Collection[str] = ()
        self._failing: dict[tuple[str, str], str] = {}
        """The kinds of the failures that are logged, by method and connection."""
        self._lock = threading.Lock()
        self.knows_names = False
        """Whether all names could be read when they were asked for last."""

    def get(self, name: str) -> OutboxConnection:
        """Return a connection.

        Raises:
            ConfigError: There is none of that name, or it is wrong.
            UnreadableSourceError: It can't be read now.
        """
        try:
            found = cast(object, self.source.get(name))
        except UnreadableConfigError as error:
            self._note("get", name, str(error), None)
            fault: ConfigError = UnreadableSourceError(str(error))
        except ConfigError:
            self._answered("get", name)
            raise
        except BaseException as failure:  # noqa: BLE001  a source of somebody else's
            fault = self._failed("get", name, failure)
        else:
            self._answered("get", name)
            if isinstance(found, OutboxConnection):
                return found
            _close(found)
            kind = type(found).__name__
            text = f"the connection {name}: get must return an OutboxConnection, not {kind}"
            fault = ConfigError(text)
        # Raised out here: a source's frames may show tokens.
        raise fault

    def names(self) -> Collection[str]:
        """Return the names of all connections, those known last if the source fails."""
        try:
            names = _listed(self.source.names())
            self._names = [name for name in names if _is_name(name)]
            self.knows_names = True
            if len(self._names) < len(names):
                raise ValueError(f"names are texts of at most {LONGEST_NAME} printable characters")
        except BaseException as failure:  # noqa: BLE001  a source of somebody else's
            self.knows_names = False
            self._failed("names", "", failure)
        else:
            self._answered("names", "")
        return self._names

    def save(self, name: str, tokens: Credentials) -> None:
        """Save refreshed tokens. Raises whatever the source does."""
        self.source.save(name, tokens)

    def mark(self, name: str, *, now: bool = False) -> object:
        """Return the source's mark of a connection, None without one.

        Raises:
            UnreadableSourceError: It can't be read now.
        """
        if self._marked is None:
            return None
        try:
            mark = self._marked.mark(name, now=now)
        except BaseException as failure:  # noqa: BLE001  a source of somebody else's
            fault = self._failed("mark", name, failure)
        else:
            self._answered("mark", name)
            return mark
        raise fault

    def _failed(self, method: str, name: str, failure: BaseException) -> UnreadableSourceError:
        """Note a failure; return it as an error of ours. Raises an interruption again."""
        as_exception(failure)
        kind = type(failure).__name__
        self._note(method, name, kind, failure)
        return UnreadableSourceError(
            f"the connection {name} can't be read now: {method} raised {kind}"
        )

    def _note(self, method: str, name: str, what: str, failure: BaseException | None) -> None:
        """Log a failure, unless it is known; with its traceback, unless that is known."""
        with self._lock:
            is_known = self._failing.get((method, name)) == what
            is_known_kind = what in self._failing.values()
            if len(self._failing) >= MOST_FAILING:
                self._failing.clear()
            self._failing[method, name] = what
        if is_known:
            return
        log.warning(
            "connection_source_failed method=%s%s%s error=%s",
            method,
            self._plugin,
            f" connection={log_value(name)}" if name else "",
            log_value(what),
            exc_info=None if is_known_kind else failure,
        )

    def _answered(self, method: str, name: str) -> None:
        if self._failing:
            with self._lock:
                self._failing.pop((method, name), None)


def as_source(
    source: ConnectionSource | None, default: Callable[[], ConnectionSource]
) -> ConnectionSource:
    """Return a source that somebody gave, or the default.

    Raises:
        TypeError: What was given is no source.
    """
    if source is None:
        return default()
    require_source(source)
    return source if is_ours(source) else ForeignSource(source)


def _listed(names: object) -> Collection[object]:
    """Return what a source gave as names, as a list. Raises `TypeError`."""
    if isinstance(names, str | bytes) or not isinstance(names, Iterable):
        _close(names)
        raise TypeError(f"names must return a list of texts, not {type(names).__name__}")
    return list(cast(Iterable[object], names))


def _is_name(name: object) -> TypeGuard[str]:
    return isinstance(name, str) and len(name) <= LONGEST_NAME and name.isprintable()


def _close(result: object) -> None:
    if inspect.iscoroutine(result):
        result.close()
