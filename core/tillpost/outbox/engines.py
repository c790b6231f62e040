"""Finds an engine by its name: the bundled one, or one that a plugin brings."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import cast

from tillpost.errors import ConfigError
from tillpost.outbox.engine import Embedded, Engine
from tillpost.plugins import installed

__all__ = ["engine_named", "engines"]

log = logging.getLogger("tillpost.outbox")


def engines() -> Mapping[str, Callable[[], Engine]]:
    """Return what makes each engine, by name."""
    found: dict[str, Callable[[], Engine]] = {}
    for implementation in installed().manager.hook.outbox_engines.get_hookimpls():
        try:
            found |= cast("Mapping[str, Callable[[], Engine]]", implementation.function())
        except Exception as failure:  # noqa: BLE001  one plugin's failure isn't another's
            log.warning("plugin %r failed to bring its engines: %r", implementation.plugin_name, failure)
    return {**found, "embedded": Embedded}


def engine_named(name: str) -> Engine:
    """Return the engine of that name; raise `ConfigError` that lists those there are."""
    if name == "embedded":
        return Embedded()
    known = engines()
    if name not in known:
        raise ConfigError(f"no outbox engine {name!r}; there are: {', '.join(sorted(known))}")
    return known[name]()
