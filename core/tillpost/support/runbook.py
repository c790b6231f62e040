"""The runbook: what people do about an order that isn't on the register.

`diagnosis` selects steps from these tables, fills in their placeholders with `numbered`, and shows
them in order. Each step says who does it, what they do, and the result they should see. Adapters
add steps for their own register in `Adapter.register_steps`.
"""

from __future__ import annotations

from collections.abc import Iterable

from tillpost.errors.remedies import Actor, StepText
from tillpost.models.base import FrozenModel
from tillpost.models.safe_text import one_line, shell_word

__all__ = [
    "CLOSE_ORDER",
    "CONTACT_SUPPORT",
    "FIND_AND_ACCEPT",
    "FIX_OWN_NETWORK",
    "HANDLE_BY_HAND",
    "HANDLE_WITHDRAWN",
    "LOCATE_OUTAGE",
    "PROCEED_WITHOUT_REGISTER",
    "RECONNECT",
    "REFUND",
    "REPORT_OUTAGE",
    "RESUBMIT",
    "START_WORKER",
    "WAKE_REGISTER",
    "WHY_NO_DOCKET",
    "Step",
    "StepText",
    "numbered",
]


class Step(FrozenModel):
    """One step of the runbook.

    Attributes:
        number: Its position, from 1.
        who: Who does it.
        do: What they do.
        see: The result they should see.
    """

    number: int
    who: Actor
    do: str
    see: str


FIND_AND_ACCEPT = StepText(
    Actor.STORE,
    "Find the order by the customer's name or the order's code (`tillpost orders list --search "
    "NAME`), and accept it (`tillpost orders accept {order}`). It needn't be on the register for "
    "that.",
    "The customer is notified that the order is accepted.",
)

RESUBMIT = StepText(
    Actor.STORE,
    "Send the order again (`tillpost orders resubmit {order}`). It fails again until the cause is "
    "fixed.",
    "The order is on the register. `tillpost diagnose {order}` shows its progress.",
)

HANDLE_BY_HAND: tuple[StepText, ...] = (
    StepText(
        Actor.STORE,
        "If that fails, handle the order without the register: prepare it, and update its progress "
        "(`tillpost orders advance {order}`).",
        "The customer is notified when it is ready or out for delivery.",
    ),
    StepText(
        Actor.STORE,
        "If the kitchen needs a docket, key in the order by hand: `tillpost orders manual {order}` "
        "prints what to key in. It begins with what the customer still has to pay, if anything.",
        "The order is on the register with nothing left to pay, or with what the docket says.",
    ),
)

CONTACT_SUPPORT = StepText(
    Actor.SUPPORT,
    "Contact {platform}'s support, and send them the request and the answer (`tillpost orders "
    "export {order}`).",
    "They find the request by its time and its id.",
)
"""The last step of every runbook that involves the platform."""

# The platform has the order, and the register doesn't show it.

WAKE_REGISTER: tuple[StepText, ...] = (
    StepText(
        Actor.STORE,
        "Check the register: is it switched on, unlocked and awake, with the {platform} app in "
        "front?",
        "The {platform} app fills the screen.",
    ),
    StepText(
        Actor.STORE,
        "Open a web page on the register to check that it is online.",
        "The page loads.",
    ),
    StepText(
        Actor.STORE,
        "Choose Sync in the {platform} app's menu. If there is no such entry, or nothing happens, "
        "quit the app and start it again. The app then fetches the orders that wait for it.",
        "The order appears among the open orders.",
    ),
)
"""Get the register to fetch the order, in this order."""

PROCEED_WITHOUT_REGISTER = StepText(
    Actor.STORE,
    "If the order still doesn't appear, don't wait for the register: accept the order (`tillpost "
    "orders accept {order}`), prepare it, and update its progress (`tillpost orders advance "
    "{order}`) when it is ready or out for delivery.",
    "The customer is notified that the order is accepted.",
)

# The order is on the register, and the kitchen has no docket.

WHY_NO_DOCKET: tuple[StepText, ...] = (
    StepText(
        Actor.STORE,
        "If the order is on the register but the kitchen has no docket, check in the {platform} "
        "app that online orders are routed to the kitchen's printer.",
        "A docket prints when an online order is accepted.",
    ),
    StepText(
        Actor.STORE,
        "Check that the kitchen's printer is switched on, online and has paper.",
        "A test page prints.",
    ),
    StepText(
        Actor.STORE,
        "Check whether the order is scheduled. Its docket prints only when its preparation time "
        "begins.",
        "The order is due soon.",
    ),
    StepText(
        Actor.STORE,
        "Bring the {platform} app to the front. It may not print while in the background.",
        "The {platform} app fills the screen.",
    ),
)
"""Find out why the kitchen got no docket, in this order."""

# Staff rejected or cancelled the order.

REFUND = StepText(
    Actor.STORE,
    "The order was rejected at the register. Inform the customer, and refund what was paid online. "
    "What was to be paid at the store needs no refund.",
    "The payment shows as refunded, if there was one.",
)

CLOSE_ORDER = StepText(
    Actor.STORE,
    "Then close the order (`tillpost orders cancel {order}`).",
    "`tillpost orders list --problem` no longer lists the order.",
)

HANDLE_WITHDRAWN = StepText(
    Actor.STORE,
    "The order was cancelled at the register or in {platform}. If it should still be made, handle "
    "it by hand (`tillpost orders manual {order}`). Otherwise inform the customer, and refund what "
    "was paid online.",
    "The order is being made, or the payment shows as refunded, if there was one.",
)

# The platform can't be used.

RECONNECT = StepText(
    Actor.STORE,
    "Have the store reconnected, preferably by another admin of the {platform} account (`tillpost "
    "reconnect {connection}`).",
    "All waiting orders of the store are sent automatically.",
)

REPORT_OUTAGE = StepText(
    Actor.OPERATIONS,
    "Report the outage to {platform} at once, one time for all orders. `tillpost orders export "
    "{order}` has the request and the answer as evidence.",
    "{platform} confirms the outage and says when it will end.",
)

LOCATE_OUTAGE: tuple[StepText, ...] = (
    StepText(
        Actor.OPERATIONS,
        "{platform} can't be reached from this machine. Check whether this machine can open "
        "another provider's site.",
        "Another provider's page opens.",
    ),
    StepText(
        Actor.OPERATIONS,
        "If other sites open, ask {platform} whether it is up. If none opens, fix our own network.",
        "`tillpost check` succeeds.",
    ),
)
"""Find out whether the provider or our own network fails.

Nobody is blamed before that.
"""

FIX_OWN_NETWORK: tuple[StepText, ...] = (
    StepText(
        Actor.OPERATIONS,
        "No platform can be reached from this machine, so the cause is our own network and not "
        "{platform}. Check that this machine is online, that DNS works, and that no firewall or "
        "proxy blocks the connection.",
        "`tillpost check` succeeds.",
    ),
    StepText(
        Actor.OPERATIONS,
        "Wait. The orders are sent automatically once the network is back.",
        "`tillpost status` shows no waiting orders.",
    ),
)

START_WORKER: tuple[StepText, ...] = (
    StepText(
        Actor.OPERATIONS,
        "No worker is running, so nothing is sent. Start one (`tillpost worker`).",
        "`tillpost status` shows a worker, and the order is sent.",
    ),
)


def numbered(
    texts: Iterable[StepText], *, platform: str, order: str, connection: str
) -> tuple[Step, ...]:
    """Return the steps numbered from 1, with their placeholders filled in.

    The order and the connection are part of commands that people type, so they are quoted.
    """
    values = {
        "platform": one_line(platform),
        "order": shell_word(order),
        "connection": shell_word(connection),
    }
    return tuple(
        Step(
            number=number,
            who=text.who,
            do=text.do.format_map(values),
            see=text.see.format_map(values),
        )
        for number, text in enumerate(texts, 1)
    )
