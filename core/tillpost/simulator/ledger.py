"""The ledger: what staff would see, in words that every platform shares.

A test asks it the questions that matter after the storm: is each order on the register once, is
anything left half done, did the kitchen get the notes? Amounts are integers in the currency's minor
unit.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

from pydantic import BaseModel, ConfigDict, computed_field


class LedgerModel(BaseModel):
    """Frozen, and writable as JSON."""

    model_config = ConfigDict(frozen=True)


class LedgerAmount(LedgerModel):
    """A named amount: a charge, a discount or a tax, as the platform applied it."""

    name: str
    amount: int


class LedgerModifier(LedgerModel):
    """A modifier on a line. `unit_price` is for one of it; `modifier_id` is the platform's, empty when ad hoc."""

    name: str
    quantity: Decimal = Decimal(1)
    unit_price: int = 0
    modifier_id: str = ""


class LedgerLine(LedgerModel):
    """A line as the kitchen reads it. `item_id` is the platform's, empty when the line is ad hoc."""

    name: str
    quantity: Decimal
    unit_price: int
    modifiers: tuple[LedgerModifier, ...] = ()
    note: str = ""
    item_id: str = ""


class LedgerEntry(LedgerModel):
    """One order at the platform.

    `reference` is the caller's own, `order_id` the platform's. `shown` says whether the register
    shows it to staff; `settled` whether it has been paid for (an order of 0 can be settled with
    `paid` at 0); `cancelled` whether it is dead. `state` and `fulfilment` are the platform's own
    words. `note` is all the text that staff see beside the lines.
    """

    reference: str
    order_id: str
    shown: bool
    settled: bool
    cancelled: bool
    state: str
    total: int
    paid: int
    currency: str
    lines: tuple[LedgerLine, ...] = ()
    charges: tuple[LedgerAmount, ...] = ()
    discounts: tuple[LedgerAmount, ...] = ()
    taxes: tuple[LedgerAmount, ...] = ()
    tip: int = 0
    ticket_name: str = ""
    note: str = ""
    fulfilment: str = ""
    fulfilment_state: str = ""
    due_at: str = ""

    @property
    def half_done(self) -> bool:
        """Made, not paid for, not cancelled: staff can't see it, and nobody will finish it but the caller."""
        return not self.settled and not self.cancelled


class Ledger(LedgerModel):
    """All orders at the platform, oldest first."""

    entries: tuple[LedgerEntry, ...] = ()

    @property
    def shown(self) -> tuple[LedgerEntry, ...]:
        """The orders that the register shows."""
        return tuple(entry for entry in self.entries if entry.shown)

    @property
    def half_done(self) -> tuple[LedgerEntry, ...]:
        """The orders that were made and neither paid for nor cancelled."""
        return tuple(entry for entry in self.entries if entry.half_done)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def twice(self) -> tuple[str, ...]:
        """The references that the register shows more than once. Orders without a reference don't count."""
        times = Counter(entry.reference for entry in self.shown if entry.reference)
        return tuple(reference for reference, count in times.items() if count > 1)

    def for_reference(self, reference: str) -> tuple[LedgerEntry, ...]:
        """Every order that carries this reference, shown or not, oldest first."""
        return tuple(entry for entry in self.entries if entry.reference == reference)

    def summary(self) -> str:
        """A few lines for a person: how many orders, and what is wrong with them."""
        lines = [f"{len(self.entries)} orders, {len(self.shown)} on the register"]
        lines += [
            f"half done: {entry.reference or '-'} ({entry.order_id}, {entry.state})"
            for entry in self.half_done
        ]
        lines += [f"twice: {reference}" for reference in self.twice]
        return "\n".join(lines)
