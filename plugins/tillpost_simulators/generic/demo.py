"""The scenarios of `tillpost demo` for the generic format.

`tillpost.demo.run` runs them on the simulator. Their orders are for items of its menu.
"""

from __future__ import annotations

from collections.abc import Sequence

from tillpost import MenuError, PermissionsError, Policy, RegisterOfflineError, StoreClosedError
from tillpost.demo.scenarios import Scenario, paid_order, post_fault, sold_out, stale_menu
from tillpost.models.order import DineIn
from tillpost.simulator import FaultKind
from tillpost_simulators.generic import GenericSimulator

__all__ = ["scenarios"]

_BLT = "5312"
_CREATE = r"/orders$"


def scenarios() -> Sequence[Scenario[GenericSimulator]]:
    """Return the scenarios. Their orders are placed now."""
    return (
        Scenario(
            name="A healthy order to a table",
            provoked="Nothing. When the order arrives, staff accept it.",
            expected="It is on the register for table 7, and its status is the POS's own term.",
            order=paid_order(1, tip=100, fulfilment=DineIn(table="7")),
            staff=lambda pos: pos.staff_accept("demo-1"),
            staff_reads=("Mia Chen", "Flat white", "TABLE 7", "in the kitchen"),
        ),
        Scenario(
            name="A lost answer",
            provoked="The POS makes the order, but its answer is lost on the way back.",
            expected="The same request is sent again with the same key: the order exists once.",
            order=paid_order(2),
            faults=(post_fault(FaultKind.LOST_ANSWER, _CREATE),),
        ),
        stale_menu(3, lambda pos: pos.recreate_variation("7310")),
        Scenario(
            name="A total that differs",
            provoked="The toastie costs more at the store than the customer paid.",
            expected="The POS compares the totals first, and a MenuError says which price differs.",
            order=paid_order(4),
            provoke=lambda pos: pos.change_price(_BLT, 1500),
            restore=lambda pos: pos.change_price(_BLT, 1450),
            error=MenuError,
            staff_reads=("BLT toastie (line 2)",),
        ),
        sold_out(5, lambda pos, out: pos.sell_out("6105", out)),
        Scenario(
            name="A table that was removed",
            provoked="The store removes table 7.",
            expected="The order isn't sent, and a MenuError says that the table no longer exists.",
            order=paid_order(6, fulfilment=DineIn(table="7")),
            provoke=lambda pos: pos.remove_table("7"),
            import_menu_first=True,
            error=MenuError,
            staff_reads=("Table 7",),
        ),
        Scenario(
            name="A store that is closed",
            provoked="The store stops taking online orders.",
            expected="A StoreClosedError says: open the store again, or refund what was paid.",
            order=paid_order(7),
            provoke=lambda pos: pos.open_store(is_open=False),
            restore=lambda pos: pos.open_store(),
            error=StoreClosedError,
            staff_reads=("takes no online orders",),
        ),
        Scenario(
            name="A register that is offline",
            provoked="The register loses its connection.",
            expected="A RegisterOfflineError says what to check at the register.",
            order=paid_order(8),
            provoke=lambda pos: pos.connect_register(online=False),
            restore=lambda pos: pos.connect_register(),
            policy=Policy(retries=0),
            error=RegisterOfflineError,
            staff_reads=("register isn't connected",),
        ),
        Scenario(
            name="A wrong signature",
            provoked="The POS changes the signing key, and the ordering site has the old one.",
            expected="A PermissionsError says that the access was changed or withdrawn.",
            order=paid_order(9),
            provoke=lambda pos: pos.change_signing_key("another-key-that-is-not-real"),
            error=PermissionsError,
            staff_reads=("it was changed or withdrawn",),
        ),
    )
