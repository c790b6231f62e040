"""What a flow asks of whoever drives it. A flow holds the logic and no I/O; a loop carries these out, sync or async.

`operation` and `submission` yield commands; `Till`, `AsyncTill` and the outbox answer each with the
result that its docstring names. Those that say something are tuples, which cost the least to make.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias, TypeVar

from tillpost.adapter.base import Credentials
from tillpost.adapter.exchange import Fault, Request, Response
from tillpost.adapter.verdicts import Verdict
from tillpost.submission.journal import Event

__all__ = [
    "Announce",
    "Command",
    "Flow",
    "ImportMenu",
    "Pause",
    "Record",
    "Refresh",
    "Reimport",
    "Sending",
    "Suspend",
    "Transmit",
]

T = TypeVar("T")


class Record(NamedTuple):
    """Keep an event of the order at hand before going on. Answered with None."""

    event: Event


class Transmit(NamedTuple):
    """Send the request, and again while that is safe and worth it. Answered with a `Sending`.

    `retries` and `patience` (seconds) are what is left of the order's budget for trouble.
    """

    request: Request[Any]
    judge: Callable[[Response | Fault], Verdict]
    retries: int
    patience: float


class Sending(NamedTuple):
    """How a transmission ended, after how many sends, and what it was signed with."""

    verdict: Verdict
    sends: int
    signed_with: Credentials


class Pause(NamedTuple):
    """Wait for some seconds within an operation. Answered with None."""

    seconds: float


class Suspend(NamedTuple):
    """Nothing is due for the order for some seconds. Answered with None, or the flow is dropped and begun anew then."""

    seconds: float


class Refresh(NamedTuple):
    """Renew the credentials that have expired, once for all who ask.

    Answered with whether there are newer ones; a failure that will pass is thrown.
    """

    expired: Credentials


@dataclass(frozen=True, slots=True)
class ImportMenu:
    """Import the connection's menu, once for all who ask at the same time. Answered with an `Imported`, or throws."""


@dataclass(frozen=True, slots=True)
class Reimport:
    """Ask the plugins for a menu. Answered with it, or with None."""


class Announce(NamedTuple):
    """Tell the plugins, through the named hook. Answered with None."""

    hook: str
    facts: Mapping[str, object]


Command: TypeAlias = (
    Record | Transmit | Pause | Suspend | Refresh | ImportMenu | Reimport | Announce
)
Flow: TypeAlias = Generator[Command, Any, T]
"""A conversation with the loop that drives it; it ends with its result."""
