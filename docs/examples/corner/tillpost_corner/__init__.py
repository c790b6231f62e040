"""Corner POS, a made-up platform, for Tillpost. The entry point names this module."""

from collections.abc import Callable, Mapping, Sequence

from tillpost.adapter import hookimpl
from tillpost_corner.adapter import Corner


@hookimpl
def tillpost_adapters() -> Sequence[type[Corner]]:
    """Register the Corner adapter."""
    return [Corner]


@hookimpl
def platform_simulators() -> Mapping[str, Callable[..., object]]:
    """Register its simulator, for tests and `tillpost simulate corner`."""
    from tillpost_corner.simulator import CornerSimulator

    return {"corner": CornerSimulator}
