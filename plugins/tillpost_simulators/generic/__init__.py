"""A simulated POS that serves the generic format: a store with a menu, a register and staff, and its API.

with serve_in_thread(GenericSimulator()) as running:
    Till.connect("generic", **running.settings)
"""

from tillpost_simulators.generic.simulator import GenericSimulator
from tillpost_simulators.generic.world import WorldSettings

__all__ = ["GenericSimulator", "WorldSettings"]
