"""Lightspeed Kounta (O-Series), simulated.

It is a real HTTP server with the state of one company.

    from tillpost.simulator import serve_in_thread
    from tillpost_simulators.kounta import KountaSimulator

    with serve_in_thread(KountaSimulator()) as running:
        ...                                    # running.url, running.settings
        running.simulator.recreate_product(7302)
        running.simulator.ledger().shown

Modules, from a request's arrival inwards:

    simulator       the addresses, and the checks that every request passes
    access          tokens, request budgets, OAuth
    sites_api       operations: company, sites, registers, online status
    menu_api        operations: products, categories, taxes, price lists, payment methods
    customers_api   operations: customers
    orders          operations: create, read, change and delete an order
    order_lists     operations: list and search orders
    webhooks        operations: subscriptions; sending callbacks and webhooks
    resources       shared by operations: find a resource, list in pages, answer 201
    order_json      orders as JSON
    order_pricing   what an order comes to
    wire            JSON with exact decimals; bodies of requests
    errors          refusals and their answers
    world           the state of the company
    settings        its initial state, and how Kounta behaves where its documents are silent
    stock           the menu that it starts with
    clock           its clock; dates as Kounta writes them
    register        which orders staff see; the ledger
    actions         what tests and people can change while it runs
    demo            the scenarios of `tillpost demo`

No machine-readable specification of Kounta is public. What the vendor's pages leave out is taken
from samples and third-party code. Where these are silent too, a comment `# unconfirmed:` says what
would settle it; most of it can be set in `KountaSettings`.
"""

from tillpost.simulator.sender import Sent
from tillpost_simulators.kounta.settings import KountaSettings
from tillpost_simulators.kounta.simulator import KountaSimulator

__all__ = ["KountaSettings", "KountaSimulator", "Sent"]
