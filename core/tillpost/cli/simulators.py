"""Find the simulators and the demo scenarios that installed plugins bring.

The commands `simulate` and `demo` use it, and so do tests that need a platform's simulator.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from inspect import signature
from typing import TYPE_CHECKING, Any, cast

from tillpost.adapter.base import Adapter
from tillpost.cli.exit_codes import CliError
from tillpost.plugins.manager import factories

if TYPE_CHECKING:
    from tillpost.demo.scenarios import Scenario
    from tillpost.simulator import FaultPlan, Simulator

__all__ = ["has_scenarios", "load_scenarios", "make_simulator", "need_simulators"]


def need_simulators() -> None:
    """Check that the extra for simulators is installed.

    Raises:
        CliError: It isn't; the message says what to install.
    """
    if find_spec("aiohttp") is None:
        raise CliError("simulators need an extra: pip install 'tillpost[simulator]'")


def make_simulator(
    adapter: type[Adapter[Any]],
    faults: FaultPlan | None = None,
    *,
    items: int = 0,
    settings: Mapping[str, str] | None = None,
) -> Simulator:
    """Return a new simulator of the adapter's platform.

    Args:
        adapter: The adapter.
        faults: The fault plan to start with; no faults by default.
        items: How many items its menu has beside its usual ones.
        settings: Settings of the store, by name.

    Raises:
        CliError: No plugin has a simulator of this platform, this one takes no `items` or no
            `settings`, or a setting isn't right.
    """
    make = factories("platform_simulators").get(adapter.platform)
    if make is None:
        raise CliError(f"{adapter.platform} has no simulator")
    known = signature(make).parameters
    given: dict[str, object] = {}
    if items:
        given["items"] = items
        if "items" not in known:
            raise CliError(
                f"the simulator of {adapter.platform} has only its own menu: leave --items"
            )
    if settings:
        given["settings"] = settings
        if "settings" not in known:
            raise CliError(f"the simulator of {adapter.platform} has no settings: leave --set")
    try:
        return cast("Simulator", make(faults=faults, **given))
    except ValueError as error:
        raise CliError(str(error)) from None


def has_scenarios(adapter: type[Adapter[Any]]) -> bool:
    """Return whether a plugin has demo scenarios for the adapter's platform."""
    return adapter.platform in factories("demo_scenarios")


def load_scenarios(adapter: type[Adapter[Any]]) -> Sequence[Scenario[Simulator]]:
    """Return the demo scenarios of the adapter's platform, which `has_scenarios`."""
    make = factories("demo_scenarios")[adapter.platform]
    return cast("Sequence[Scenario[Simulator]]", make())
