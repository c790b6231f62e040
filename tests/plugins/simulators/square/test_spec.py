"""The simulator's operations and answers, checked by Square's SDK and by its document."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from adapters.square.spec import SpecError, SquareSpec, document_spec
from adapters.square.spec_sdk import SdkSpec
from plugins.simulators.square.shop import Json, Shop, aud, line, pickup
from tillpost.simulator import serve_in_thread
from tillpost_simulators.square import SquareSimulator
from tillpost_simulators.square.simulator import OPERATIONS

SPECS = [
    pytest.param(SdkSpec, id="the SDK"),
    pytest.param(document_spec, id="the document", marks=pytest.mark.vendor_document),
]


@pytest.fixture(params=SPECS)
def spec(request: pytest.FixtureRequest) -> SquareSpec:
    made: SquareSpec = request.param()
    return made


@pytest.fixture
def shop(spec: SquareSpec) -> Iterator[Shop]:
    """Return a caller of a new simulator, which checks every answer by one spec."""
    with serve_in_thread(SquareSimulator()) as running:
        caller = Shop(running, spec)
        yield caller
        caller.client.close()


def test_simulator_has_every_documented_operation(spec: SquareSpec) -> None:
    simulated = {(operation.method, operation.path): operation.name for operation in OPERATIONS}
    del simulated["GET", "/oauth2/authorize"]  # a page for people, which neither spec has
    assert simulated == spec.operations


def test_every_operation_answers_as_documented(shop: Shop) -> None:
    modifier = {"catalog_object_id": "228"}
    full = pickup(
        line("7302", "2", modifiers=[modifier], note="hot", metadata={"k": "v"}),
        {"name": "Special", "quantity": "1", "base_price_money": aud(500)},
        service_charges=[
            {
                "name": "C",
                "percentage": "10",
                "calculation_phase": "SUBTOTAL_PHASE",
                "taxable": True,
            }
        ],
        discounts=[{"name": "W", "amount_money": aud(100), "scope": "ORDER"}],
        taxes=[{"name": "T", "percentage": "1.5", "scope": "ORDER", "type": "ADDITIVE"}],
        source={"name": "Our site"},
        metadata={"k": "v"},
    )
    shop.simulator.sell_out("5320", until="2036-01-01T00:00:00Z")
    assert shop.post("/v2/orders/calculate", {"order": full}).status == 200
    created = shop.create(full, key="k").order
    body = {"ticket_name": "B43", "version": 1}
    assert shop.update(created["id"], body).status == 200
    paid = shop.pay(created, tip=10, note="paid online").body["payment"]
    shop.simulator.staff_accept("ord-1")
    for path in (
        f"/v2/orders/{created['id']}",
        f"/v2/payments/{paid['id']}",
        "/v2/payments",
        "/v2/catalog/list",
        "/v2/catalog/info",
        "/v2/catalog/object/7302",
        "/v2/locations",
        "/v2/locations/main",
        "/v2/merchants/me",
    ):
        assert shop.get(path).status == 200, path
    assert shop.get("/v2/catalog/list", types="ITEM_VARIATION,MODIFIER").status == 200
    searches: dict[str, Json] = {
        "/v2/orders/search": {"location_ids": ["L-CAFE"]},
        "/v2/orders/batch-retrieve": {"order_ids": [created["id"]]},
        "/v2/catalog/search": {"include_deleted_objects": True, "include_related_objects": False},
        "/v2/catalog/batch-retrieve": {
            "object_ids": ["7302", "228", "TAX-GST"],
            "include_related_objects": True,
        },
        "/v2/payments/cancel": {"idempotency_key": "unheard of"},
    }
    for path, asked in searches.items():
        assert shop.post(path, asked).status == 200, path


@pytest.mark.parametrize("status", [401, 403, 404, 405, 413, 429, 500, 502, 503, 504])
def test_answers_no_operation_chose_fit_the_document(spec: SquareSpec, status: int) -> None:
    answer = SquareSimulator().failure(status)
    spec.check_answer("GET", "/v2/locations", answer.status, answer.body)


def test_spec_check_finds_misspelt_field_and_wrong_type(spec: SquareSpec) -> None:
    good = b'{"order": {"location_id": "L", "line_items": [{"quantity": "1"}]}}'
    spec.check_request("POST", "/v2/orders", good)
    with pytest.raises(SpecError, match="lineitems"):
        spec.check_request("POST", "/v2/orders", good.replace(b"line_items", b"lineitems"))
    with pytest.raises(SpecError, match="order/line_items/0/quantity"):
        spec.check_request("POST", "/v2/orders", good.replace(b'"1"', b"1"))
    with pytest.raises(SpecError, match="not found"):
        spec.check_request("POST", "/v2/nowhere", good)
    with pytest.raises(SpecError, match="payment"):
        spec.check_answer("POST", "/v2/payments", 200, b'{"payment": 7}')
