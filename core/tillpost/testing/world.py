"""What the conformance suite is told of a platform: a `World`, which each adapter's author writes.

It says how to connect, which orders to try, and how each kind of trouble is provoked, or why it
can't occur there; and where the adapter has the operations, how tokens expire and what a webhook
looks like. Needs the extra `testing`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

import pytest

from tillpost.adapter.base import Adapter
from tillpost.adapter.settings import Credentials
from tillpost.client.credentials import MemoryCredentials
from tillpost.client.sync import Till
from tillpost.errors import (
    MenuError,
    OrderError,
    OutageError,
    Outcome,
    PermissionsError,
    PosError,
    RateLimitError,
    RegisterOfflineError,
    SetupError,
    StoreClosedError,
    TaxError,
    UnknownPosError,
)
from tillpost.models.order import Order, PosOrder
from tillpost.simulator import Running, Simulator
from tillpost.submission.context import Connection
from tillpost.submission.journal import MemoryJournal
from tillpost.submission.policy import Policy

__all__ = ["KINDS", "Delivery", "Impossible", "Suite", "Trouble", "World"]

KINDS: tuple[type[PosError], ...] = (
    MenuError,
    OutageError,
    RateLimitError,
    RegisterOfflineError,
    PermissionsError,
    TaxError,
    StoreClosedError,
    OrderError,
    SetupError,
    UnknownPosError,
)
"""Each kind of remedy that a caller branches on; a world provokes it or says why it can't occur."""


S = TypeVar("S", bound=Simulator)


class Trouble(NamedTuple):
    """How a kind of error is provoked: what is done to the platform first, which order is sent, which settings differ.

    `outcome` is what has to be known of the order afterwards. `after_import`: the menu is imported
    before it happens, so that the platform changes behind our back.
    """

    provoke: Callable[[], object] = lambda: None
    order: Callable[[str], Order] | None = None
    settings: Mapping[str, object] = {}
    outcome: Outcome = Outcome.NOT_CREATED
    after_import: bool = False


class Impossible(NamedTuple):
    """Why a kind of error can't occur on the platform."""

    reason: str


class Delivery(NamedTuple):
    """A webhook as a web application gets it: its headers, its body, and the address that was called."""

    headers: Mapping[str, str]
    body: bytes
    url: str = "https://shop.example/hooks/pos"


class World(ABC, Generic[S]):
    """A platform to try an adapter on: its simulator as it runs, and what may be done to it."""

    adapter: type[Adapter[Any]]
    create_path: str
    """A pattern for the path of the request that creates an order; its method is POST."""
    advance_path: str = ""
    """A pattern for the path of the POST without which staff don't see the order; empty where one call does it all."""

    def __init__(self, running: Running[S]) -> None:
        self.running = running
        self.simulator: S = running.simulator

    @property
    def settings(self) -> dict[str, object]:
        """What a Till is connected with."""
        return dict(self.running.settings)

    @abstractmethod
    def order(self, order_id: str) -> Order:
        """Return an order that the platform takes as it is."""

    @abstractmethod
    def drifted(self, order_id: str) -> Order:
        """Return an order that names an item by an id that is gone, and by a SKU that is still there."""

    @abstractmethod
    def gone(self, order_id: str) -> Order:
        """Return an order whose last line, and only that, names what isn't on the menu in any way."""

    @abstractmethod
    def accept(self, pos_order: PosOrder) -> None:
        """Have the store's staff accept an order at the register."""

    @abstractmethod
    def troubles(self) -> Mapping[type[PosError], Trouble | Impossible]:
        """Say for each of `KINDS` how it is provoked."""

    # Where the adapter has `refresh` and `exchange_code`

    token_path: str = ""
    """The path of the request that brings credentials."""

    def renewal(self) -> dict[str, object]:
        """Return what an expired token is renewed with: `refresh_token`, `client_id` and `client_secret`."""
        raise NotImplementedError

    def expire_token(self) -> None:
        """Have the access token expire."""
        raise NotImplementedError

    def withdraw(self) -> None:
        """Have the store take its authorisation back: neither token is good for anything any more."""
        raise NotImplementedError

    def granted(self) -> dict[str, str]:
        """Have a store's admin grant access; return what `exchange_code` takes, but for `base_url`."""
        raise NotImplementedError

    # Where the adapter has `parse_webhook`

    signs_time: bool = True
    """Whether a webhook's signature covers when it was sent."""

    def webhook_settings(self) -> dict[str, object]:
        """Return the settings by which webhooks are checked, beyond `settings`."""
        return {}

    def signed(self, body: bytes, at: float) -> Delivery:
        """Return a body as the platform would deliver it, signed, at a time in epoch seconds."""
        raise NotImplementedError

    def about(self, pos_order: PosOrder, at: float) -> bytes:
        """Return the body of a webhook about an order whose state has changed, at a time in epoch seconds."""
        raise NotImplementedError


class Suite:
    """What the parts of the suite share. Derive a test class from one of them, with a fixture `world`."""

    policy = Policy(retries=2, retry_seconds=5, first_wait=0.01, longest_wait=0.05)

    def till(
        self,
        world: World[Any],
        journal: MemoryJournal | None = None,
        on_tokens: Callable[[Credentials], object] | None = None,
        /,
        **changed: object,
    ) -> Till:
        """Return a Till on the platform, as a new process would have it."""
        adapter = world.adapter(
            world.adapter.settings.model_validate({**world.settings, **changed})
        )
        adapter.look_after = tuple(0.02 for _ in adapter.look_after)
        credentials = MemoryCredentials(adapter.config.credentials(), on_tokens)
        connection = Connection(adapter, policy=self.policy)
        return Till(connection, journal=journal, credentials=credentials)

    def refusal(self, till: Till, order: Order) -> PosError:
        """Return the error with which an order is refused."""
        with pytest.raises(PosError) as caught:
            till.submit(order)
        return caught.value
