"""The demo of `tillpost demo`, for the generic format: orders played on its simulator by `tillpost.demo.scenarios`.

Each row says what is provoked and what is expected. The orders come out of the simulator's own
menu.
"""

from __future__ import annotations

from collections.abc import Sequence

from tillpost import MenuError, PermissionsError, Policy, RegisterOfflineError, StoreClosedError
from tillpost.demo.scenarios import Scenario, drifted, paid, post_fault, sold_out
from tillpost.models.order import DineIn
from tillpost.simulator import FaultKind
from tillpost_simulators.generic import GenericSimulator

__all__ = ["scenarios"]

_BLT = "5312"
_CREATE = r"/orders$"


def scenarios() -> Sequence[Scenario[GenericSimulator]]:
    """Return the orders, placed now."""
    return (
        Scenario(
            name="A healthy order to a table",
            provoked="Nothing. When it is there, staff take it on.",
            expected="It is on the register for table 7, and its status is the POS's own word for it.",
            order=paid(1, tip=100, fulfilment=DineIn(table="7")),
            staff=lambda pos: pos.staff_accept("demo-1"),
            tells=("Mia Chen", "Flat white", "TABLE 7", "in the kitchen"),
        ),
        Scenario(
            name="A lost answer",
            provoked="The POS makes the order, but its answer is lost on the way back.",
            expected="The very same request is sent again under the same key: the order is there once.",
            order=paid(2),
            faults=(post_fault(FaultKind.LOST_ANSWER, _CREATE),),
        ),
        drifted(3, lambda pos: pos.recreate_variation("7310")),
        Scenario(
            name="A total that differs",
            provoked="The toastie costs more at the store than the customer paid.",
            expected="The POS compares the totals before it makes anything, and a MenuError says which price differs.",
            order=paid(4),
            provoke=lambda pos: pos.change_price(_BLT, 1500),
            mend=lambda pos: pos.change_price(_BLT, 1450),
            error=MenuError,
            tells=("BLT toastie (line 2)",),
        ),
        sold_out(5, lambda pos, out: pos.sell_out("6105", out)),
        Scenario(
            name="A table that is gone",
            provoked="The store takes table 7 away.",
            expected="The order isn't sent, and a MenuError says that there is no such table any more.",
            order=paid(6, fulfilment=DineIn(table="7")),
            provoke=lambda pos: pos.remove_table("7"),
            menu_first=True,
            error=MenuError,
            tells=("Table 7",),
        ),
        Scenario(
            name="A store that is closed",
            provoked="The store stops taking online orders.",
            expected="A StoreClosedError says that the store has to open again, or pay the customer back.",
            order=paid(7),
            provoke=lambda pos: pos.open_store(is_open=False),
            mend=lambda pos: pos.open_store(),
            error=StoreClosedError,
            tells=("takes no online orders",),
        ),
        Scenario(
            name="A register that is offline",
            provoked="The register loses its connection.",
            expected="A RegisterOfflineError says what to see to at the register.",
            order=paid(8),
            provoke=lambda pos: pos.connect_register(online=False),
            mend=lambda pos: pos.connect_register(),
            policy=Policy(retries=0),
            error=RegisterOfflineError,
            tells=("register isn't connected",),
        ),
        Scenario(
            name="A wrong signature",
            provoked="The POS changes the signing key, and nobody tells the ordering site.",
            expected="A PermissionsError says that somebody has to connect the POS again.",
            order=paid(9),
            provoke=lambda pos: pos.change_signing_key("another-key-that-is-not-real"),
            error=PermissionsError,
            tells=("reconnect the store",),
        ),
    )
