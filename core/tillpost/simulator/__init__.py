"""What every platform's simulator shares: server, faults, ledger, control address.

A simulator is a real HTTP server that holds the state of one merchant at one platform. A platform's
own package adds the rest, as a subclass of `Simulator`:

    class CornerSimulator(Simulator):
        def routes(self): ...        # the platform's addresses, as functions from Call to Answer
        def ledger(self): ...        # the orders as staff see them

    with serve_in_thread(CornerSimulator()) as running:
        httpx.get(running.url + "/v1/orders")

Modules:

    simulator      `Simulator`, the class to extend, and `action`
    world          `WorldSimulator`: a simulator whose whole state is one object
    exchange       `Call`, `Answer`, `Route`: what a handler receives and returns
    faults         fault plans: which requests fail, and how
    ledger         the orders as staff see them
    register_view  an order as text, as the person at the till reads it
    sender         webhooks: real requests, to this machine only
    control        the control address, `/_simulator/`
    web_app        the web application: routes, faults and control address together
    server         serving it in a thread or in the foreground

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
from tillpost.simulator.register_view import Section, ViewRow
from tillpost.simulator.server import Running, serve, serve_in_thread
from tillpost.simulator.simulator import SeenRequest, Simulator, action
from tillpost.simulator.world import WorldSimulator

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
    "Section",
    "SeenRequest",
    "Simulator",
    "ViewRow",
    "WorldSimulator",
    "action",
    "serve",
    "serve_in_thread",
]
