"""The adapter for Tillpost's own wire format.

Any POS whose developer follows `docs/generic` speaks it. Importing this package is cheap: the
adapter itself is loaded when the plugins are asked for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tillpost.adapter import hookimpl

if TYPE_CHECKING:
    from tillpost_generic.adapter import Generic


@hookimpl
def tillpost_adapters() -> Sequence[type[Generic]]:
    """Register the generic adapter."""
    from tillpost_generic.adapter import Generic

    return [Generic]
