"""Kounta's error texts have their classes in any field; an unknown one is kept."""

from __future__ import annotations

import json
from typing import Any

import pytest

from adapters.kounta.bench import an_order
from tillpost import (
    DoubtError,
    MenuError,
    OrderError,
    OutageError,
    PermissionsError,
    PosError,
    RateLimitError,
    RegisterOfflineError,
    SetupError,
    StoreClosedError,
    TaxError,
    UnknownPosError,
)
from tillpost.adapter.error_table import unreachable
from tillpost.adapter.exchange import Effect, Request, Response, nothing
from tillpost.adapter.verdicts import judge
from tillpost.errors import Applied
from tillpost_kounta.adapter import Kounta
from tillpost_kounta.error_table import TABLE
from tillpost_kounta.settings import KountaSettings

KOUNTA = Kounta(
    KountaSettings.model_validate(
        {"access_token": "t", "company_id": 5678, "site_id": 2301, "payment_method_id": 12}
    )
)
CREATE = Request("POST", "/v1/companies/5678/orders.json", nothing, b"{}", Effect.CREATE)
NOW = 1_795_000_000.0


def judged(status: int, content: object, **headers: str) -> PosError:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    answer = Response(
        status, {name.replace("_", "-"): value for name, value in headers.items()}, body
    )
    error = judge(KOUNTA, CREATE, an_order(), answer, NOW).error
    assert error
    return error


SEEN: list[tuple[int, str, type[PosError]]] = [
    (400, "Product #8196213 is not available at that site.", MenuError),
    (400, "Pass-thru register POS 1 (1133132) is offline.", RegisterOfflineError),
    (400, "The access token provided has expired", PermissionsError),
    (404, "Not Found", SetupError),
    (401, "invalid_token", PermissionsError),
    (400, "invalid_grant", PermissionsError),
    (429, "Too Many Requests", RateLimitError),
]
LIKELY: list[tuple[int, str, type[PosError]]] = [
    (403, "insufficient_scope", PermissionsError),
    (422, "Product #5312 is out of stock", MenuError),
    (400, "Modifier 228 is not valid for this product", MenuError),
    (400, "Option set How cooked of product #5320 has 0 options selected.", MenuError),
    (400, "The price list does not exist", MenuError),
    (400, "Product #6108 has more than one tax", TaxError),
    (400, "Online ordering is currently disabled at that site.", StoreClosedError),
    (400, "Payment method #13 was not found.", SetupError),
    (400, "Site #1 was not found.", SetupError),
    (400, "The Content-Type must be application/json.", SetupError),
    (406, "Not Acceptable", SetupError),
    (400, "Customer #7 was not found.", OrderError),
    (400, "fulfil_at is not a valid date.", OrderError),
    (400, "The order's time lies in the past", OrderError),
    (418, "The kettle is on holiday.", UnknownPosError),
    (500, "Product #5312 is not available at that site.", OutageError),
    (503, "Service Unavailable", OutageError),
]


@pytest.mark.parametrize("place", ["error_description", "error_message", "message", "error"])
@pytest.mark.parametrize(("status", "text", "kind"), SEEN + LIKELY)
def test_text_has_its_class_in_any_field(
    place: str, status: int, text: str, kind: type[PosError]
) -> None:
    error = judged(status, {place: text})
    assert type(error) is kind
    assert error.detail == text
    assert error.applied is (
        Applied.MAYBE if kind in (OutageError, UnknownPosError) else Applied.NO
    )


REFUSED_ACCESS = [
    (403, "You do not have permission to access this resource."),
    (401, "unauthorized"),
    (403, "Forbidden"),
    (401, "Unauthorized"),
    (403, "access denied by policy"),
]
"""What a proxy may say as well as Kounta."""


@pytest.mark.parametrize("place", ["error_description", "error_message"])
@pytest.mark.parametrize(("status", "text"), REFUSED_ACCESS)
def test_refused_access_in_the_form_of_oauth_is_kountas(place: str, status: int, text: str) -> None:
    error = judged(status, {"error": "denied", place: text})
    assert type(error) is PermissionsError
    assert error.applied is Applied.NO


@pytest.mark.parametrize("place", ["message", "error"])
@pytest.mark.parametrize(("status", "text"), REFUSED_ACCESS)
def test_refused_access_in_other_words_proves_nothing(place: str, status: int, text: str) -> None:
    error = judged(status, {place: text})
    assert (type(error), error.reason) == (OutageError, "intercepted")
    assert error.applied is Applied.MAYBE
    assert error.refreshable is (status == 401)


def test_most_specific_field_is_read_first() -> None:
    body = {
        "error": "invalid_request",
        "message": "no",
        "error_message": "hm",
        "error_description": "a tax is odd",
    }
    assert judged(400, body).detail == "a tax is odd"
    assert judged(400, {"error": {"code": 7}, "message": "a tax is odd"}).detail == "a tax is odd"
    assert (
        judged(400, {"error_description": None, "error": "a tax is odd"}).detail == "a tax is odd"
    )


@pytest.mark.parametrize(
    ("status", "text", "refreshable"),
    [
        (400, "The access token provided has expired", True),
        (401, "invalid_token", True),
        (401, "", True),
        (401, "unauthorized", True),
        (401, "insufficient_scope", False),
        (400, "invalid_grant", False),
        (403, "You do not have permission", False),
    ],
)
def test_expired_token_differs_from_insufficient_one(
    status: int, text: str, refreshable: bool
) -> None:
    assert judged(status, {"error": text}).refreshable is refreshable


def test_a_product_that_is_named_names_its_line() -> None:
    assert judged(
        400, {"error_description": "Product #5312 is not available at that site."}
    ).lines == (1,)
    assert judged(
        400, {"error_description": "Product #228 is not available at that site."}
    ).lines == (0,)
    assert (
        judged(400, {"error_description": "Product #53 is not available at that site."}).lines == ()
    )


@pytest.mark.parametrize("body", [b"null", b"", b"<html>Forbidden</html>", b'"no"', b"[]", b"\xff"])
@pytest.mark.parametrize("status", [400, 403, 404, 422, 500])
def test_what_isnt_in_kountas_form_may_have_been_applied(status: int, body: bytes) -> None:
    error = judged(status, body)
    assert error.applied is Applied.MAYBE
    assert not isinstance(error, MenuError)


def test_an_unknown_text_is_summarised_and_isnt_tried_again() -> None:
    error = judged(400, b"<html>the moon is in the wrong house</html>")
    assert type(error) is UnknownPosError
    assert error.detail == "HTTP 400 (HTML, 43 bytes)"  # it might quote the customer
    assert not error.transient


def test_a_success_may_hold_an_error() -> None:
    error = judged(
        200, {"error": "bad", "error_description": "Product #5312 is not available at that site."}
    )
    assert isinstance(error, MenuError)
    assert (
        judge(
            KOUNTA, CREATE, None, Response(200, {}, b'[{"notes": "an \\"error\\" of ours"}]'), NOW
        ).error
        is None
    )
    assert (
        judge(
            KOUNTA,
            CREATE,
            None,
            Response(200, {}, b'{"message": "made", "notes": "\\"error"}'),
            NOW,
        ).error
        is None
    )


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (201, DoubtError),
        (202, DoubtError),
        (207, DoubtError),
        (408, OutageError),
        (409, DoubtError),
        (425, OutageError),
        (499, OutageError),
        (502, OutageError),
    ],
)
@pytest.mark.parametrize(
    "text",
    [
        "The site did not answer in time",
        "Pass-thru register POS 1 is offline.",
        "an order with this sale_number exists",
        "Product #5312 is not available at that site.",
        "The access token provided has expired",
    ],
)
def test_status_without_proof_is_waited_or_looked_up(
    status: int, kind: type[PosError], text: str
) -> None:
    error = judged(status, {"error": "x", "error_description": text})
    assert (type(error), error.applied) == (kind, Applied.MAYBE)


def test_429_reports_when_its_minute_ends() -> None:
    error = judged(429, {"message": "Too Many Requests"}, x_ratelimit_reset=str(int(NOW) + 17))
    assert error.retry_after == 17
    assert judged(500, {}, x_ratelimit_reset=str(int(NOW) + 17)).retry_after is None


def test_no_row_is_out_of_reach() -> None:
    assert unreachable(TABLE) == []


@pytest.mark.parametrize(
    "name", ["notes", "first_name", "last_name", "name", "email", "phone", "callback_uri", "ref"]
)
def test_a_transcript_shows_no_text_that_may_be_a_persons(name: str) -> None:
    secret = json.dumps(
        {name: "Mia Chen", "lines": [{name: "Mia Chen"}], "sale_number": "ord_1"}
    ).encode()
    request: Request[Any] = Request(
        "POST", "/v1/companies/5678/customers.json?email=mia", nothing, secret, Effect.SIDE
    )
    error = judge(KOUNTA, request, None, Response(400, {}, secret), NOW).error
    assert error
    assert error.exchange
    shown = error.exchange.model_dump_json()
    assert "Mia" not in shown
    assert "mia" not in shown
    assert "ord_1" in shown
