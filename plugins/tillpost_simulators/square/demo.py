"""The demo of `tillpost demo`, for Square: ten orders, played on the Square simulator by `tillpost.demo.scenarios`.

Each row says what is provoked and what is expected. The orders come out of the simulator's own
menu.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from tillpost import MenuError, PermissionsError, Policy, TaxError
from tillpost.demo.scenarios import Scenario, drifted, paid, post_fault, sold_out
from tillpost.models.order import Address, Charge, Delivery
from tillpost.simulator import FaultKind
from tillpost_simulators.square import SquareSimulator

__all__ = ["scenarios"]

_BLT = "5312"
_SECOND_TAX = "TAX-SURCHARGE"
_ADDRESS = Address(
    line1="12/8 Wattle St", city="Ultimo", region="NSW", postcode="2007", country="AU"
)
_CREATE, _PAY = r"/v2/orders$", r"/v2/payments$"


def scenarios() -> Sequence[Scenario[SquareSimulator]]:
    """Return the ten orders, placed now."""
    return (
        Scenario(
            name="A healthy order",
            provoked="Nothing.",
            expected="Two flat whites with oat milk and a toastie are on the register, paid.",
            order=paid(1, tip=100),
            tells=("Mia Chen", "Flat white", "BLT toastie"),
        ),
        Scenario(
            name="A delivery, due later",
            provoked="Square's Point of Sale doesn't show deliveries without a partnership.",
            expected="It is on the register, with the address where staff see it.",
            order=paid(
                2,
                fulfilment=Delivery(
                    due_at=datetime.now(UTC) + timedelta(hours=2), address=_ADDRESS
                ),
                charges=(Charge(kind="delivery", name="Delivery", amount=700),),
            ),
            tells=(str(_ADDRESS),),
        ),
        drifted(3, lambda square: square.recreate_variation("7310")),
        Scenario(
            name="A lost answer",
            provoked="Square makes the order and takes the payment, but both answers are lost on the way back.",
            expected="The requests are sent again under the same keys: the order is there once.",
            order=paid(4),
            faults=(
                post_fault(FaultKind.LOST_ANSWER, _CREATE),
                post_fault(FaultKind.LOST_ANSWER, _PAY),
            ),
        ),
        Scenario(
            name="An outage that passes",
            provoked="Square answers 503, and then 429: too many requests, come back in a second.",
            expected="It is tried again by itself, no sooner than Square asked, and the order arrives.",
            order=paid(5),
            faults=(
                post_fault(FaultKind.SERVER_ERROR, _CREATE, status=503),
                post_fault(FaultKind.RATE_LIMITED, _PAY, retry_after=1),
            ),
        ),
        Scenario(
            name="A price that differs",
            provoked="The toastie costs more in Square than the customer paid.",
            expected="The order is withdrawn before anyone sees it, and a MenuError says which price differs.",
            order=paid(6),
            provoke=lambda square: square.change_price(_BLT, 1500),
            error=MenuError,
            tells=("BLT toastie (line 2)",),
        ),
        Scenario(
            name="A price kept as paid",
            provoked="The same difference, on a connection whose policy is to keep the paid price.",
            expected="The order is on the register for what the customer paid, and its note says so.",
            order=paid(7),
            mend=lambda square: square.change_price(_BLT, 1450),
            policy=Policy(prices="keep_paid"),
            tells=("Price kept as paid",),
        ),
        sold_out(8, lambda square, out: square.sell_out("6105", out)),
        Scenario(
            name="A second tax",
            provoked="The store sets up its weekend surcharge as a tax on every item.",
            expected="The order is withdrawn, and a TaxError names both taxes.",
            order=paid(9),
            provoke=lambda square: square.add_tax("Weekend surcharge", "10", tax_id=_SECOND_TAX),
            mend=lambda square: square.remove_tax(_SECOND_TAX),
            error=TaxError,
            tells=("GST", "Weekend surcharge"),
        ),
        Scenario(
            name="A revoked token",
            provoked="The person who connected Square is removed, and the access token is revoked.",
            expected="A PermissionsError says that somebody else has to connect Square again.",
            order=paid(10),
            provoke=lambda square: square.revoke_token(),
            mend=lambda square: square.revoke_token(revoked=False),
            error=PermissionsError,
            tells=("reconnect the store",),
        ),
    )
