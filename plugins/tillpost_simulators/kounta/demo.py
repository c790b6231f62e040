"""The demo of `tillpost demo`, for Kounta: orders played on the Kounta simulator by `tillpost.demo.scenarios`.

Each row says what is provoked and what is expected. The orders come out of the simulator's own
menu. The schedule by which an order is looked for is shorter here than a real connection's, so that
the demo ends soon.
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
from tillpost.demo.scenarios import Scenario, drifted, paid
from tillpost.models.order import Charge, Discount, Line
from tillpost_simulators.kounta import KountaSimulator

__all__ = ["scenarios"]

_MUFFIN, _BLT, _GST, _OTHER_TAX = 6105, 5312, 829, 844
_SETTINGS: Mapping[str, object] = {
    "charge_products": {"surcharge": "9001", "delivery": "9002"},
    "tip_product": "9003",
    "discount_product": "9004",
    "look_after": (0.3, 0.3, 0.3, 0.3),
    "import_pace": 0,
}
_HEALING = Policy(import_cooldown=0)


def scenarios() -> Sequence[Scenario[KountaSimulator]]:
    """Return the orders, placed now."""
    scenario = partial(Scenario[KountaSimulator], settings=_SETTINGS)
    return (
        scenario(
            name="A healthy order",
            provoked="Nothing. Kounta has no field for a charge, a discount or a tip, so each goes in as a product.",
            expected="The order is on the register, and what Kounta computes without tax comes to what was paid.",
            order=paid(
                1,
                tip=100,
                charges=(Charge(kind="surcharge", name="Weekend surcharge", amount=271),),
                discounts=(Discount(name="WELCOME", amount=200),),
            ),
            tells=("Mia Chen", "Flat white", "Weekend surcharge", "Tip"),
        ),
        scenario(
            name="An answer that says nothing",
            provoked="Kounta makes the order and answers `null`, and lists it only half a second later.",
            expected="It takes no key, so the order is looked for until it shows, and not sent twice.",
            order=paid(2),
            provoke=_say_nothing,
            mend=lambda kounta: kounta.set_lag(),
        ),
        drifted(
            3,
            lambda kounta: kounta.recreate_product(7310),
            settings=_SETTINGS,
            mend=_let_a_minute_pass,
            policy=_HEALING,
        ),
        scenario(
            name="A product taken off the site",
            provoked="The store takes its muffins off this site; they are on the company's menu still.",
            expected="Kounta refuses the product, an import doesn't find it, and a MenuError names the muffin.",
            order=paid(
                4,
                (Line(item_id=str(_MUFFIN), name="Blueberry muffin", quantity=1, unit_price=520),),
            ),
            provoke=lambda kounta: kounta.withdraw(_MUFFIN),
            mend=_let_a_minute_pass,
            policy=_HEALING,
            error=MenuError,
            tells=("Blueberry muffin (line 1)",),
        ),
        scenario(
            name="A second tax",
            provoked="The store puts another tax on its toastie. Kounta refuses nothing: it adds the tax up.",
            expected="The order is read back, and a TaxError names the taxes to be corrected. It isn't sent again.",
            order=paid(5),
            provoke=lambda kounta: kounta.set_taxes_of(_BLT, [_GST, _OTHER_TAX]),
            mend=lambda kounta: kounta.set_taxes_of(_BLT, [_GST]),
            error=TaxError,
            shown=True,
            tells=("GST", "Wine Equalisation Tax", "mustn't be sent again"),
        ),
        scenario(
            name="A register that is offline",
            provoked="Dockets print without a touch, and the register that prints them is offline.",
            expected="A RegisterOfflineError says so before anything is sent.",
            order=paid(6),
            provoke=lambda kounta: kounta.switch_register(online=False),
            mend=lambda kounta: kounta.switch_register(online=True),
            settings={**_SETTINGS, "pass_thru_printing": True},
            policy=Policy(retries=0),
            error=RegisterOfflineError,
            tells=("switched on",),
        ),
        scenario(
            name="Online ordering switched off",
            provoked="The site is overwhelmed, and staff switch online ordering off.",
            expected="A StoreClosedError says that the store has to switch it on again, or pay the customer back.",
            order=paid(7),
            provoke=lambda kounta: kounta.switch_ordering(online=False),
            mend=lambda kounta: kounta.switch_ordering(online=True),
            error=StoreClosedError,
            tells=("Switch online ordering on again",),
        ),
        scenario(
            name="Staff turn it down",
            provoked="The order chimes at the register as SUBMITTED, and staff reject it.",
            expected="Its status is REJECTED: nobody cooks it, and the customer has to be paid back.",
            order=paid(8),
            staff=lambda kounta: kounta.staff_reject("demo-8"),
            tells=("REJECTED",),
            acts="the store: pay the customer back.",
        ),
        scenario(
            name="A device that has stopped syncing",
            provoked="The site looks online, but its app has stopped fetching orders.",
            expected="Kounta has the order and no register shows it: it stays SUBMITTED, which proves nothing.",
            order=paid(9),
            provoke=lambda kounta: kounta.stop_syncing(),
            mend=lambda kounta: kounta.stop_syncing(stopped=False),
            shown=False,
            tells=("SUBMITTED",),
            acts="the store: see that the app at the register is open, online and in front; it then fetches the order.",
        ),
        scenario(
            name="An expired token",
            provoked="The access token expires, which Kounta tells with a status of 400, and nothing can renew it.",
            expected="A PermissionsError says that somebody has to connect Kounta again; the menu isn't imported.",
            order=paid(10),
            provoke=lambda kounta: kounta.expire_token(),
            error=PermissionsError,
            tells=("reconnect the store",),
        ),
    )


def _let_a_minute_pass(kounta: KountaSimulator) -> None:
    """Give the token its whole budget of requests again: an import takes a third of it."""
    kounta.advance_clock(60)


def _say_nothing(kounta: KountaSimulator) -> None:
    kounta.set_lag(list_seconds=0.5)
    kounta.leave_location_out()
