"""A platform as the conformance suite needs it.

The author of an adapter writes a `World`. It says how to connect, which orders to submit, and how
each class of error is provoked, or why it can't occur. For adapters that have the operations, it
also says how tokens expire and how webhooks are signed. Needs the extra `testing`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Generic, NamedTuple, TypeAlias, TypeVar

import httpx
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
from tillpost.simulator import LedgerEntry, Running, Simulator
from tillpost.submission.context import Connection
from tillpost.submission.journal import MemoryJournal
from tillpost.submission.policy import Policy

__all__ = [
    "KINDS",
    "AnyWorld",
    "Delivery",
    "Impossible",
    "Suite",
    "Trouble",
    "World",
    "needs",
    "only_where",
]

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
"""The error classes that callers branch on.

A world provokes each, or says why it can't occur.
"""


S = TypeVar("S", bound=Simulator)


class Trouble(NamedTuple):
    """How a class of error is provoked.

    Attributes:
        provoke: Changes the platform, before the order is submitted.
        order: Returns the order with an id; by default `World.order`.
        settings: The adapter's settings that differ from `World.settings`.
        outcome: The outcome that the error must have.
        after_import: Whether the menu is imported before the platform changes.
    """

    provoke: Callable[[], object] = lambda: None
    order: Callable[[str], Order] | None = None
    settings: Mapping[str, object] = {}
    outcome: Outcome = Outcome.NOT_CREATED
    after_import: bool = False


class Impossible(NamedTuple):
    """Why a class of error can't occur on the platform."""

    reason: str


class Delivery(NamedTuple):
    """A webhook as a web application receives it: headers, body and URL."""

    headers: Mapping[str, str]
    body: bytes
    url: str = "https://shop.example/hooks/pos"


class World(ABC, Generic[S]):
    """A running simulator of a platform, and what tests may do to it."""

    adapter: type[Adapter[Any]]
    create_path: str
    """A regular expression for the path of the POST that creates an order."""
    advance_path: str = ""
    """The same for a second POST that shows the order to staff.

    It is empty where there is none.
    """
    impossible: ClassVar[Mapping[type[PosError], str]] = {}
    """Those of `KINDS` that can't occur on the platform, each with the reason."""

    def __init__(self, running: Running[S]) -> None:
        self.running = running
        self.simulator: S = running.simulator

    @property
    def settings(self) -> dict[str, object]:
        """The settings to connect a Till with."""
        return dict(self.running.settings)

    @abstractmethod
    def order(self, order_id: str) -> Order:
        """Return an order that the platform accepts."""

    @abstractmethod
    def drifted(self, order_id: str) -> Order:
        """Return an order whose item id is gone while its SKU is still on the menu."""

    @abstractmethod
    def off_menu(self, order_id: str) -> Order:
        """Return an order whose last line, and only that, isn't on the menu.

        The line isn't there by id, SKU or name.
        """

    @abstractmethod
    def accept(self, pos_order: PosOrder) -> None:
        """Let staff accept an order at the register."""

    @abstractmethod
    def troubles(self) -> Mapping[type[PosError], Trouble | Impossible]:
        """Return how each of `KINDS` is provoked, except those that are `impossible`.

        An `Impossible` may stand for one that only a running platform shows to be impossible.
        """

    # Where the adapter has `refresh` and `exchange_code`

    token_path: str = ""
    """The path of the request that returns tokens."""

    def renewal(self) -> dict[str, object]:
        """Return the settings for a refresh.

        They are `refresh_token`, `client_id` and `client_secret`.
        """
        raise self._missing("renewal")

    def expire_token(self) -> None:
        """Let the access token expire."""
        raise self._missing("expire_token")

    def withdraw(self) -> None:
        """Let the store revoke its authorisation: both tokens become invalid."""
        raise self._missing("withdraw")

    def granted(self) -> dict[str, str]:
        """Let an admin grant access, and return the arguments of `exchange_code`.

        All but `base_url` are returned.
        """
        raise self._missing("granted")

    # Where the adapter has `parse_webhook`

    signs_time: bool = True
    """Whether a webhook's signature covers when it was sent."""

    def webhook_settings(self) -> dict[str, object]:
        """Return the settings for checking webhooks, beside `settings`."""
        return {}

    def signed(self, body: bytes, at: float) -> Delivery:
        """Return a body as the platform delivers and signs it at a time in epoch seconds."""
        raise self._missing("signed")

    def about(self, pos_order: PosOrder, at: float) -> bytes:
        """Return the body of a webhook about a changed order, at a time in epoch seconds."""
        raise self._missing("about")

    def _missing(self, name: str) -> NotImplementedError:
        world = type(self).__name__
        text = f"{world}.{name} has to be written: the adapter has the operation that needs it"
        return NotImplementedError(text)


AnyWorld: TypeAlias = World[Any]


class _ChangedAnswers(httpx.HTTPTransport):
    """A transport that replaces texts in the bodies of answers."""

    def __init__(self, changes: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._changes = changes

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = super().handle_request(request)
        body = answer.read()
        for text, other in self._changes:
            body = body.replace(text.encode(), other.encode())
        headers = {
            name: value
            for name, value in answer.headers.items()
            if name not in ("content-length", "content-encoding", "transfer-encoding")
        }
        return httpx.Response(answer.status_code, headers=headers, content=body)


class _Requirement(NamedTuple):
    """What a world must have for a test of it, and what it lacks otherwise."""

    is_met: Callable[[type[AnyWorld]], bool]
    otherwise: str


_REQUIREMENT = "_tillpost_requirement"

F = TypeVar("F", bound=Callable[..., object])


def only_where(is_met: Callable[[type[AnyWorld]], bool], otherwise: str) -> Callable[[F], F]:
    """Leave a test of the suite out for worlds that don't meet a condition.

    Args:
        is_met: Returns whether a class of worlds meets it.
        otherwise: What a world lacks that doesn't.
    """

    def require(test: F) -> F:
        setattr(test, _REQUIREMENT, _Requirement(is_met, otherwise))
        return test

    return require


def needs(operation: str) -> Callable[[F], F]:
    """Leave a test of the suite out for adapters that lack an operation."""
    return only_where(
        lambda world: operation in world.adapter.capabilities(),
        f"the adapter has no operation {operation!r}",
    )


def _lacks(test: object, world_class: type[AnyWorld]) -> str:
    """Return what the class of worlds lacks for a test; empty if nothing."""
    requirement: _Requirement | None = getattr(test, _REQUIREMENT, None)
    if requirement is None or requirement.is_met(world_class):
        return ""
    return requirement.otherwise


class Suite:
    """What the parts of the suite share.

    That is which tests apply, and how a Till is connected.
    """

    world_class: ClassVar[type[AnyWorld] | None] = None
    """The class of the fixture `world`.

    Without it, tests that don't apply are skipped at run time. With it, they aren't collected.
    """

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if cls.world_class is None:
            return
        for name in dir(cls):
            if _lacks(getattr(cls, name), cls.world_class):
                setattr(cls, name, None)  # pytest doesn't collect it

    @pytest.fixture(autouse=True)
    def _applies(self, request: pytest.FixtureRequest, world: AnyWorld) -> None:
        """Skip a test that doesn't apply, where that isn't known at collection."""
        if self.world_class is not None:
            assert isinstance(world, self.world_class), "`world_class` isn't the fixture's class"
        if reason := _lacks(request.function, type(world)):
            pytest.skip(reason)

    policy = Policy(retries=2, retry_seconds=5, first_wait=0.01, longest_wait=0.05)

    def till(
        self,
        world: AnyWorld,
        journal: MemoryJournal | None = None,
        on_tokens: Callable[[Credentials], object] | None = None,
        changes: Sequence[tuple[str, str]] = (),
        /,
        **changed: object,
    ) -> Till:
        """Return the Till of a new process.

        With `changes`, these texts are replaced in all bodies that it is answered with, so that
        the platform seems to answer about another order.
        """
        settings = world.adapter.settings.model_validate({**world.settings, **changed})
        adapter = world.adapter(settings)
        adapter.look_after = tuple(0.02 for _ in adapter.look_after)
        credentials = MemoryCredentials(adapter.config.credentials(), on_tokens)
        connection = Connection(adapter, policy=self.policy)
        client = httpx.Client(transport=_ChangedAnswers(changes)) if changes else None
        return Till(connection, journal=journal, credentials=credentials, http_client=client)

    def refusal(self, till: Till, order: Order) -> PosError:
        """Submit an order that must fail, and return the error."""
        with pytest.raises(PosError) as caught:
            till.submit(order)
        return caught.value

    def shown(self, world: AnyWorld) -> tuple[LedgerEntry, ...]:
        """Return the orders that staff see at the register."""
        entries: tuple[LedgerEntry, ...] = world.simulator.ledger().shown
        return entries

    def assert_one_whole_order(self, world: AnyWorld, reference: str) -> None:
        """Assert that the register shows this order only, and that none is half done."""
        assert [entry.reference for entry in self.shown(world)] == [reference]
        assert world.simulator.ledger().half_done == ()
