"""The scenarios of `tillpost demo` for Square.

`tillpost.demo.run` runs them on the simulator. Their orders are for items of its menu.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from tillpost import MenuError, PermissionsError, Policy, TaxError
from tillpost.demo.scenarios import Scenario, paid_order, post_fault, sold_out, stale_menu
from tillpost.models.order import Address, Charge, Delivery
from tillpost.simulator import FaultKind
from tillpost_simulators.square import SquareSimulator

__all__ = ["scenarios"]

_BLT = "5312"
_SECOND_TAX = "TAX-SURCHARGE"
_ADDRESS = Address(
    line1="12/8 Wattle St",
    city="Ultimo",
    region="NSW",
    postcode="2007",
    country="AU",
)
_CREATE = r"/v2/orders$"
_PAY = r"/v2/payments$"


def scenarios() -> Sequence[Scenario[SquareSimulator]]:
    """Return the scenarios. Their orders are placed now."""
    return (
        Scenario(
            name="A healthy order",
            provoked="Nothing.",
            expected="Two flat whites with oat milk and a toastie are on the register, paid.",
            order=paid_order(1, tip=100),
            staff_reads=("Mia Chen", "Flat white", "BLT toastie"),
        ),
        Scenario(
            name="A delivery, due later",
            provoked="Square's Point of Sale doesn't show deliveries without a partnership.",
            expected="The order is on the register, with the address where staff see it.",
            order=paid_order(
                2,
                fulfilment=Delivery(
                    due_at=datetime.now(UTC) + timedelta(hours=2), address=_ADDRESS
                ),
                charges=(Charge(kind="delivery", name="Delivery", amount=700),),
            ),
            staff_reads=(str(_ADDRESS),),
        ),
        stale_menu(3, lambda square: square.recreate_variation("7310")),
        Scenario(
            name="A lost answer",
            provoked="Square creates the order and takes the payment; both answers are lost.",
            expected="The requests are sent again with the same keys: the order exists once.",
            order=paid_order(4),
            faults=(
                post_fault(FaultKind.LOST_ANSWER, _CREATE),
                post_fault(FaultKind.LOST_ANSWER, _PAY),
            ),
        ),
        Scenario(
            name="An outage that passes",
            provoked="Square answers 503, and then 429 with a wait of one second.",
            expected="The requests are retried, not sooner than asked, and the order arrives.",
            order=paid_order(5),
            faults=(
                post_fault(FaultKind.SERVER_ERROR, _CREATE, status=503),
                post_fault(FaultKind.RATE_LIMITED, _PAY, retry_after=1),
            ),
        ),
        Scenario(
            name="A price that differs",
            provoked="The toastie costs more in Square than the customer paid.",
            expected="The order is withdrawn, and a MenuError says which price differs.",
            order=paid_order(6),
            provoke=lambda square: square.change_price(_BLT, 1500),
            error=MenuError,
            staff_reads=("BLT toastie (line 2)",),
        ),
        Scenario(
            name="A price kept as paid",
            provoked="The same difference, on a connection that keeps the paid price.",
            expected="The order is on the register for the paid amount, and its note says so.",
            order=paid_order(7),
            restore=lambda square: square.change_price(_BLT, 1450),
            policy=Policy(prices="keep_paid"),
            staff_reads=("Price kept as paid",),
        ),
        sold_out(8, lambda square, out: square.sell_out("6105", out)),
        Scenario(
            name="A second tax",
            provoked="The store sets up its weekend surcharge as a tax on every item.",
            expected="The order is withdrawn, and a TaxError names the tax and what it comes to.",
            order=paid_order(9),
            provoke=lambda square: square.add_tax("Weekend surcharge", "10", tax_id=_SECOND_TAX),
            restore=lambda square: square.remove_tax(_SECOND_TAX),
            error=TaxError,
            staff_reads=("Weekend surcharge", "service charge"),
        ),
        Scenario(
            name="A revoked token",
            provoked="The person who connected Square is removed, so the access token is revoked.",
            expected="A PermissionsError says that somebody else has to reconnect Square.",
            order=paid_order(10),
            provoke=lambda square: square.revoke_token(),
            restore=lambda square: square.revoke_token(revoked=False),
            error=PermissionsError,
            staff_reads=("reconnect the store",),
        ),
    )
