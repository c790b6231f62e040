"""The plugins, and how their hooks are called. One that fails affects only itself.

Adapters, the bundled ones too, are found under the entry-point group `tillpost`. `Till.connect`
asks for a platform by name; the `tillpost` command lists them all.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

import pluggy

from tillpost.adapter.base import Adapter
from tillpost.errors import ConfigError, is_interruption
from tillpost.models.known_names import quoted, suggestion
from tillpost.models.menu import Menu
from tillpost.models.safe_text import safe_logger
from tillpost.plugins import hookspecs

__all__ = [
    "Found",
    "Hooks",
    "adapter_named",
    "adapters",
    "broken",
    "factories",
    "implementations",
    "installed",
]

GROUP = "tillpost"
_DECISIONS = {"reimport_menu": Menu}
"""Hooks whose first result counts, and the type it must have."""

MOST_MANAGERS = 50
"""How many different sets of an embedder's plugins are kept."""

log = safe_logger("tillpost")


@dataclass(frozen=True, slots=True)
class Found:
    """An adapter, and the distribution that provides it."""

    adapter: type[Adapter[Any]]
    package: str
    version: str


@dataclass(frozen=True, slots=True)
class _Loaded:
    manager: pluggy.PluginManager
    points: Mapping[str, EntryPoint]
    broken: Mapping[str, str]
    adapters: dict[str, Found] = field(default_factory=dict[str, Found])
    """The adapters by platform, asked for once."""


@cache
def installed() -> _Loaded:
    """Load every installed plugin, once.

    Those that can't be imported are logged and left out.
    """
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    points: dict[str, EntryPoint] = {}
    failures: dict[str, str] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        try:
            plugin = point.load()
            if point.name in points:
                raise ValueError(f"{_package(points[point.name])} has that name already")
            points[point.name] = point
            _register(manager, plugin, point.name)
        except BaseException as failure:  # a stranger's module may raise anything at import
            if is_interruption(failure):
                raise
            text = f"{type(failure).__name__}: {failure}"
            failures[point.name] = " ".join(text.split())
            log.warning(
                "plugin %r (%s) can't be loaded: %s",
                point.name,
                _package(point),
                failures[point.name],
            )
    return _Loaded(manager, points, failures)


def broken() -> Mapping[str, str]:
    """Return the reasons why plugins couldn't be loaded, by the plugins' names."""
    return installed().broken


def adapters() -> Mapping[str, Found]:
    """Return every installed adapter, by platform.

    Of two adapters for one platform, the one whose plugin comes first by name counts.
    """
    loaded = installed()
    if not loaded.adapters:
        loaded.adapters.update(_provided(loaded))
    return loaded.adapters


def _provided(loaded: _Loaded) -> Mapping[str, Found]:
    found: dict[str, Found] = {}
    for implementation in loaded.manager.hook.tillpost_adapters.get_hookimpls():
        name = implementation.plugin_name
        try:
            provided = cast(Sequence[type[Adapter[Any]]], implementation.function())
            by_platform = {adapter.platform: adapter for adapter in provided}
        except BaseException as failure:  # one plugin's failure isn't another's
            if is_interruption(failure):
                raise
            log.warning("plugin %r failed to provide its adapters: %r", name, failure)
            continue
        for platform, adapter in by_platform.items():
            point = loaded.points[name]
            if platform in found:
                log.warning(
                    "plugin %r provides %r, which %s provides already",
                    name,
                    platform,
                    found[platform].package,
                )
                continue
            found[platform] = Found(
                adapter, _package(point), (point.dist and point.dist.version) or ""
            )
    return dict(sorted(found.items()))


def adapter_named(platform: str) -> type[Adapter[Any]]:
    """Return the platform's adapter class.

    Raises:
        ConfigError: There is none; the message lists those that are installed.
    """
    known = adapters()
    if platform not in known:
        installed_names = ", ".join(known) or "none"
        message = f"no adapter for {platform!r}; installed: {installed_names}"
        if broken():
            message += f"; plugins that can't be loaded: {', '.join(broken())}"
        raise ConfigError(message)
    return known[platform].adapter


def factories(hook: str) -> Mapping[str, Callable[..., object]]:
    """Return what the plugins provide under a hook that returns a mapping, by name.

    Of two with the same name, the one whose plugin comes first by name counts.
    """
    found: dict[str, Callable[..., object]] = {}
    for implementation in reversed(getattr(installed().manager.hook, hook).get_hookimpls()):
        try:
            provided = cast("Mapping[str, Callable[..., object]]", implementation.function())
            found |= dict(provided)
        except BaseException as failure:  # one plugin's failure isn't another's
            if is_interruption(failure):
                raise
            log.warning("plugin %r: hook %s failed: %r", implementation.plugin_name, hook, failure)
    return found


def implementations(hook: str) -> Mapping[str, Callable[[], object]]:
    """Return the plugins' functions for a hook without arguments, by plugin name."""
    found = getattr(installed().manager.hook, hook).get_hookimpls()
    by_plugin = {implementation.plugin_name: implementation.function for implementation in found}
    return dict(sorted(by_plugin.items()))


class Hooks:
    """The hooks, called one implementation at a time.

    pluggy itself would stop at the first that raises. Implementations come from the installed
    plugins, and from the embedder's `extra` objects.
    """

    def __init__(self, connection: str, extra: Iterable[object] = ()) -> None:
        self._connection = connection
        self._extra = _embedded(tuple(extra))

    def call(self, hook: str, facts: Mapping[str, object]) -> object:
        """Call a hook's implementations, the latest registered first.

        What an implementation raises is logged, whatever it is. An interruption of this program is
        raised.

        Returns:
            The first result, for a hook that decides something; None for all others.
        """
        for implementation in self._implementations(hook):
            try:
                result = implementation.function(
                    **_arguments(implementation, self._connection, facts)
                )
                if inspect.isawaitable(result):
                    _close(result)
                    raise TypeError("an async hook needs AsyncTill")
                if _decides(hook, result):
                    return result
            except BaseException as failure:
                if is_interruption(failure):
                    raise
                log.exception("hook %s of plugin %r failed", hook, implementation.plugin_name)
        return None

    async def acall(self, hook: str, facts: Mapping[str, object]) -> object:
        """Do as `call` does, and await async implementations."""
        task = asyncio.current_task()
        for implementation in self._implementations(hook):
            try:
                result = implementation.function(
                    **_arguments(implementation, self._connection, facts)
                )
                if inspect.isawaitable(result):
                    result = await cast(Awaitable[object], result)
                if _decides(hook, result):
                    return result
            except BaseException as failure:
                if is_interruption(failure) or _is_closing(failure, task):
                    raise
                log.exception("hook %s of plugin %r failed", hook, implementation.plugin_name)
        return None

    def _implementations(self, hook: str) -> Iterable[pluggy.HookImpl]:
        managers = (self._extra, installed().manager)
        implementations: list[pluggy.HookImpl] = []
        for manager in managers:
            implementations += reversed(getattr(manager.hook, hook).get_hookimpls())
        return implementations


_managers: dict[tuple[int, ...], pluggy.PluginManager] = {}
"""The managers of embedders' plugins, by the plugins' ids.

A manager keeps its plugins, so none of these ids is another object's.
"""


def _embedded(plugins: Sequence[object]) -> pluggy.PluginManager:
    """Return the manager of an embedder's plugins.

    It is the same for the same plugins. Making one takes 0.7 ms, and hooks are called for each
    order.

    Raises:
        ConfigError: A plugin doesn't fit the hooks' specifications, or has an unmarked hook.
    """
    key = tuple(id(plugin) for plugin in plugins)
    manager = _managers.get(key)
    if manager is None:
        manager = _registered(plugins)
        if len(_managers) >= MOST_MANAGERS:
            _managers.clear()
        _managers[key] = manager
    return manager


class _EmbeddedPlugins(pluggy.PluginManager):
    """The manager of an embedder's plugins, which refuses a hook that isn't marked."""

    def parse_hookimpl_opts(self, plugin: object, name: str) -> pluggy.HookimplOpts | None:
        options = super().parse_hookimpl_opts(plugin, name)
        hook = getattr(self.hook, name, None)
        is_hook = isinstance(hook, pluggy.HookCaller) and hook.has_spec()
        if options is None and is_hook and inspect.isroutine(getattr(plugin, name, None)):
            owner = getattr(plugin, "__name__", type(plugin).__name__)
            raise ValueError(f"{owner}: {name} isn't marked with @tillpost.hookimpl")
        return options


def _registered(plugins: Sequence[object]) -> pluggy.PluginManager:
    manager = _EmbeddedPlugins(GROUP)
    manager.add_hookspecs(hookspecs)
    for plugin in plugins:
        name = getattr(plugin, "__name__", type(plugin).__name__)
        if manager.has_plugin(name):
            name = f"{name} at {id(plugin):#x}"
        try:
            _register(manager, plugin, name)
        except (ValueError, pluggy.PluginValidationError) as failure:
            raise ConfigError(" ".join(f"hooks: {failure}".split())) from None
    return manager


def _register(manager: pluggy.PluginManager, plugin: object, name: str) -> None:
    """Register a plugin, all of whose hooks exist.

    One that is marked `@hookimpl(optionalhook=True)` needn't, as for a newer Tillpost.

    Raises:
        ValueError: It is registered already, or has a hook that doesn't exist.
        PluginValidationError: A hook takes an argument that it isn't called with.
    """
    manager.register(plugin, name=name)
    for hook in manager.get_hookcallers(plugin) or ():
        is_optional = all(each.optionalhook for each in hook.get_hookimpls())
        if hook.has_spec() or is_optional:
            continue
        manager.unregister(plugin)
        known = [each.name for each in vars(manager.hook).values() if each.has_spec()]
        hint = suggestion(hook.name, known)
        raise ValueError(f"{name}: no hook is called {quoted(hook.name)}; {hint}")


def _arguments(
    implementation: pluggy.HookImpl, connection: str, facts: Mapping[str, object]
) -> dict[str, object]:
    if implementation.wrapper or implementation.hookwrapper:
        raise TypeError("it is a wrapper, and hooks are called one by one")
    known = {"connection": connection, **facts}
    return {name: known[name] for name in implementation.argnames}


def _decides(hook: str, result: object) -> bool:
    """Return whether the result is a decision.

    Raises:
        TypeError: The decision has a wrong type.
    """
    wanted = _DECISIONS.get(hook)
    if wanted is None or result is None:
        return False
    if not isinstance(result, wanted):
        raise TypeError(f"it returned a {type(result).__name__}, not a {wanted.__name__}")
    return True


def _is_closing(failure: BaseException, task: asyncio.Task[object] | None) -> bool:
    """Return whether the coroutine that awaits a hook is being closed.

    That is done outside of its task.
    """
    return isinstance(failure, GeneratorExit) and _current_task() is not task


def _current_task() -> asyncio.Task[object] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # the event loop has ended
        return None


def _close(result: object) -> None:
    if inspect.iscoroutine(result):
        result.close()


def _package(point: EntryPoint) -> str:
    return (point.dist and point.dist.name) or point.value  # a damaged installation has no name
