"""Corner POS, a made-up platform, for Tillpost. The entry point names this module."""

from collections.abc import Sequence

from tillpost import hookimpl
from tillpost_corner.adapter import Corner


@hookimpl
def tillpost_adapters() -> Sequence[type[Corner]]:
    """Bring the Corner adapter."""
    return [Corner]
