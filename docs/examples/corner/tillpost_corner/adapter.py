"""The Corner POS adapter: everything that Tillpost needs to know of the platform, in one file."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import quote

from pydantic import BaseModel, ValidationError

from tillpost.adapter import (
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
    reading,
    to_body,
)


class CornerSettings(AdapterSettings):
    """What a connection needs, beside `base_url` and `access_token`."""

    shop: str


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


class Corner(Adapter[CornerSettings]):
    """Corner POS. It honours no idempotency keys, so core looks before it sends."""

    platform = "corner"
    title = "Corner POS"
    settings = CornerSettings
    public_fields = frozenset({"shop", "reference", "item", "option", "sku"})
    errors = (
        Row(PermissionsError, codes=frozenset({"BAD_TOKEN"})),
        Row(MenuError, codes=frozenset({"NO_SUCH_ITEM"}), text=r"line (?P<line>\d+)", reason="gone"),
        Row(MenuError, codes=frozenset({"SOLD_OUT"}), text=r"line (?P<line>\d+)", reason="sold_out"),
        Row(StoreClosedError, codes=frozenset({"CLOSED"})),
        Row(RegisterOfflineError, codes=frozenset({"REGISTER_OFFLINE"})),
        Row(OrderError, codes=frozenset({"BAD_ORDER"})),
    )

    def problems(self, response: Response) -> Sequence[Problem]:
        """Corner sends one complaint at a time: {"error": {"code": ..., "message": ...}}."""
        if b'"error"' not in response.body:
            return ()
        try:
            error = CornerRefusal.model_validate_json(response.body).error
        except ValidationError:
            return ()
        return [Problem(code=error.code, text=error.message)]

    def submit(self, order: Order, attempt: Attempt) -> Exchange[PosOrder]:
        """One call makes the order, paid."""
        body = to_body(shop=self.config.shop, **translate(order, attempt))
        made = yield from ask(Request("POST", "/orders", reading(CornerOrder), body, Effect.CREATE))
        return pos_order(made)

    def find(self, order: Order, since: float | None) -> Exchange[Found]:
        """Corner finds an order by its reference."""
        path = f"/orders?shop={quote(self.config.shop)}&reference={quote(order.id)}"
        found = (yield from ask(Request("GET", path, reading(CornerOrders)))).orders
        return pos_order(found[0]) if found else None

    def fetch(self, pos_id: str) -> Exchange[PosOrder]:
        """Corner says ACCEPTED once the register has shown the order."""
        return pos_order((yield from ask(Request("GET", f"/orders/{quote(pos_id, safe='')}", reading(CornerOrder)))))

    def import_menu(self) -> Exchange[Menu]:
        """Corner sends the whole menu at once. An item's options become one modifier group."""
        menu = yield from ask(Request("GET", f"/shops/{quote(self.config.shop)}/menu", reading(CornerMenu)))
        return Menu(
            site=self.config.shop,
            currency=menu.currency,
            imported_at=datetime.now(UTC),
            items=tuple(
                Item(
                    id=item.id,
                    name=item.name,
                    variations=(Variation(id=item.id, sku=item.sku, price=item.price, sold_out=item.sold_out),),
                    groups=(GroupUse(group_id=item.id),) if item.options else (),
                )
                for item in menu.items
            ),
            groups=tuple(
                ModifierGroup(
                    id=item.id,
                    name=f"{item.name} options",
                    options=tuple(ModifierOption(id=o.id, name=o.name, price=o.price) for o in item.options),
                )
                for item in menu.items
                if item.options
            ),
        )

    def check(self) -> Exchange[Readiness]:
        """Corner tells whether the shop is open and whether its register is connected."""
        shop = yield from ask(Request("GET", f"/shops/{quote(self.config.shop)}", reading(CornerShop)))
        is_open = finding("shop open", shop.open, Reason.CLOSED)
        return Readiness(findings=(is_open, finding("register online", shop.register_online, Reason.REGISTER_OFFLINE)))


def translate(order: Order, attempt: Attempt) -> dict[str, object]:
    """Return the order in Corner's words. Nothing is dropped: what has no field of its own goes into the note."""
    extras = [(c.name, c.amount) for c in order.charges] + [(d.name, -d.amount) for d in order.discounts]
    extras += [("Tip", order.tip), ("Tax", order.tax)]
    return {
        "reference": order.id,
        "name": f"{order.code} {order.customer.name if order.customer else ''}".strip(),
        "phone": order.customer.phone if order.customer else None,
        "due": order.due_at.isoformat() if order.due_at else None,
        "note": "\n".join(part for part in (where(order), *attempt.remarks, order.note) if part),
        "lines": [
            {
                "item": line.item_id,
                "quantity": line.quantity,
                "price": line.unit_price,
                "note": line.note,
                "options": [{"option": m.modifier_id, "quantity": m.quantity} for m in line.modifiers],
            }
            for line in order.lines
        ],
        "extras": [{"name": name, "amount": amount} for name, amount in extras if amount],
        "paid": order.total,
    }


def where(order: Order) -> str:
    """Say where the order goes, for staff."""
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


def pos_order(o: CornerOrder) -> PosOrder:
    """Return an order as Corner has it. A status we don't know says only that Corner has received it."""
    state, progress = STATES.get(o.status, (PosState.RECEIVED, Progress.NEW))
    return PosOrder(id=o.id, reference=o.reference, state=state, progress=progress, status=o.status, total=o.total)


def finding(what: str, ok: bool, reason: Reason) -> Finding:
    """Return one thing that was looked at, with who has to move, and why the shop takes no orders, when it isn't ok."""
    return Finding.of(what, ok, "yes" if ok else "no", Actor.STORE, reason)
