"""Square's error table: complete, reachable in every row, and right on known answers."""

from __future__ import annotations

import json

import pytest

from adapters.square.bench import Bench, an_order, refused
from adapters.square.facts import ERROR_CODES, PAYMENT_ERROR_CODES
from tillpost.adapter.base import unreachable
from tillpost.adapter.exchange import Effect, Request, Response, nothing
from tillpost.adapter.verdicts import judge
from tillpost.errors import (
    Applied,
    DoubtError,
    MenuError,
    OrderError,
    OutageError,
    PermissionsError,
    PosError,
    RateLimitError,
    SetupError,
    StoreClosedError,
    TaxError,
    UnknownPosError,
)
from tillpost.errors.remedies import Actor
from tillpost_square.error_table import BEYOND_THE_SPEC, TABLE

POST = Request("POST", "/v2/orders", nothing, b"{}", Effect.CREATE, "k")


def judged(answer: Response) -> PosError:
    bench = Bench()
    error = judge(bench.adapter, POST, an_order(), answer, 0.0).error
    assert error is not None
    return error


def test_table_has_exactly_the_codes_of_the_spec() -> None:
    by_code_alone = set[str]().union(
        *(row.codes for row in TABLE if not row.field and not row.text)
    )
    anywhere = set[str]().union(*(row.codes for row in TABLE))

    assert by_code_alone >= ERROR_CODES | PAYMENT_ERROR_CODES
    assert anywhere - ERROR_CODES == BEYOND_THE_SPEC


def test_no_code_is_in_two_rows_of_codes_alone() -> None:
    listed = [code for row in TABLE if not row.field and not row.text for code in row.codes]

    assert len(listed) == len(set(listed))


def test_no_row_is_unreachable() -> None:
    assert unreachable(TABLE) == []


@pytest.mark.parametrize(
    ("answer", "kind", "facts"),
    [
        # Verbatim from Square's developer forum.
        (
            refused("UNAUTHORIZED", "This request could not be authorized.", status=401),
            PermissionsError,
            {},
        ),
        (
            refused(
                "INSUFFICIENT_SCOPES",
                "The merchant must authorize your application for: [ORDERS_READ]",
                status=403,
            ),
            PermissionsError,
            {"reason": "scopes"},
        ),
        (
            refused("NOT_FOUND", "Item variation with catalog object ID `5312` not found."),
            MenuError,
            {"lines": (1,), "reason": "gone"},
        ),
        (
            refused("NOT_FOUND", "Item variation with catalog object ID 228 not found."),
            MenuError,
            {"lines": (0,)},
        ),
        (
            refused(
                "VERSION_MISMATCH",
                "Supplied version 0 does not match the current version 4",
                "order.version",
            ),
            OrderError,
            {"transient": False},
        ),
        (refused("BAD_REQUEST", "Missing required parameter.", "order.version"), OrderError, {}),
        (
            refused("BAD_REQUEST", "The payment total does not match the order total."),
            SetupError,
            {},
        ),
        (
            refused(
                "BAD_REQUEST",
                "The total of the requested payments does not match the total of the sale order",
            ),
            SetupError,
            {},
        ),
        (
            refused("BAD_REQUEST", "LineItems cannot be modified for finalized tenders."),
            OrderError,
            {},
        ),
        # By field.
        (
            refused("NOT_FOUND", "not there", "order.line_items[1].catalog_object_id"),
            MenuError,
            {"lines": (1,), "reason": "gone"},
        ),
        (
            refused(
                "INVALID_VALUE", "it is sold out at `L`", "order.line_items[0].catalog_object_id"
            ),
            MenuError,
            {"lines": (0,), "reason": "sold_out"},
        ),
        (
            refused("ARRAY_LENGTH_TOO_SHORT", "at least 1", "order.line_items[0].modifiers"),
            MenuError,
            {"lines": (0,), "reason": "choices"},
        ),
        (
            refused("VALUE_TOO_HIGH", "only once", "order.line_items[0].modifiers[0].quantity"),
            MenuError,
            {"reason": "choices"},
        ),
        (
            refused("MISSING_REQUIRED_PARAMETER", "", "order.line_items[1].base_price_money"),
            MenuError,
            {"lines": (1,), "reason": "price"},
        ),
        (
            refused("INVALID_VALUE", "", "order.line_items[1].modifiers[0].catalog_object_id"),
            MenuError,
            {"lines": (1,)},
        ),
        (
            refused("CONFLICT", "", "order.line_items[0].catalog_version", status=409),
            MenuError,
            {"applied": Applied.NO},
        ),
        (refused("INVALID_VALUE", "", "order.discounts[0].catalog_object_id"), MenuError, {}),
        (
            refused(
                "NOT_FOUND",
                "Catalog object with ID `T1` not found.",
                "order.taxes[0].catalog_object_id",
            ),
            MenuError,
            {},
        ),
        (refused("NOT_FOUND", "", "order.service_charges[0].catalog_object_id"), MenuError, {}),
        (refused("VALUE_TOO_LONG", "", "order.line_items[1].note"), OrderError, {"lines": (1,)}),
        (
            refused("INVALID_VALUE", "", "order.line_items[9].catalog_object_id"),
            MenuError,
            {"lines": ()},
        ),
        (refused("INVALID_VALUE", "", "order.taxes[0].percentage"), TaxError, {}),
        (refused("INVALID_VALUE", "", "order.line_items[0].applied_taxes"), TaxError, {}),
        (
            refused("NOT_FOUND", "Location `L` not found.", "order.location_id", status=404),
            SetupError,
            {},
        ),
        (refused("NOT_FOUND", "The location L isn't yours", status=404), SetupError, {}),
        (
            refused("INVALID_TIME", "", "order.fulfillments[0].pickup_details.pickup_at"),
            OrderError,
            {},
        ),
        # By code alone.
        (refused("ACCESS_TOKEN_EXPIRED", status=401), PermissionsError, {"refreshable": True}),
        (refused("RATE_LIMITED", status=429), RateLimitError, {"applied": Applied.NO}),
        (refused("IDEMPOTENCY_KEY_REUSED"), DoubtError, {"applied": Applied.MAYBE}),
        (refused("TEMPORARY_ERROR", status=500), OutageError, {"applied": Applied.MAYBE}),
        (refused("CONFLICT", status=409), OutageError, {"applied": Applied.MAYBE}),
        (refused("CURRENCY_MISMATCH"), OrderError, {"reason": "currency"}),
        (refused("PAYMENT_AMOUNT_MISMATCH"), SetupError, {}),
        (refused("GENERIC_DECLINE"), OrderError, {}),
        (refused("REFUND_DECLINED"), UnknownPosError, {"applied": Applied.MAYBE}),
        # Beyond the table.
        (
            refused("SOMETHING_NEW", "what is it?"),
            UnknownPosError,
            {"code": "SOMETHING_NEW", "detail": "what is it?"},
        ),
        (refused("SOMETHING_NEW", status=503), OutageError, {"applied": Applied.MAYBE}),
        (Response(502, {}, b"<html>Bad gateway</html>"), OutageError, {"applied": Applied.MAYBE}),
        (Response(400, {}, b'{"errors": 7}'), UnknownPosError, {}),
        (Response(400, {}, b'{"errors": [{"code": null, "detail": 3}]}'), UnknownPosError, {}),
    ],
)
def test_each_answer_becomes_the_error_of_its_remedy(
    answer: Response, kind: type[PosError], facts: dict[str, object]
) -> None:
    error = judged(answer)

    assert type(error) is kind
    assert {name: getattr(error, name) for name in facts} == facts


def test_bad_token_beats_menu_fault_so_no_import_follows() -> None:
    body = {
        "errors": [
            {"code": "NOT_FOUND", "field": "order.line_items[0].catalog_object_id"},
            {"code": "UNAUTHORIZED", "category": "AUTHENTICATION_ERROR"},
        ]
    }

    assert isinstance(judged(Response(400, {}, json.dumps(body).encode())), PermissionsError)


def test_errors_within_a_success_are_errors() -> None:
    assert isinstance(judged(refused("RATE_LIMITED", status=200)), RateLimitError)


@pytest.mark.parametrize(
    "text", ["is not active.", "is inactive", "has been deactivated", "CLOSED"]
)
@pytest.mark.parametrize("code", ["INVALID_LOCATION", "BAD_REQUEST", "INVALID_VALUE"])
def test_deactivated_location_is_for_the_store_to_activate(code: str, text: str) -> None:
    answer = refused(code, f"Location `L-CAFE` {text}", "order.location_id")
    error = judged(answer)
    assert isinstance(error, StoreClosedError)
    assert (error.reason, error.applied) == ("deactivated", Applied.NO)
    assert error.remedy.actor is Actor.STORE
    assert "Activate the location again" in error.remedy.manager


def test_unknown_location_is_for_the_developer_to_correct() -> None:
    answer = refused("INVALID_LOCATION", "Location `L-CAFE` not found.", "order.location_id")
    assert isinstance(judged(answer), SetupError)
