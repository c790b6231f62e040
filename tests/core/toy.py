"""A complete small adapter for the tests of core. `toy_server` is its platform.

`Toy` honours idempotency keys, `KeylessToy` doesn't.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, SecretStr

from tillpost.adapter.base import (
    Adapter,
    AdapterSettings,
    Attempt,
    Credentials,
    Found,
    Problem,
    Row,
    Signed,
)
from tillpost.adapter.exchange import Effect, Exchange, Request, Response, ask, reading, to_body
from tillpost.adapter.readiness import Finding, Readiness
from tillpost.adapter.settings import WHICH_STORE
from tillpost.errors import MenuError, OrderError, PermissionsError, StoreClosedError
from tillpost.models.menu import Item, Menu, Variation
from tillpost.models.order import Order, PosOrder

TOKEN = "toy-access-token-1"
REFRESH_TOKEN = "toy-refresh-token-1"
CLIENT_SECRET = "toy-client-secret-1"


def toy_order(
    order_id: str = "ord-1",
    *,
    item: str = "i1",
    sku: str = "S1",
    name: str = "Toast",
    quantity: int = 1,
    price: int = 1000,
) -> Order:
    """A paid order of one line; by default it fits the server's menu."""
    return Order.model_validate(
        {
            "id": order_id,
            "code": "B42",
            "placed_at": "2026-11-23T11:52:07+11:00",
            "currency": "AUD",
            "lines": [
                {
                    "item_id": item,
                    "sku": sku,
                    "name": name,
                    "quantity": quantity,
                    "unit_price": price,
                }
            ],
            "payments": [{"method": "card", "amount": quantity * price}],
        }
    )


def lost_order(order_id: str = "ord-1") -> Order:
    """An order for what no menu has under any id, SKU or name, so that no import can mend it."""
    return toy_order(order_id, item="i9", sku="S9", name="Waffle")


class ToySettings(AdapterSettings):
    """What the toy needs; the secrets beyond the token are for refreshing."""

    refresh_token: SecretStr | None = None
    client_secret: SecretStr | None = None
    shop: Annotated[str, WHICH_STORE] = "shop-1"

    def credentials(self) -> Credentials:
        return Credentials(
            access_token=self.access_token,
            refresh_token=self.refresh_token,
            client_id="toy-client",
            client_secret=self.client_secret,
        )


class ToyMade(BaseModel):
    """An order as the toy platform answers it."""

    id: str
    ref: str
    total: int
    status: str


class ToyHits(BaseModel):
    """What a search finds."""

    orders: tuple[ToyMade, ...]


class ToyItem(BaseModel):
    """One thing on the toy's menu."""

    id: str
    sku: str
    name: str
    price: int


class ToyMenu(BaseModel):
    """The toy's menu."""

    items: tuple[ToyItem, ...]


class ToyTokens(BaseModel):
    """What a refresh brings."""

    access_token: SecretStr
    refresh_token: SecretStr


class ToyStatus(BaseModel):
    """Whether the toy is open."""

    open: bool


class ToyComplaint(BaseModel):
    """One error of the toy platform."""

    code: str = ""
    field: str = ""
    text: str = ""


class ToyErrors(BaseModel):
    """The toy's way to refuse."""

    errors: tuple[ToyComplaint, ...] = ()


class Toy(Adapter[ToySettings]):
    """The toy platform's operations, with keys."""

    platform: ClassVar[str] = "toy"
    title: str = "Toy"
    settings: ClassVar[type[AdapterSettings]] = ToySettings
    keyed: ClassVar[bool] = True
    public_fields: ClassVar[frozenset[str]] = frozenset({"ref", "text"})
    look_after: Sequence[float] = (0.01, 0.02)
    errors: ClassVar[tuple[Row, ...]] = (
        Row(PermissionsError, codes=frozenset({"EXPIRED"}), refreshable=True),
        Row(PermissionsError, codes=frozenset({"REVOKED"})),
        Row(StoreClosedError, codes=frozenset({"CLOSED"})),
        Row(MenuError, codes=frozenset({"GONE"}), text=r"line (?P<line>-?\d+)", reason="gone"),
        Row(MenuError, codes=frozenset({"GONE"}), field=r"items/(?P<item>\w+)", reason="gone"),
        Row(MenuError, codes=frozenset({"GONE"}), reason="gone"),
        Row(OrderError, status=(422,)),
    )

    def sign(self, request: Request[Any], credentials: Credentials) -> Signed:
        signed = super().sign(request, credentials)
        if (
            request.path == "/token"
        ):  # a request holds no credential, so what asks for a new one is filled in here
            asks = {
                "refresh_token": credentials.refresh_token,
                "client_secret": credentials.client_secret,
            }
            return Signed(
                {"Content-Type": "application/json"},
                to_body(
                    **{name: secret.get_secret_value() for name, secret in asks.items() if secret}
                ),
            )
        return signed

    def problems(self, response: Response) -> Sequence[Problem]:
        if not response.body.startswith(b'{"errors"'):
            return ()
        errors = ToyErrors.model_validate_json(response.body).errors
        return [Problem(c.code, c.field, c.text) for c in errors]

    def submit(self, order: Order, attempt: Attempt) -> Exchange[PosOrder]:
        key = f"{order.id}-{attempt.generation}" if self.keyed else None
        made = yield from ask(
            Request(
                "POST",
                "/orders",
                reading(ToyMade),
                to_body(
                    ref=order.id, items=[line.item_id for line in order.lines], total=order.total
                ),
                Effect.CREATE,
                key,
                headers={"Idempotency-Key": key} if key else {},
            )
        )
        return _pos_order(made)

    def find(self, order: Order, since: float | None) -> Exchange[Found]:
        hits = yield from ask(Request("GET", f"/orders?ref={order.id}", reading(ToyHits)))
        return _pos_order(hits.orders[0]) if hits.orders else None

    def fetch(self, pos_id: str) -> Exchange[PosOrder]:
        return _pos_order((yield from ask(Request("GET", f"/orders/{pos_id}", reading(ToyMade)))))

    def cancel(self, pos_id: str) -> Exchange[PosOrder]:
        made = yield from ask(
            Request("DELETE", f"/orders/{pos_id}", reading(ToyMade), effect=Effect.UNDO)
        )
        return _pos_order(made)

    def quote(self, order: Order, attempt: Attempt) -> Exchange[int]:
        menu = yield from self.import_menu()
        return sum(
            line.quantity * (menu.by_variation[line.item_id][1].price or 0) for line in order.lines
        )

    def import_menu(self) -> Exchange[Menu]:
        menu = yield from ask(Request("GET", "/menu", reading(ToyMenu)))
        return toy_menu(menu.items)

    def check(self) -> Exchange[Readiness]:
        status = yield from ask(Request("GET", "/status", reading(ToyStatus)))
        return Readiness(
            findings=(
                Finding(what="store", ok=status.open, text="open" if status.open else "closed"),
            )
        )

    def refresh(self, credentials: Credentials) -> Exchange[Credentials]:
        asks = Request("POST", "/token", reading(ToyTokens), effect=Effect.SIDE, private=True)
        fresh = yield from ask(asks)
        return credentials.model_copy(
            update={"access_token": fresh.access_token, "refresh_token": fresh.refresh_token},
        )


class KeylessToy(Toy):
    """The toy platform without keys: what may be there has to be looked for."""

    platform: ClassVar[str] = "keyless-toy"
    keyed: ClassVar[bool] = False


def toy_menu(items: Iterable[ToyItem]) -> Menu:
    """The menu of those items."""
    return Menu(
        site="shop-1",
        currency="AUD",
        imported_at=datetime(2026, 11, 23, tzinfo=UTC),
        items=tuple(
            Item(
                id=f"item-{x.id}",
                name=x.name,
                variations=(Variation(id=x.id, sku=x.sku, price=x.price),),
            )
            for x in items
        ),
    )


def _pos_order(made: ToyMade) -> PosOrder:
    return PosOrder(id=made.id, reference=made.ref, status=made.status, total=made.total)
