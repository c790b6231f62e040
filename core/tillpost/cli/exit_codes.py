"""The exit codes of the `tillpost` command: one table, printed in the help, and the way from an error to its code.

A code never changes its meaning, so that scripts can branch on it.
"""

from __future__ import annotations

from collections.abc import Mapping

from tillpost.errors import (
    DoubtError,
    MenuError,
    OrderError,
    OutageError,
    PermissionsError,
    PosError,
    RateLimitError,
    RegisterOfflineError,
    SetupError,
    StoreClosedError,
    TaxError,
    UnknownPosError,
    UnsupportedError,
)

__all__ = ["BAD_INPUT", "CODES", "INTERRUPTED", "NOT_RIGHT", "OK", "STORE", "CliError", "code_for"]

OK = 0
NOT_RIGHT = 1
BAD_INPUT = 2
STORE = 3
INTERRUPTED = 130

_ERRORS: Mapping[type[PosError], tuple[int, str]] = {
    MenuError: (10, "the order and the menu don't fit"),
    OutageError: (11, "the platform can't be reached or fails"),
    RateLimitError: (12, "the platform takes no more requests for now"),
    RegisterOfflineError: (13, "the register is offline"),
    PermissionsError: (14, "the platform doesn't let us in"),
    TaxError: (15, "the taxes don't fit"),
    StoreClosedError: (16, "the store takes no orders now"),
    OrderError: (17, "the order itself is refused"),
    SetupError: (18, "the connection is set up wrongly"),
    UnknownPosError: (19, "an answer that isn't known"),
    DoubtError: (20, "the order may be there: submit it again to find out"),
    UnsupportedError: (21, "the platform's adapter can't do that"),
}

CODES: Mapping[int, str] = {
    OK: "done",
    NOT_RIGHT: "done, and the answer is no: not ready, faults found, a demo that went wrong",
    BAD_INPUT: "bad usage or input; nothing was sent",
    STORE: "the outbox's database can't be opened, read or written",
    **dict(_ERRORS.values()),
    INTERRUPTED: "interrupted",
}
"""What each exit code means."""


class CliError(Exception):
    """Ends the command with one line on standard error, and an exit code."""

    def __init__(self, line: str, code: int = BAD_INPUT) -> None:
        super().__init__(line)
        self.code = code


def code_for(error: PosError) -> int:
    """Return the exit code for an error: that of its class, or of the nearest class above that has one.

    >>> code_for(RateLimitError("slow down")), code_for(PosError("?"))
    (12, 19)
    """
    known = (_ERRORS[kind] for kind in type(error).__mro__ if kind in _ERRORS)
    code, _ = next(known, _ERRORS[UnknownPosError])
    return code
