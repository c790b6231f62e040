"""What to do about each kind of trouble, as a table of texts: `errors` picks a row and fills in the names.

A key is an error's kind, or `kind.reason` where one kind has several remedies. In the texts,
`{platform}` is the platform's name, `{subjects}` the lines, items or taxes at fault, `{detail}` the
platform's words, `{who}` whoever let us in, and `{imported}` a sentence that says so when the menu
was imported again in vain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from tillpost.models.base import FrozenModel

__all__ = [
    "ACTORS",
    "MENU_IMPORTED",
    "REMEDIES",
    "Action",
    "Actor",
    "Remedy",
    "RemedyText",
    "StepText",
    "fill",
]


class Action(StrEnum):
    """What has to be done."""

    FIX_MENU = "fix_menu"
    FIX_TAXES = "fix_taxes"
    FIX_ORDER = "fix_order"
    FIX_CONNECTION = "fix_connection"
    RECONNECT = "reconnect"
    REOPEN = "reopen"
    CHECK_REGISTER = "check_register"
    LOOK = "look"
    WAIT = "wait"
    READ_ANSWER = "read_answer"
    REFUND = "refund"


class Actor(StrEnum):
    """Who does it."""

    STORE = "store"
    OPERATIONS = "operations"
    DEVELOPER = "developer"
    SUPPORT = "support"


class Remedy(FrozenModel):
    """An action, who acts, and how to say it: `manager` for a restaurant manager, `developer` for a developer."""

    action: Action
    actor: Actor
    manager: str
    developer: str


class RemedyText(NamedTuple):
    """A row of the table: the texts still hold their placeholders."""

    action: Action
    actor: Actor
    manager: str
    developer: str


MENU_IMPORTED = " The menu has been imported again, and that didn't mend it."

REMEDIES: Mapping[str, RemedyText] = {
    "menu": RemedyText(
        Action.FIX_MENU,
        Actor.STORE,
        "{subjects} isn't on {platform}'s menu at this location, or is set up there in a way that can't be ordered "
        "online.{imported} Put it on the menu at this location, check its options, then send the order again.",
        "{platform} refused an item or option: {detail}.{imported} A menu import mends drift; what is left is the "
        "store's setup.",
    ),
    "menu.gone": RemedyText(
        Action.FIX_MENU,
        Actor.STORE,
        "{subjects} isn't on {platform}'s menu at this location.{imported} Put it back on the menu, or ask the "
        "customer for something else, then send the order again.",
        "No item or option of the imported menu has that id or SKU, nor that exact name and price.{imported}",
    ),
    "menu.sold_out": RemedyText(
        Action.FIX_MENU,
        Actor.STORE,
        "{subjects} is marked as sold out in {platform}.{imported} Mark it as available, or ask the customer for "
        "something else, then send the order again.",
        "The item or option is sold out at this location.{imported} Keep the site's availability in step with the "
        "menu import.",
    ),
    "menu.price": RemedyText(
        Action.FIX_MENU,
        Actor.STORE,
        "The price of {subjects} in {platform} isn't the price that the customer paid.{imported} Correct the price "
        "in {platform} or on the ordering site, then send the order again.",
        "{detail}.{imported} Policy(prices='keep_paid') lets the paid price stand and says so in the order's note.",
    ),
    "menu.choices": RemedyText(
        Action.FIX_MENU,
        Actor.STORE,
        "The choices made for {subjects} don't fit its options in {platform}.{imported} Correct the options' minimum "
        "and maximum in {platform}, or ask the customer, then send the order again.",
        "{detail}.{imported} The site lets customers choose what the POS doesn't allow.",
    ),
    "menu.quantity": RemedyText(
        Action.FIX_MENU,
        Actor.STORE,
        "The order has more of {subjects} than {platform} allows in one order.{imported} Raise the limit in "
        "{platform}, or ask the customer, then send the order again.",
        "{detail}.{imported} The site lets customers order more than the POS allows.",
    ),
    "menu.table": RemedyText(
        Action.FIX_MENU,
        Actor.STORE,
        "{subjects} isn't among the tables in {platform}.{imported} Put the table back in {platform}, or ask the "
        "customer where they sit and correct the order's table, then send the order again.",
        "{detail} in the imported menu's `tables`.{imported} Let customers choose from the menu's tables.",
    ),
    "menu.held": RemedyText(
        Action.FIX_MENU,
        Actor.STORE,
        "{platform}'s menu has lost so many items at once that the import was held. Check the menu in {platform}; "
        "if it is right, accept the import, then send the order again.",
        "{detail}. Till.import_menu(accept=True) takes the menu as it is.",
    ),
    "menu.created": RemedyText(
        Action.CHECK_REGISTER,
        Actor.STORE,
        "The order is on {platform} already, but not as the customer paid for it ({detail}). Correct it at the "
        "register; it mustn't be sent again.",
        "The order was made, and read back it differs: {detail}. It isn't sent again.",
    ),
    "outage": RemedyText(
        Action.WAIT,
        Actor.OPERATIONS,
        "{platform} can't be reached or isn't working at the moment. There is nothing to do at the register; the "
        "order can be sent again as soon as {platform} is back.",
        "{detail}. It is worth trying again unchanged; when it lasts, hand the exchange to {platform}'s support.",
    ),
    "rate_limit": RemedyText(
        Action.WAIT,
        Actor.OPERATIONS,
        "{platform} is taking no more requests for the moment. There is nothing to do at the register; the order can "
        "be sent again shortly.",
        "{platform} limits the rate of requests. Wait as long as retry_after says, and spread menu imports out.",
    ),
    "register_offline": RemedyText(
        Action.CHECK_REGISTER,
        Actor.STORE,
        "The register isn't connected to {platform}. See that it is switched on, online and showing the {platform} "
        "app, then send the order again.",
        "{platform} is up, but the store's register is offline: {detail}.",
    ),
    "doubt": RemedyText(
        Action.LOOK,
        Actor.STORE,
        "It isn't certain whether the order reached {platform}. Look for it at the register before keying it in; "
        "sending it again is safe.",
        "An earlier request may have made the order: {detail}. Submitting the same order again looks for it first.",
    ),
    "permissions": RemedyText(
        Action.RECONNECT,
        Actor.STORE,
        "{platform} no longer lets online orders in, most often because {who} was removed or lost admin rights. "
        "Another person with admin rights in {platform} has to connect it again.",
        "{platform} refused the credentials: {detail}. Connect again with another admin's authorisation; orders can "
        "then be sent again.",
    ),
    "permissions.expired": RemedyText(
        Action.RECONNECT,
        Actor.STORE,
        "Access to {platform} has run out, and it can't be renewed by itself. That doesn't mean that anybody was "
        "removed: {who} may connect it again, or another person with admin rights in {platform}.",
        "The token has expired, and there is none to renew it with: {detail}. Connect again; orders can then be sent "
        "again.",
    ),
    "permissions.withdrawn": RemedyText(
        Action.RECONNECT,
        Actor.STORE,
        "Access to {platform} was withdrawn, most often because {who} was removed there or took it back. Another "
        "person with admin rights in {platform} has to connect it again.",
        "The authorisation itself is gone, not only the token: {detail}. Connect again with another admin's "
        "authorisation; orders can then be sent again.",
    ),
    "permissions.demoted": RemedyText(
        Action.RECONNECT,
        Actor.STORE,
        "In {platform}, {who} may no longer do what online orders need, most often because of lost admin rights. "
        "Another person with admin rights in {platform} has to connect it again.",
        "The token is valid, but its user may not do this: {detail}. Connect again with another admin's authorisation; "
        "orders can then be sent again.",
    ),
    "permissions.scopes": RemedyText(
        Action.RECONNECT,
        Actor.STORE,
        "The connection to {platform} isn't allowed to do this. A person with admin rights in {platform} has to "
        "connect it again and grant what is asked for.",
        "The token is valid but lacks a scope: {detail}. Ask for the missing scopes when connecting again.",
    ),
    "tax": RemedyText(
        Action.FIX_TAXES,
        Actor.STORE,
        "More tax is set up in {platform} than the order was sold with ({subjects}). Keep the one sales tax; a "
        "surcharge belongs in a service charge, not in a tax. Then send the order again.",
        "{detail}. Nothing was changed at the register; the order can go once the taxes are mended.",
    ),
    "tax.created": RemedyText(
        Action.FIX_TAXES,
        Actor.STORE,
        "The order is on {platform} already, but its taxes ({subjects}) make it come to another total than the "
        "customer paid. Correct the total at the register, then the taxes in {platform}; the order mustn't be sent "
        "again.",
        "The order was made, and read back its taxes differ: {detail}. It isn't sent again.",
    ),
    "store_closed": RemedyText(
        Action.REOPEN,
        Actor.STORE,
        "The store takes no online orders in {platform} at the moment. Switch online ordering on again, or refuse "
        "the order and pay the customer back.",
        "{detail}. Hold the order until it is due, and stop selling for this store meanwhile.",
    ),
    "order": RemedyText(
        Action.FIX_ORDER,
        Actor.DEVELOPER,
        "{platform} refuses this order as it was written. The ordering site's support has to correct it.",
        "{platform} refused the order itself: {detail}. Correct it and submit it again under the same id.",
    ),
    "order.rejected": RemedyText(
        Action.REFUND,
        Actor.STORE,
        "Your staff turned this order down, so nobody will make it. Pay the customer back.",
        "{detail}. Tell the customer, and pay back what was paid; don't submit the order again.",
    ),
    "setup": RemedyText(
        Action.FIX_CONNECTION,
        Actor.DEVELOPER,
        "The connection to {platform} is set up wrongly. The ordering site's support has to correct it.",
        "{detail}. Correct the connection's settings, then submit the order again.",
    ),
    "unknown": RemedyText(
        Action.READ_ANSWER,
        Actor.SUPPORT,
        "{platform} gave an answer that isn't known. Handle the order by hand for now; support will look into it.",
        "{platform} said: {detail}. The raw answer is in `exchange`; please report it, so that it gets a row in the "
        "table.",
    ),
    "unsupported": RemedyText(
        Action.FIX_CONNECTION,
        Actor.DEVELOPER,
        "This can't be done through the connection to {platform}. Do it at the register.",
        "{detail}. `tillpost adapters` lists what each adapter can do.",
    ),
}


def fill(
    text: RemedyText,
    *,
    platform: str,
    subjects: Sequence[str],
    detail: str,
    imported: str,
    contact: str,
    granted_by: str = "",
) -> Remedy:
    """Return the row's remedy with the names filled in, ending with the support contact where there is one."""
    names = {
        "platform": platform,
        "subjects": _listed(subjects),
        "detail": detail.rstrip(".") or "no detail given",
        "imported": imported,
        "who": f"{granted_by}, who connected it," if granted_by else "the person who connected it",
    }
    ending = f" {contact}" if contact else ""
    return Remedy(
        action=text.action,
        actor=text.actor,
        manager=_sentence(text.manager.format_map(names)) + ending,
        developer=_sentence(text.developer.format_map(names)) + ending,
    )


def _listed(subjects: Sequence[str]) -> str:
    """'A', 'A and B', 'A, B and C'; 'something on the order' when nobody knows what."""
    if not subjects:
        return "something on the order"
    return " and ".join(part for part in (", ".join(subjects[:-1]), subjects[-1]) if part)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


ACTORS = {
    Actor.STORE: "the store",
    Actor.OPERATIONS: "operations, who tell the provider",
    Actor.DEVELOPER: "the site's developer",
    Actor.SUPPORT: "support",
}
"""Who acts, for people."""


class StepText(NamedTuple):
    """A row of a table.

    In the texts, `{platform}` is the platform's name, `{order}` the order's id, and `{connection}`
    the store's name.
    """

    who: Actor
    do: str
    see: str
