"""Judging an answer by the table, whatever bytes it has, without ever raising; settings; and rows that are lost."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from core.toy import Toy, ToyMade, ToySettings, toy_order
from tillpost import explain
from tillpost.adapter.base import (
    Adapter,
    AdapterSettings,
    Attempt,
    Problem,
    Row,
    Verdict,
    unreachable,
)
from tillpost.adapter.error_table import DEFAULT_ROWS
from tillpost.adapter.exchange import Effect, Fault, Request, Response, nothing, reading
from tillpost.errors import (
    Applied,
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
    UnsupportedError,
)
from tillpost.models.order import Draft

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
    return adapter.judge(request, toy_order(), answer, NOW)


def error_of(
    adapter: Adapter[Any], answer: Response | Fault, request: Request[Any] = CREATE
) -> PosError:
    error = judged(adapter, answer, request).error
    assert error
    return error


def test_a_success_becomes_its_typed_value(toy: Toy) -> None:
    verdict = judged(toy, Response(201, {}, MADE))
    assert (verdict.applied, verdict.error) == (Applied.YES, None)
    assert verdict.reply
    assert verdict.reply.value == ToyMade(id="o1", ref="r", total=1, status="OPEN")
    assert verdict.reply.response.body == MADE


def test_the_bytes_of_a_private_success_are_not_kept(toy: Toy) -> None:
    verdict = judged(
        toy, Response(200, {}, MADE), Request("POST", "/token", reading(ToyMade), private=True)
    )
    assert verdict.reply
    assert verdict.reply.value
    assert verdict.reply.response.body == b""


def test_a_status_that_the_request_names_as_an_answer_is_read_and_not_judged(toy: Toy) -> None:
    look = Request("GET", "/customer", nothing, answers=frozenset({302, 404}))
    verdict = judged(toy, refusal("GONE", status=404), look)
    assert verdict.error is None
    assert verdict.reply
    assert verdict.reply.response.status == 404
    assert judged(toy, refusal("GONE", status=403), look).error


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"<html>", MADE[:-3], b'{"id": 1}', b"[]", b"\xff", b"[" * 100_000]
)
def test_a_success_that_cannot_be_read_may_have_been_applied(toy: Toy, body: bytes) -> None:
    error = error_of(toy, Response(200, {}, body))
    assert type(error) is OutageError
    assert error.applied is Applied.MAYBE
    assert error.detail.startswith("the answer can't be read (")


@pytest.mark.parametrize("applied", [Applied.NO, Applied.MAYBE])
def test_a_fault_is_an_outage_with_what_became_of_the_request(toy: Toy, applied: Applied) -> None:
    error = error_of(toy, Fault(applied, "no connection: Connection refused"))
    assert type(error) is OutageError
    assert (error.applied, error.detail) == (applied, "no connection: Connection refused")
    assert error.exchange
    assert (error.exchange.fault, error.exchange.status_code) == (error.detail, None)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (429, RateLimitError),
        (401, PermissionsError),
        (403, PermissionsError),
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
def test_an_answer_in_nobodys_words_is_judged_by_its_status_and_may_have_been_applied(
    toy: Toy, status: int, kind: type[PosError]
) -> None:
    error = error_of(toy, Response(status, {"x-request-id": "req-9"}, b"<p>Bad\n gateway</p>"))
    assert type(error) is kind
    assert (error.applied, error.status_code, error.request_id) == (Applied.MAYBE, status, "req-9")
    assert error.detail == "<p>Bad gateway</p>"


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
def test_a_refusal_in_the_platforms_words_counts_as_its_row_says(
    toy: Toy, status: int, kind: type[PosError], applied: Applied
) -> None:
    error = error_of(toy, refusal("NEW", "something new", status=status))
    assert (type(error), error.applied) == (kind, applied)


def test_a_complaint_within_a_success_is_a_refusal(toy: Toy) -> None:
    assert type(error_of(toy, refusal("CLOSED", status=200))) is StoreClosedError


def test_a_complaint_of_an_unknown_code_keeps_its_words(toy: Toy) -> None:
    error = error_of(toy, refusal("WHAT", "no idea"))
    assert type(error) is UnknownPosError
    assert (error.code, error.detail, error.applied) == ("WHAT", "no idea", Applied.MAYBE)
    assert error_of(toy, refusal("WHAT")).detail == "WHAT"


def test_a_rows_rank_beats_the_order_of_complaints(toy: Toy) -> None:
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
def test_the_lines_at_fault_are_those_that_the_patterns_name(
    toy: Toy, text: str, field: str, lines: tuple[int, ...]
) -> None:
    error = error_of(toy, refusal("GONE", text, field=field))
    assert type(error) is MenuError
    assert (error.lines, error.reason, error.applied) == (lines, "gone", Applied.NO)


def test_without_an_order_no_line_is_named(toy: Toy) -> None:
    verdict = toy.judge(CREATE, None, refusal("GONE", "line 0"), NOW)
    assert verdict.error
    assert verdict.error.lines == ()


class Telling(Toy):
    """A platform that tells the lines, the reason and the wait as such."""

    errors = (Row(MenuError, codes=frozenset({"GONE"})),)

    def problems(self, response: Response) -> Sequence[Problem]:
        return [Problem("GONE", lines=(7, 1, 0), reason="sold_out", retry_after=3.0)]


def test_what_a_platform_tells_as_such_needs_no_pattern() -> None:
    telling, two_lines = Telling(ToySettings(base_url="http://127.0.0.1")), toy_order()
    two_lines = two_lines.model_copy(update={"lines": two_lines.lines * 2})
    error = telling.judge(CREATE, two_lines, refusal("GONE", retry_after="9"), NOW).error
    assert error
    assert (error.lines, error.reason, error.retry_after) == ((0, 1), "sold_out", 3.0)


def test_a_fault_of_our_own_making_is_one_of_the_setup(toy: Toy) -> None:
    error = error_of(toy, Fault(Applied.NO, "not there", barred=True))
    assert isinstance(error, SetupError)
    assert (error.applied, error.transient) == (Applied.NO, False)


def test_a_modifier_that_is_named_names_its_line(toy: Toy) -> None:
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
    verdict = toy.judge(
        CREATE, type(order).model_validate(changed), refusal("GONE", field="items/m1"), NOW
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
def test_retry_after_is_read_in_both_of_its_forms(
    toy: Toy, value: str, seconds: float | None
) -> None:
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
def test_a_429_may_tell_when_its_minute_ends(
    toy: Toy, status: int, headers: dict[str, str], seconds: float | None
) -> None:
    assert toy.retry_after(Response(status, headers, b""), NOW) == seconds


@pytest.mark.parametrize(
    ("left", "seconds"),
    [({}, 0.5), ({"x-ratelimit-remaining": "30"}, 0.5), ({"x-ratelimit-remaining": "29"}, 4.0)],
)
def test_an_import_goes_slower_when_little_of_the_budget_is_left(
    left: dict[str, str], seconds: float
) -> None:
    toy = Toy(ToySettings(base_url="http://127.0.0.1"))
    assert toy.import_pause(Response(200, left, b"")) == 0
    toy.import_pace = 0.5
    assert toy.import_pause(Response(200, left, b"")) == seconds


def test_the_transcript_masks_what_nobody_declared_public(toy: Toy) -> None:
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


def test_a_private_exchange_shows_neither_body_nor_words(toy: Toy) -> None:
    request = Request("POST", "/token", nothing, b'{"ref": "r"}', private=True)
    error = error_of(toy, Response(500, {}, b"token abc is bad"), request)
    assert error.detail == ""
    assert error.exchange
    assert (error.exchange.request_body, error.exchange.response_body) == ("", "")
    assert "abc" not in repr(error)


class Clumsy(Toy):
    """Its `problems` fails on anything but an empty body."""

    def problems(self, response: Response) -> Sequence[Problem]:
        return [Problem(code=response.body.decode("ascii")[3])]


def test_an_adapter_that_cannot_read_a_refusal_leaves_it_to_the_status() -> None:
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
COMPLAINTS = st.fixed_dictionaries(
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
    | st.lists(COMPLAINTS).map(lambda found: json.dumps({"errors": found}).encode())
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
def test_no_answer_makes_the_judge_raise(
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


# Rows


def a_row(error: type[PosError] = OrderError, **more: Any) -> Row:
    return Row(error, **more)


@pytest.mark.parametrize(
    ("table", "lost"),
    [
        ([], []),
        ([a_row(codes=frozenset("A")), a_row(codes=frozenset("B"))], []),
        ([a_row(codes=frozenset("AB")), a_row(codes=frozenset("B"))], [1]),
        ([a_row(codes=frozenset("A")), a_row(codes=frozenset("AB"))], []),
        (
            [
                a_row(codes=frozenset("A")),
                a_row(codes=frozenset("B")),
                a_row(codes=frozenset("AB")),
            ],
            [2],
        ),
        ([a_row(), a_row(codes=frozenset("A"))], [1]),
        ([a_row(codes=frozenset("A")), a_row()], []),
        ([a_row(status=(400,)), a_row(status=(400,), codes=frozenset("A"))], [1]),
        ([a_row(status=(400,)), a_row(codes=frozenset("A"))], []),
        ([a_row(status=range(400, 500)), a_row(status=(404, 410))], [1]),
        ([a_row(status=range(400, 500)), a_row(status=(404, 500))], []),
        (
            [
                a_row(status=(400,), codes=frozenset("A")),
                a_row(status=(400, 401), codes=frozenset("A")),
            ],
            [],
        ),
        ([a_row(text="gone"), a_row(codes=frozenset("A"))], []),
        ([a_row(text="gone"), a_row(codes=frozenset("A"), text="gone")], [1]),
        ([a_row(text="gone"), a_row(codes=frozenset("A"), text="gone", field="items")], [1]),
        ([a_row(field="items"), a_row(field="items")], [1]),
        ([a_row(field="items"), a_row(field="other")], []),
        ([a_row(text="gone"), a_row(field="gone")], []),
        ([a_row(codes=frozenset("A")), a_row(codes=frozenset("A"), text="more special")], [1]),
        ([a_row(codes=frozenset("A"), text="more special"), a_row(codes=frozenset("A"))], []),
    ],
)
def test_a_row_that_earlier_rows_shadow_is_found(table: list[Row], lost: list[int]) -> None:
    found = unreachable(table)
    assert [i for i, row in enumerate(table) if any(row is one for one in found)] == lost


def test_no_row_of_a_proper_table_is_lost() -> None:
    assert unreachable((*Toy.errors, *DEFAULT_ROWS)) == []


def test_a_row_of_ones_own_may_refine_a_default(toy: Toy) -> None:
    class Refined(Toy):
        errors = (Row(TaxError, status=(503,), text="tax"),)

    refined = Refined(toy.config)
    assert type(error_of(refined, Response(503, {}, b"two taxes"))) is TaxError
    assert type(error_of(refined, Response(503, {}, b"maintenance"))) is OutageError


# The adapter itself, and its settings


class Bare(Toy):
    """Writes no optional operation."""

    finish = Adapter[ToySettings].finish
    cancel = Adapter[ToySettings].cancel
    quote = Adapter[ToySettings].quote
    refresh = Adapter[ToySettings].refresh


OPTIONAL: tuple[Callable[[Bare], object], ...] = (
    lambda bare: bare.finish(toy_order(), Draft(id="d", total=1)),
    lambda bare: bare.cancel("o1"),
    lambda bare: bare.attention(toy_order(), 0),
    lambda bare: bare.quote(toy_order(), Attempt()),
    lambda bare: bare.refresh(bare.config.credentials()),
)


def test_capabilities_are_the_operations_that_were_written() -> None:
    needed = {"submit", "find", "fetch", "import_menu", "check"}
    assert Bare.capabilities() == needed
    assert Toy.capabilities() == needed | {"cancel", "refresh", "quote"}


@pytest.mark.parametrize("operation", OPTIONAL)
def test_an_operation_that_was_not_written_says_so(operation: Callable[[Bare], object]) -> None:
    with pytest.raises(UnsupportedError, match="Toy"):
        operation(Bare(ToySettings(base_url="http://127.0.0.1")))


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({}, "base_url: is missing"),
        (
            {"base_url": "http://pos.example"},
            "base_url: must be https; plain http is for this machine only",
        ),
        (
            {"base_url": "http://localhost.example"},
            "base_url: must be https; plain http is for this machine only",
        ),
        (
            {"base_url": "http://127.0.0.1.example"},
            "base_url: must be https; plain http is for this machine only",
        ),
        ({"base_url": "ftp://localhost"}, "base_url: must be an https address"),
        ({"base_url": "https://"}, "base_url: must be an https address"),
        ({"base_url": "pos.example"}, "base_url: must be an https address"),
        ({"base_url": "https://[::1"}, "base_url: Invalid IPv6 URL"),
        (
            {"base_url": "https://me:pw@pos.example"},
            "base_url: must hold no user, password, query or fragment",
        ),
        (
            {"base_url": "https://pos.example?x=1"},
            "base_url: must hold no user, password, query or fragment",
        ),
        (
            {"base_url": "https://pos.example#x"},
            "base_url: must hold no user, password, query or fragment",
        ),
        (
            {"base_url": "https://pos.example", "access_token": "CANARY-1\n"},
            "access_token: holds a space, a line break or another character that no token has",
        ),
        (
            {"base_url": "https://pos.example", "access_token": "CANARY \N{SNOWMAN}"},
            "access_token: holds a space, a line break or another character that no token has",
        ),
        ({"base_url": "https://pos.example", "token": "CANARY-1"}, "token: isn't a field of it"),
    ],
)
def test_a_wrong_setting_is_named_without_its_value(settings: dict[str, str], fault: str) -> None:
    with pytest.raises(ValidationError) as caught:
        ToySettings.model_validate(settings)
    assert explain(caught.value) == fault
    assert "CANARY" not in str(caught.value)


@pytest.mark.parametrize(
    "base_url",
    ["https://pos.example/v2/", "http://localhost:8080", "http://127.0.0.1:1", "http://[::1]:1"],
)
def test_an_address_is_kept_without_its_last_slash(base_url: str) -> None:
    assert ToySettings(base_url=base_url).base_url == base_url.rstrip("/")


def test_without_a_word_on_credentials_the_access_token_is_the_credential() -> None:
    settings = AdapterSettings.model_validate(
        {"base_url": "https://pos.example", "access_token": "CANARY-1"}
    )
    assert settings.credentials().secrets() == ("CANARY-1",)
    assert "CANARY" not in repr(settings) + str(settings) + repr(settings.credentials())
