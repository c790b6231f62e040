"""Faults in a store's POS setup, found from its menu before an order fails.

`setup_faults` lists what makes orders fail and no import can mend: taxes on top of prices with tax,
or that serve as a surcharge, items without a tax or a price, choices that nobody can make. Staff
read them as "subject: text" and mend them in the POS. `menu_finding` says whether anything can be
ordered at all. Both are called by the store check and by `tillpost menu check`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TypeAlias

from tillpost.adapter.readiness import Finding
from tillpost.errors.remedies import Actor
from tillpost.models.availability import Reason
from tillpost.models.menu import GroupUse, Menu, ModifierGroup, SetupFault, Tax, display_name

__all__ = ["menu_finding", "setup_faults"]

# Names of taxes that are really charges. "Goods and Services Tax" and "Service tax" are taxes.
_CHARGE_NAMES = (
    r"surcharge",
    r"\bservices?\b(?!\s*tax)",
    r"\b(weekend|saturday|sunday|holiday)s?\b",
    r"\bgratuity\b",
    r"\btips?\b",
    r"\b(card|booking|delivery|handling|processing)\b.*\bfee",
)
_CHARGE = re.compile("|".join(_CHARGE_NAMES), re.IGNORECASE)

_MAX_NAMES = 5
"""How many names a sentence lists; the rest is counted."""


def setup_faults(menu: Menu) -> tuple[SetupFault, ...]:
    """Return the faults in the setup, each once.

    Those that the adapter found come first.
    """
    faults = list(menu.faults)
    for find in _FINDERS:
        faults += [SetupFault(subject=subject, text=text) for subject, text in find(menu)]
    return tuple(dict.fromkeys(faults))


def menu_finding(menu: Menu) -> Finding:
    """Return a finding that is `ok` while anything on the menu can be ordered.

    Items that are sold out or hidden, or have a tax on top of prices with tax, can't be. The
    finding's text lists the faults of the setup; it never says that the store is closed.
    """
    now = datetime.now(UTC)
    sells = any(
        item.online and not variation.is_sold_out(now) and not _are_mixed(menu.taxes_on(item))
        for item, variation in menu.by_variation.values()
    )
    text = "Nothing on the menu can be ordered"
    if sells:
        text = "The menu has something to order"
    faults = [f"{fault.subject} {fault.text}" for fault in setup_faults(menu)]
    if faults:
        listed = "; ".join(faults)
        text = f"{text}; faults in its setup: {listed}"
    return Finding.of("menu", sells, text, Actor.STORE, Reason.OPEN)


_Fault: TypeAlias = tuple[str, str]
"""The subject and the text of a `SetupFault`."""


def _mixed_taxes(menu: Menu) -> Iterator[_Fault]:
    """Yield one fault for all items with one tax in their price and another on top.

    It is one mistake. Several taxes that are all included, or all added, are normal.
    """
    items_by_taxes: dict[tuple[Tax, ...], list[str]] = {}
    for item in menu.items:
        items_by_taxes.setdefault(menu.taxes_on(item), []).append(item.name)
    for taxes, items in items_by_taxes.items():
        if not _are_mixed(taxes):
            continue
        where = "every item" if len(items) == len(menu.items) else _listed(items)
        included = _listed([tax.name for tax in taxes if tax.included])
        added = _listed([tax.name for tax in taxes if not tax.included])
        yield (
            added,
            f"is added to prices that include {included}, of {where}; a surcharge belongs in a "
            "service charge",
        )


def _are_mixed(taxes: Sequence[Tax]) -> bool:
    return len({tax.included for tax in taxes}) > 1


def _charges_as_taxes(menu: Menu) -> Iterator[_Fault]:
    for tax in menu.taxes:
        if tax.enabled and _CHARGE.search(tax.name):
            text = "is set up as a tax, but looks like a surcharge; make it a service charge"
            yield tax.name, text


def _untaxed_items(menu: Menu) -> Iterator[_Fault]:
    """Yield items without a tax, where most items have one.

    A store may well have none.
    """
    untaxed = [item.name for item in menu.items if not menu.taxes_on(item)]
    if 2 * len(untaxed) < len(menu.items):
        yield from ((name, "has no tax, where the other items have one") for name in untaxed)


def _unpriced_items(menu: Menu) -> Iterator[_Fault]:
    for item, variation in menu.by_variation.values():
        if variation.price is None:
            yield display_name(item, variation), "has no price in the POS"


def _impossible_choices(menu: Menu) -> Iterator[_Fault]:
    """Yield one fault for all items that use a group in the same impossible way."""
    items_by_fault: dict[_Fault, list[str]] = {}
    for item in menu.items:
        for use in item.groups:
            fault = _group_fault(menu, use)
            if fault:
                items_by_fault.setdefault(fault, []).append(item.name)
    for (subject, text), items in items_by_fault.items():
        yield subject, f"{text} (used by {_listed(items)})"


def _group_fault(menu: Menu, use: GroupUse) -> _Fault | None:
    group = menu.group_by_id.get(use.group_id)
    if group is None:
        return f"Modifier group {use.group_id}", "isn't among the POS's modifier groups"
    reason = _why_impossible(group, use)
    if not reason:
        return None
    return (group.name, reason)


def _why_impossible(group: ModifierGroup, use: GroupUse) -> str:
    """Return why no choice keeps the limits, or nothing when one does."""
    options = len(group.options)
    now = datetime.now(UTC)
    available = sum(not option.is_sold_out(now) for option in group.options)
    least, most = use.minimum, use.maximum
    if most is not None and most < least:
        return f"asks for at least {least} of its options, but allows {most} at most"
    if options < least:
        return f"asks for {least} of its options, but has {options}"
    if least and not available:
        return "asks for one of its options, but all are sold out"
    if available < least:
        return f"asks for {least} of its options, but only {available} can be ordered"
    return ""


def _listed(names: Sequence[str]) -> str:
    listed = ", ".join(names[:_MAX_NAMES])
    more = len(names) - _MAX_NAMES
    if more <= 0:
        return listed
    return f"{listed} and {more} more"


_FINDERS: tuple[Callable[[Menu], Iterator[_Fault]], ...] = (
    _mixed_taxes,
    _charges_as_taxes,
    _untaxed_items,
    _unpriced_items,
    _impossible_choices,
)
