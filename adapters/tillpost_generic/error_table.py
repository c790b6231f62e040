"""The generic POS's error table: a POS names our error classes itself.

Its problem's `kind` is the name of a class, its `item` the id of the item or option at fault. A
problem promises that nothing was created, unless its status or its kind leaves that open.
"""

from __future__ import annotations

from collections.abc import Sequence

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


def _row(error: type[PosError], applied: Applied | None = None, status: Sequence[int] = ()) -> Row:
    any_item = r"^(?P<item>.+)?"
    kind = frozenset({error.__name__})
    return Row(error, status, codes=kind, field=any_item, applied=applied)


TABLE = (
    _row(PermissionsError),
    _row(RateLimitError),
    # 503 is the status that the page for a POS's developer gives it.
    _row(RegisterOfflineError, Applied.NO, status=(503,)),
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
