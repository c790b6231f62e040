"""The comparison of two imports of a menu, for people and for the import brake.

`compare` puts both menus into rows of facts and lists each fact that differs. A thing whose id
alone changed is `renumbered`, not removed: it is found again by SKU, or by exact name and price, as
`matching.rebind` would find it. The menus' own `faults` aren't compared.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple, TypeAlias

from tillpost.models.base import FrozenModel
from tillpost.models.menu import (
    GroupUse,
    Index,
    IndexEntry,
    Item,
    Menu,
    Tax,
    Variation,
    display_name,
    limits_in_words,
)
from tillpost.models.money import format_money, to_major

__all__ = ["Change", "MenuChanges", "compare"]


class Change(FrozenModel):
    """One difference between two menus.

    `id` is the subject's id now, or its last one when it is gone. `before` and `after` are the
    fact that differs, in words.
    """

    subject: str
    id: str
    before: str = ""
    after: str = ""


class MenuChanges(FrozenModel):
    """All differences between two menus, by kind; true when there are any.

    They cover variations, modifier options, modifier groups, taxes and tables.

    Attributes:
        removed_share: The share of the old menu's variations that are gone, from 0 to 1.
        first: Whether there was no menu before.
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
        return any(getattr(self, kind) for kind in _SENTENCES)

    def in_words(self) -> tuple[str, ...]:
        """Return a sentence for each change; a first import is one sentence."""
        if self.first:
            return (f"First import: {len(self.added)} items, options, groups, taxes and tables",)
        sentences: list[str] = []
        for kind, template in _SENTENCES.items():
            changes: Sequence[Change] = getattr(self, kind)
            for change in changes:
                sentence = template.format_map(dict(change))
                sentences.append(sentence.strip())
        return tuple(sentences)


# A sentence for each kind of change, in the order that people read them.
_SENTENCES = {
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

_KindOfChange: TypeAlias = tuple[str, Change]
"""The name of a field of `MenuChanges`, and a change for it."""


class _Row(NamedTuple):
    """One thing of a menu: what identifies it, and its facts.

    The facts are grouped by the kind of change they make.
    """

    id: str
    sku: str
    name: str
    price: int | None
    facts: Mapping[str, str]

    @property
    def cost(self) -> str:
        return self.facts.get("repriced", "")

    def entry(self) -> IndexEntry[_Row]:
        return IndexEntry(self.id, self.sku, self.name, self.price, self)


def compare(old: Menu | None, new: Menu) -> MenuChanges:
    """Return how `new` differs from `old`.

    Without an old menu everything in the new one is new.
    """
    unchanged = _unchanged(old, new)
    variations = _differences(_variations(old, unchanged), _variations(new, unchanged))
    options = _differences(_options(old), _options(new))
    groups = _differences(_groups(old), _groups(new))
    taxes = _differences(_taxes(old), _taxes(new))
    changes = [*variations, *options, *groups, *taxes]
    tables_known = old is None or (old.tables is not None and new.tables is not None)
    if tables_known:
        changes += _differences(_tables(old), _tables(new))
    by_kind: dict[str, list[Change]] = {}
    for kind, change in changes:
        by_kind.setdefault(kind, []).append(change)
    fields = {kind: tuple(found) for kind, found in by_kind.items()}
    removed_share = 0.0
    if old and old.by_variation:
        removed = sum(kind == "removed" for kind, _ in variations)
        removed_share = removed / len(old.by_variation)
    return MenuChanges(
        removed_share=removed_share,
        first=old is None,
        **fields,
    )


def _differences(old: Iterable[_Row], new: Iterable[_Row]) -> list[_KindOfChange]:
    """Return the changes between two tables of rows."""
    before = {row.id: row for row in old}
    after = {row.id: row for row in new}
    # Only an id that wasn't there before can be another row's new id.
    unknown = [row.entry() for row in after.values() if row.id not in before]
    new_rows = Index(unknown)
    changes: list[_KindOfChange] = []
    matched: set[str] = set()
    for was in before.values():
        now = after.get(was.id)
        if now is None:
            now = new_rows.find(was.id, was.sku, was.name, was.price)
        if now is not None:
            matched.add(now.id)
        changes += _changes_of(was, now)
    for row in after.values():
        if row.id not in matched:
            addition = Change(subject=row.name, id=row.id, after=row.cost)
            changes.append(("added", addition))
    return changes


def _changes_of(was: _Row, now: _Row | None) -> Iterator[_KindOfChange]:
    """Yield the changes of one thing; `now` is None when it is gone."""
    if now is None:
        yield "removed", Change(subject=was.name, id=was.id, before=was.cost)
        return
    if now.id != was.id:
        yield (
            "renumbered",
            Change(
                subject=now.name,
                id=now.id,
                before=was.id,
                after=now.id,
            ),
        )
    for kind, fact in now.facts.items():
        before = was.facts.get(kind, "")
        if kind in was.facts and before == fact:
            continue
        yield kind, Change(subject=now.name, id=now.id, before=before, after=fact)


def _unchanged(old: Menu | None, new: Menu) -> Collection[str]:
    """Return the ids of the variations that haven't changed at all.

    They need no comparison. Those are nearly all, and putting their facts into words takes most of
    a comparison's time.
    """
    if old is None:
        return ()
    shared_before = (old.currency, old.groups, old.taxes)
    if shared_before != (new.currency, new.groups, new.taxes):
        return ()
    before = old.by_variation
    unchanged: set[str] = set()
    for sold_id, sold in new.by_variation.items():
        was = before.get(sold_id)
        # An item has its variations, so where the items are equal the variations are too.
        if was is not None and was.item == sold.item:
            unchanged.add(sold_id)
    return unchanged


def _variations(menu: Menu | None, unchanged: Collection[str]) -> Iterator[_Row]:
    if menu is None:
        return
    for item, variation in menu.by_variation.values():
        if variation.id in unchanged:
            continue
        name = display_name(item, variation)
        # Of the pairs sold_out/back and shown/hidden, the fact that appears is the change; the one
        # that disappears adds nothing.
        availability = "sold_out" if variation.sold_out else "back"
        visibility = "shown" if item.online else "hidden"
        facts = {
            "relabelled": variation.sku or "none",
            "renamed": name,
            "repriced": _price(variation.price, variation.exact_price, menu.currency),
            availability: "yes",
            visibility: "yes",
            "moved": ", ".join(item.categories) or "no category",
            "limits": _limits(menu, item, variation),
            "taxes": _tax_names(menu, item),
        }
        yield _Row(variation.id, variation.sku, name, variation.price, facts)


def _limits(menu: Menu, item: Item, variation: Variation) -> str:
    limits = [_group_limits(menu, use) for use in item.groups]
    if variation.maximum is not None:
        limits.append(f"at most {variation.maximum} in an order")
    return ", ".join(limits) or "no choices"


def _group_limits(menu: Menu, use: GroupUse) -> str:
    group = menu.group_by_id.get(use.group_id)
    name = group.name if group else use.group_id
    number = limits_in_words(use.minimum, use.maximum)
    limits = f"{number} of {name}"
    if use.once:
        limits += ", none of them twice"
    return limits


def _tax_names(menu: Menu, item: Item) -> str:
    names: list[str] = []
    for tax_id in item.tax_ids:
        tax = menu.tax_by_id.get(tax_id)
        names.append(tax.name if tax else tax_id)
    return ", ".join(names) or "none"


def _options(menu: Menu | None) -> Iterator[_Row]:
    if menu is None:
        return
    for group in menu.groups:
        for option in group.options:
            row_id = f"{group.id}/{option.id}"  # one option may be in several groups
            name = f"{option.name} ({group.name})"
            availability = "sold_out" if option.sold_out else "back"
            facts = {
                "relabelled": option.sku or "none",
                "renamed": option.name,
                "repriced": _price(option.price, option.exact_price, menu.currency),
                availability: "yes",
            }
            yield _Row(row_id, option.sku, name, option.price, facts)


def _groups(menu: Menu | None) -> Iterator[_Row]:
    if menu is None:
        return
    for group in menu.groups:
        facts = {
            "renamed": group.name,
            "limits": limits_in_words(group.minimum, group.maximum),
        }
        yield _Row(group.id, "", group.name, None, facts)


def _taxes(menu: Menu | None) -> Iterator[_Row]:
    if menu is None:
        return
    for tax in menu.taxes:
        facts = {
            "renamed": tax.name,
            "taxes": _rate(tax),
        }
        yield _Row(tax.id, "", tax.name, None, facts)


def _rate(tax: Tax) -> str:
    if not tax.enabled:
        return "switched off"
    percent = (tax.rate * 100).normalize()
    manner = "included" if tax.included else "on top"
    return f"{percent:f} % {manner}"


def _tables(menu: Menu | None) -> Iterator[_Row]:
    if menu is None or menu.tables is None:
        return
    for name in menu.tables:
        yield _Row(name, "", f"Table {name}", None, {})


def _price(price: int | None, exact: Decimal | None, currency: str) -> str:
    """Return a price for people, with the POS's unrounded decimal where that differs."""
    if price is None:
        return "a price keyed in at the register"
    rounded = format_money(price, currency)
    if exact is None or exact == to_major(price, currency):
        return rounded
    return f"{rounded} ({exact} in the POS)"
