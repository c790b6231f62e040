"""How platforms refuse an order, for cassettes: a case for each class of error."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic

import pytest

from adapters.cassette_orders import LUNCH, S, Simulated
from tillpost.adapter.base import Attempt
from tillpost.errors import (
    KeyRetiredError,
    MenuError,
    OrderError,
    Outcome,
    PosError,
    UnsupportedError,
)
from tillpost.models.menu import Menu
from tillpost.models.order import Order
from tillpost.simulator import Fault, FaultPlan, FaultRule
from tillpost.testing import Store, cases


@dataclass(frozen=True)
class Refusal(Generic[S]):
    """How a simulator refuses an order, after `prepare` or with `faults`, and the error."""

    name: str
    error: type[PosError]
    code: str = ""
    status: int | None = 400
    lines: tuple[int, ...] = ()
    reason: str = ""
    subjects: tuple[str, ...] = ()
    retry_after: float | None = None
    outcome: Outcome = Outcome.NOT_CREATED
    prepare: Callable[[S], object] | None = None
    faults: FaultPlan | None = None
    settings: Mapping[str, object] | None = None
    order: Order = LUNCH


NEVER: Mapping[type[PosError], str] = {
    KeyRetiredError: "an adapter's signal to core, which no caller ever sees.",
    UnsupportedError: "raised before anything is sent.",
}
"""Kinds of error of which no platform can have a cassette, and why."""


def played(
    refusals: Sequence[Refusal[S]], simulator: Simulated[S], note: str, **world: Any
) -> pytest.MarkDecorator:
    """Run a test of `store` and `refusal` for each refusal, with both kinds of Till."""
    params = [
        pytest.param(case, refusal, id=repr(case))
        for refusal in refusals
        for case in cases(
            refusal.name,
            simulator(
                refusal.prepare,
                note=note,
                faults=refusal.faults,
                settings=refusal.settings,
                **world,
            ),
        )
    ]
    return pytest.mark.parametrize(("store", "refusal"), params, indirect=["store"])


def assert_refused(
    store: Store, refusal: Refusal[Any], menu: Menu | None = None, *, is_new: bool = False
) -> None:
    """Submit the order, and see that it is refused as it should be.

    A Till would import the menu after a menu error, and leave out a time that has passed. Here the
    answer itself is judged: so the adapter alone is asked, or the Till has a `menu` that was
    imported just now. An order that `is_new`, or that is sent with a menu, isn't looked up
    before."""
    if menu:
        store.till.menu = menu.model_copy(update={"imported_at": datetime.now(UTC)})
    alone = menu is None and issubclass(refusal.error, MenuError | OrderError)
    with pytest.raises(PosError) as caught:
        store.ask("submit", Attempt(), order=refusal.order) if alone else store.submit(
            refusal.order, is_new=is_new or bool(menu)
        )

    error = caught.value
    assert type(error) is refusal.error
    assert (error.code, error.status_code) == (refusal.code, refusal.status)
    assert (error.lines, error.reason, error.subjects) == (
        refusal.lines,
        refusal.reason,
        refusal.subjects,
    )
    assert (error.retry_after, error.outcome) == (refusal.retry_after, refusal.outcome)


def on_create(path: str, fault: Fault, times: int | None = None) -> FaultPlan:
    """Return a fault for every POST to the path, or for so many of them."""
    return FaultPlan(rules=(FaultRule(method="POST", fault=fault, path=path, times=times),))


def kinds(root: type[PosError] = PosError) -> Iterator[type[PosError]]:
    """Yield every class of error that a platform can cause."""
    for kind in root.__subclasses__():
        if kind.__module__.startswith("tillpost.errors"):
            yield kind
            yield from kinds(kind)
