"""A connection: one store's POS, ready to use, as flows and clients see it.

Three classes hold a connection's settings. `tillpost.config.ConnectionSettings` is what the TOML
file configures; `StoredConnection` is what the outbox's database holds; a `Connection` is made of
either, or in code, and is what everything runs on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from tillpost.adapter.base import Adapter
from tillpost.errors import ErrorRecord
from tillpost.models.arguments import require_list, require_type
from tillpost.models.menu import Menu
from tillpost.submission.address import address_of
from tillpost.submission.platform_clock import PlatformClock
from tillpost.submission.policy import Policy
from tillpost.transport.http import Limits

__all__ = ["Connection", "MenuCache"]


@dataclass(slots=True)
class MenuCache:
    """The menu of a connection as this process knows it.

    Attributes:
        menu: The menu in force, None before the first import.
        part: What orders have named so far, while there is no menu; see `Adapter.menu_for`. It has
            no time of its own, since each order adds what was read for it.
        imported_at: When the menu in force was imported, in epoch seconds; 0 while there is none.
        held: A newer menu that is held for review, because it lacks too many items.
        failure: How the last import failed, for those who waited for it.
        failed_at: When it failed, in epoch seconds.
        currency: The store's currency as the platform gave it; empty if it doesn't say, None if it
            wasn't asked. A menu has a currency of its own.
    """

    menu: Menu | None = None
    part: Menu | None = None
    imported_at: float = 0.0
    held: Menu | None = None
    failure: ErrorRecord | None = None
    failed_at: float = 0.0
    currency: str | None = None

    @property
    def known(self) -> Menu | None:
        """The menu as far as it is known: the whole, or what orders have named."""
        return self.menu or self.part


@dataclass(slots=True)
class Connection:
    """One store's POS, connected: its adapter and how to work with it.

    Attributes:
        adapter: The platform's adapter, with the store's settings.
        name: The name that plugins and logs show; the platform's name by default.
        policy: Retries, prices, menu imports.
        limits: How long and how large an answer may be.
        hooks: Objects whose hooks are called besides those of the installed plugins.
        support_contact: A sentence that every remedy ends with.
        granted_by: The person or account that granted access, where that is known.
        clock: Returns the time in epoch seconds.
        menu_cache: The menu in force.
        platform_clock: What is known of the platform's clock.
        address: Which store this is, as the journal records it.
    """

    adapter: Adapter[Any]
    name: str = ""
    policy: Policy = field(default_factory=Policy)
    limits: Limits = field(default_factory=Limits)
    hooks: Iterable[object] = ()
    support_contact: str = ""
    granted_by: str = ""
    clock: Callable[[], float] = time.time
    menu_cache: MenuCache = field(default_factory=MenuCache)
    platform_clock: PlatformClock = field(default_factory=PlatformClock)
    address: str = field(init=False)

    def __post_init__(self) -> None:
        """Raise `TypeError` for a part of a wrong type."""
        require_type("adapter", self.adapter, Adapter)
        require_type("policy", self.policy, Policy)
        require_type("limits", self.limits, Limits)
        require_list("hooks", self.hooks, "objects")
        self.name = self.name or self.adapter.platform
        self.address = address_of(self.adapter)

    def platform_now(self) -> float:
        """Return the time by the platform's clock, in epoch seconds.

        It is our own if the platform's isn't known. Whether an order's time has passed is for the
        platform to say, and our clock may be wrong.
        """
        now = self.clock()
        return now - (self.platform_clock.ahead(now) or 0.0)
