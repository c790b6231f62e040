"""Simulators of the bundled platforms, and the scenarios that `tillpost demo` plays on them.

Each is a real HTTP server with state, a ledger and faults. Needs the extra `simulator`; importing
this package doesn't.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module

from tillpost.adapter import hookimpl

__all__ = ["demo_scenarios", "platform_simulators"]

_SIMULATORS = {
    "generic": "GenericSimulator",
    "kounta": "KountaSimulator",
    "square": "SquareSimulator",
}


@hookimpl
def platform_simulators() -> Mapping[str, Callable[..., object]]:
    """Bring the simulators, each loaded when one is made."""
    return {platform: _simulator(platform, name) for platform, name in _SIMULATORS.items()}


@hookimpl
def demo_scenarios() -> Mapping[str, Callable[[], Sequence[object]]]:
    """Bring the scenarios, each platform's loaded when they are asked for."""
    return {platform: _scenarios(platform) for platform in _SIMULATORS}


def _simulator(platform: str, class_name: str) -> Callable[..., object]:
    def make(faults: object = None) -> object:
        module = import_module(f"tillpost_simulators.{platform}")
        return getattr(module, class_name)(faults=faults)

    return make


def _scenarios(platform: str) -> Callable[[], Sequence[object]]:
    def make() -> Sequence[object]:
        module = import_module(f"tillpost_simulators.{platform}.demo")
        scenarios: Sequence[object] = module.scenarios()
        return scenarios

    return make
