"""What every platform's simulator stands on: a server, faults, a ledger and a control address.

A simulator is a real HTTP server with the state of one merchant at one platform. This package holds
the half that doesn't depend on the platform; an adapter's own package holds the rest, as a subclass
of `Simulator`.

    class OurSimulator(Simulator):
        def routes(self): ...        # the platform's addresses, as functions from Call to Answer
        def ledger(self): ...        # what staff would see, in words that every platform shares

    with serve_in_thread(OurSimulator()) as running:
        httpx.get(running.url + "/v1/orders")

It needs the extra `tillpost[simulator]`.
"""

from tillpost.simulator.exchange import Answer, Call, Route
from tillpost.simulator.faults import Fault, FaultKind, FaultPlan, FaultRule, InjectedFault
from tillpost.simulator.ledger import (
    Ledger,
    LedgerAmount,
    LedgerEntry,
    LedgerLine,
    LedgerModifier,
)
from tillpost.simulator.server import Running, serve, serve_in_thread
from tillpost.simulator.simulator import SeenRequest, Simulator, action

__all__ = [
    "Answer",
    "Call",
    "Fault",
    "FaultKind",
    "FaultPlan",
    "FaultRule",
    "InjectedFault",
    "Ledger",
    "LedgerAmount",
    "LedgerEntry",
    "LedgerLine",
    "LedgerModifier",
    "Route",
    "Running",
    "SeenRequest",
    "Simulator",
    "action",
    "serve",
    "serve_in_thread",
]
