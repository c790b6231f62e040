"""The remedy table: who acts on each kind of error, and what each person is told.

`PosError.remedy` picks a row of `REMEDIES` and fills in its placeholders with `fill`. A key is an
error's kind, or `kind.reason` where one kind has several remedies.

Placeholders of the texts:
    `{platform}`: the platform's name.
    `{subjects}`: the lines, items or taxes at fault. `{taxes}`: the taxes in brackets, if known.
    `{detail}`: the platform's own message; a manager isn't shown the field of the order before it.
    `{who}`: the person who authorised the connection.
    `{imported}`: `MENU_IMPORTED` after a menu import that didn't help, else nothing.
    `{register}`: where the order is: `NOT_THERE`, `MAY_EXIST` or `HAS_ORDER`.

What is in square brackets speaks of an order. It is left out where there is none, such as while a
store is connected or its menu imported. What is in angle brackets speaks of sending an order again.
It is left out if the platform has the order, or if nothing was to be sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from tillpost.errors.customer_texts import (
    ARRIVED,
    CANCELLED,
    CHECKING,
    CLOSED,
    EARLY,
    LATE,
    NOT_CANCELLED,
    REJECTED,
    STUCK,
    UNAVAILABLE,
    WAITING,
    CustomerText,
)
from tillpost.models.base import FrozenModel

__all__ = [
    "ACTORS",
    "HAS_ORDER",
    "MAY_EXIST",
    "MENU_IMPORTED",
    "NOT_THERE",
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
    """Who has to act."""

    STORE = "store"
    OPERATIONS = "operations"
    DEVELOPER = "developer"
    SUPPORT = "support"


ACTORS = {
    Actor.STORE: "the store",
    Actor.OPERATIONS: "the operations team",
    Actor.DEVELOPER: "the ordering site's developer",
    Actor.SUPPORT: "the ordering site's support",
}
"""Display names of the actors."""


class Remedy(FrozenModel):
    """What to do about an error, and who does it.

    Attributes:
        action: What has to be done.
        actor: Who has to act.
        manager: Instructions for a restaurant manager.
        developer: Instructions for a developer.
        customer: What a status page may tell the customer; empty if there is no order.
    """

    action: Action
    actor: Actor
    manager: str
    developer: str
    customer: str = ""


class RemedyText(NamedTuple):
    """A row of the remedy table. Its texts still hold their placeholders.

    `says_to_look` is set where the manager's text says by itself to look for the order at the
    register; other texts without `{register}` get `MAY_EXIST` if the order may be there.
    """

    action: Action
    actor: Actor
    manager: str
    developer: str
    customer: CustomerText
    says_to_look: bool = False


class StepText(NamedTuple):
    """A step of a runbook: who does it, what they do, and the expected result.

    It has placeholders. `{platform}` is the platform's name, `{order}` the order's id, and
    `{connection}` the connection's name.
    """

    who: Actor
    do: str
    see: str


MENU_IMPORTED = " The menu has been imported again, but the problem remains."

NOT_THERE = "The order isn't on the register."

MAY_EXIST = "The order may be on the register already: look there before keying it in."

HAS_ORDER = "{platform} has the order: don't key it in or send it again."

REMEDIES: Mapping[str, RemedyText] = {
    "menu": RemedyText(
        Action.FIX_MENU,
        Actor.STORE,
        "{platform} doesn't accept {subjects} at this location.[ {register}] The menu there may "
        "lack an item or option, or its setup may not allow online orders.{imported} Correct the "
        "menu in {platform}[<, then have the order sent again>].",
        "{platform} refused an item or option: {detail}.{imported} Importing the menu resolves "
        "drift. Anything else has to be corrected in the store's setup.",
        STUCK,
    ),
    "menu.gone": RemedyText(
        Action.FIX_MENU,
        Actor.STORE,
        "{platform} doesn't have {subjects} on its menu at this location.{imported} {register} Add "
        "what is missing in {platform} and have the order sent again, or agree on something else "
        "with the customer and key the order in.",
        "{detail}. No item or option on the imported menu matches by id, by SKU, or by exact name "
        "and price.{imported}",
        UNAVAILABLE,
    ),
    "menu.unreadable": RemedyText(
        Action.FIX_MENU,
        Actor.STORE,
        "{platform} has {subjects}, but with a setting that can't be read ({detail}).{imported} "
        "{register} Open it in {platform}, correct that setting and have the order sent again, or "
        "key the order in.",
        "{detail}.{imported} `Menu.faults` lists everything that was left out of the menu.",
        STUCK,
    ),
    "menu.sold_out": RemedyText(
        Action.FIX_MENU,
        Actor.STORE,
        "{platform} shows {subjects} as sold out.{imported} {register} Update the availability in "
        "{platform} and have the order sent again, or agree on something else with the customer "
        "and key the order in.",
        "The item or option is sold out at this location.{imported} Update the ordering site's "
        "availability with each menu import.",
        UNAVAILABLE,
    ),
    "menu.price": RemedyText(
        Action.FIX_MENU,
        Actor.STORE,
        "{platform} has a different price for {subjects} than the customer paid ({detail})."
        "{imported} {register} If the price in {platform} is wrong, correct it and have the order "
        "sent again. If it is right, key the order in as it was paid, and ask the ordering site's "
        "support to correct the price there.",
        "{detail}.{imported} Policy(prices='keep_paid') submits the price that was paid and says "
        "so in the order's note.",
        STUCK,
    ),
    "menu.net_price": RemedyText(
        Action.FIX_ORDER,
        Actor.DEVELOPER,
        "The ordering site added tax to {subjects}, whose prices in {platform} include it. "
        "{register} There is nothing to correct in {platform}. Key the order in, and ask the "
        "ordering site's support to correct the prices there and to give the customer back what "
        "was charged too much.",
        "{detail}.{imported} The site sends the menu's prices with prices_include_tax false, and "
        "adds tax to them. Send prices_include_tax true, or the prices without tax.",
        STUCK,
    ),
    "menu.choices": RemedyText(
        Action.FIX_MENU,
        Actor.STORE,
        "The options chosen for {subjects} don't match what {platform} allows ({detail})."
        "{imported} {register} Agree on the options with the customer and key the order in. If "
        "{platform} allows too few or asks for too many, correct that there instead and have the "
        "order sent again.",
        "{detail}.{imported} The ordering site offers choices that the POS doesn't allow.",
        STUCK,
    ),
    "menu.quantity": RemedyText(
        Action.FIX_MENU,
        Actor.STORE,
        "The order has more of {subjects} than {platform} allows in one order.{imported} "
        "{register} Raise the limit in {platform} and have the order sent again, or agree on a "
        "smaller quantity with the customer and key the order in.",
        "{detail}.{imported} The ordering site allows larger quantities than the POS.",
        STUCK,
    ),
    "menu.table": RemedyText(
        Action.FIX_MENU,
        Actor.STORE,
        "{platform} doesn't list {subjects}.{imported} {register} Add the table in {platform} and "
        "have the order sent again, or ask the customer where they sit and key the order in.",
        "{detail} in the imported menu's `tables`.{imported} Let customers choose only from the "
        "menu's tables.",
        STUCK,
    ),
    "menu.product": RemedyText(
        Action.FIX_CONNECTION,
        Actor.DEVELOPER,
        "The product that {subjects} should be sent as isn't on {platform}'s menu at this "
        "location.{imported} {register} Key the order in. Then put the product back on the menu, "
        "or tell the ordering site's support which product to use instead.",
        "{detail}.{imported} Name another product in the connection's settings.",
        STUCK,
    ),
    "menu.held": RemedyText(
        Action.FIX_MENU,
        Actor.STORE,
        "{platform}'s menu has lost so many items at once that its import is held for review. "
        "{register} Check the menu in {platform}. Add what is missing there, or if nothing is, ask "
        "the ordering site's support to accept the import. Then have the order sent again.",
        "{detail}. Till.import_menu(accept=True) accepts the menu as it is.",
        STUCK,
    ),
    "menu.created": RemedyText(
        Action.CHECK_REGISTER,
        Actor.STORE,
        "{platform} already has the order, but it differs from what the customer paid for "
        "({detail}). Correct it at the register. The order mustn't be sent again.",
        "The order was created, but it differs when read back: {detail}. It isn't submitted again.",
        ARRIVED,
    ),
    "outage": RemedyText(
        Action.WAIT,
        Actor.OPERATIONS,
        "{platform} can't be reached or isn't working at the moment.[ {register}< The order can be "
        "sent again as soon as {platform} is back.>]",
        "{detail}. Retry unchanged. If the outage lasts, send the exchange to {platform}'s "
        "support.",
        WAITING,
    ),
    "outage.intercepted": RemedyText(
        Action.WAIT,
        Actor.OPERATIONS,
        "Our request was refused, but not by {platform} itself: something on the way to it, such "
        "as a firewall, answered instead.[ {register}< The order can be sent again as soon as the "
        "way is clear.>]",
        "The answer isn't in {platform}'s own format, so a proxy, a firewall or a captive portal "
        "may have sent it: {detail}. Retry unchanged; the credentials aren't to blame. If it "
        "lasts, check what is between this program and `base_url`, then send the exchange to "
        "{platform}'s support.",
        WAITING,
    ),
    "rate_limit": RemedyText(
        Action.WAIT,
        Actor.OPERATIONS,
        "{platform} accepts no more requests for the moment.[ {register}< The order can be sent "
        "again shortly.>]",
        "{platform} limits the rate of requests. Wait for `retry_after` seconds, and spread out "
        "menu imports.",
        WAITING,
    ),
    "register_offline": RemedyText(
        Action.CHECK_REGISTER,
        Actor.STORE,
        "The register isn't connected to {platform}. {register} Check that the register is "
        "switched on, online and showing the {platform} app<, then have the order sent again>.",
        "{platform} is up, but the store's register is offline: {detail}.",
        WAITING,
    ),
    "doubt": RemedyText(
        Action.LOOK,
        Actor.STORE,
        "It isn't certain whether the order reached {platform}. Check the register before keying "
        "the order in. Sending it again is safe.",
        "An earlier request may have created the order: {detail}. Submitting the same order again "
        "looks it up first.",
        CHECKING,
        says_to_look=True,
    ),
    "doubt.address": RemedyText(
        Action.FIX_CONNECTION,
        Actor.DEVELOPER,
        "The order may be at another store than this connection sends to now, because the "
        "connection was changed. Check the register of that store before keying the order in, and "
        "ask the ordering site's support to correct the connection.",
        "{detail}. Nothing is looked up or sent for the order meanwhile. Set the connection back "
        "and submit the order again, or find out what became of it there and take it over by hand.",
        CHECKING,
        says_to_look=True,
    ),
    "permissions": RemedyText(
        Action.RECONNECT,
        Actor.STORE,
        "{platform} rejected the ordering site's access.[ {register}] If the store was connected "
        "before, most often {who} was removed or lost admin rights: ask another admin of the "
        "{platform} account to reconnect the store. If it never was, the connection may be set up "
        "for a test account: ask the ordering site's support.[< After that, the order can be sent "
        "again.>]",
        "{platform} refused the credentials: {detail}. Check that `base_url` is of the same "
        "environment as the token: a sandbox token is refused in production, and the other way "
        "round. Otherwise reconnect with another admin's authorisation[, then submit the orders "
        "again].",
        STUCK,
    ),
    "permissions.expired": RemedyText(
        Action.RECONNECT,
        Actor.STORE,
        "Access to {platform} has expired and can't be renewed automatically. This doesn't mean "
        "that anyone was removed.[ {register}] Ask {who} or another admin of the {platform} "
        "account to reconnect the store.[< After that, the order can be sent again.>]",
        "The token has expired and there is no refresh token to renew it with: {detail}. "
        "Reconnect[, then submit the orders again].",
        STUCK,
    ),
    "permissions.withdrawn": RemedyText(
        Action.RECONNECT,
        Actor.STORE,
        "Access to {platform} was withdrawn, most often because {who} was removed there or revoked "
        "it.[ {register}] Ask another admin of the {platform} account to reconnect the store.[< "
        "After that, the order can be sent again.>]",
        "The authorisation itself was revoked, not only the token: {detail}. Reconnect with "
        "another admin's authorisation[, then submit the orders again].",
        STUCK,
    ),
    "permissions.demoted": RemedyText(
        Action.RECONNECT,
        Actor.STORE,
        "In {platform}, {who} no longer has the rights that online orders need, most often because "
        "of lost admin rights.[ {register}] Ask another admin of the {platform} account to "
        "reconnect the store.[< After that, the order can be sent again.>]",
        "The token is valid, but its user lacks the permission: {detail}. Reconnect with another "
        "admin's authorisation[, then submit the orders again].",
        STUCK,
    ),
    "permissions.scopes": RemedyText(
        Action.RECONNECT,
        Actor.STORE,
        "The connection to {platform} isn't allowed to do this.[ {register}] Ask an admin of the "
        "{platform} account to reconnect the store and to grant every permission that is requested."
        "[< After that, the order can be sent again.>]",
        "The token is valid but lacks a scope: {detail}. Request the missing scopes when "
        "reconnecting.",
        STUCK,
    ),
    "permissions.key": RemedyText(
        Action.RECONNECT,
        Actor.STORE,
        "{platform} rejected the ordering site's access: it was changed or withdrawn in "
        "{platform}, or the ordering site has a wrong one.[ {register}] Ask the ordering site's "
        "support to set the access up again, and tell them if it was changed in {platform}.[< "
        "After that, the order can be sent again.>]",
        "{platform} refused the token or the signature: {detail}. Set the current token and "
        "signing key[; the orders that wait go on by themselves].",
        STUCK,
    ),
    "tax": RemedyText(
        Action.FIX_TAXES,
        Actor.STORE,
        "{platform}'s tax{taxes} isn't what the customer was charged ({detail}). {register} If a "
        "tax in {platform} is wrong, correct it, and have the order sent again. If all taxes are "
        "right, key the order in as it was paid, and ask the ordering site's support to charge the "
        "same as {platform}.",
        "{detail}. Nothing was changed at the register. Compare the site's rates with the POS's, "
        "and submit the order again once they agree.",
        STUCK,
    ),
    "tax.rounding": RemedyText(
        Action.FIX_ORDER,
        Actor.DEVELOPER,
        "{platform} rounds the tax of this order differently than the ordering site, so the totals "
        "differ by very little ({detail}). The taxes in {platform} are right. {register} Key the "
        "order in, and tell the ordering site's support.",
        "{detail}. Only rounding differs, and it couldn't be made up for. Nothing was changed at "
        "the register.",
        STUCK,
    ),
    "tax.rounding_created": RemedyText(
        Action.CHECK_REGISTER,
        Actor.DEVELOPER,
        "{platform} already has the order. It rounds the tax differently than the ordering site, "
        "so the totals differ by very little ({detail}). The taxes in {platform} are right, and "
        "the order can be served. The customer doesn't pay the difference: if the register asks "
        "for it, close the order with a discount of that amount. The order mustn't be sent again.",
        "The order was created, and only rounding differs when it is read back: {detail}. It isn't "
        "submitted again.",
        ARRIVED,
    ),
    "tax.created": RemedyText(
        Action.CHECK_REGISTER,
        Actor.STORE,
        "{platform} already has the order, but its tax{taxes} gives a different total than the "
        "customer paid ({detail}). Correct the total at the register. Then, if a tax in {platform} "
        "is wrong, correct it; if all are right, ask the ordering site's support to charge the "
        "same. The order mustn't be sent again.",
        "The order was created, but its taxes differ when read back: {detail}. It isn't submitted "
        "again.",
        ARRIVED,
    ),
    "store_closed": RemedyText(
        Action.REOPEN,
        Actor.STORE,
        "The store takes no online orders in {platform} at the moment. {register} Switch online "
        "ordering on again< and have the order sent again>, or reject the order and refund what "
        "the customer paid.",
        "{detail}. Hold the order until it is due, and stop taking orders for this store in the "
        "meantime.",
        CLOSED,
    ),
    "store_closed.deactivated": RemedyText(
        Action.REOPEN,
        Actor.STORE,
        "This location is deactivated in {platform}, so it can take no orders. {register} Activate "
        "the location again in {platform}, or ask the ordering site's support to connect the one "
        "that replaces it. Until then, reject the order and refund what the customer paid.",
        "{detail}. The connection itself works. Stop taking orders for this store until its "
        "manager has activated the location; if it is closed for good, disconnect the store.",
        CLOSED,
    ),
    "order": RemedyText(
        Action.FIX_ORDER,
        Actor.DEVELOPER,
        "{platform} refused this order because something in it isn't valid. {register} Ask the "
        "ordering site's support to correct it< and send it again, or key the order in and tell "
        "them so>.",
        "{platform} refused the order itself: {detail}. Correct it and submit it again under the "
        "same id.",
        STUCK,
    ),
    "order.late": RemedyText(
        Action.FIX_ORDER,
        Actor.STORE,
        "The time of this order can't be kept ({detail}). {register} Agree on another time with "
        "the customer and key the order in, or refund what the customer paid.",
        "{detail}. Policy(past_due='as_soon_as_possible') sends such an order as one that is due "
        "as soon as possible.",
        LATE,
    ),
    "order.early": RemedyText(
        Action.FIX_ORDER,
        Actor.DEVELOPER,
        "{platform} doesn't take an order for this time yet ({detail}). {register} Ask the "
        "ordering site's support to send it again nearer to its time, or agree on another time "
        "with the customer. It mustn't be prepared now.",
        "{detail}. Submit the order again nearer to its time: the outbox's setting `lead` says how "
        "long before it is due an order is sent. Nothing was sent as soon as possible, since the "
        "order is due more than an hour from now.",
        EARLY,
    ),
    "order.rejected": RemedyText(
        Action.REFUND,
        Actor.STORE,
        "The order was rejected at the store, so it won't be prepared. Inform the customer, and "
        "refund what was paid online. If the order was to be paid at the store, there is nothing "
        "to refund.",
        "{detail}. Inform the customer, and refund what was paid: `Order.paid`, which is only a "
        "part if the order has an `amount_due`, and 0 if it is unpaid. Don't submit the order "
        "again.",
        REJECTED,
    ),
    "order.unsupported": RemedyText(
        Action.FIX_ORDER,
        Actor.DEVELOPER,
        "{platform} can't take an order with {subjects}, so nothing was sent. {register} Key the "
        "order in, and ask the ordering site's support to take no such orders for this store.",
        "{detail}. Nothing was sent. `capabilities` lists the fields that the adapter carries. "
        "Take it out of the order, or out of what the site offers for this store.",
        STUCK,
    ),
    "order.tax_terms": RemedyText(
        Action.FIX_ORDER,
        Actor.DEVELOPER,
        "The ordering site sent this order's prices without the tax that {platform}'s prices "
        "include, or the other way round, and {platform} can't convert them ({detail}). {register} "
        "There is nothing to correct in {platform}. Key the order in as it was paid, and tell the "
        "ordering site's support.",
        "{detail}. Nothing was changed at the register. Set `prices_include_tax` as the store's "
        "menu has its taxes (`Tax.included`), send the prices that go with it, and submit the "
        "order again.",
        STUCK,
    ),
    "order.currency": RemedyText(
        Action.FIX_ORDER,
        Actor.DEVELOPER,
        "This order isn't in the store's currency ({detail}). {register} There is nothing to "
        "correct in {platform}. Ask the ordering site's support to send the order to the store "
        "that it is for, or to sell in the store's currency.",
        "{detail}. Check that the order went to the right connection, and that the site sells in "
        "the store's currency. Convert no amounts: the customer paid in theirs.",
        STUCK,
    ),
    "order.changed": RemedyText(
        Action.FIX_ORDER,
        Actor.DEVELOPER,
        "The ordering site has changed this order since it was sent, and only what was sent first "
        "counts. {register} Ask the ordering site's support what has changed, and correct the "
        "order at the register if it is there.",
        "{detail}. An id stands for one content.",
        CHECKING,
    ),
    "order.cancelled": RemedyText(
        Action.FIX_ORDER,
        Actor.DEVELOPER,
        "This order was cancelled, so it isn't sent again. If the customer still wants it, key it "
        "in, and tell the ordering site's support.",
        "{detail}.",
        CANCELLED,
    ),
    "order.uncancelled": RemedyText(
        Action.CHECK_REGISTER,
        Actor.STORE,
        "{platform} hasn't cancelled this order ({detail}). Cancel it at the register if it is "
        "still to be made. Otherwise refund there what the customer paid.",
        "{detail}. Cancel the order at the register, or refund it there.",
        NOT_CANCELLED,
    ),
    "order.copy": RemedyText(
        Action.CHECK_REGISTER,
        Actor.STORE,
        "{platform} has a copy of this order, which was taken over by hand. Cancel the copy at the "
        "register, so that the order isn't made twice.",
        "{detail}.",
        ARRIVED,
    ),
    "order.created": RemedyText(
        Action.CHECK_REGISTER,
        Actor.STORE,
        "{platform} already has the order, but at another total ({detail}). Correct it at the "
        "register. The order mustn't be sent again.",
        "{detail}. The order isn't submitted again.",
        ARRIVED,
    ),
    "order.missing": RemedyText(
        Action.CHECK_REGISTER,
        Actor.SUPPORT,
        "{platform} doesn't show this order. Look for it at the register. If it isn't there, tell "
        "the ordering site's support before keying it in.",
        "{detail}. Either it was deleted there, or this connection is to another store or address.",
        CHECKING,
        says_to_look=True,
    ),
    "order.unreadable": RemedyText(
        Action.CHECK_REGISTER,
        Actor.SUPPORT,
        "The entry of this order is damaged. Check whether the order is on the register. If it "
        "isn't, take it from the ordering site and enter it by hand.",
        "{detail}. If a newer version of Tillpost wrote it, upgrade. Otherwise check the register, "
        "then close the order: `tillpost orders manual` or `tillpost orders cancel`.",
        CHECKING,
        says_to_look=True,
    ),
    "setup": RemedyText(
        Action.FIX_CONNECTION,
        Actor.DEVELOPER,
        "The connection to {platform} isn't set up correctly.[ {register}] Ask the ordering site's "
        "support to correct it[<, then to send the order again>].",
        "{detail}. Correct the connection's settings[, then submit the order again].",
        STUCK,
    ),
    "setup.product": RemedyText(
        Action.FIX_CONNECTION,
        Actor.DEVELOPER,
        "This order has {subjects}, and the connection names no product in {platform} for that, so "
        "nothing was sent. {register} Key the order in. Then choose a product in {platform} for "
        "that, or add one, and give its name to the ordering site's support.",
        "{detail}. Set it to the id of a product at the store.",
        STUCK,
    ),
    "setup.product_tax": RemedyText(
        Action.FIX_CONNECTION,
        Actor.DEVELOPER,
        "This order has {subjects} in {platform}, so nothing was sent. {register} Key the order "
        "in. Then correct the tax of that product in {platform}, or choose another product there "
        "and give its name to the ordering site's support.",
        "{detail}, or have the store correct the product's tax. Then submit the order again.",
        STUCK,
    ),
    "setup.added": RemedyText(
        Action.FIX_CONNECTION,
        Actor.STORE,
        "{platform} adds {subjects} to online orders by itself, which the customer wasn't charged "
        "({detail}). {register} Key the order in as it was paid. Then switch that off for online "
        "orders in {platform}, or ask the ordering site's support to charge it, too.",
        "{detail}. Nothing was changed at the register. Submit the order again once the store's "
        "rule is off, or the site charges the same.",
        STUCK,
    ),
    "setup.discounts": RemedyText(
        Action.FIX_CONNECTION,
        Actor.DEVELOPER,
        "This order has {subjects} on items of different taxes, and the connection to {platform} "
        "isn't set up to divide that among them, so nothing was sent. {register} There is nothing "
        "to correct in {platform}. Key the order in, and ask the ordering site's support to "
        "correct the connection.",
        "{detail}. Nothing was sent. Change the setting, then submit the order again.",
        STUCK,
    ),
    "unknown": RemedyText(
        Action.READ_ANSWER,
        Actor.SUPPORT,
        "{platform} sent an unexpected answer.[ {register} Handle the order by hand for now.] "
        "Contact the ordering site's support.",
        "{platform} answered: {detail}. `exchange` has the raw answer. Report it, so that a row "
        "for it can be added to the error table.",
        STUCK,
    ),
    "unsupported": RemedyText(
        Action.FIX_CONNECTION,
        Actor.DEVELOPER,
        "The connection to {platform} can't do this.[ Do it at the register instead.]",
        "{detail}. `tillpost adapters` lists what each adapter can do.",
        CHECKING,
    ),
}
"""The texts by `kind` or `kind.reason`, with their placeholders."""


def fill(
    text: RemedyText,
    *,
    platform: str,
    subjects: Sequence[str],
    detail: str,
    imported: str,
    contact: str,
    granted_by: str = "",
    register: str = NOT_THERE,
    concerns_order: bool = True,
    is_sending: bool = True,
) -> Remedy:
    """Return a row of the table with its placeholders filled in.

    Args:
        text: The row.
        platform: The platform's name for people.
        subjects: The lines, items or taxes at fault, as names for people.
        detail: The platform's own message.
        imported: `MENU_IMPORTED` after a menu import that didn't help, else empty.
        contact: A sentence appended to both texts, such as a support phone number.
        granted_by: The person who authorised the connection, where known.
        register: Where the order is: `NOT_THERE`, `MAY_EXIST` or `HAS_ORDER`.
        concerns_order: Whether there is an order that the texts may speak of.
        is_sending: Whether that order is to be sent; otherwise it was only looked at or cancelled.
    """
    manager, developer = (
        _without_brackets(
            each,
            concerns_order=concerns_order,
            is_sent_again=is_sending and register != HAS_ORDER,
        )
        for each in (text.manager, text.developer)
    )
    connected_by = f"{granted_by}, who connected it," if granted_by else _UNKNOWN_PERSON
    detail = detail.rstrip(".") or "no detail given"
    values = {
        "platform": platform,
        "subjects": _join(subjects, concerns_order=concerns_order),
        "taxes": f" ({_join(subjects, concerns_order=concerns_order)})" if subjects else "",
        "imported": imported,
        "who": connected_by,
        "register": register.format(platform=platform),
    }
    ending = f" {contact}" if contact else ""
    says_where = text.says_to_look or "{register}" in text.manager
    by_place = {NOT_THERE: text.customer.not_there, MAY_EXIST: text.customer.may_exist}
    for_customer = by_place.get(register, text.customer.there) if concerns_order else ""
    look = f" {MAY_EXIST}" if register == MAY_EXIST and concerns_order and not says_where else ""
    for_manager = manager.format(**values, detail=_FIELD.sub("", detail))
    for_developer = developer.format(**values, detail=detail)
    return Remedy(
        action=text.action,
        actor=text.actor,
        manager=_capitalise(for_manager) + look + ending,
        developer=_capitalise(for_developer) + ending,
        customer=for_customer,
    )


_ABOUT_ORDER = re.compile(r"\[([^\]]*)\]")
_SENT_AGAIN = re.compile(r"<([^>]*)>")
_FIELD = re.compile(r"^[a-z_]+(?:\[\d+\])?(?:\.[a-z_]+(?:\[\d+\])?)*: ")
"""The field of an order that a detail begins with, as in `amount_due: too much`."""

_NAME_IN_CODE = re.compile(r"[a-z]+(?:_|\[|\.[a-z]|: )")
_UNKNOWN_PERSON = "the person who connected it"
_UNKNOWN_SUBJECT = "something on the order"
_UNKNOWN_ON_MENU = "something on the menu"


def _without_brackets(text: str, *, concerns_order: bool, is_sent_again: bool) -> str:
    """Return a text without its brackets.

    What they hold is left out where it doesn't apply.
    """
    text = _SENT_AGAIN.sub(r"\1" if is_sent_again else "", text)
    return _ABOUT_ORDER.sub(r"\1" if concerns_order else "", text)


def _join(subjects: Sequence[str], *, concerns_order: bool) -> str:
    """Return "A", "A and B" or "A, B and C"."""
    if not subjects:
        return _UNKNOWN_SUBJECT if concerns_order else _UNKNOWN_ON_MENU
    *others, last = subjects
    if not others:
        return last
    return f"{', '.join(others)} and {last}"


def _capitalise(text: str) -> str:
    """Return the text with its first letter in upper case and the rest as it is.

    The name of a field or setting at its beginning stays as it is.
    """
    if _NAME_IN_CODE.match(text):
        return text
    return text[:1].upper() + text[1:]
