"""The exit codes of the `tillpost` command, and which error has which code.

`CODES` is printed in the help. A code never changes its meaning, so that scripts can branch on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
    MenuError: (10, "the order doesn't match the menu"),
    OutageError: (11, "the platform can't be reached, or fails"),
    RateLimitError: (12, "the platform limits the rate of requests"),
    RegisterOfflineError: (13, "the register is offline"),
    PermissionsError: (14, "the platform rejects the access"),
    TaxError: (15, "the taxes don't match"),
    StoreClosedError: (16, "the store takes no online orders at the moment"),
    OrderError: (17, "the platform refuses the order itself"),
    SetupError: (18, "the connection's settings are wrong"),
    UnknownPosError: (19, "the platform gave an unknown answer"),
    DoubtError: (20, "the order may exist: submit it again to find out"),
    UnsupportedError: (21, "the platform's adapter doesn't support this"),
}

CODES: Mapping[int, str] = {
    OK: "success",
    NOT_RIGHT: "the command ran, and its answer is no: not ready, faults found, a demo failed",
    BAD_INPUT: "wrong usage or bad input; nothing was sent",
    STORE: "the outbox's database can't be opened, read or written",
    **dict(_ERRORS.values()),
    INTERRUPTED: "interrupted",
}
"""The meaning of each exit code."""


class CliError(Exception):
    """Ends the command with a line on standard error and an exit code.

    A command that explains may have more lines.
    """

    def __init__(self, line: str, code: int = BAD_INPUT, *, more: Sequence[str] = ()) -> None:
        super().__init__(line)
        self.code = code
        self.more = more


def code_for(error: PosError) -> int:
    """Return the exit code of the error's class, or of its nearest base with one.

    >>> code_for(RateLimitError("slow down")), code_for(PosError("?"))
    (12, 19)
    """
    for kind in type(error).__mro__:
        if kind in _ERRORS:
            code, _ = _ERRORS[kind]
            return code
    code, _ = _ERRORS[UnknownPosError]
    return code
