"""What a Till does besides submitting: find, cancel, read webhooks, save new tokens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.conftest import QUICK, Opening
from core.toy import Toy, toy_order
from core.toy_server import ToyServer, hangup, refuse
from tillpost import AsyncTill, ConfigError, OutageError, Outcome, PosError, Till, UnsupportedError
from tillpost.adapter.base import Credentials
from tillpost.adapter.webhooks import (
    MenuChanged,
    OrderChanged,
    OrderRefused,
    Webhook,
    WebhookError,
    WebhookEvent,
)
from tillpost.errors import ErrorRecord
from tillpost.models.order import PosOrder
from tillpost.submission.context import Connection


def test_find_returns_the_order_only_where_it_exists(opening: Opening, server: ToyServer) -> None:
    till = opening(server.adapter())
    made = till.submit(toy_order())
    found = till.do(lambda t: t.find(toy_order()))
    assert isinstance(found, PosOrder)
    assert found.id == made.id
    assert till.do(lambda t: t.find(toy_order("ord_2"))) is None


def test_refused_cancellation_reports_the_order_as_created(
    opening: Opening, server: ToyServer
) -> None:
    till = opening(server.adapter())
    made = till.submit(toy_order())
    server.on("DELETE /orders/o1", refuse("LATE", "too late", status=422))
    with pytest.raises(PosError) as caught:
        till.cancel(made)
    assert (caught.value.outcome, caught.value.pos_order) == (Outcome.CREATED, made)


def test_cancellation_with_lost_answer_is_in_doubt(opening: Opening, server: ToyServer) -> None:
    till = opening(server.adapter(), policy=QUICK.model_copy(update={"retries": 0}))
    made = till.submit(toy_order())
    server.on("DELETE /orders/o1", hangup())
    with pytest.raises(OutageError) as caught:
        till.cancel(made)
    assert caught.value.outcome is Outcome.UNKNOWN


def test_order_without_reference_can_be_cancelled(opening: Opening, server: ToyServer) -> None:
    till = opening(server.adapter())
    made = till.submit(toy_order())
    nameless = made.model_copy(update={"reference": ""})
    assert till.cancel(nameless).status == "CANCELLED"


class Seen:
    """Remembers events by their ids."""

    def __init__(self) -> None:
        self.ids: set[str] = set()

    def add(self, event_id: str) -> bool:
        new = event_id not in self.ids
        self.ids.add(event_id)
        return new


class WeaklySigned(Toy):
    """A toy adapter whose webhook signature proves little."""

    webhooks_proved = False

    def parse_webhook(self, webhook: Webhook, now: float) -> Sequence[WebhookEvent]:
        claimed = PosOrder(id="o1", status="CLAIMED")
        return (OrderChanged(pos_id="o1", pos_order=claimed), MenuChanged(event_id="e1"))


class StronglySigned(WeaklySigned):
    """A toy adapter whose webhook signature proves what it says."""

    webhooks_proved = True


def parsed(till: Any) -> Sequence[WebhookEvent]:
    def parse(t: Any) -> Any:
        return t.parse_webhook({}, b"{}", "https://shop.example/hook")

    events: Sequence[WebhookEvent] = till.do(parse)
    return events


def test_order_from_a_weak_webhook_is_fetched_first(opening: Opening, server: ToyServer) -> None:
    till = opening(WeaklySigned(server.adapter().config))
    made = till.submit(toy_order())
    order, menu = parsed(till)
    assert isinstance(order, OrderChanged)
    assert order.pos_order == made
    assert isinstance(menu, MenuChanged)


class WeaklyRefusing(Toy):
    """A toy adapter whose webhook claims a refusal that its signature doesn't prove."""

    webhooks_proved = False

    def parse_webhook(self, webhook: Webhook, now: float) -> Sequence[WebhookEvent]:
        error = ErrorRecord(kind="MenuError", detail="gone", outcome=Outcome.NOT_CREATED)
        return (OrderRefused(pos_id="o1", reference="ord-1", error=error),)


def test_refusal_in_a_weak_webhook_is_fetched_first(opening: Opening, server: ToyServer) -> None:
    till = opening(WeaklyRefusing(server.adapter().config))
    made = till.submit(toy_order())
    (event,) = parsed(till)
    assert isinstance(event, OrderChanged)
    assert event.pos_order == made


def test_webhook_with_failed_fetch_is_accepted_when_resent(
    opening: Opening, server: ToyServer
) -> None:
    seen, till = (
        Seen(),
        opening(
            WeaklySigned(server.adapter().config), policy=QUICK.model_copy(update={"retries": 0})
        ),
    )
    till.submit(toy_order())

    def parse(t: Any) -> Any:
        return t.parse_webhook({}, b"{}", "https://shop.example/hook", seen=seen)

    server.on("GET /orders/o1", hangup())
    with pytest.raises(OutageError):
        till.do(parse)
    assert len(till.do(parse)) == 2
    with pytest.raises(WebhookError):
        till.do(parse)


def test_order_from_a_strong_webhook_is_trusted(opening: Opening, server: ToyServer) -> None:
    order, _ = parsed(opening(StronglySigned(server.adapter().config)))
    assert isinstance(order, OrderChanged)
    assert order.pos_order
    assert order.pos_order.status == "CLAIMED"


def test_operation_missing_in_the_adapter_is_unsupported(
    opening: Opening, server: ToyServer
) -> None:
    till = opening(server.adapter())
    with pytest.raises(UnsupportedError):
        till.do(lambda t: t.exchange_code())
    with pytest.raises(UnsupportedError):
        till.do(lambda t: t.parse_webhook({}, b"{}", ""))


def test_refreshed_tokens_that_cannot_be_saved_are_not_used(
    opening: Opening, server: ToyServer
) -> None:
    def full(_: Credentials) -> None:
        raise OSError("the disk is full")

    server.on("POST /orders", refuse("EXPIRED", status=401))
    till = opening(server.adapter(), policy=QUICK, on_tokens=full)
    with pytest.raises(OSError, match="disk is full"):
        till.submit(toy_order())


def test_authorize_url_without_oauth_is_unsupported() -> None:
    with pytest.raises(UnsupportedError):
        Toy.authorize_url("https://toy.example", request=None)  # type: ignore[arg-type]


def test_till_opens_a_connection_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "tillpost.toml"
    file.write_text(
        '[connections.cafe]\nplatform = "square"\naccess_token = "token"\nlocation_id = "L"\n'
        "[connections.cafe.policy]\nretries = 0\n"
    )
    with Till.from_config("cafe", file) as till:
        assert repr(till) == "<Till cafe>"
    assert repr(AsyncTill.from_config("cafe", file)) == "<AsyncTill cafe>"
    with pytest.raises(ConfigError, match=r"no connection 'bar'; .* has: cafe"):
        Till.from_config("bar", file)


def test_closed_till_raises_runtime_error(server: ToyServer) -> None:
    with Till(Connection(server.adapter())) as till:
        pass
    with pytest.raises(RuntimeError, match="is closed"):
        till.submit(toy_order())


def test_client_of_the_other_kind_is_refused() -> None:
    settings: dict[str, Any] = {"access_token": "token", "location_id": "L"}
    wrong: Any = httpx.AsyncClient()
    with pytest.raises(TypeError, match=r"Till needs an httpx\.Client, not AsyncClient"):
        Till.connect("square", http_client=wrong, **settings)
    with httpx.Client() as sync:
        wrong = sync
        with pytest.raises(TypeError, match=r"AsyncTill needs an httpx\.AsyncClient, not Client"):
            AsyncTill.connect("square", http_client=wrong, **settings)
