"""The demo of `tillpost demo`, for Square: ten orders, played on the Square simulator by `tillpost.cli.scenarios`.

Each row says what is provoked and what is expected. The orders come out of the simulator's own menu.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tillpost import MenuError, Order, PermissionsError, Policy, TaxError
from tillpost.cli.scenarios import Scenario
from tillpost.order import Address, Charge, Customer, Delivery, Line, Modifier, Payment
from tillpost.simulator import Fault, FaultKind, FaultRule
from tillpost_square.simulator import SquareSimulator

__all__ = ["scenarios"]

_FLAT_WHITE, _LONG_BLACK, _OAT_MILK, _BLT, _MUFFIN = "7302", "7310", "228", "5312", "6105"
_SECOND_TAX = "TAX-SURCHARGE"
_ADDRESS = Address(line1="12/8 Wattle St", city="Ultimo", region="NSW", postcode="2007", country="AU")
_CREATE, _PAY = r"/v2/orders$", r"/v2/payments$"


def scenarios() -> Sequence[Scenario[SquareSimulator]]:
    """Return the ten orders, placed now."""
    return (
        Scenario(
            name="A healthy order",
            provoked="Nothing.",
            expected="Two flat whites with oat milk and a toastie are on the register, paid.",
            order=_order(1, tip=100),
            tells=("Mia Chen", "Flat white", "BLT toastie"),
        ),
        Scenario(
            name="A delivery, due later",
            provoked="Square's Point of Sale doesn't show deliveries without a partnership.",
            expected="It is on the register, with the address where staff see it.",
            order=_order(
                2,
                fulfilment=Delivery(due_at=_now() + timedelta(hours=2), address=_ADDRESS),
                charges=(Charge(kind="delivery", name="Delivery", amount=700),),
            ),
            tells=(str(_ADDRESS),),
        ),
        Scenario(
            name="A menu that has drifted",
            provoked="The store makes its long black anew, so the id that the order names is gone.",
            expected="The menu is imported, the line is bound to the new id, and the order is sent once more.",
            order=_order(
                3, lines=(Line(item_id=_LONG_BLACK, sku="LB-R", name="Long black", quantity=1, unit_price=500),)
            ),
            provoke=lambda square: square.recreate_variation(_LONG_BLACK),
            tells=("Long black",),
        ),
        Scenario(
            name="A lost answer",
            provoked="Square makes the order and takes the payment, but both answers are lost on the way back.",
            expected="The requests are sent again under the same keys: the order is there once.",
            order=_order(4),
            faults=(_fault(FaultKind.LOST_ANSWER, _CREATE), _fault(FaultKind.LOST_ANSWER, _PAY)),
        ),
        Scenario(
            name="An outage that passes",
            provoked="Square answers 503, and then 429: too many requests, come back in a second.",
            expected="It is tried again by itself, no sooner than Square asked, and the order arrives.",
            order=_order(5),
            faults=(
                _fault(FaultKind.SERVER_ERROR, _CREATE, status=503),
                _fault(FaultKind.RATE_LIMITED, _PAY, retry_after=1),
            ),
        ),
        Scenario(
            name="A price that differs",
            provoked="The toastie costs more in Square than the customer paid.",
            expected="The order is withdrawn before anyone sees it, and a MenuError says which price differs.",
            order=_order(6),
            provoke=lambda square: square.change_price(_BLT, 1500),
            error=MenuError,
            tells=("BLT toastie (line 2)",),
        ),
        Scenario(
            name="A price kept as paid",
            provoked="The same difference, on a connection whose policy is to keep the paid price.",
            expected="The order is on the register for what the customer paid, and its note says so.",
            order=_order(7),
            mend=lambda square: square.change_price(_BLT, 1450),
            policy=Policy(prices="keep_paid"),
            tells=("Price kept as paid",),
        ),
        Scenario(
            name="Something sold out",
            provoked="The store marks its muffins as sold out.",
            expected="The order isn't sent, and a MenuError names the muffin.",
            order=_order(8, lines=(Line(item_id=_MUFFIN, name="Blueberry muffin", quantity=1, unit_price=520),)),
            provoke=lambda square: square.sell_out(_MUFFIN),
            mend=lambda square: square.sell_out(_MUFFIN, sold_out=False),
            menu_first=True,
            error=MenuError,
            tells=("Blueberry muffin (line 1)", "sold out"),
        ),
        Scenario(
            name="A second tax",
            provoked="The store sets up its weekend surcharge as a tax on every item.",
            expected="The order is withdrawn, and a TaxError names both taxes.",
            order=_order(9),
            provoke=lambda square: square.add_tax("Weekend surcharge", "10", tax_id=_SECOND_TAX),
            mend=lambda square: square.remove_tax(_SECOND_TAX),
            error=TaxError,
            tells=("GST", "Weekend surcharge"),
        ),
        Scenario(
            name="A revoked token",
            provoked="The person who connected Square is removed, and the access token is revoked.",
            expected="A PermissionsError says that somebody else has to connect Square again.",
            order=_order(10),
            provoke=lambda square: square.revoke_token(),
            mend=lambda square: square.revoke_token(revoked=False),
            error=PermissionsError,
            tells=("connect it again",),
        ),
    )


def _order(number: int, lines: tuple[Line, ...] = (), **more: Any) -> Order:
    """Return a paid order; without lines of its own, two flat whites with oat milk and a toastie."""
    oat_milk = Modifier(modifier_id=_OAT_MILK, name="Oat milk", unit_price=80)
    lines = lines or (
        Line(item_id=_FLAT_WHITE, sku="FW-R", name="Flat white", quantity=2, unit_price=550, modifiers=(oat_milk,)),
        Line(item_id=_BLT, sku="BLT", name="BLT toastie", quantity=1, unit_price=1450),
    )
    total = sum(line.total for line in lines) + sum(charge.amount for charge in more.get("charges", ()))
    return Order(
        id=f"demo-{number}",
        code=f"D{number}",
        placed_at=_now(),
        currency="AUD",
        customer=Customer(name="Mia Chen", phone="+61400111222"),
        lines=lines,
        payments=(Payment(method="card", amount=total + more.get("tip", 0)),),
        **more,
    )


def _fault(kind: FaultKind, path: str, **more: Any) -> FaultRule:
    return FaultRule(method="POST", path=path, fault=Fault(kind=kind, **more))


def _now() -> datetime:
    return datetime.now(UTC)
