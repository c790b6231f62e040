"""The generic POS's error table: a POS names our error classes itself.

Its problem's `kind` is the name of a class, its `item` the id of the item or option at fault.
"""

from __future__ import annotations

from tillpost.adapter import (
    Applied,
    DoubtError,
    MenuError,
    OrderError,
    OutageError,
    PermissionsError,
    PosError,
    RateLimitError,
    RegisterOfflineError,
    Row,
    SetupError,
    StoreClosedError,
    TaxError,
    UnknownPosError,
)

__all__ = ["TABLE"]


def _row(error: type[PosError], applied: Applied = Applied.NO) -> Row:
    any_item = r"^(?P<item>.+)?"
    return Row(error, codes=frozenset({error.__name__}), field=any_item, applied=applied)


TABLE = (
    _row(PermissionsError),
    _row(RateLimitError),
    _row(RegisterOfflineError),
    _row(StoreClosedError),
    _row(TaxError),
    _row(MenuError),
    _row(OrderError),
    _row(SetupError),
    _row(UnknownPosError),
    _row(OutageError, Applied.MAYBE),
    _row(DoubtError, Applied.MAYBE),
)
"""The first row that matches wins."""
