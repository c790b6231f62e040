"""The JSON that a POS serves and is sent, beside orders and menus.

Orders and menus travel as they are. The page for a POS's developer (`docs/generic`) describes these
models, and `openapi.py` writes them as an OpenAPI document.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from tillpost.adapter import (
    Amount,
    Item,
    ModifierGroup,
    ModifierOption,
    Order,
    PosState,
    Progress,
    SetupFault,
    Tax,
    Variation,
)

__all__ = ["MENU_OBJECTS", "Health", "NewOrder", "PosStatus", "ProblemDetails"]

MENU_OBJECTS = {
    "items": Item,
    "items.variations": Variation,
    "groups": ModifierGroup,
    "groups.options": ModifierOption,
    "taxes": Tax,
    "tables": str,
    "faults": SetupFault,
}
"""The lists of a menu whose objects may be left out on their own.

One that can't be read costs no other.
"""


class NewOrder(BaseModel):
    """An order to create.

    With `keep_paid` its prices override the menu's. `remarks` go on the docket.
    """

    order: Order
    expected_total: Amount
    keep_paid: bool = False
    remarks: tuple[str, ...] = ()


class PosStatus(BaseModel):
    """An order as the POS has it.

    `status` is the POS's own name for its state. `total` and `tax`, in minor units, are what the
    POS computed. `tax` is all tax in the total, whether prices include it or not. It may be left
    out.
    """

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._~-]{0,99}$")]
    reference: str
    total: Amount
    tax: Amount | None = None
    state: PosState = PosState.RECEIVED
    progress: Progress = Progress.NEW
    status: str = ""
    notices: tuple[str, ...] = ()


class Health(BaseModel):
    """Whether the store takes online orders, and whether its register is connected.

    `message` is for staff. `currency` is what the store sells in.
    """

    store_open: bool
    register_online: bool
    message: str = ""
    currency: str = ""


class ProblemDetails(BaseModel):
    """The reason why a request is refused (RFC 9457).

    `kind` is the name of an error class. `lines` count from 0. `item` is the id of an item or
    option of the order. `order_field` is a field of it that it can do without.
    """

    kind: str
    detail: str = ""
    lines: tuple[Annotated[int, Field(ge=0)], ...] = ()
    item: str = ""
    reason: Literal[
        "",
        "gone",
        "sold_out",
        "price",
        "net_price",
        "choices",
        "quantity",
        "table",
        "rounding",
        "currency",
        "tax_terms",
        "scopes",
    ] = ""
    order_field: Literal[
        "",
        "customer",
        "customer.name",
        "customer.phone",
        "customer.email",
        "due_at",
        "fulfilment.address",
        "fulfilment.address.line2",
        "fulfilment.address.city",
        "fulfilment.address.region",
        "fulfilment.address.postcode",
        "fulfilment.address.country",
        "fulfilment.curbside",
        "fulfilment.guests",
        "fulfilment.instructions",
        "fulfilment.table",
    ] = ""
    retry_after: Annotated[float, Field(ge=0, le=10**9)] | None = None
