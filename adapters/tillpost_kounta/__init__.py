"""Lightspeed Restaurant O-Series (Kounta): orders go in by one POST that has no key, and are read back as proof."""

from __future__ import annotations

from collections.abc import Sequence

from tillpost.adapter import hookimpl


@hookimpl
def tillpost_adapters() -> Sequence[type[object]]:
    """Bring the Kounta adapter, which is loaded only now: importing this package is cheap."""
    from tillpost_kounta.adapter import Kounta

    return [Kounta]
