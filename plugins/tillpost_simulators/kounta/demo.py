"""The scenarios of `tillpost demo` for Kounta.

`tillpost.demo.run` runs them on the simulator. Their orders are for items of its menu. An order is
looked up sooner than on a real connection, so that the demo ends soon.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from tillpost import (
    MenuError,
    PermissionsError,
    Policy,
    RegisterOfflineError,
    StoreClosedError,
    TaxError,
)
from tillpost.demo.scenarios import Scenario, paid_order, stale_menu
from tillpost.models.order import Charge, Discount, Line
from tillpost_simulators.kounta import KountaSimulator

__all__ = ["scenarios"]

_MUFFIN = 6105
_BLT = 5312
_GST = 829
_OTHER_TAX = 844
_SETTINGS: Mapping[str, object] = {
    "charge_products": {"surcharge": "9001", "delivery": "9002"},
    "tip_product": "9003",
    "discount_product": "9004",
    "look_after": (0.3, 0.3, 0.3, 0.3),
    "import_pace": 0,
}
_NO_COOLDOWN = Policy(import_cooldown=0)


def scenarios() -> Sequence[Scenario[KountaSimulator]]:
    """Return the scenarios. Their orders are placed now."""
    scenario = partial(Scenario[KountaSimulator], settings=_SETTINGS)
    return (
        scenario(
            name="A healthy order",
            provoked="Nothing. Charges, discounts and tips are products: Kounta has no fields.",
            expected="The order is on the register, and Kounta's total is what was paid.",
            order=paid_order(
                1,
                tip=100,
                charges=(Charge(kind="surcharge", name="Weekend surcharge", amount=271),),
                discounts=(Discount(name="WELCOME", amount=200),),
            ),
            staff_reads=("Mia Chen", "Flat white", "Weekend surcharge", "Tip"),
        ),
        scenario(
            name="An answer without content",
            provoked="Kounta creates the order, answers `null`, and lists it half a second later.",
            expected="Without an idempotency key, the order is looked up and not sent twice.",
            order=paid_order(2),
            provoke=_answer_without_content,
            restore=lambda kounta: kounta.set_lag(),
        ),
        stale_menu(
            3,
            lambda kounta: kounta.recreate_product(7310),
            settings=_SETTINGS,
            restore=_restart_budget,
            policy=_NO_COOLDOWN,
        ),
        scenario(
            name="A product taken off the site",
            provoked="The store removes its muffins from this site, not from the company's menu.",
            expected="Kounta refuses the product; after an import, a MenuError names the muffin.",
            order=paid_order(
                4,
                (Line(item_id=str(_MUFFIN), name="Blueberry muffin", quantity=1, unit_price=520),),
            ),
            provoke=lambda kounta: kounta.withdraw(_MUFFIN),
            restore=_restart_budget,
            policy=_NO_COOLDOWN,
            error=MenuError,
            staff_reads=("Blueberry muffin (line 1)",),
        ),
        scenario(
            name="A second tax",
            provoked="The store adds a tax to its toastie. Kounta accepts the order and adds it.",
            expected="A TaxError names the taxes to correct. The order isn't sent again.",
            order=paid_order(5),
            provoke=lambda kounta: kounta.set_taxes_of(_BLT, [_GST, _OTHER_TAX]),
            restore=lambda kounta: kounta.set_taxes_of(_BLT, [_GST]),
            error=TaxError,
            shown=True,
            staff_reads=("GST", "Wine Equalisation Tax", "mustn't be sent again"),
        ),
        scenario(
            name="A register that is offline",
            provoked="Dockets print automatically, and the register that prints them is offline.",
            expected="A RegisterOfflineError is raised before anything is sent.",
            order=paid_order(6),
            provoke=lambda kounta: kounta.switch_register(online=False),
            restore=lambda kounta: kounta.switch_register(online=True),
            settings={**_SETTINGS, "pass_thru_printing": True},
            policy=Policy(retries=0),
            error=RegisterOfflineError,
            staff_reads=("switched on",),
        ),
        scenario(
            name="Online ordering switched off",
            provoked="The site is overwhelmed, and staff switch online ordering off.",
            expected="A StoreClosedError says: switch it on again, or refund what was paid.",
            order=paid_order(7),
            provoke=lambda kounta: kounta.switch_ordering(online=False),
            restore=lambda kounta: kounta.switch_ordering(online=True),
            error=StoreClosedError,
            staff_reads=("Switch online ordering on again",),
        ),
        scenario(
            name="Staff reject the order",
            provoked="The order chimes at the register as SUBMITTED, and staff reject it.",
            expected="Its status is REJECTED: nobody cooks it, and the customer must be refunded.",
            order=paid_order(8),
            staff=lambda kounta: kounta.staff_reject("demo-8"),
            staff_reads=("REJECTED",),
            acts="the store: refund the customer.",
        ),
        scenario(
            name="A device that has stopped syncing",
            provoked="The site looks online, but its app has stopped fetching orders.",
            expected="Kounta has the order, but no register shows it: its status stays SUBMITTED.",
            order=paid_order(9),
            provoke=lambda kounta: kounta.stop_syncing(),
            restore=lambda kounta: kounta.stop_syncing(stopped=False),
            shown=False,
            staff_reads=("SUBMITTED",),
            acts=(
                "the store: check that the app at the register is open, online and in front; "
                "it then fetches the order."
            ),
        ),
        scenario(
            name="An expired token",
            provoked="The access token expires, without a refresh token. Kounta answers 400.",
            expected="A PermissionsError says: reconnect Kounta. No menu is imported.",
            order=paid_order(10),
            provoke=lambda kounta: kounta.expire_token(),
            error=PermissionsError,
            staff_reads=("reconnect the store",),
        ),
    )


def _restart_budget(kounta: KountaSimulator) -> None:
    """Give the token its whole budget of requests again; an import uses a third of it."""
    kounta.advance_clock(60)


def _answer_without_content(kounta: KountaSimulator) -> None:
    """Let Kounta answer the next order with `null` only, and list it later."""
    kounta.set_lag(list_seconds=0.5)
    kounta.leave_location_out()
