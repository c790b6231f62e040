"""The Corner POS adapter: everything that Tillpost needs to know about the platform."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import quote

from pydantic import BaseModel, ValidationError

from tillpost.adapter import (
    WHICH_STORE,
    Actor,
    Adapter,
    AdapterSettings,
    Attempt,
    Delivery,
    DineIn,
    Effect,
    Exchange,
    Finding,
    Found,
    GroupUse,
    Item,
    Menu,
    MenuError,
    ModifierGroup,
    ModifierOption,
    Order,
    OrderError,
    PermissionsError,
    PosOrder,
    PosState,
    Problem,
    Progress,
    Readiness,
    Reason,
    RegisterOfflineError,
    Request,
    Response,
    Row,
    StoreClosedError,
    Variation,
    ask,
    path_segment,
    reading,
    to_body,
)


class CornerSettings(AdapterSettings):
    """The settings of a connection, beside `base_url` and `access_token`."""

    shop: Annotated[str, WHICH_STORE]
    """The id of the shop that gets the orders."""


class CornerOrder(BaseModel):
    id: str
    reference: str
    total: int
    status: str


class CornerOrders(BaseModel):
    orders: list[CornerOrder]


class CornerOption(BaseModel):
    id: str
    name: str
    price: int


class CornerItem(BaseModel):
    id: str
    sku: str
    name: str
    price: int
    sold_out: bool
    options: list[CornerOption]


class CornerMenu(BaseModel):
    currency: str
    items: list[CornerItem]


class CornerShop(BaseModel):
    open: bool
    register_online: bool


class CornerError(BaseModel):
    code: str = ""
    message: str = ""


class CornerRefusal(BaseModel):
    error: CornerError


LINE = r"line (?P<line>\d+)"


class Corner(Adapter[CornerSettings]):
    """Corner POS. It honours no idempotency keys, so core looks an order up before resending it."""

    platform = "corner"
    title = "Corner POS"
    settings = CornerSettings
    public_fields = frozenset({"shop", "reference", "item", "option", "sku"})
    errors = (
        Row(PermissionsError, codes=frozenset({"BAD_TOKEN"})),
        Row(MenuError, codes=frozenset({"NO_SUCH_ITEM"}), text=LINE, reason="gone"),
        Row(MenuError, codes=frozenset({"SOLD_OUT"}), text=LINE, reason="sold_out"),
        Row(StoreClosedError, codes=frozenset({"CLOSED"})),
        Row(RegisterOfflineError, codes=frozenset({"REGISTER_OFFLINE"})),
        Row(OrderError, codes=frozenset({"BAD_ORDER"})),
    )

    def problems(self, response: Response) -> Sequence[Problem]:
        """Corner reports one problem at a time: {"error": {"code": ..., "message": ...}}."""
        if b'"error"' not in response.body:
            return ()
        try:
            error = CornerRefusal.model_validate_json(response.body).error
        except ValidationError:
            return ()
        return [Problem(code=error.code, text=error.message)]

    def submit(self, order: Order, attempt: Attempt) -> Exchange[PosOrder]:
        """One request creates the order, paid."""
        body = to_body(shop=self.config.shop, **translate(order, attempt))
        create = Request("POST", "/orders", reading(CornerOrder), body, Effect.CREATE)
        created = yield from ask(create)
        return pos_order(created)

    def find(self, order: Order, since: float | None) -> Exchange[Found]:
        """Corner finds an order by its reference."""
        path = f"/orders?shop={quote(self.config.shop)}&reference={quote(order.id)}"
        answer = yield from ask(Request("GET", path, reading(CornerOrders)))
        return pos_order(answer.orders[0]) if answer.orders else None

    def fetch(self, pos_id: str) -> Exchange[PosOrder]:
        """Corner says ACCEPTED once the register has shown the order."""
        path = f"/orders/{path_segment(pos_id)}"
        found = yield from ask(Request("GET", path, reading(CornerOrder)))
        return pos_order(found)

    def import_menu(self) -> Exchange[Menu]:
        """Corner sends the whole menu at once. An item's options become one modifier group."""
        path = f"/shops/{path_segment(self.config.shop)}/menu"
        menu = yield from ask(Request("GET", path, reading(CornerMenu)))
        return Menu(
            site=self.config.shop,
            currency=menu.currency,
            imported_at=datetime.now(UTC),
            items=tuple(menu_item(item) for item in menu.items),
            groups=tuple(option_group(item) for item in menu.items if item.options),
        )

    def check(self) -> Exchange[Readiness]:
        """Corner reports whether the shop is open and whether its register is connected."""
        path = f"/shops/{path_segment(self.config.shop)}"
        shop = yield from ask(Request("GET", path, reading(CornerShop)))
        is_open = finding("shop open", shop.open, Reason.CLOSED)
        is_online = finding("register online", shop.register_online, Reason.REGISTER_OFFLINE)
        return Readiness(findings=(is_open, is_online))


def translate(order: Order, attempt: Attempt) -> dict[str, object]:
    """Return the order as Corner takes it. What has no field of its own goes into the note."""
    extras = [(charge.name, charge.amount) for charge in order.charges]
    extras += [(discount.name, -discount.amount) for discount in order.discounts]
    extras += [("Tip", order.tip), ("Tax", order.tax)]
    customer_name = order.customer.name if order.customer else ""
    notes = [destination(order), *attempt.remarks, order.note]
    return {
        "reference": order.id,
        "name": f"{order.code} {customer_name}".strip(),
        "phone": order.customer.phone if order.customer else None,
        "due": order.due_at.isoformat() if order.due_at else None,
        "note": "\n".join(note for note in notes if note),
        "lines": [
            {
                "item": line.item_id,
                "quantity": line.quantity,
                "price": line.unit_price,
                "note": line.note,
                "options": [
                    {"option": modifier.modifier_id, "quantity": modifier.quantity}
                    for modifier in line.modifiers
                ],
            }
            for line in order.lines
        ],
        "extras": [{"name": name, "amount": amount} for name, amount in extras if amount],
        "paid": order.total,
    }


def destination(order: Order) -> str:
    """Return where the order goes, for staff."""
    match order.fulfilment:
        case Delivery(address=address, instructions=instructions):
            return f"DELIVER TO: {address} {instructions}".strip()
        case DineIn(table=table):
            return f"TABLE {table}"
        case _:
            return ""


STATES = {
    "ACCEPTED": (PosState.ACCEPTED, Progress.ACCEPTED),
    "DONE": (PosState.ACCEPTED, Progress.COMPLETED),
    "REFUSED": (PosState.REJECTED, Progress.CANCELLED),
}


def pos_order(order: CornerOrder) -> PosOrder:
    """Return an order as Corner has it. An unknown status only means that Corner received it."""
    state, progress = STATES.get(order.status, (PosState.RECEIVED, Progress.NEW))
    return PosOrder(
        id=order.id,
        reference=order.reference,
        state=state,
        progress=progress,
        status=order.status,
        total=order.total,
    )


def menu_item(item: CornerItem) -> Item:
    """Return an item as a menu has it, with one variation."""
    variation = Variation(id=item.id, sku=item.sku, price=item.price, sold_out=item.sold_out)
    groups = (GroupUse(group_id=item.id),) if item.options else ()
    return Item(id=item.id, name=item.name, variations=(variation,), groups=groups)


def option_group(item: CornerItem) -> ModifierGroup:
    """Return an item's options as a modifier group."""
    options = [
        ModifierOption(id=option.id, name=option.name, price=option.price)
        for option in item.options
    ]
    return ModifierGroup(id=item.id, name=f"{item.name} options", options=tuple(options))


def finding(what: str, ok: bool, reason: Reason) -> Finding:
    """Return a finding. If it isn't `ok`, the store must act, and `reason` stops orders."""
    return Finding.of(what, ok, "yes" if ok else "no", Actor.STORE, reason)
