"""Simulators of the bundled platforms, and their scenarios.

`tillpost demo` runs the scenarios on the simulators. Each simulator is a real HTTP server with
state, a ledger and faults. `tillpost simulate` and `tillpost demo` find them by the two hooks
below. Making a simulator needs the extra `simulator`; importing this package doesn't.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module

from tillpost.adapter import hookimpl

__all__ = ["demo_scenarios", "platform_simulators"]

_SIMULATORS = {
    "generic": ("GenericSimulator", "WorldSettings"),
    "kounta": ("KountaSimulator", "KountaSettings"),
    "square": ("SquareSimulator", "WorldSettings"),
}
"""The class of each simulator, and that of its settings."""


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
    def make(faults: object = None, items: int = 0) -> object:
        module = import_module(f"tillpost_simulators.{platform}")
        simulator_class = getattr(module, class_name)
        settings_class = getattr(module, settings_name)
        return simulator_class(settings_class(items=items), faults=faults)

    return make


def _scenarios(platform: str) -> Callable[[], Sequence[object]]:
    def make() -> Sequence[object]:
        module = import_module(f"tillpost_simulators.{platform}.demo")
        scenarios: Sequence[object] = module.scenarios()
        return scenarios

    return make
