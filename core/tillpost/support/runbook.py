"""The runbook's steps, as tables: what a person does about an order that isn't on the register, in which order.

`diagnosis` chooses among them, fills in the names, and numbers them. An adapter adds what is
special to its register in `Adapter.register_steps`. A step says who does it, what they do, and what
they should see when it has worked.
"""

from __future__ import annotations

from collections.abc import Iterable

from tillpost.errors.remedies import Actor, StepText
from tillpost.models.base import FrozenModel

__all__ = [
    "BY_HAND",
    "FIND_AND_ACCEPT",
    "HANDLE_HERE",
    "KITCHEN",
    "OWN_NETWORK",
    "PAID_BACK",
    "PROVIDER",
    "RECONNECT",
    "REFUND",
    "REGISTER",
    "RESUBMIT",
    "SUPPORT",
    "UNREACHED",
    "WITHDRAWN",
    "WORKER",
    "Step",
    "StepText",
    "numbered",
]


class Step(FrozenModel):
    """One thing to do: its number, who does it, what they do, and what they should see."""

    number: int
    who: Actor
    do: str
    see: str


REGISTER: tuple[StepText, ...] = (
    StepText(
        Actor.STORE,
        "Look at the register: is it switched on, unlocked and awake, and is the {platform} app in front of every "
        "other app?",
        "The {platform} app fills the screen.",
    ),
    StepText(
        Actor.STORE,
        "Open a web page on the register, to see that it is online.",
        "The page loads.",
    ),
    StepText(
        Actor.STORE,
        "Choose Sync in the {platform} app's menu; if there is none, or nothing happens, quit the app and start it "
        "again. That makes it fetch the orders that wait for it.",
        "The order appears among the open orders.",
    ),
)
"""Hop 3: the platform has the order, and the register doesn't show it. In this order."""

HANDLE_HERE = StepText(
    Actor.STORE,
    "Still nothing? Don't wait for the register: accept the order (`tillpost orders accept {order}`), prepare it, and "
    "move it on (`tillpost orders advance {order}`) when it is ready or out for delivery.",
    "The customer has been told that the order is accepted.",
)

KITCHEN: tuple[StepText, ...] = (
    StepText(
        Actor.STORE,
        "On the register, but no docket in the kitchen? See in the {platform} app that online orders are routed to "
        "the kitchen's printer.",
        "A docket comes out when an online order is accepted.",
    ),
    StepText(
        Actor.STORE,
        "See that the kitchen's printer is switched on, online and has paper.",
        "A test page comes out.",
    ),
    StepText(
        Actor.STORE,
        "Is the order scheduled? Its docket is printed only when its preparation time begins.",
        "The due time on the order is near.",
    ),
    StepText(
        Actor.STORE,
        "Bring the {platform} app to the front: in the background it may not print.",
        "The {platform} app fills the screen.",
    ),
)
"""The order is on the register, and the kitchen doesn't know of it."""

FIND_AND_ACCEPT = StepText(
    Actor.STORE,
    "Find the order (`tillpost orders list --search NAME`, by the customer's name or the order's code), and accept it "
    "(`tillpost orders accept {order}`): it needn't be on the register for that.",
    "The customer has been told that the order is accepted.",
)

RESUBMIT = StepText(
    Actor.STORE,
    "Send it again (`tillpost orders resubmit {order}`). While the cause isn't mended it fails again.",
    "The order is on the register; `tillpost diagnose {order}` says how far it has come.",
)

BY_HAND: tuple[StepText, ...] = (
    StepText(
        Actor.STORE,
        "If that fails, run the order without the register: prepare it, and move it on "
        "(`tillpost orders advance {order}`).",
        "The customer is told when it is ready, or out for delivery.",
    ),
    StepText(
        Actor.STORE,
        "If the kitchen needs a docket, key the order in by hand, as PAID: the customer has paid online "
        "(`tillpost orders manual {order}` prints what to key in).",
        "The order is on the register with nothing left to pay.",
    ),
)

SUPPORT = StepText(
    Actor.SUPPORT,
    "Ask {platform}'s support, and hand them what was sent and came back (`tillpost orders export {order}`).",
    "They find the request by its time and its id.",
)
"""The last step, always."""

REFUND: tuple[StepText, ...] = (
    StepText(
        Actor.STORE,
        "Staff said no to the order at the register. Tell the customer, and pay the money back.",
        "The payment shows as refunded.",
    ),
)

PAID_BACK = StepText(
    Actor.STORE,
    "Then say that this is done (`tillpost orders cancel {order}`): it closes the order.",
    "`tillpost orders list --problem` doesn't show the order any more.",
)
"""After `REFUND`, once the outbox knows that staff said no."""

WITHDRAWN: tuple[StepText, ...] = (
    StepText(
        Actor.STORE,
        "Somebody withdrew the order at the register or in {platform}, and the customer has paid. If it is to be made "
        "all the same, take it over by hand (`tillpost orders manual {order}`); else tell the customer, and pay the "
        "money back.",
        "The order is being made, or the payment shows as refunded.",
    ),
)

RECONNECT = StepText(
    Actor.STORE,
    "Connect the store again, best by another person with admin rights in {platform} "
    "(`tillpost reconnect {connection}`).",
    "All its waiting orders go by themselves.",
)

PROVIDER = StepText(
    Actor.OPERATIONS,
    "Tell {platform} at once that it is failing: once, not for each order. What was sent and came back stands in "
    "`tillpost orders export {order}`.",
    "They say that they know of it, and by when it ends.",
)

UNREACHED: tuple[StepText, ...] = (
    StepText(
        Actor.OPERATIONS,
        "{platform} can't be reached from here, and nothing tells yet whether that is its fault or our own network's. "
        "See whether this machine reaches any other site.",
        "A page of another provider opens.",
    ),
    StepText(
        Actor.OPERATIONS,
        "If others open, ask {platform} whether it is up. If none opens, it is our own network: mend that.",
        "`tillpost check` answers.",
    ),
)
"""It isn't known whose fault it is that no connection comes about: nobody is accused."""

OWN_NETWORK: tuple[StepText, ...] = (
    StepText(
        Actor.OPERATIONS,
        "No platform can be reached from here: it is our own network, not {platform}. See that this machine is "
        "online, that names are resolved, and that no firewall or proxy bars the way.",
        "`tillpost check` answers.",
    ),
    StepText(
        Actor.OPERATIONS,
        "Wait: the orders go by themselves when the network is back.",
        "`tillpost status` shows no order that waits.",
    ),
)

WORKER: tuple[StepText, ...] = (
    StepText(
        Actor.OPERATIONS,
        "No worker is running, so nothing is sent. Start one (`tillpost worker`).",
        "`tillpost status` shows a worker, and the order goes.",
    ),
)


def numbered(
    texts: Iterable[StepText], *, platform: str, order: str, connection: str
) -> tuple[Step, ...]:
    """Return the steps with the names filled in, numbered from 1."""
    names = {"platform": platform, "order": order, "connection": connection}
    return tuple(
        Step(
            number=number,
            who=text.who,
            do=text.do.format_map(names),
            see=text.see.format_map(names),
        )
        for number, text in enumerate(texts, 1)
    )
