"""Square, simulated.

It is a real HTTP server with the state of one merchant and Square's known rules.

    from tillpost.simulator import serve_in_thread
    from tillpost_simulators.square import SquareSimulator

    with serve_in_thread(SquareSimulator()) as running:
        ...                                    # running.url, running.settings
        running.simulator.recreate_variation("7302")
        running.simulator.ledger().shown

Modules, from a request's arrival inwards:

    simulator           the addresses, and the checks that every request passes
    access              API versions, tokens and scopes, OAuth
    locations           operations: locations and the merchant
    catalogue_api       operations: list, search and retrieve catalogue objects
    orders              operations: create, calculate, retrieve and pay an order
    order_updates       operations: update an order
    order_search        operations: search orders
    payments            operations: payments that were taken elsewhere
    order_lines         an order's lines, checked against the catalogue
    order_adjustments   an order's discounts, service charges and taxes, checked and completed
    order_pricing       what an order comes to
    fulfilments         pickups and deliveries, and their states
    wire                Square's objects and their limits
    request_bodies      the bodies of requests, and the payment
    errors              refusals and their answers
    world               the state of the merchant, its settings, idempotency keys
    catalogue           the catalogue's objects
    catalogue_json      the catalogue's objects as JSON
    stock               the menu that it starts with
    clock               its clock; times and durations as Square writes them
    webhooks            webhooks of orders and the catalogue, as badly delivered as the settings say
    register            which orders staff see; the ledger
    actions             what tests and people can change while it runs
    demo                the scenarios of `tillpost demo`

Where Square's documents are silent, the simulator does the strictest plausible thing, and a comment
`# unconfirmed:` says so. Refunds, card payments, shipments and discounts from the catalogue are
not simulated.
"""

from tillpost_simulators.square.simulator import SquareSimulator
from tillpost_simulators.square.world import WebhookSettings, WorldSettings

__all__ = ["SquareSimulator", "WebhookSettings", "WorldSettings"]
