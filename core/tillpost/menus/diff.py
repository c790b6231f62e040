"""What differs between two imports of a store's menu, for people and for the brake on imports that lose too much.

`compare` puts both menus into rows of facts and lists each fact that differs. Something whose id
alone changed is `renumbered`, not removed: it is found again by its SKU, or by its exact name and
price, as `rebinding` would find it. Nothing here asks a platform; the menus' own `faults` aren't
compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import NamedTuple

from tillpost.models.base import FrozenModel
from tillpost.models.menu import Index, Menu, display_name, limits_in_words
from tillpost.models.money import format_money, to_major

__all__ = ["Change", "MenuChanges", "compare"]


class Change(FrozenModel):
    """One difference: what it is about, its id now (or as it was, when it is gone), and the fact before and after."""

    subject: str
    id: str
    before: str = ""
    after: str = ""


class MenuChanges(FrozenModel):
    """All that differs, by kind; true when anything does.

    Besides the items' variations, the modifier options, their groups, the taxes and the tables are
    listed. `removed_share` is the share of the old menu's variations that vanish, from 0 to 1.
    `first` says that there was no menu before.
    """

    added: tuple[Change, ...] = ()
    removed: tuple[Change, ...] = ()
    renumbered: tuple[Change, ...] = ()
    relabelled: tuple[Change, ...] = ()
    renamed: tuple[Change, ...] = ()
    repriced: tuple[Change, ...] = ()
    sold_out: tuple[Change, ...] = ()
    back: tuple[Change, ...] = ()
    hidden: tuple[Change, ...] = ()
    shown: tuple[Change, ...] = ()
    moved: tuple[Change, ...] = ()
    limits: tuple[Change, ...] = ()
    taxes: tuple[Change, ...] = ()
    removed_share: float = 0.0
    first: bool = False

    def __bool__(self) -> bool:
        return any(getattr(self, kind) for kind in _LINES)

    def in_words(self) -> tuple[str, ...]:
        """Return a line for each change; a first import is one line."""
        if self.first:
            return (f"First import: {len(self.added)} items, options, groups, taxes and tables",)
        return tuple(
            line.format_map(dict(change)).strip()
            for kind, line in _LINES.items()
            for change in getattr(self, kind)
        )


# A line for each kind of change, in the order that people read them.
_LINES = {
    "removed": "Gone: {subject} {before}",
    "added": "New: {subject} {after}",
    "renumbered": "{subject} has the id {after}, before {before}",
    "relabelled": "{subject} has the SKU {after}, before {before}",
    "renamed": "{before} is now called {after}",
    "repriced": "{subject} costs {after}, before {before}",
    "sold_out": "{subject} is sold out",
    "back": "{subject} is available again",
    "hidden": "{subject} is no longer sold online",
    "shown": "{subject} is sold online again",
    "moved": "{subject} is now under {after}, before {before}",
    "limits": "{subject} takes {after}, before {before}",
    "taxes": "{subject}: tax {after}, before {before}",
}


class _Row(NamedTuple):
    """One thing of a menu: how it is found again, and its facts, each under the kind of change it would make."""

    id: str
    sku: str
    name: str
    price: int | None
    facts: Mapping[str, str]


def compare(old: Menu | None, new: Menu) -> MenuChanges:
    """Return what differs in `new` from `old`; with no old menu, all of it is new."""
    tables = [
        _differences(read(old) if old else (), read(new))
        for read in (_variations, _options, _groups, _taxes)
    ]
    if old is None or None not in (
        old.tables,
        new.tables,
    ):  # where one of the two doesn't tell, nothing is known
        tables.append(_differences(_tables(old) if old else (), _tables(new)))
    vanished = sum(kind == "removed" for kind, _ in tables[0])
    had = len(old.by_variation) if old else 0
    found: dict[str, tuple[Change, ...]] = {
        kind: tuple(change for table in tables for k, change in table if k == kind)
        for kind in _LINES
    }
    return MenuChanges(removed_share=vanished / had if had else 0.0, first=old is None, **found)


def _differences(old: Iterable[_Row], new: Iterable[_Row]) -> list[tuple[str, Change]]:
    """Return the changes between two tables of rows, each with its kind."""
    before, after = {row.id: row for row in old}, {row.id: row for row in new}
    # Only an id that wasn't there can be another's new id: of two that were alike, one may really
    # be gone.
    fresh = Index((*row[:4], row) for row in after.values() if row.id not in before)
    pairs = [(row, after.get(row.id) or fresh.find(*row[:4])) for row in before.values()]
    kept = {row.id for _, row in pairs if row}
    return [
        *(change for was, now in pairs for change in _between(was, now)),
        *(
            ("added", Change(subject=r.name, id=r.id, after=_cost(r)))
            for r in after.values()
            if r.id not in kept
        ),
    ]


def _between(was: _Row, now: _Row | None) -> Iterator[tuple[str, Change]]:
    if now is None:
        yield "removed", Change(subject=was.name, id=was.id, before=_cost(was))
        return
    if now.id != was.id:
        yield "renumbered", Change(subject=now.name, id=now.id, before=was.id, after=now.id)
    for kind, fact in now.facts.items():
        if was.facts.get(kind) != fact:
            yield (
                kind,
                Change(subject=now.name, id=now.id, before=was.facts.get(kind, ""), after=fact),
            )


def _cost(row: _Row) -> str:
    return row.facts.get("repriced", "")


def _variations(menu: Menu) -> Iterator[_Row]:
    for item, variation in menu.by_variation.values():
        name = display_name(item, variation)
        uses = ((menu.group_by_id.get(use.group_id), use) for use in item.groups)
        limits = tuple(
            f"{limits_in_words(use.minimum, use.maximum)} of {group.name if group else use.group_id}"
            f"{', none of them twice' if use.once else ''}"
            for group, use in uses
        )
        if variation.maximum is not None:
            limits = (*limits, f"at most {variation.maximum} in an order")
        taxes = (tax.name if (tax := menu.tax_by_id.get(id_)) else id_ for id_ in item.tax_ids)
        yield _Row(
            variation.id,
            variation.sku,
            name,
            variation.price,
            {
                "relabelled": variation.sku or "none",
                "renamed": name,
                "repriced": _price(variation.price, variation.exact_price, menu.currency),
                # One of a pair: the fact that appears is the change, the one that disappears says
                # nothing more.
                "sold_out" if variation.sold_out else "back": "yes",
                "shown" if item.online else "hidden": "yes",
                "moved": ", ".join(item.categories) or "no category",
                "limits": ", ".join(limits) or "no choices",
                "taxes": ", ".join(taxes) or "none",
            },
        )


def _options(menu: Menu) -> Iterator[_Row]:
    for group in menu.groups:
        for option in group.options:
            name = f"{option.name} ({group.name})"
            yield _Row(
                # The same option may be in several groups.
                f"{group.id}/{option.id}",
                option.sku,
                name,
                option.price,
                {
                    "relabelled": option.sku or "none",
                    "renamed": option.name,
                    "repriced": _price(option.price, option.exact_price, menu.currency),
                    "sold_out" if option.sold_out else "back": "yes",
                },
            )


def _groups(menu: Menu) -> Iterator[_Row]:
    for group in menu.groups:
        facts = {"renamed": group.name, "limits": limits_in_words(group.minimum, group.maximum)}
        yield _Row(group.id, "", group.name, None, facts)


def _taxes(menu: Menu) -> Iterator[_Row]:
    for tax in menu.taxes:
        rate = f"{(tax.rate * 100).normalize():f} % {'included' if tax.included else 'on top'}"
        yield _Row(
            tax.id,
            "",
            tax.name,
            None,
            {"renamed": tax.name, "taxes": rate if tax.enabled else "switched off"},
        )


def _tables(menu: Menu) -> Iterator[_Row]:
    for name in menu.tables or ():
        yield _Row(name, "", f"Table {name}", None, {})


def _price(price: int | None, exact: Decimal | None, currency: str) -> str:
    """The price for people, with the POS's own decimal where it says more than the rounded one."""
    if price is None:
        return "a price keyed in at the register"
    return format_money(price, currency) + (
        f" ({exact} in the POS)" if exact not in (None, to_major(price, currency)) else ""
    )
