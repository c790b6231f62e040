"""The adapter for Lightspeed Restaurant O-Series, formerly Kounta.

An order is created by one POST without an idempotency key, and read back. Importing this package is
cheap: the adapter itself is loaded when the plugins are asked for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tillpost.adapter import hookimpl

if TYPE_CHECKING:
    from tillpost_kounta.adapter import Kounta


@hookimpl
def tillpost_adapters() -> Sequence[type[Kounta]]:
    """Register the Kounta adapter."""
    from tillpost_kounta.adapter import Kounta

    return [Kounta]
