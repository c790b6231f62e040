"""The connections that plugins give by the hook `tillpost_connections`.

One plugin that fails, or whose database doesn't answer, affects only its own connections.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import cast

from tillpost.adapter.settings import Credentials
from tillpost.errors import ConfigError, as_exception
from tillpost.models.safe_text import listing, log_value, safe_logger
from tillpost.outbox.delivery.connections import ConnectionSource, OutboxConnection, source_fault
from tillpost.outbox.delivery.foreign_source import ForeignSource, UnreadableSourceError
from tillpost.outbox.settings import ConnectionOptions
from tillpost.plugins.manager import implementations

__all__ = ["PluginConnections", "PluginSource", "plugin_options"]

log = safe_logger("tillpost.outbox")

HOOK = "tillpost_connections"


class PluginSource:
    """The source of one plugin, which is asked for it when it is first needed.

    Attributes:
        plugin: The plugin's name.
    """

    def __init__(self, plugin: str, provide: Callable[[], object]) -> None:
        self.plugin = plugin
        self._provide = provide
        self._source: ForeignSource | None = None
        self._fault = ""

    def get(self, name: str) -> OutboxConnection:
        """Return a connection, as `ForeignSource` does."""
        return self._provided().get(name)

    def save(self, name: str, tokens: Credentials) -> None:
        """Save refreshed tokens. Raises whatever the source does."""
        self._provided().save(name, tokens)

    def mark(self, name: str, *, now: bool = False) -> object:
        """Return the source's mark of a connection; None if it has none."""
        return self._provided().mark(name, now=now)

    def names(self) -> Collection[str]:
        """Return the names of all connections, as far as they are known."""
        try:
            return self._provided().names()
        except UnreadableSourceError:
            return ()

    def may_have(self, name: str) -> bool:
        """Return whether the source has a connection of that name, or may have it."""
        names = self.names()
        return name in names or self._source is None or not self._source.knows_names

    def _provided(self) -> ForeignSource:
        """Return the source, asked for again if the plugin failed before.

        Raises:
            UnreadableSourceError: The plugin fails, so that its connections can't be known now.
        """
        if self._source is not None:
            return self._source
        failure: BaseException | None = None
        try:
            provided = self._provide()
        except BaseException as raised:  # noqa: BLE001  a plugin of somebody else's
            fault = f"fails now: {type(as_exception(raised)).__name__}"
            failure = raised
        else:
            fault = source_fault(provided)
            if not fault:
                self._source = ForeignSource(cast(ConnectionSource, provided), self.plugin)
                return self._source
            fault = f"isn't a ConnectionSource: {fault}"
        text = f"the connections of the plugin {self.plugin}: {HOOK} {fault}"
        if self._fault != text:
            self._fault = text
            log.warning(
                "connection_source_failed method=%s plugin=%s error=%s",
                HOOK,
                self.plugin,
                log_value(text),
                exc_info=failure,
            )
        raise UnreadableSourceError(text)


class PluginConnections:
    """The connections of several plugins.

    Of two with one name, the first plugin's counts.
    """

    def __init__(self, plugins: Sequence[PluginSource]) -> None:
        self.plugins = plugins

    @classmethod
    def installed(cls) -> PluginConnections:
        """Return those of the installed plugins, in the order of the plugins' names."""
        found = implementations(HOOK)
        known = _known.get("plugins")
        if known is None or known[0] != found:
            sources = [PluginSource(plugin, provide) for plugin, provide in found.items()]
            known = _known["plugins"] = (found, sources)
        return cls(known[1])

    def names(self) -> Collection[str]:
        """Return the names of all connections, each once."""
        return self.owners().keys()

    def find(self, name: str) -> tuple[PluginSource, OutboxConnection] | None:
        """Return the first plugin that has a connection, with the connection.

        Returns None if none has.

        Raises:
            ConfigError: A plugin has the connection, and it is wrong.
            UnreadableSourceError: It can't be read now, or a plugin fails that may have it.
        """
        unreadable: UnreadableSourceError | None = None
        for plugin in self.plugins:
            try:
                return plugin, plugin.get(name)
            except UnreadableSourceError as error:
                # A source may also fail because it hasn't the connection.
                if plugin.may_have(name):
                    unreadable = unreadable or error
            except ConfigError:
                if name in plugin.names():
                    raise
        if unreadable:
            raise unreadable
        return None

    def owners(self) -> Mapping[str, str]:
        """Return the plugin of each connection, by the connection's name."""
        owners: dict[str, str] = {}
        for plugin in self.plugins:
            for name in plugin.names():
                owners.setdefault(name, plugin.plugin)
        return owners

    def mark(self, name: str, *, now: bool = False) -> object:
        """Return the mark of the only plugin's connection; None says nothing.

        Of several plugins, it isn't known at this price which one has the connection.
        """
        return self.plugins[0].mark(name, now=now) if len(self.plugins) == 1 else None

    def listing(self) -> str:
        """Return which plugin has which connections, for an error's one line."""
        return "; ".join(
            f"the plugin {plugin.plugin} has: {listing(plugin.names())}" for plugin in self.plugins
        )


def plugin_options(name: str) -> ConnectionOptions | None:
    """Return the options of a plugin's connection; None if none are known."""
    try:
        found = PluginConnections.installed().find(name)
    except ConfigError:
        return None
    return found[1].outbox if found else None


_known: dict[str, tuple[object, Sequence[PluginSource]]] = {}
"""The sources of the installed plugins: each plugin is asked once a process."""
