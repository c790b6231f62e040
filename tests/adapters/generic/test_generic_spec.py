"""The OpenAPI document is valid, current, and fits every request and answer."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from typing import Any

import httpx
import pytest
from openapi_spec_validator import validate

from adapters.generic.spec import PUBLISHED, check_answer, check_request
from adapters.generic.store import Store
from adapters.square.shop_orders import FLAT_WHITE, OAT, TOASTIE, paid
from tillpost.models.order import Delivery, DineIn, Order, Pickup
from tillpost_generic.openapi import OPERATIONS, document, kinds, main
from tillpost_simulators.generic import GenericSimulator

FULL = FLAT_WHITE.model_copy(update={"modifiers": (OAT,), "note": "hot"})


def test_the_published_document_is_a_valid_one_of_openapi_3_1() -> None:
    published = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    assert published["openapi"].startswith("3.1")
    validate(published)


def test_the_published_document_is_what_the_code_says() -> None:
    with redirect_stdout(io.StringIO()) as printed:
        main()
    published, now = (
        json.loads(PUBLISHED.read_text(encoding="utf-8")),
        json.loads(printed.getvalue()),
    )
    assert published == now, "run: python -m tillpost_generic.openapi > docs/generic/openapi.json"


def test_simulator_has_exactly_the_documents_operations() -> None:
    simulated = {(route.method.lower(), route.path) for route in GenericSimulator().routes()}
    assert simulated == set(OPERATIONS)


def test_the_menus_objects_are_closed_and_all_others_are_open() -> None:
    schemas: dict[str, Any] = document()["components"]["schemas"]
    closed = {name for name, schema in schemas.items() if "additionalProperties" in schema}
    menu = {
        "Menu",
        "Item",
        "Variation",
        "ModifierGroup",
        "ModifierOption",
        "GroupUse",
        "Tax",
        "SetupFault",
    }
    assert closed == menu


@pytest.mark.parametrize(
    "fulfilment",
    [
        Pickup.model_validate({"due_at": "2036-11-23T12:30:00+11:00"}),
        DineIn(table="12"),
        Delivery.model_validate(
            {"address": {"line1": "1 High St", "country": "AU"}, "instructions": "ring"}
        ),
    ],
)
def test_every_operation_fits_the_document_for_any_order(
    fulfilment: Pickup | DineIn | Delivery,
) -> None:
    store = Store()
    order: Order = paid(
        "ord_1", [FULL, TOASTIE], fulfilment=fulfilment, surcharge=100, off=50, tip=20
    )
    made = store.submit(order)
    store.do(lambda till: till.fetch(made))
    store.do(lambda till: till.find(order))
    store.do(lambda till: till.import_menu())
    store.do(lambda till: till.check())
    store.do(lambda till: till.cancel(made))
    once = {f"{request.method} {request.url.path}" for request in store.sent}
    assert len(once) == len(OPERATIONS)


@pytest.mark.parametrize("kind", kinds())
def test_every_problem_is_as_the_document_says(kind: str) -> None:
    store = Store()
    store.simulator.refuse_orders(kind, lines=(0,), item="5312", reason="gone", retry_after=100.0)
    store.refused(paid("ord_1", [TOASTIE]))


def test_check_finds_missing_misspelt_and_mistyped_fields() -> None:
    store = Store()
    store.submit(paid("ord_1", [TOASTIE]))
    (good,) = (request for request in store.sent if request.method == "POST")
    body = good.read()
    for bad in (body.replace(b'"quantity"', b'"count"'), body.replace(b"1450", b'"14.50"'), b"{}"):
        with pytest.raises(AssertionError):
            check_request(httpx.Request("POST", good.url, headers=good.headers, content=bad))
    for header in ("idempotency-key", "tillpost-timestamp", "tillpost-signature", "authorization"):
        headers = {name: value for name, value in good.headers.items() if name != header}
        with pytest.raises(AssertionError):
            check_request(httpx.Request("POST", good.url, headers=headers, content=body))
    with pytest.raises(AssertionError):
        check_answer(good, httpx.Response(200, json={"id": "G1"}))
    with pytest.raises(AssertionError):
        check_answer(
            good, httpx.Response(422, json={"kind": "MenuError"})
        )  # not as application/problem+json
