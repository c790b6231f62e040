"""Simulators of the bundled platforms, and their scenarios.

`tillpost demo` runs the scenarios on the simulators. Each simulator is a real HTTP server with
state, a ledger and faults. `tillpost simulate` and `tillpost demo` find them by the two hooks
below. Making a simulator needs the extra `simulator`; importing this package doesn't.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields
from decimal import Decimal
from importlib import import_module
from typing import Any

from pydantic import TypeAdapter, ValidationError

from tillpost import explain
from tillpost.adapter import hookimpl
from tillpost.models.money import Currency, Exact

__all__ = ["demo_scenarios", "platform_simulators"]

_SIMULATORS = {
    "generic": ("GenericSimulator", "WorldSettings"),
    "kounta": ("KountaSimulator", "KountaSettings"),
    "square": ("SquareSimulator", "WorldSettings"),
}
"""The class of each simulator, and that of its settings."""

_CHECKED: Mapping[str, TypeAdapter[Any]] = {
    "currency": TypeAdapter(Currency),
    "tax_percentage": TypeAdapter(Exact),
}
"""Settings that are texts, but not any text."""


@hookimpl
def platform_simulators() -> Mapping[str, Callable[..., object]]:
    """Return the factory of each simulator.

    A simulator's module is imported when its factory is called.
    """
    return {platform: _simulator(platform, *names) for platform, names in _SIMULATORS.items()}


@hookimpl
def demo_scenarios() -> Mapping[str, Callable[[], Sequence[object]]]:
    """Return the factory of each platform's scenarios."""
    return {platform: _scenarios(platform) for platform in _SIMULATORS}


def _simulator(platform: str, class_name: str, settings_name: str) -> Callable[..., object]:
    def make(
        faults: object = None, items: int = 0, settings: Mapping[str, str] | None = None
    ) -> object:
        module = import_module(f"tillpost_simulators.{platform}")
        simulator_class = getattr(module, class_name)
        settings_class = getattr(module, settings_name)
        content = {"items": items, **(settings or {})}
        return simulator_class(_settings(platform, settings_class, content), faults=faults)

    return make


def _settings(platform: str, settings_class: type[Any], content: Mapping[str, object]) -> object:
    """Read a simulator's settings from texts.

    Raises:
        ValueError: There is no such setting, or it has another value.
    """
    names = _set_by_text(settings_class)
    for name, value in content.items():
        if name not in names:
            known = ", ".join(names)
            raise ValueError(
                f"the simulator of {platform} has no setting {name!r}; it has: {known}"
            )
        if name in _CHECKED:
            _validated(name, _CHECKED[name], value)
    return _validated("", TypeAdapter(settings_class), content)


def _set_by_text(settings_class: type[Any]) -> Sequence[str]:
    """Return the names of the settings that a text can give."""
    simple = (str, int, float, Decimal, type(None))
    return [
        field.name
        for field in fields(settings_class)
        if field.default is not MISSING and isinstance(field.default, simple)
    ]


def _validated(name: str, adapter: TypeAdapter[Any], value: object) -> object:
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        raise ValueError(f"{name}: {explain(error)}" if name else explain(error)) from None


def _scenarios(platform: str) -> Callable[[], Sequence[object]]:
    def make() -> Sequence[object]:
        module = import_module(f"tillpost_simulators.{platform}.demo")
        scenarios: Sequence[object] = module.scenarios()
        return scenarios

    return make
