"""The adapter for Square.

An order is created by CreateOrder and paid by an external payment, so that it shows on the Point of
Sale. Importing this package is cheap: the adapter itself is loaded when the plugins are asked for
it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tillpost.adapter import hookimpl

if TYPE_CHECKING:
    from tillpost_square.adapter import Square


@hookimpl
def tillpost_adapters() -> Sequence[type[Square]]:
    """Register the Square adapter."""
    from tillpost_square.adapter import Square

    return [Square]
