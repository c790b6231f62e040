"""An error shows nothing of the order's customer, whichever operation and code made it."""

from __future__ import annotations

from typing import Any

import pytest

from core.stand_in import Answer, Keyed, Run, StandInSettings, an_order, refusal
from tillpost.adapter.base import Attempt, Found
from tillpost.adapter.exchange import Exchange, Request, ask, reading
from tillpost.errors import OrderError, PosError
from tillpost.models.order import Customer, Order, PosOrder
from tillpost.submission.history import History
from tillpost.submission.journal import Failed
from tillpost.submission.store_flows import StoreFlows

ORDER = an_order().model_copy(update={"customer": Customer(name="Mia Chen")})
REFUSED = refusal(400, "BAD", "not for Mia Chen")


class _Quoting(Keyed):
    """Quotes an answer in an error of its own, and can price orders."""

    def submit(self, order: Order, attempt: Attempt) -> Exchange[PosOrder]:
        yield from ask(Request("GET", "/search/x", reading(Answer)))
        raise OrderError("the register shows it as Mia Chen's", code="Mia Chen")

    def quote(self, order: Order, attempt: Attempt) -> Exchange[int]:
        yield from ask(Request("POST", "/quote", reading(Answer)))
        return 0

    def find(self, order: Order, since: float | None) -> Exchange[Found]:
        yield from ask(Request("GET", "/search/x", reading(Answer)))
        return PosOrder(id="o1", reference="", notices=("paid by Mia Chen",))


class _Keyless(_Quoting):
    keyed = False


def run(*, refused: bool = False) -> Run:
    run = Run(platform=None, adapter=_Quoting(StandInSettings()))  # type: ignore[arg-type]
    answer = REFUSED if refused else refusal(200, "")
    run.failing = lambda _request, _number: ("before", answer)
    return run


def test_error_that_an_adapter_makes_hides_the_customer() -> None:
    this = run()
    failure = this.attempt(ORDER, is_new=True)
    assert isinstance(failure, OrderError)
    assert (failure.detail, failure.code) == ("the register shows it as ***'s", "***")
    assert failure.args == (failure.detail,)
    (failed,) = [e for e in this.journal.read(ORDER.id) if isinstance(e, Failed)]
    assert "Mia" not in str(failed)


@pytest.mark.parametrize("operation", ["quote", "find"])
def test_operation_about_an_order_hides_its_customer(operation: str) -> None:
    this = run(refused=True)
    flows = StoreFlows(this.connection)
    flow: Any = flows.quote(ORDER) if operation == "quote" else flows.find(ORDER, History())
    with pytest.raises(PosError, match=r"not for \*\*\*") as refused:
        this.drive(flow)
    assert "Mia" not in f"{refused.value} {refused.value.exchange} {refused.value.args}"


def test_order_that_proves_nothing_is_shown_without_customer() -> None:
    this = run()
    this.connection.adapter = _Keyless(StandInSettings())
    this.connection.policy = this.connection.policy.model_copy(update={"retries": 0})
    failure = this.attempt(ORDER)
    assert isinstance(failure, PosError)
    assert failure.detail.endswith("(paid by ***)")
