"""A minimal simulator: a counter that can be read and incremented."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tillpost.simulator import (
    Answer,
    Call,
    FaultPlan,
    Ledger,
    LedgerEntry,
    Route,
    Simulator,
    action,
)


class Counter(Simulator):
    """GET /count returns the counter, POST /count increments it, GET /broken fails."""

    def __init__(self, faults: FaultPlan | None = None) -> None:
        super().__init__(faults)
        self.value = 0
        self.out_of_order = False

    def routes(self) -> Sequence[Route]:
        return [
            Route("GET", "/count", lambda _: self._value_answer()),
            Route("POST", "/count", self._increment),
            Route("GET", "/echo/{word}", self._echo),
            Route("GET", "/broken", self._broken),
        ]

    def ledger(self) -> Ledger:
        return Ledger(entries=tuple(entry(f"r{number}") for number in range(self.value)))

    def start_afresh(self) -> None:
        self.value = 0

    def connection_settings(self, url: str) -> Mapping[str, str]:
        return {"base_url": url}

    def failure(self, status: int, retry_after: int | None = None) -> Answer:
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        return Answer.of({"failure": status}, status=status, headers=headers)

    def down(self) -> Answer | None:
        return self.failure(503) if self.out_of_order else None

    @action
    def set_to(self, value: int) -> int:
        """Set the counter."""
        self.value = value
        return value

    def _value_answer(self) -> Answer:
        return Answer.of({"value": self.value}, headers={"X-Next": "/count"})

    def _increment(self, _: Call) -> Answer:
        self.value += 1
        return self._value_answer()

    def _echo(self, call: Call) -> Answer:
        return Answer.of(
            [call.path_values["word"], call.query.get("q"), call.headers.get("x-test"), call.target]
        )

    def _broken(self, _: Call) -> Answer:
        raise RuntimeError("broken on purpose")


def entry(
    reference: str, *, shown: bool = True, settled: bool = True, cancelled: bool = False
) -> LedgerEntry:
    """Return an order of the ledger."""
    return LedgerEntry(
        reference=reference,
        order_id=f"id-{reference}",
        shown=shown,
        settled=settled,
        cancelled=cancelled,
        state="OPEN",
        total=100,
        paid=100 if settled else 0,
        currency="AUD",
    )
