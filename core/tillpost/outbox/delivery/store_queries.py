"""Queries of a store's POS: find and fetch an order, check the store.

None has an effect at the platform. A worker's polls and checks use them. The ones that end in
`briefly` are for webhooks: one short request, because the webhook's sender waits meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tillpost.adapter.base import Found
from tillpost.adapter.readiness import Finding, Readiness
from tillpost.errors import PermissionsError, PosError, RateLimitError
from tillpost.models.availability import Reason
from tillpost.models.order import Order, PosOrder
from tillpost.outbox.delivery.open_connections import OpenConnection
from tillpost.submission.commands import Command, Transmission, Transmit
from tillpost.submission.history import History, fold
from tillpost.submission.journal import Event
from tillpost.transport.http import Limits

__all__ = ["CheckResult", "StoreQueries"]

SHORT_LIMITS = Limits(connect=2.0, read=4.0, answer=5.0)
"""How long an answer may take while a webhook's sender waits."""


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
    """The queries of one open connection.

    Each raises the platform's `PosError`, except `probe` and `probe_briefly`.
    """

    def __init__(self, opened: OpenConnection) -> None:
        self._opened = opened

    def find(self, order: Order, events: Iterable[Event]) -> Found:
        """Look up an order by its reference; `events` are its journal."""
        flow = self._opened.flows.find(order, fold(events))
        return self._opened.run(flow)

    def fetch(self, pos_id: str, history: History | None = None) -> PosOrder:
        """Fetch an order by the platform's id. See `StoreFlows.fetch` for `history`."""
        flow = self._opened.flows.fetch(pos_id, history)
        return self._opened.run(flow)

    def fetch_briefly(self, pos_id: str, history: History | None = None) -> PosOrder:
        """Fetch an order with one short request, because others wait meanwhile."""
        flow = self._opened.flows.fetch(pos_id, history)
        return self._opened.run(flow, self._execute_briefly)

    def _execute_briefly(self, command: Command) -> object:
        if not isinstance(command, Transmit):
            return self._opened.executor.execute(command)
        transport = self._opened.limited_transport(SHORT_LIMITS)
        credentials = self._opened.credentials.current
        answer = transport.send(command.request, credentials)
        verdict = command.judge(answer)
        return Transmission(verdict, 1, credentials)

    def check(self) -> Readiness:
        """Check whether the store can take orders; a cached menu is checked too."""
        flow = self._opened.flows.check()
        return self._opened.run(flow)

    def probe(self) -> CheckResult:
        """Check the store without its menu. A failure is a finding; nothing is raised."""
        return self._probe(self._opened.executor.execute)

    def probe_briefly(self) -> CheckResult:
        """Check the store as `probe` does, with short requests that aren't repeated."""
        return self._probe(self._execute_briefly)

    def _probe(self, execute_command: Callable[[Command], object]) -> CheckResult:
        errors: list[PosError] = []

        def execute(command: Command) -> object:
            result = execute_command(command)
            if isinstance(result, Transmission) and result.verdict.error:
                errors.append(result.verdict.error)
            return result

        flow = self._opened.flows.check_platform()
        try:
            readiness = self._opened.run(flow, execute)
        except PosError as error:
            finding = Finding.unseen("connection", error)
            readiness = Readiness(findings=(finding,))
        return CheckResult(
            readiness,
            access_refused=self._access_refused(readiness, errors),
            hold=_longest_hold(errors),
        )

    def _access_refused(self, readiness: Readiness, errors: Sequence[PosError]) -> PosError | None:
        """Return the error with which the platform refused access, if that stops orders."""
        stop = readiness.stop
        if stop is None or stop.stops is not Reason.UNAUTHORISED:
            return None
        for error in errors:
            if isinstance(error, PermissionsError):
                return self._opened.stamp(error, "check")
        return None


def _longest_hold(errors: Sequence[PosError]) -> float:
    """Return for how many seconds the platform asks not to be sent anything."""
    hold = 0.0
    for error in errors:
        if isinstance(error, RateLimitError):
            hold = max(hold, error.retry_after or 0.0)
    return hold
