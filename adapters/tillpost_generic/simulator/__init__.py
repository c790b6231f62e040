"""A simulated POS that serves the generic format: a store with a menu, a register and staff, and its API.

with serve_in_thread(GenericSimulator()) as running:
    Till.connect("generic", **running.settings)
"""

from tillpost_generic.simulator.simulator import GenericSimulator
from tillpost_generic.simulator.world import WorldSettings

__all__ = ["GenericSimulator", "WorldSettings"]
