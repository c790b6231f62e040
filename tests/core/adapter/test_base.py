"""The adapter's base class: which operations an adapter has, and what the others do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from core.toy import Toy, ToySettings, toy_order
from tillpost.adapter.base import Adapter, Attempt, searched_from, ticket_reference
from tillpost.adapter.settings import AuthorisationRequest
from tillpost.adapter.webhooks import Webhook
from tillpost.errors import UnsupportedError
from tillpost.models.order import Draft

AUTHORISATION = AuthorisationRequest("app", "https://shop.example/back", "state")


class Bare(Toy):
    """An adapter without any optional operation."""

    finish = Adapter[ToySettings].finish
    cancel = Adapter[ToySettings].cancel
    quote = Adapter[ToySettings].quote
    refresh = Adapter[ToySettings].refresh


OPTIONAL: tuple[Callable[[Bare], object], ...] = (
    lambda bare: bare.finish(toy_order(), Draft(id="d", total=1)),
    lambda bare: bare.cancel("o1"),
    lambda bare: bare.menu_for(toy_order()),
    lambda bare: bare.store_currency(),
    lambda bare: bare.attention(toy_order(), 0),
    lambda bare: bare.quote(toy_order(), Attempt()),
    lambda bare: bare.refresh(bare.config.credentials()),
    lambda bare: bare.authorize_url("https://pos.example", AUTHORISATION),
    lambda bare: bare.exchange_code(bare.config.credentials()),
    lambda bare: bare.account(),
    lambda bare: bare.revoke(bare.config.credentials()),
    lambda bare: bare.parse_webhook(Webhook({}, b"", "https://shop.example/hook"), 0.0),
)


def test_capabilities_are_the_written_operations() -> None:
    needed = {"submit", "find", "fetch", "import_menu", "check"}
    assert Bare.capabilities() == needed
    assert Toy.capabilities() == needed | {"cancel", "refresh", "quote"}


@pytest.mark.parametrize("operation", OPTIONAL)
def test_unwritten_operation_raises_unsupported(operation: Callable[[Bare], object]) -> None:
    with pytest.raises(UnsupportedError, match="Toy"):
        operation(Bare(ToySettings(base_url="http://127.0.0.1")))


def test_search_starts_an_hour_before_the_order_was_sent() -> None:
    order = toy_order()
    placed = order.placed_at.timestamp()
    assert searched_from(order, placed + 60).timestamp() == placed - 3540


def test_search_without_a_time_starts_a_day_earlier_still() -> None:
    """Nobody knows how far our clock is ahead of the platform's."""
    order = toy_order()
    placed = order.placed_at.timestamp()
    assert searched_from(order, None).timestamp() == placed - 25 * 3600


def test_search_never_starts_after_a_day_ago() -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    order = toy_order().model_copy(update={"placed_at": tomorrow})
    assert searched_from(order, None) < datetime.now(UTC) - timedelta(days=1)


@pytest.mark.parametrize("since", [-1e300, 1e300, float("inf"), float("nan"), 1e13])
def test_search_starts_within_the_calendar(since: float) -> None:
    assert 1970 <= searched_from(toy_order(), since).year <= 9999


def test_order_placed_before_every_calendar_is_searched() -> None:
    order = toy_order().model_copy(update={"placed_at": datetime.min.replace(tzinfo=UTC)})
    assert searched_from(order, None).year == 1970


def test_ticket_reference_is_no_order_id() -> None:
    with pytest.raises(ValidationError):
        toy_order(ticket_reference(toy_order()))
