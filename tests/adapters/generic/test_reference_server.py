"""The reference server of the docs, run as a reader runs it, serves the adapter."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from adapters.generic.spec import PUBLISHED, check_answer, check_request
from adapters.square.shop_orders import DRIFTED, FLAT_WHITE, OAT, TOASTIE, paid
from tillpost import MenuError, Order, OrderError, PermissionsError, Policy, Till
from tillpost.errors.remedies import Actor
from tillpost.models.order import Charge, Discount, Line, Payment, PosState
from tillpost.submission.context import Connection
from tillpost_generic.adapter import Generic
from tillpost_generic.settings import GenericSettings

SERVER = PUBLISHED.with_name("server.py")
ORDER = paid(
    "ord_1",
    [FLAT_WHITE.model_copy(update={"modifiers": (OAT,)}), TOASTIE],
    surcharge=271,
    off=200,
    tip=100,
)
PAVLOVA = Line(item_id="9999", name="Pavlova", quantity=1, unit_price=1200)
QUICK = Policy(retries=0, import_cooldown=0)


@pytest.fixture
def url() -> Iterator[str]:
    """Where the server listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    server = subprocess.Popen([sys.executable, str(SERVER), str(port)], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert server.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(60)


def till(url: str, policy: Policy = QUICK, **changed: Any) -> Till:
    """A Till on the server, that holds every exchange against the published document."""
    known = {
        "base_url": url,
        "access_token": "not-a-real-token",
        "signing_key": "not-a-real-signing-key",
    }
    chosen: dict[str, Any] = known | {"allow_private": True, "look_after": (0.01,)} | changed

    def judge(response: httpx.Response) -> None:
        response.read()
        check_request(response.request)
        check_answer(response.request, response)

    client = httpx.Client(event_hooks={"response": [judge]})
    return Till(
        Connection(Generic(GenericSettings.model_validate(chosen)), policy=policy),
        http_client=client,
    )


def test_server_is_as_short_as_documented() -> None:
    assert len(SERVER.read_text(encoding="utf-8").splitlines()) <= 160


def test_order_is_created_accepted_and_completed(url: str) -> None:
    pos = till(url)
    made = pos.submit(ORDER)
    assert (made.reference, made.total, made.state) == ("ord_1", ORDER.total, PosState.RECEIVED)
    assert pos.find(ORDER) == made
    assert pos.find(paid("ord_11", [TOASTIE])) is None
    assert pos.fetch(made) == made
    assert pos.check().ready
    assert pos.cancel(made).state is PosState.CANCELLED
    assert isinstance(refusal(pos, ORDER), OrderError)


def test_the_same_order_by_another_process_is_the_same_order(url: str) -> None:
    first, second = till(url).submit(ORDER), till(url).submit(ORDER)
    assert first == second


def test_other_content_under_same_id_finds_existing_order(url: str) -> None:
    first = till(url).submit(ORDER)
    assert (
        till(url, Policy(first_wait=0)).submit(ORDER.model_copy(update={"note": "other"})) == first
    )


def test_an_item_that_is_not_on_the_menu_is_named_by_line(url: str) -> None:
    error = refusal(till(url), paid("ord_1", [TOASTIE, PAVLOVA]))
    assert isinstance(error, MenuError)
    assert (error.lines, error.reason) == ((1,), "gone")
    assert till(url).find(ORDER) is None


def test_a_drifted_item_is_found_by_its_sku_in_the_menu(url: str) -> None:
    pos = till(url)
    assert pos.submit(paid("ord_1", [DRIFTED])).total == 1450
    assert pos.menu
    assert set(pos.menu.by_variation) == {"7302", "7303", "5312"}


def test_other_total_is_refused_and_creates_nothing(url: str) -> None:
    cheap = paid("ord_1", [TOASTIE.model_copy(update={"unit_price": 1400})])
    assert isinstance(refusal(till(url), cheap), MenuError)
    kept = till(url, Policy(retries=0, prices="keep_paid"))
    kept.import_menu()
    assert kept.submit(cheap).total == 1400


@pytest.mark.parametrize(("unit_price", "tax"), [(1450, 145), (1318, 132)])
def test_prices_that_are_not_converted_are_not_called_wrong(
    url: str, unit_price: int, tax: int
) -> None:
    payments = (Payment(method="card", amount=unit_price + tax),)
    net = paid("ord_1", [TOASTIE.model_copy(update={"unit_price": unit_price})]).model_dump() | {
        "prices_include_tax": False,
        "tax": tax,
        "payments": payments,
    }
    error = refusal(till(url), Order.model_validate(net))
    assert isinstance(error, OrderError)
    assert error.reason == "tax_terms"
    assert "prices_include_tax" in error.detail
    assert error.remedy.actor is Actor.DEVELOPER


@pytest.mark.parametrize(
    "changed", [{"signing_key": "another-signing-key"}, {"access_token": "another"}]
)
def test_a_wrong_secret_is_refused(url: str, changed: dict[str, Any]) -> None:
    assert isinstance(refusal(till(url, **changed), ORDER), PermissionsError)


def test_unknown_order_is_reported(url: str) -> None:
    with pytest.raises(OrderError):
        till(url).fetch("P99")


def refusal(pos: Till, order: Order) -> Exception:
    with pytest.raises(Exception, match="Generic POS") as raised:
        pos.submit(order)
    return raised.value


def test_order_with_every_part_comes_to_its_total(url: str) -> None:
    nested = OAT.model_copy(update={"modifiers": (OAT,)})
    coffee = FLAT_WHITE.model_copy(
        update={"modifiers": (nested,), "discounts": (Discount(name="HAPPY HOUR", amount=50),)}
    )
    delivery = Charge(
        kind="delivery",
        name="Delivery",
        amount=500,
        taxed=True,
        discounts=[Discount(name="REGULAR", amount=100)],
    )
    rounding = Charge(kind="rounding", name="Rounding", amount=-1)
    corkage = Line(name="Corkage", quantity=1, unit_price=300)
    total = coffee.discounted + 300 + 400 - 1
    order = Order(
        id="ord_1",
        code="B42",
        placed_at=ORDER.placed_at,
        currency="AUD",
        lines=[coffee, corkage],
        charges=[delivery, rounding],
        amount_due=total,
    )
    assert till(url).submit(order).total == total
