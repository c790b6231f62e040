"""A simulated POS that serves the generic format.

It is one store with a menu, a register and staff.

    with serve_in_thread(GenericSimulator()) as running:
        Till.connect("generic", **running.settings)

Modules:

    simulator       the API: its addresses, access checks and operations
    world           the state of the store, its settings, and refusals
    stock           the menu that the store starts with
    order_check     whether an order fits the menu
    order_pricing   what an order comes to
    register        the ledger: orders as staff see them
    actions         what tests and people can change while it runs
    demo            the scenarios of `tillpost demo`
"""

from tillpost_simulators.generic.simulator import GenericSimulator
from tillpost_simulators.generic.world import WorldSettings

__all__ = ["GenericSimulator", "WorldSettings"]
