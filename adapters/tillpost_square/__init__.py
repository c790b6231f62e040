"""Square: orders go in by CreateOrder and an external payment, so that they show on the Point of Sale.

Importing this package is cheap; the adapter itself is loaded when the plugins are asked for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tillpost.adapter import hookimpl

if TYPE_CHECKING:
    from tillpost_square.adapter import Square


@hookimpl
def tillpost_adapters() -> Sequence[type[Square]]:
    """Bring the Square adapter."""
    from tillpost_square.adapter import Square

    return [Square]
