"""Lightspeed Kounta (O-Series), simulated: a real HTTP server with one company's state.

    from tillpost.simulator import serve_in_thread
    from tillpost_simulators.kounta import KountaSimulator

    with serve_in_thread(KountaSimulator()) as running:
        ...                                    # running.url, running.settings
        running.simulator.recreate_product(7302)
        running.simulator.ledger().shown

No specification of Kounta is public in machine-readable form. What the vendor's pages leave out is
read from samples and third-party code, and where these are silent too a comment `# unconfirmed:`
says what would settle it; most of it can be set in `KountaSettings`.
"""

from tillpost_simulators.kounta.settings import KountaSettings
from tillpost_simulators.kounta.simulator import KountaSimulator
from tillpost_simulators.kounta.webhooks import Sent

__all__ = ["KountaSettings", "KountaSimulator", "Sent"]
