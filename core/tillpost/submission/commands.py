"""The commands of a flow: what it asks of the loop that runs it.

A flow holds the logic and does no I/O. It yields commands, and a loop answers each with the result
that the command's docstring names: `client.executor` for `Till`, `AsyncTill` and most flows of the
outbox, and the outbox's `OrderRunner` for a claimed order. Commands that carry data are named
tuples, which are the cheapest to make.
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
    "Suspend",
    "Transmission",
    "Transmit",
]

T = TypeVar("T")


class Record(NamedTuple):
    """Persist an event of the order before going on. The result is None."""

    event: Event


class Transmit(NamedTuple):
    """Send a request, and repeat it while that is safe.

    The result is a `Transmission`.

    Attributes:
        request: What to send.
        judge: Returns what an answer means.
        retries: How many retries the order's budget has left.
        patience: How many seconds it has left for them.
    """

    request: Request[Any]
    judge: Callable[[Response | Fault], Verdict]
    retries: int
    patience: float


class Transmission(NamedTuple):
    """How a `Transmit` ended.

    It has the verdict, the number of sends, and the credentials used. The verdict's `applied` is
    about all the sends; see `Verdict.after`.
    """

    verdict: Verdict
    sends: int
    signed_with: Credentials


class Pause(NamedTuple):
    """Wait for some seconds within an operation. The result is None."""

    seconds: float


class Suspend(NamedTuple):
    """Do nothing for the order for some seconds.

    The result is None; or the loop drops the flow, and starts a new one after these seconds.
    """

    seconds: float


class Refresh(NamedTuple):
    """Refresh expired credentials, once for all that ask for it.

    The result says whether newer credentials are in use. A transient failure is thrown.
    """

    expired: Credentials


@dataclass(frozen=True, slots=True)
class ImportMenu:
    """Import the connection's menu, once for all that ask for it at the same time.

    The result is a `MenuImport`; a failure is thrown.
    """


@dataclass(frozen=True, slots=True)
class Reimport:
    """Ask the plugins for a menu, by the hook `reimport_menu`.

    The result is a menu or None.
    """


class Announce(NamedTuple):
    """Call a hook of the plugins with these facts. The result is None."""

    hook: str
    facts: Mapping[str, object]


Command: TypeAlias = (
    Record | Transmit | Pause | Suspend | Refresh | ImportMenu | Reimport | Announce
)
Flow: TypeAlias = Generator[Command, Any, T]
"""A generator of commands; it is sent their results and returns its own."""
