"""The ledger: the orders as staff see them, in terms that all platforms share.

Tests ask it what matters after a run with faults: is each order on the register exactly once, is
anything half done, did the kitchen get the notes? Amounts are integers in the currency's minor
unit.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

from pydantic import BaseModel, ConfigDict, computed_field


class LedgerModel(BaseModel):
    """A frozen model that can be written as JSON."""

    model_config = ConfigDict(frozen=True)


class LedgerAmount(LedgerModel):
    """A named amount: a charge, a discount or a tax, as the platform applied it."""

    name: str
    amount: int


class LedgerModifier(LedgerModel):
    """A modifier on a line.

    `unit_price` is the price of one. `modifier_id` is the platform's id, empty for an ad hoc
    modifier.
    """

    name: str
    quantity: Decimal = Decimal(1)
    unit_price: int = 0
    modifier_id: str = ""


class LedgerLine(LedgerModel):
    """A line as the kitchen reads it.

    `item_id` is the platform's id, empty for an ad hoc line.
    """

    name: str
    quantity: Decimal
    unit_price: int
    modifiers: tuple[LedgerModifier, ...] = ()
    note: str = ""
    item_id: str = ""


class LedgerEntry(LedgerModel):
    """One order at the platform.

    `reference` is the caller's, `order_id` the platform's. `shown` says whether the register shows
    the order to staff, `settled` whether the caller has nothing left to pay: an order of 0 can be
    settled with `paid` at 0, and so can one that is to be paid at the register. `state` and
    `fulfilment` are the platform's own terms. `note` is all the text that staff see beside the
    lines. Amounts are in minor units of the currency, whose decimal places `exponent` counts.
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
    exponent: int = 2
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
        """Whether it is neither settled nor cancelled: only the caller can finish it."""
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
        """The orders that are neither settled nor cancelled."""
        return tuple(entry for entry in self.entries if entry.half_done)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def twice(self) -> tuple[str, ...]:
        """The references that the register shows more than once.

        Orders without a reference don't count.
        """
        times = Counter(entry.reference for entry in self.shown if entry.reference)
        return tuple(reference for reference, count in times.items() if count > 1)

    def for_reference(self, reference: str) -> tuple[LedgerEntry, ...]:
        """Return every order with this reference, shown or not, oldest first."""
        return tuple(entry for entry in self.entries if entry.reference == reference)

    def shown_as(self, order: str) -> LedgerEntry:
        """Return the order with this id or reference, if the register shows it.

        Of several with the reference it is the latest.

        Raises:
            LookupError: The register shows no such order.
        """
        by_reference = [entry for entry in self.shown if entry.reference == order]
        by_id = [entry for entry in self.shown if entry.order_id == order]
        found = by_id or by_reference
        if not found:
            raise LookupError(f"the register shows no order {order!r}")
        return found[-1]

    def summary(self) -> str:
        """Describe the ledger in a few lines: how many orders, and what is wrong."""
        lines = [f"{len(self.entries)} orders, {len(self.shown)} on the register"]
        for entry in self.half_done:
            reference = entry.reference or "-"
            lines.append(f"half done: {reference} ({entry.order_id}, {entry.state})")
        lines += [f"twice: {reference}" for reference in self.twice]
        return "\n".join(lines)
