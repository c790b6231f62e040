"""Any answer becomes a typed reply or an error, by the error table; judging never raises."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from core.toy import Toy, ToyMade, ToySettings, toy_order
from tillpost.adapter.base import Adapter
from tillpost.adapter.error_table import Problem, Row
from tillpost.adapter.exchange import Effect, Fault, Request, Response, nothing, reading
from tillpost.adapter.verdicts import Verdict, import_pause, judge, retry_after
from tillpost.errors import (
    Applied,
    MenuError,
    OutageError,
    PermissionsError,
    PosError,
    RateLimitError,
    SetupError,
    StoreClosedError,
    TaxError,
    UnknownPosError,
)
from tillpost.models.order import Order

NOW = datetime(2026, 11, 23, 8, 0, 0, tzinfo=UTC).timestamp()
CREATE = Request(
    "POST", "/orders?ref=Mia", reading(ToyMade), b'{"ref": "r", "secret": "s"}', Effect.CREATE, "k"
)
MADE = b'{"id": "o1", "ref": "r", "total": 1, "status": "OPEN"}'


@pytest.fixture(scope="module")
def toy() -> Toy:
    return Toy(ToySettings(base_url="http://127.0.0.1"))


def refusal(
    code: str, text: str = "", *, field: str = "", status: int = 400, **headers: str
) -> Response:
    body = json.dumps({"errors": [{"code": code, "text": text, "field": field}]}).encode()
    return Response(
        status, {name.replace("_", "-"): value for name, value in headers.items()}, body
    )


def judged(
    adapter: Adapter[Any], answer: Response | Fault, request: Request[Any] = CREATE
) -> Verdict:
    return judge(adapter, request, toy_order(), answer, NOW)


def error_of(
    adapter: Adapter[Any], answer: Response | Fault, request: Request[Any] = CREATE
) -> PosError:
    error = judged(adapter, answer, request).error
    assert error
    return error


def test_success_becomes_typed_value(toy: Toy) -> None:
    verdict = judged(toy, Response(201, {}, MADE))
    assert (verdict.applied, verdict.error) == (Applied.YES, None)
    assert verdict.reply
    assert verdict.reply.value == ToyMade(id="o1", ref="r", total=1, status="OPEN")
    assert verdict.reply.response.body == MADE


def test_body_of_private_success_is_dropped(toy: Toy) -> None:
    verdict = judged(
        toy, Response(200, {}, MADE), Request("POST", "/token", reading(ToyMade), private=True)
    )
    assert verdict.reply
    assert verdict.reply.value
    assert verdict.reply.response.body == b""


def test_status_named_as_answer_is_read_as_success(toy: Toy) -> None:
    look = Request("GET", "/customer", nothing, answers=frozenset({302, 404}))
    verdict = judged(toy, refusal("GONE", status=404), look)
    assert verdict.error is None
    assert verdict.reply
    assert verdict.reply.response.status == 404
    assert judged(toy, refusal("GONE", status=403), look).error


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"<html>", MADE[:-3], b'{"id": 1}', b"[]", b"\xff", b"[" * 100_000]
)
def test_unreadable_success_may_have_been_applied(toy: Toy, body: bytes) -> None:
    error = error_of(toy, Response(200, {}, body))
    assert type(error) is OutageError
    assert error.applied is Applied.MAYBE
    assert error.detail.startswith("the answer can't be read (")


@pytest.mark.parametrize("applied", [Applied.NO, Applied.MAYBE])
def test_fault_becomes_outage_with_its_applied(toy: Toy, applied: Applied) -> None:
    error = error_of(toy, Fault(applied, "no connection: Connection refused"))
    assert type(error) is OutageError
    assert (error.applied, error.detail) == (applied, "no connection: Connection refused")
    assert error.exchange
    assert (error.exchange.fault, error.exchange.status_code) == (error.detail, None)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (429, RateLimitError),
        (401, OutageError),
        (403, OutageError),
        (407, OutageError),
        (408, OutageError),
        (500, OutageError),
        (503, OutageError),
        (599, OutageError),
        (301, SetupError),
        (307, SetupError),
        (304, SetupError),
        (400, UnknownPosError),
        (404, UnknownPosError),
        (101, UnknownPosError),
        (777, UnknownPosError),
    ],
)
def test_unknown_format_goes_by_status_and_may_be_applied(
    toy: Toy, status: int, kind: type[PosError]
) -> None:
    body = b"<p>Bad\n gateway</p>"
    error = error_of(toy, Response(status, {"x-request-id": "req-9"}, body))
    assert type(error) is kind
    assert (error.applied, error.status_code, error.request_id) == (Applied.MAYBE, status, "req-9")
    assert error.detail == f"HTTP {status} (HTML, {len(body)} bytes)"


def test_interrupt_while_reading_is_raised(toy: Toy) -> None:
    def interrupted(_: bytes) -> None:
        raise KeyboardInterrupt

    def exiting(_: bytes) -> None:
        raise SystemExit

    with pytest.raises(KeyboardInterrupt):
        judged(toy, Response(200, {}, b"{}"), Request("GET", "/menu", interrupted))
    error = error_of(toy, Response(200, {}, b"{}"), Request("GET", "/menu", exiting))
    assert error.detail == "the answer can't be read (SystemExit)"


class BodylessToy(Toy):
    """A platform whose 401 has no body."""

    errors = (*Toy.errors, Row(PermissionsError, status=(401,), refreshable=True, bodyless=True))


def test_refused_access_in_other_words_blames_no_credentials(toy: Toy) -> None:
    error = error_of(toy, Response(403, {}, b"<html>Access Denied</html>"))
    assert (type(error), error.transient, error.refreshable) == (OutageError, True, False)
    assert error.reason == "intercepted"
    assert "not by" in error.remedy.manager
    assert "HTTP 403 (HTML, 26 bytes)" in error.remedy.developer


def test_bodyless_refusal_counts_where_the_table_says_so(toy: Toy) -> None:
    own = BodylessToy(ToySettings(base_url="http://127.0.0.1"))
    error = error_of(own, Response(401, {}, b" "))
    assert (type(error), error.refreshable, error.applied) == (
        PermissionsError,
        True,
        Applied.MAYBE,
    )
    for answer in (Response(401, {}, b"<html>"), Response(403, {}, b"")):
        assert type(error_of(own, answer)) is OutageError
    assert type(error_of(toy, Response(401, {}, b""))) is OutageError


def test_bearer_challenge_is_a_refusal_of_the_token(toy: Toy) -> None:
    challenge = {"www-authenticate": 'Bearer realm="pos", error="invalid_token"'}
    assert type(error_of(toy, Response(401, challenge, b""))) is PermissionsError
    assert type(error_of(toy, Response(403, challenge, b""))) is OutageError


@pytest.mark.parametrize(
    ("status", "kind", "applied"),
    [
        (429, RateLimitError, Applied.NO),
        (403, PermissionsError, Applied.NO),
        (408, OutageError, Applied.MAYBE),
        (503, OutageError, Applied.MAYBE),
        (404, UnknownPosError, Applied.MAYBE),
    ],
)
def test_refusal_in_platform_format_has_applied_of_its_row(
    toy: Toy, status: int, kind: type[PosError], applied: Applied
) -> None:
    error = error_of(toy, refusal("NEW", "something new", status=status))
    assert (type(error), error.applied) == (kind, applied)


@pytest.mark.parametrize("status", [201, 202, 302, 408, 409, 425, 499, 500, 503])
def test_unproving_status_leaves_doubt_whatever_the_words(toy: Toy, status: int) -> None:
    error = error_of(toy, refusal("CLOSED", status=status))
    assert (type(error), error.applied) == (StoreClosedError, Applied.MAYBE)


def test_problem_within_success_is_a_refusal(toy: Toy) -> None:
    assert type(error_of(toy, refusal("CLOSED", status=200))) is StoreClosedError


def test_problem_with_unknown_code_keeps_its_text(toy: Toy) -> None:
    error = error_of(toy, refusal("WHAT", "no idea"))
    assert type(error) is UnknownPosError
    assert (error.code, error.detail, error.applied) == ("WHAT", "no idea", Applied.MAYBE)
    assert error_of(toy, refusal("WHAT")).detail == "WHAT"


def test_rank_of_row_beats_order_of_problems(toy: Toy) -> None:
    body = json.dumps(
        {"errors": [{"code": "GONE", "text": "line 0"}, {"code": "EXPIRED", "text": "old"}]}
    ).encode()
    error = error_of(toy, Response(400, {}, body))
    assert type(error) is PermissionsError
    assert (error.code, error.refreshable) == ("EXPIRED", True)


@pytest.mark.parametrize(
    ("text", "field", "lines"),
    [
        ("line 0 is gone", "", (0,)),
        ("LINE 0 is gone", "", (0,)),
        ("line 1 is gone", "", ()),
        ("line -1 is gone", "", ()),
        ("line " + "9" * 5000, "", ()),
        ("line \N{ARABIC-INDIC DIGIT ZERO}", "", ()),
        ("", "items/i1", (0,)),
        ("", "items/i2", ()),
        ("", "", ()),
    ],
)
def test_lines_at_fault_are_those_the_patterns_capture(
    toy: Toy, text: str, field: str, lines: tuple[int, ...]
) -> None:
    error = error_of(toy, refusal("GONE", text, field=field))
    assert type(error) is MenuError
    assert (error.lines, error.reason, error.applied) == (lines, "gone", Applied.NO)


def test_no_line_is_named_without_an_order(toy: Toy) -> None:
    verdict = judge(toy, CREATE, None, refusal("GONE", "line 0"), NOW)
    assert verdict.error
    assert verdict.error.lines == ()


class ReportsLines(Toy):
    """A platform that reports lines, reason and wait in fields of their own."""

    errors = (Row(MenuError, codes=frozenset({"GONE"})),)

    def problems(self, response: Response) -> Sequence[Problem]:
        return [Problem("GONE", lines=(7, 1, 0), reason="sold_out", retry_after=3.0)]


def test_lines_reported_by_platform_need_no_pattern() -> None:
    reporting = ReportsLines(ToySettings(base_url="http://127.0.0.1"))
    order = toy_order()
    two_lines = order.model_copy(update={"lines": (*order.lines, *order.lines)})
    error = judge(reporting, CREATE, two_lines, refusal("GONE", retry_after="9"), NOW).error
    assert error
    assert (error.lines, error.reason, error.retry_after) == ((0, 1), "sold_out", 3.0)


def test_barred_address_is_a_setup_error(toy: Toy) -> None:
    error = error_of(toy, Fault(Applied.NO, "not there", barred=True))
    assert isinstance(error, SetupError)
    assert (error.applied, error.transient) == (Applied.NO, False)


def test_captured_modifier_id_names_its_line(toy: Toy) -> None:
    order = toy_order()
    changed = order.model_dump(mode="json")
    changed["lines"].append(
        {
            **changed["lines"][0],
            "item_id": "i9",
            "unit_price": 0,
            "modifiers": [{"modifier_id": "m1", "name": "Oat"}],
        }
    )
    verdict = judge(
        toy, CREATE, type(order).model_validate(changed), refusal("GONE", field="items/m1"), NOW
    )
    assert verdict.error
    assert verdict.error.lines == (1,)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        (" 7 ", 7.0),
        ("0", 0.0),
        ("Mon, 23 Nov 2026 08:00:30 GMT", 30.0),
        ("Mon, 23 Nov 2026 08:00:30 -0000", 30.0),
        ("Mon, 23 Nov 2026 19:00:30 +1100", 30.0),
        ("Mon, 23 Nov 2026 07:59:00 GMT", 0.0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("\u00b2", None),
        ("9" * 400, None),
        ("Mon, 23 Nov 99999999999999999999 08:00:30 GMT", None),
        ("Mon, 99 Nov 2026 08:00:30 GMT", None),
        ("Mon, 01 Jan 0001 00:00:00 +9999999999", None),
    ],
)
def test_retry_after_is_read_in_both_forms(toy: Toy, value: str, seconds: float | None) -> None:
    assert error_of(toy, Response(429, {"retry-after": value}, b"")).retry_after == seconds


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (429, {"x-ratelimit-reset": str(int(NOW) + 40)}, 40.0),
        (429, {"x-ratelimit-reset": str(int(NOW) - 40)}, 0.0),
        (429, {"x-ratelimit-reset": "25"}, 25.0),
        (429, {"x-ratelimit-reset": "25", "retry-after": "3"}, 3.0),
        (429, {"x-ratelimit-reset": "soon"}, None),
        (503, {"x-ratelimit-reset": "25"}, None),
    ],
)
def test_rate_limit_reset_is_read_from_a_429(
    status: int, headers: dict[str, str], seconds: float | None
) -> None:
    assert retry_after(Response(status, headers, b""), NOW) == seconds


@pytest.mark.parametrize(
    "headers",
    [
        {"retry-after": "Mon, 23 Nov 2026 08:00:30 GMT"},
        {"x-ratelimit-reset": str(int(NOW) + 30)},
    ],
)
def test_wait_is_counted_from_the_answers_own_date(headers: dict[str, str]) -> None:
    """Our clock is three hours behind, or ahead."""
    answer = Response(429, {"date": "Mon, 23 Nov 2026 08:00:00 GMT", **headers}, b"")
    assert [retry_after(answer, NOW + ahead) for ahead in (-10_800, 10_800)] == [30.0, 30.0]


def test_wait_is_not_counted_from_a_date_without_a_clock() -> None:
    headers = {"date": "Thu, 01 Jan 1970 00:00:10 GMT"}
    headers["retry-after"] = format_datetime(datetime.fromtimestamp(NOW + 30, UTC), usegmt=True)
    assert retry_after(Response(429, headers, b""), NOW) == 30.0


@pytest.mark.parametrize(
    ("left", "seconds"),
    [({}, 0.5), ({"x-ratelimit-remaining": "30"}, 0.5), ({"x-ratelimit-remaining": "29"}, 4.0)],
)
def test_import_slows_down_when_few_requests_are_left(left: dict[str, str], seconds: float) -> None:
    response = Response(200, left, b"")
    assert import_pause(0.0, response) == 0
    assert import_pause(0.5, response) == seconds


def test_transcript_masks_fields_not_declared_public(toy: Toy) -> None:
    error = error_of(toy, refusal("CLOSED", "until nine", status=409, x_request_id="req-2"))
    shown = error.exchange
    assert shown
    assert (shown.method, shown.path, shown.status_code, shown.request_id) == (
        "POST",
        "/orders?ref=***",
        409,
        "req-2",
    )
    assert shown.request_body == '{"ref": "r", "secret": "***"}'
    assert (
        shown.response_body == '{"errors": [{"code": "CLOSED", "text": "until nine", "field": ""}]}'
    )


def test_private_exchange_shows_neither_body_nor_text(toy: Toy) -> None:
    request = Request("POST", "/token", nothing, b'{"ref": "r"}', private=True)
    error = error_of(toy, Response(500, {}, b"token abc is bad"), request)
    assert error.detail == "HTTP 500"
    assert error.exchange
    assert (error.exchange.request_body, error.exchange.response_body) == ("", "")
    assert "abc" not in repr(error)


class Clumsy(Toy):
    """Its `problems` raises on most bodies."""

    def problems(self, response: Response) -> Sequence[Problem]:
        return [Problem(code=response.body.decode("ascii")[3])]


def test_refusal_that_problems_cannot_read_goes_by_status() -> None:
    clumsy = Clumsy(ToySettings(base_url="http://127.0.0.1"))
    assert type(error_of(clumsy, Response(503, {}, b"\xff"))) is OutageError
    unread = error_of(clumsy, Response(200, {}, b"\xff"))
    assert (type(unread), unread.applied) == (OutageError, Applied.MAYBE)


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text() | st.sampled_from(["errors", "code", "text"]), inner)
    ),
    max_leaves=8,
)
PROBLEMS = st.fixed_dictionaries(
    {},
    optional={
        "code": st.sampled_from(["GONE", "EXPIRED", "CLOSED"]) | st.text() | JSONS,
        "text": st.text() | st.from_regex(r"line -?\d+"),
        "field": st.text() | JSONS,
    },
)
BODIES = (
    st.binary()
    | JSONS.map(lambda content: json.dumps(content).encode())
    | st.lists(PROBLEMS).map(lambda found: json.dumps({"errors": found}).encode())
    | st.sampled_from(
        [
            b"[" * 700 + b"]" * 700,
            b'{"id":' * 900 + b"1" + b"}" * 900,
            b'{"errors": [{"text": "\\ud800"}]}',
        ]
    )
)
HEADERS = st.dictionaries(st.sampled_from(["retry-after", "x-request-id", "location"]), st.text())


@given(
    status=st.integers(100, 999),
    headers=HEADERS,
    body=BODIES,
    fault=st.booleans(),
    private=st.booleans(),
)
def test_judge_never_raises(
    toy: Toy, status: int, headers: dict[str, str], body: bytes, fault: bool, private: bool
) -> None:
    answer = Fault(Applied.MAYBE, "x") if fault else Response(status, headers, body)
    request = Request("POST", "/orders", reading(ToyMade), effect=Effect.CREATE, private=private)
    verdict = judged(toy, answer, request)
    assert (verdict.reply is None) != (verdict.error is None)
    if verdict.error:
        assert verdict.error.exchange
        record = verdict.error.record()
        assert (
            PosError.from_record(
                type(record).model_validate_json(record.model_dump_json())
            ).record()
            == record
        )
        assert "\n" not in repr(verdict.error)
    else:
        assert 200 <= status < 300


def test_own_row_may_refine_a_default_row(toy: Toy) -> None:
    class Refined(Toy):
        errors = (Row(TaxError, status=(503,), text="tax"),)

    refined = Refined(toy.config)
    assert type(error_of(refined, Response(503, {}, b"two taxes"))) is TaxError
    assert type(error_of(refined, Response(503, {}, b"maintenance"))) is OutageError


MIA = Order.model_validate(
    {
        **toy_order().model_dump(mode="json"),
        "customer": {"name": "Mia Chen", "phone": "0400 123 456", "email": "mia@example.com"},
        "note": "no peanuts, please",
    }
)
ECHO = "Mia Chen, +61400123456, mia@example.com: no peanuts, please"
FOREIGN = {
    "JSON of another shape": json.dumps({"error": ECHO, "sent": {"customer": {"name": "Mia"}}}),
    "a list": json.dumps([ECHO, {"message": ECHO, "title": ECHO}]),
    "JSON with names": json.dumps({ECHO: {"mia@example.com": 61400123456}}),
    "a page": f"<h1>{ECHO}</h1>",
    "text": ECHO,
    "a list of problems": json.dumps({"errors": [{"code": "X", "text": ECHO, "field": ECHO}]}),
    "JSON escapes": json.dumps({"message": ECHO.replace("@", "\\u0040")}),
}


@pytest.mark.parametrize("body", FOREIGN.values(), ids=FOREIGN)
@pytest.mark.parametrize("status", [200, 302, 400, 401, 418, 500])
def test_no_refusal_contains_the_customers_data(toy: Toy, body: str, status: int) -> None:
    answer = Response(status, {"x-request-id": f"for {ECHO}"}, body.encode())
    error = judge(toy, CREATE, MIA, answer, NOW).error
    assert error
    record = error.record().model_dump_json().lower()
    for text in ("mia", "chen", "123456", "peanuts"):
        assert text not in record


def test_row_matches_text_of_unknown_answer_unseen() -> None:
    class Strict(Toy):
        errors = (Row(StoreClosedError, text="the shop of Mia is closed"),)

    answer = Response(400, {}, b"Sorry, the shop of Mia is closed")
    error = error_of(Strict(ToySettings(base_url="http://127.0.0.1")), answer)
    assert isinstance(error, StoreClosedError)
    assert error.detail == "HTTP 400 (not JSON, 32 bytes)"


def test_unknown_answer_shows_what_is_declared_public(toy: Toy) -> None:
    answer = Response(400, {}, b'{"code": "E7", "who": "Mia", "message": "try later"}')
    shown = '{"code": "E7", "who": "***", "message": "try later"}'
    assert error_of(toy, answer).detail == f"HTTP 400 {shown}"


def test_adapter_takes_names_off_the_public_ones() -> None:
    class Private(Toy):
        public_fields = frozenset({"sku", "who"})
        private_fields = frozenset({"message", "who"})

    adapter = Private(ToySettings(base_url="http://127.0.0.1"))
    answer = Response(400, {}, b'{"code": "E7", "who": "Mia", "message": "m", "sku": "S"}')
    shown = '{"code": "E7", "who": "***", "message": "***", "sku": "S"}'
    error = error_of(adapter, answer)
    assert error.detail == f"HTTP 400 {shown}"
    assert error.exchange
    assert error.exchange.response_body == shown


def test_short_secret_is_masked_in_what_is_shown() -> None:
    toy = Toy(ToySettings(base_url="http://127.0.0.1", access_token=SecretStr("s3cr")))
    error = error_of(toy, refusal("WHAT", "you sent s3cr, not s3cret", status=418))
    assert error.detail == "you sent ***, not s3cret"
    assert "s3cr " not in error.record().model_dump_json().replace(",", " ")
