"""Asks a store's POS for what a worker wants to know besides its orders' submissions."""

from __future__ import annotations

from dataclasses import dataclass

from tillpost.adapter.base import Found
from tillpost.adapter.readiness import Finding, Readiness
from tillpost.errors import PermissionsError, PosError, RateLimitError
from tillpost.models.availability import Reason
from tillpost.models.order import Order, PosOrder
from tillpost.outbox.delivery.open_connections import OpenConnection
from tillpost.submission.commands import Command, Transmission, Transmit
from tillpost.transport.http import Limits

__all__ = ["CheckResult", "StoreQueries"]

SHORT_LIMITS = Limits(connect=2.0, read=4.0, answer=5.0)
"""How long the answer to `fetch_briefly` may take."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check of a store found.

    Attributes:
        readiness: Whether the store can take orders.
        access_refused: The error, if the platform refuses access.
        hold: For how many seconds the platform asks not to be sent anything.
    """

    readiness: Readiness
    access_refused: PosError | None = None
    hold: float = 0.0


class StoreQueries:
    """The queries of one open connection. Each raises the platform's `PosError`, but `probe`."""

    def __init__(self, opened: OpenConnection) -> None:
        self._opened = opened

    def find(self, order: Order) -> Found:
        """Look up an order by its reference."""
        return self._opened.run(self._opened.flows.find(order, None))

    def fetch(self, pos_id: str) -> PosOrder:
        """Fetch an order by the platform's id."""
        return self._opened.run(self._opened.flows.fetch(pos_id))

    def fetch_briefly(self, pos_id: str) -> PosOrder:
        """Fetch an order with one short request, because others wait meanwhile."""
        transport = self._opened.short_transport(SHORT_LIMITS)

        def execute(command: Command) -> object:
            if not isinstance(command, Transmit):
                return self._opened.executor.execute(command)
            credentials = self._opened.credentials.current
            verdict = command.judge(transport.send(command.request, credentials))
            return Transmission(verdict, 1, credentials)

        return self._opened.run(self._opened.flows.fetch(pos_id), execute)

    def check(self) -> Readiness:
        """Check whether the store can take orders; a cached menu is checked too."""
        return self._opened.run(self._opened.flows.check())

    def probe(self) -> CheckResult:
        """Check the store without its menu. A failure is a finding; nothing is raised."""
        errors: list[PosError] = []

        def execute(command: Command) -> object:
            result = self._opened.executor.execute(command)
            if isinstance(result, Transmission) and result.verdict.error:
                errors.append(result.verdict.error)
            return result

        try:
            readiness = self._opened.run(self._opened.flows.check_platform(), execute)
        except PosError as error:
            readiness = Readiness(findings=(Finding.unseen("connection", error),))

        refused: PosError | None = None
        if readiness.stop is not None and readiness.stop.stops is Reason.UNAUTHORISED:
            refused = next((e for e in errors if isinstance(e, PermissionsError)), None)
        if refused:
            self._opened.stamp(refused, "check")
        waits = [e.retry_after or 0.0 for e in errors if isinstance(e, RateLimitError)]
        return CheckResult(readiness, refused, max(waits, default=0.0))
