"""Finds what is wrong with a store's setup from its menu alone, before any order fails on it.

`setup_faults` tells what will make orders fail and no import can mend: taxes that overlap or serve
as a surcharge, items without a tax or a price, choices that can't be made. Staff read "subject:
text", and mend it in the POS. `menu_finding` says whether any order could go in at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from tillpost.adapter.readiness import Finding
from tillpost.errors.remedies import Actor
from tillpost.models.availability import Reason
from tillpost.models.menu import GroupUse, Menu, ModifierGroup, SetupFault, Tax, display_name

__all__ = ["menu_finding", "setup_faults"]

# What a tax is called that is really a charge. "Goods and Services Tax" and a "Service tax" are
# taxes.
_CHARGE_NAMES = (
    r"surcharge",
    r"\bservices?\b(?!\s*tax)",
    r"\b(weekend|saturday|sunday|holiday)s?\b",
    r"\bgratuity\b",
    r"\btips?\b",
    r"\b(card|booking|delivery|handling|processing)\b.*\bfee",
)
_CHARGE = re.compile("|".join(_CHARGE_NAMES), re.IGNORECASE)

_NAMED_AT_MOST = 5
"""So many things are named in one sentence; the rest is counted."""


def setup_faults(menu: Menu) -> tuple[SetupFault, ...]:
    """Return the faults in the setup, each once: those that the adapter found itself, then those of the menu."""
    found = (
        SetupFault(subject=subject, text=text) for find in _FINDERS for subject, text in find(menu)
    )
    return tuple(dict.fromkeys((*menu.faults, *found)))


def menu_finding(menu: Menu) -> Finding:
    """Return what the menu says of taking orders: `ok` while anything on it can be ordered, with its setup's faults.

    What is sold out, hidden or under more than one tax can't be ordered. The store itself takes
    orders all the same.
    """
    sells = any(
        item.online and not variation.sold_out and len(menu.taxes_on(item)) < 2
        for item, variation in menu.by_variation.values()
    )
    said = "The menu has something to order" if sells else "Nothing on the menu can be ordered"
    faults = "; ".join(f"{fault.subject} {fault.text}" for fault in setup_faults(menu))
    return Finding.of(
        "menu",
        sells,
        f"{said}; faults in its setup: {faults}" if faults else said,
        Actor.STORE,
        Reason.OPEN,
    )


def _overlapping_taxes(menu: Menu) -> Iterator[tuple[str, str]]:
    """Items under the same taxes share a fault: it is one mistake, made once."""
    items: dict[tuple[Tax, ...], list[str]] = {}
    for item in menu.items:
        items.setdefault(menu.taxes_on(item), []).append(item.name)
    for taxes, names in items.items():
        if len(taxes) > 1:
            where = "every item" if len(names) == len(menu.items) else _listed(names)
            names_of_taxes = _listed([tax.name for tax in taxes])
            yield (
                names_of_taxes,
                f"more than one tax applies to {where}; keep the sales tax alone on an item",
            )


def _charges_as_taxes(menu: Menu) -> Iterator[tuple[str, str]]:
    for tax in menu.taxes:
        if tax.enabled and _CHARGE.search(tax.name):
            yield (
                tax.name,
                "is set up as a tax, but looks like a surcharge; make it a service charge",
            )


def _untaxed_items(menu: Menu) -> Iterator[tuple[str, str]]:
    """Only where most items are taxed: a store may well sell without any."""
    untaxed = [item.name for item in menu.items if not menu.taxes_on(item)]
    if 2 * len(untaxed) < len(menu.items):
        yield from ((name, "has no tax, where the other items have one") for name in untaxed)


def _unpriced_items(menu: Menu) -> Iterator[tuple[str, str]]:
    for item, variation in menu.by_variation.values():
        if variation.price is None:
            yield display_name(item, variation), "has no price in the POS"


def _impossible_choices(menu: Menu) -> Iterator[tuple[str, str]]:
    """Items that use a group in the same impossible way share a fault."""
    items: dict[tuple[str, str], list[str]] = {}
    for item in menu.items:
        for use in item.groups:
            group = menu.group_by_id.get(use.group_id)
            why = _why_impossible(group, use) if group else "isn't among the POS's modifier groups"
            if why:
                items.setdefault(
                    (group.name if group else f"Modifier group {use.group_id}", why), []
                ).append(item.name)
    yield from (
        (subject, f"{why} (used by {_listed(names)})") for (subject, why), names in items.items()
    )


def _why_impossible(group: ModifierGroup, use: GroupUse) -> str:
    """Say why no choice can keep the limits; nothing when one can."""
    there, left = len(group.options), sum(not option.sold_out for option in group.options)
    least, most = use.minimum, use.maximum
    reasons = (
        (
            most is not None and most < least,
            f"asks for at least {least} of its options, but allows {most} at most",
        ),
        (there < least, f"asks for {least} of its options, but has {there}"),
        (least and not left, "asks for one of its options, but all are sold out"),
        (left < least, f"asks for {least} of its options, but only {left} can be ordered"),
    )
    return next((text for holds, text in reasons if holds), "")


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _NAMED_AT_MOST
    return ", ".join(names[:_NAMED_AT_MOST]) + (f" and {more} more" if more > 0 else "")


_FINDERS = (
    _overlapping_taxes,
    _charges_as_taxes,
    _untaxed_items,
    _unpriced_items,
    _impossible_choices,
)
