"""Numbers from outside that are none, NaN, or infinite are refused where they come in.

PostgreSQL takes NaN for larger than any number, and SQLite stores it as NULL: as a time, it would
be never, or lose an order.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydantic import BaseModel, ValidationError

from tillpost import ConfigError, Limits, Order, OutageError, Policy
from tillpost.adapter.exchange import Wait
from tillpost.adapter.settings import AdapterSettings
from tillpost.outbox import OutboxSettings
from tillpost.outbox.settings import ConnectionOptions

NAN = float("nan")
INFINITY = float("inf")
NO_NUMBERS = (NAN, INFINITY, -INFINITY)
MODELS: tuple[type[BaseModel], ...] = (
    Policy,
    OutboxSettings,
    ConnectionOptions,
    AdapterSettings,
)


def fields() -> Iterator[tuple[type[BaseModel], str]]:
    for model in MODELS:
        for name, field in model.model_fields.items():
            if "float" in str(field.annotation):
                yield model, name


def refused_fields(error: ValidationError) -> set[object]:
    """Return the names of the fields that a model refuses."""
    return {fault["loc"][0] for fault in error.errors()}


@pytest.mark.parametrize("number", NO_NUMBERS)
@pytest.mark.parametrize(
    ("model", "name"),
    list(fields()),
    ids=str,
)
def test_setting_that_is_no_number_is_refused(
    model: type[BaseModel], name: str, number: float
) -> None:
    annotation = str(model.model_fields[name].annotation)
    value = [number] if "Sequence" in annotation else number
    with pytest.raises(ValidationError) as refused:
        model.model_validate({name: value})
    assert name in refused_fields(refused.value)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("name", ["placed_at", "fulfilment"])
def test_order_time_that_is_no_number_is_refused(name: str, number: str) -> None:
    fulfilment = f'{{"kind": "pickup", "at": {number}}}'
    value = fulfilment if name == "fulfilment" else number
    with pytest.raises(ValidationError) as refused:
        Order.model_validate_json(f'{{"{name}": {value}}}')
    assert name in refused_fields(refused.value)


@pytest.mark.parametrize("number", [*NO_NUMBERS, 0, -1])
@pytest.mark.parametrize("name", list(Limits.__dataclass_fields__))
def test_limit_that_is_no_positive_number_is_refused(name: str, number: float) -> None:
    with pytest.raises(ConfigError, match=f"limits: {name} must be a number above 0"):
        Limits(**{name: number})  # type: ignore[arg-type]


@pytest.mark.parametrize("number", NO_NUMBERS)
def test_adapters_wait_that_is_no_number_is_refused(number: float) -> None:
    with pytest.raises(ValueError, match="seconds"):
        Wait(number)
    busy = OutageError("busy", retry_after=number)
    assert busy.retry_after is None
