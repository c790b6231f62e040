"""Square, simulated: a real HTTP server with one merchant's state, which keeps every rule of Square's that is known.

    from tillpost.simulator import serve_in_thread
    from tillpost_simulators.square import SquareSimulator

    with serve_in_thread(SquareSimulator()) as running:
        ...                                    # running.url, running.settings
        running.simulator.recreate_variation("7302")
        running.simulator.ledger().shown

Where Square's documents are silent it does the strictest plausible thing, and a comment `#
unconfirmed:` says so. Webhooks, refunds, card payments, shipments and discounts from the catalogue
are not simulated.
"""

from tillpost_simulators.square.simulator import SquareSimulator
from tillpost_simulators.square.world import WorldSettings

__all__ = ["SquareSimulator", "WorldSettings"]
