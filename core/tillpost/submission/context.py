"""One store's POS as the flows see it: its adapter, its policy, its menu, a clock. `Till` makes one and drives it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tillpost.adapter.base import Adapter
from tillpost.errors import ErrorRecord
from tillpost.models.menu import Menu
from tillpost.submission.policy import Policy

__all__ = ["Connection", "MenuCache"]


@dataclass(slots=True)
class MenuCache:
    """The last imported menu, when the import was made (epoch seconds), and a menu that is held for a person.

    `failure` and `failed_at` are of the last import that failed, for those who were waiting for it.
    """

    menu: Menu | None = None
    imported_at: float = 0.0
    held: Menu | None = None
    failure: ErrorRecord | None = None
    failed_at: float = 0.0


@dataclass(slots=True)
class Connection:
    """What a flow may know of the store. `name` is what plugins are told; `clock` returns epoch seconds.

    `granted_by` is the person or account at the provider that let us in, where that is known.
    """

    name: str
    adapter: Adapter[Any]
    policy: Policy
    clock: Callable[[], float]
    menu_cache: MenuCache = field(default_factory=MenuCache)
    support_contact: str = ""
    granted_by: str = ""
