"""The state of one simulated merchant, its settings, and idempotency keys.

Everything that a request can see or change is in `World`. A reset creates a new one from the same
`WorldSettings`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime
from random import Random

from tillpost.simulator import Answer
from tillpost.simulator.sender import Sent
from tillpost_simulators.square.catalogue import Catalogue
from tillpost_simulators.square.clock import Clock
from tillpost_simulators.square.errors import Problem, Refusal, bad_request
from tillpost_simulators.square.request_bodies import Payment
from tillpost_simulators.square.wire import Fulfilment, Money, Order

ALL_SCOPES = (
    "ORDERS_READ",
    "ORDERS_WRITE",
    "PAYMENTS_READ",
    "PAYMENTS_WRITE",
    "ITEMS_READ",
    "MERCHANT_PROFILE_READ",
)

_INCLUSIVE_DEDUCTED_IN = frozenset({"USD", "CAD", "JPY"})


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """Where Square sends webhooks, and how badly.

    Without a `url` none are sent; the action `send_webhooks_to` sets it later. Only a `url` on the
    loopback is called. `secret` is the subscription's signature key. Each notification is delivered
    `deliveries` times. Notifications wait until there are `burst` of them, and are then sent one
    after the other, `shuffled` or in their order. With each online order come `counter_sales` sales
    at the counter. `seed` is that of the sequence and of the events' ids.
    """

    url: str = ""
    secret: str = "not-a-real-signature-key"  # noqa: S105 - fake on purpose
    deliveries: int = 1
    burst: int = 1
    shuffled: bool = False
    counter_sales: int = 0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class WorldSettings:
    """The initial state of the merchant, and Square's behaviour.

    The behaviour is Square's where documents are silent. `page_size` limits catalogue pages,
    `orders_page_size` those of an order search. A cursor dies after `cursor_seconds`. With
    `shifting_pages` a catalogue's cursor is a position, so that later changes skip or repeat
    objects. `search_lag_seconds` is how long a new order is missing from searches.
    `refusals_burn_keys` lets a refused request use up its idempotency key; Square's documents don't
    say. `delivery_partner` lets the register show DELIVERY fulfilments. `version_rises_every` so
    many reads of orders, beginning with the first, the order's version rises by itself once it was
    read; 0 is never. `odd_objects` is how many malformed objects the catalogue begins with, of each
    kind in turn, and `items` how many ordinary items beside its usual ones. `webhooks` says where
    webhooks go, and how.
    """

    currency: str = "AUD"
    tax_inclusive: bool = True
    tax_percentage: str = "10"
    location_id: str = "L-CAFE"
    access_token: str = "not-a-real-square-token"  # noqa: S105 - fake on purpose
    refresh_token: str = "not-a-real-refresh-token"  # noqa: S105 - fake on purpose
    client_id: str = "sq0idp-simulator"
    client_secret: str = "sq0csp-not-a-real-secret"  # noqa: S105 - fake on purpose
    redirect_url: str = "http://localhost:8765/callback"
    merchant_id: str = "M-SIMULATOR"
    stocked: bool = True
    page_size: int = 100
    orders_page_size: int = 500
    cursor_seconds: float = 300.0
    shifting_pages: bool = False
    search_lag_seconds: float = 0.0
    refusals_burn_keys: bool = False
    delivery_partner: bool = False
    version_rises_every: int = 0
    odd_objects: int = 0
    items: int = 0
    webhooks: WebhookSettings = WebhookSettings()


@dataclass
class Location:
    """A location of the merchant (spec: Location)."""

    id: str
    name: str
    active: bool = True


@dataclass
class Token:
    """An access token and its scopes.

    `refresh_token` is the same for all tokens of one authorisation.
    """

    scopes: set[str]
    expires_at: datetime
    refresh_token: str
    short_lived: bool = False
    revoked: bool = False


@dataclass
class StoredOrder:
    """An order, and what its JSON doesn't have.

    `paid` is what was collected, with tips.
    """

    order: Order
    number: int
    created: datetime
    settled: bool = False
    paid: int = 0

    @property
    def id(self) -> str:
        """The order's id at Square."""
        assert self.order.id is not None
        return self.order.id


@dataclass
class Replay:
    """The first use of an idempotency key: the digest of its request, and the answer."""

    digest: str
    answer: Answer


@dataclass(frozen=True, slots=True)
class AnnouncedOrder:
    """What webhooks last said of an order.

    `fulfilments` are as they were then, by their uids.
    """

    version: int
    fulfilments: dict[str, Fulfilment]


@dataclass
class WebhookState:
    """What was announced by webhooks so far, and what waits to be sent.

    `orders` has what was last announced of each order, by their ids.
    """

    url: str
    random: Random
    catalogue_time: str
    orders: dict[str, AnnouncedOrder] = field(default_factory=dict[str, AnnouncedOrder])
    counter_sales: set[str] = field(default_factory=set[str])
    waiting: list[Sent] = field(default_factory=list[Sent])


@dataclass
class World:
    """The state of one merchant at Square."""

    settings: WorldSettings
    clock: Clock
    catalogue: Catalogue
    locations: dict[str, Location]
    webhooks: WebhookState
    tokens: dict[str, Token] = field(default_factory=dict[str, Token])
    codes: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    revoked_refresh_tokens: set[str] = field(default_factory=set[str])
    orders: dict[str, StoredOrder] = field(default_factory=dict[str, StoredOrder])
    payments: dict[str, Payment] = field(default_factory=dict[str, Payment])
    payment_keys: dict[str, str] = field(default_factory=dict[str, str])
    replays: dict[tuple[str, str], Replay] = field(default_factory=dict[tuple[str, str], Replay])
    refused_contacts: set[str] = field(default_factory=set[str])
    outage: bool = False
    made: int = 0
    order_reads: int = 0

    def money(self, amount: int) -> Money:
        """Return an amount in the merchant's currency."""
        return Money(amount=amount, currency=self.settings.currency)

    def new_id(self, kind: str, length: int = 29) -> str:
        """Return a new id, as long as Square's are, and the same in every run."""
        self.made += 1
        digest = hashlib.sha256(f"{kind}-{self.made}".encode()).hexdigest()
        return f"{digest[: length - 2]}YY"

    def new_uid(self) -> str:
        """Return a new id within an order."""
        return self.new_id("uid", 22)

    def revoke_all_tokens(self) -> None:
        """Revoke every access token and every refresh token."""
        for token in self.tokens.values():
            token.revoked = True
            self.revoked_refresh_tokens.add(token.refresh_token)

    @property
    def deducts_inclusive_tax(self) -> bool:
        """Whether gross sales exclude inclusive tax.

        They do in the US, Canada and Japan (spec: OrderLineItem.gross_sales_money).
        """
        return self.settings.currency in _INCLUSIVE_DEDUCTED_IN

    def check_currency(self, money: Money | None, field: str) -> None:
        """Refuse an amount in a currency other than the merchant's."""
        if money is not None and money.currency != self.settings.currency:
            # unconfirmed: the exact code and text for an order's line; a sandbox call in a second
            # currency would show it.
            own = self.settings.currency
            detail = f"The currency {money.currency} doesn't match the location's, {own}."
            raise bad_request("CURRENCY_MISMATCH", detail, f"{field}.currency")


def digest_of(body: bytes) -> str:
    """Return a digest of a JSON body, whatever its order and spacing."""
    canonical = json.dumps(json.loads(body), sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


class IdempotencyKey:
    """One use of an idempotency key by an operation.

        key = IdempotencyKey(world, "CreateOrder", body.idempotency_key, call.body)
        first_answer = key.replay()
        if first_answer is not None:
            return first_answer
        return key.store(answer)

    The first answer is replayed unchanged, however the order has changed since (developer
    documentation on CreatePayment). Another body under the same key is refused. Without a key
    nothing is stored.
    """

    def __init__(self, world: World, operation: str, key: str | None, body: bytes) -> None:
        self._replays = world.replays
        self._key = (operation, key) if key else None
        self._body = body

    def replay(self) -> Answer | None:
        """Return the first answer under this key, or None for a new key.

        Raises:
            Refusal: The first request had another body.
        """
        first = self._replays.get(self._key) if self._key else None
        if first is None:
            return None
        if first.digest != digest_of(self._body):
            # unconfirmed: the text is CreatePayment's; whether orders say the same, a sandbox call
            # would show it.
            detail = "The idempotency key can only be retried with the same request data."
            raise Refusal(400, Problem("IDEMPOTENCY_KEY_REUSED", detail, "idempotency_key"))
        return first.answer

    def store(self, answer: Answer) -> Answer:
        """Store the answer for a repetition, and return it."""
        if self._key:
            self._replays[self._key] = Replay(digest_of(self._body), answer)
        return answer
