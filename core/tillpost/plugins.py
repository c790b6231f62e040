"""Finds plugins and calls their hooks, so that one that fails harms nothing but itself.

Adapters, the bundled ones too, are found under the entry-point group `tillpost`. `Till.connect` asks for a platform by
name; the `tillpost` command lists them all.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

import pluggy

from tillpost import hookspecs
from tillpost.adapter import Adapter
from tillpost.errors import ConfigError

__all__ = ["Found", "Hooks", "adapter_named", "adapters", "broken", "installed"]

GROUP = "tillpost"
_DECISIONS = ("reimport_menu",)
log = logging.getLogger("tillpost")


@dataclass(frozen=True, slots=True)
class Found:
    """An adapter with the distribution that brought it."""

    adapter: type[Adapter[Any]]
    package: str
    version: str


@dataclass(frozen=True, slots=True)
class _Loaded:
    manager: pluggy.PluginManager
    broken: Mapping[str, str]


@cache
def installed() -> _Loaded:
    """Load every installed plugin, once. One that can't be imported is logged by name and left out."""
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    failures: dict[str, str] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        try:
            manager.register(point.load(), name=point.name)
        except Exception as failure:  # noqa: BLE001  a stranger's module may raise anything at import
            failures[point.name] = f"{type(failure).__name__}: {failure}"
            log.warning("plugin %r (%s) can't be loaded: %s", point.name, _package(point), failures[point.name])
    return _Loaded(manager, failures)


def broken() -> Mapping[str, str]:
    """Return why plugins couldn't be loaded, by name."""
    return installed().broken


def adapters() -> Mapping[str, Found]:
    """Return every installed adapter, by platform."""
    found: dict[str, Found] = {}
    points = {point.name: point for point in entry_points(group=GROUP)}
    for implementation in installed().manager.hook.tillpost_adapters.get_hookimpls():
        point = points[implementation.plugin_name]
        try:
            brought = cast(Sequence[type[Adapter[Any]]], implementation.function())
        except Exception as failure:  # noqa: BLE001  one plugin's failure isn't another's
            log.warning("plugin %r failed to bring its adapters: %r", point.name, failure)
            continue
        for adapter in brought:
            found[adapter.platform] = Found(adapter, _package(point), point.dist.version if point.dist else "")
    return dict(sorted(found.items()))


def adapter_named(platform: str) -> type[Adapter[Any]]:
    """Return the platform's adapter class; raise `ConfigError` that lists those installed when there is none."""
    known = adapters()
    if platform not in known:
        unloaded = f"; plugins that can't be loaded: {', '.join(broken())}" if broken() else ""
        raise ConfigError(f"no adapter for {platform!r}; installed: {', '.join(known) or 'none'}{unloaded}")
    return known[platform].adapter


class Hooks:
    """Calls hooks, one implementation at a time: pluggy itself stops at the first that raises.

    Implementations come from the installed plugins and from `extra`, objects that an embedder hands in.
    """

    def __init__(self, connection: str, extra: Iterable[object] = ()) -> None:
        self._connection = connection
        self._extra = pluggy.PluginManager(GROUP)
        self._extra.add_hookspecs(hookspecs)
        for plugin in extra:
            self._extra.register(plugin)

    def call(self, hook: str, facts: Mapping[str, object]) -> object:
        """Call a hook's implementations, the latest registered first. Of a decision, the first result is returned."""
        for implementation in self._implementations(hook):
            try:
                result = implementation.function(**_wanted(implementation, self._connection, facts))
                if inspect.isawaitable(result):
                    _close(result)
                    raise TypeError("an async hook needs AsyncTill")
            except Exception:
                log.exception("hook %s of plugin %r failed", hook, implementation.plugin_name)
                continue
            if hook in _DECISIONS and result is not None:
                return result
        return None

    async def acall(self, hook: str, facts: Mapping[str, object]) -> object:
        """Do the same, and await what is async."""
        for implementation in self._implementations(hook):
            try:
                result = implementation.function(**_wanted(implementation, self._connection, facts))
                if inspect.isawaitable(result):
                    result = await cast(Awaitable[object], result)
            except Exception:
                log.exception("hook %s of plugin %r failed", hook, implementation.plugin_name)
                continue
            if hook in _DECISIONS and result is not None:
                return result
        return None

    def _implementations(self, hook: str) -> Iterable[pluggy.HookImpl]:
        managers = (self._extra, installed().manager)
        return [impl for manager in managers for impl in reversed(getattr(manager.hook, hook).get_hookimpls())]


def _wanted(implementation: pluggy.HookImpl, connection: str, facts: Mapping[str, object]) -> dict[str, object]:
    known = {"connection": connection, **facts}
    return {name: known[name] for name in implementation.argnames}


def _close(result: object) -> None:
    if inspect.iscoroutine(result):
        result.close()


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.value
