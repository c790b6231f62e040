"""The address of a store: the settings that say where its orders go.

The journal records it for each request that can change an order. An order that exists, or may
exist, at one address is never looked up, finished, undone or sent at another.
"""

from __future__ import annotations

import json
from typing import Any

from tillpost.adapter.base import Adapter
from tillpost.errors import DoubtError

__all__ = ["ADDRESS", "address_of", "base_url_in", "error_of_address"]

ADDRESS = "address"
"""The reason of a `DoubtError` about an order at another address.

The order is, or may be, there.
"""

_NOT_SET = "not set"


def address_of(adapter: Adapter[Any]) -> str:
    """Return an adapter's address as one text without a secret.

    It is to be compared as a whole.
    """
    names = adapter.config.settings_of_address()
    settings = {name: _text_of(getattr(adapter.config, name)) for name in names}
    return json.dumps({"platform": adapter.platform, **settings})


def base_url_in(address: str) -> str:
    """Return the `base_url` of an address.

    >>> base_url_in('{"platform": "square", "base_url": "https://a.example", "location_id": "L1"}')
    'https://a.example'
    """
    settings: dict[str, str] = json.loads(address)
    return settings["base_url"]


def error_of_address(recorded: str, current: str) -> DoubtError:
    """Return the error of an order at another address than the connection's.

    The order is, or may be, there.

    Args:
        recorded: The address in the order's journal.
        current: The connection's address now.
    """
    settings_then: dict[str, str] = json.loads(recorded)
    settings_now: dict[str, str] = json.loads(current)
    changes: list[str] = []
    for name in {**settings_then, **settings_now}:
        then = settings_then.get(name, _NOT_SET)
        now = settings_now.get(name, _NOT_SET)
        if then != now:
            changes.append(f"{name} was {then} then and is {now} now")
    listed = ", ".join(changes)
    return DoubtError(f"the order may be at another address: {listed}", reason=ADDRESS)


def _text_of(setting: object) -> str:
    if setting is None:
        return _NOT_SET
    return str(setting)
