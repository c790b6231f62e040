"""Requests, their digests, and the generators that adapters are made of."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, cast

import pytest
from pydantic import BaseModel, ValidationError

from core.toy import ToyStatus
from tillpost.adapter.exchange import (
    MOST_PAGES,
    MOST_ROWS,
    Effect,
    PageHeaders,
    Reply,
    Request,
    Response,
    Wait,
    ask,
    ask_pages,
    ask_when_there,
    ask_with_answer,
    find_or_make,
    id_in_location,
    nothing,
    path_segment,
    pause,
    reading,
    reading_about,
    reading_list,
    to_body,
    to_exact_body,
)
from tillpost.errors import Applied, OutageError, PosError, SetupError, UnknownPosError

STATUS = Request("GET", "/status", reading(ToyStatus))
ANSWER = Response(200, {"etag": "7"}, b'{"open": true}')


@pytest.mark.parametrize(
    ("effect", "counts"),
    [
        (Effect.NONE, False),
        (Effect.SIDE, False),
        (Effect.CREATE, True),
        (Effect.ADVANCE, True),
        (Effect.UNDO, True),
    ],
)
def test_effect_counts_if_it_can_change_the_order(effect: Effect, counts: bool) -> None:
    assert effect.counts is counts


@pytest.mark.parametrize("effect", list(Effect))
def test_a_request_is_repeatable_when_it_reads_or_has_a_key(effect: Effect) -> None:
    assert Request("POST", "/", nothing, effect=effect).repeatable is (effect is Effect.NONE)
    assert Request("POST", "/", nothing, effect=effect, key="k").repeatable


def test_digest_depends_on_method_path_and_body_alone() -> None:
    first = Request("POST", "/orders", nothing, b"{}", Effect.CREATE, "k")
    assert first.digest == Request("POST", "/orders", nothing, b"{}", headers={"X": "y"}).digest
    others = [
        Request("PUT", "/orders", nothing, b"{}"),
        Request("POST", "/order", nothing, b"{}"),
        Request("POST", "/orders", nothing, b"{ }"),
    ]
    assert len({first.digest, *(other.digest for other in others)}) == 4


def test_asking_yields_the_request_and_returns_the_typed_value() -> None:
    exchange = ask(STATUS)
    assert next(exchange) is STATUS
    with pytest.raises(StopIteration) as end:
        exchange.send(Reply(STATUS.read(ANSWER.body), ANSWER))
    assert end.value.value == ToyStatus(open=True)


def test_asking_with_the_answer_returns_that_too() -> None:
    exchange = ask_with_answer(STATUS)
    assert next(exchange) is STATUS
    with pytest.raises(StopIteration) as end:
        exchange.send(Reply(STATUS.read(ANSWER.body), ANSWER))
    assert end.value.value == (ToyStatus(open=True), ANSWER)


def test_a_pause_yields_a_wait_and_returns_nothing() -> None:
    exchange = pause(0.5)
    assert next(exchange) == Wait(0.5)
    with pytest.raises(StopIteration) as end:
        exchange.send(cast(Reply, None))
    assert end.value.value is None


def test_body_that_does_not_fit_its_model_raises() -> None:
    with pytest.raises(ValidationError):
        reading(ToyStatus)(b'{"open": "perhaps"}')


def test_a_body_that_does_not_matter_reads_as_nothing() -> None:
    read: Callable[[bytes], object] = nothing
    assert read(b"\xff") is None


def test_fields_that_are_none_stay_out_of_a_body() -> None:
    assert to_body(a=1, b=None, c="\N{SNOWMAN}", d=ToyStatus(open=True)) == (
        '{"a":1,"c":"\N{SNOWMAN}","d":{"open":true}}'.encode()
    )


def test_exact_body_keeps_digits_and_leaves_out_none() -> None:
    body = to_exact_body(
        a=Decimal("13.18180"), b=None, c=[{"d": Decimal("1E-7"), "e": None}], f="x", g=(True, 2)
    )
    assert body == b'{"a": 13.18180, "c": [{"d": 0.0000001}], "f": "x", "g": [true, 2]}'


PAGE = Request("GET", "/list", reading_list(ToyStatus))


HEADERS = PageHeaders(onward="x-next", count="x-count", number="x-page")
HERE = "https://pos.example"


def page(*opens: bool, **headers: str) -> Reply:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply([ToyStatus(open=each) for each in opens], Response(200, sent, b""))


def read(*pages: Reply) -> tuple[list[Request[Any]], list[bool]]:
    """What is asked for, and what is found, when these are the answers."""
    exchange, asked, answers = ask_pages(PAGE, HEADERS, HERE), list[Request[Any]](), iter(pages)
    step = next(exchange)
    while True:
        assert isinstance(step, Request)
        asked.append(step)
        try:
            step = exchange.send(next(answers))
        except StopIteration as end:
            return asked, [status.open for status in end.value]


def test_a_list_of_one_page_is_read_at_once() -> None:
    assert read(page(True, False)) == ([PAGE], [True, False])
    assert read(page(True, x_count="1")) == ([PAGE], [True])
    assert read(page(True, x_count="many")) == ([PAGE], [True])


def test_list_is_read_on_at_the_addresses_in_its_answers() -> None:
    first, second = page(True, x_next=f"{HERE}:443/list?page=2"), page(x_next="/list?page=3")
    asked, found = read(first, second, page(False, True))
    assert [request.path for request in asked] == ["/list", "/list?page=2", "/list?page=3"]
    assert found == [True, False, True]


def test_a_list_is_read_on_by_the_number_of_its_pages() -> None:
    asked, found = read(page(True, x_count="2"), page(False, x_count="2"))
    assert [dict(request.headers) for request in asked] == [{}, {"x-page": "1"}]
    assert found == [True, False]


def test_list_of_too_many_rows_is_an_outage() -> None:
    half = page(*[True] * (MOST_ROWS // 2), x_next="/list?page=2")
    with pytest.raises(OutageError, match=f"doesn't end after {MOST_ROWS} rows"):
        read(half, half, half)


def test_rows_that_are_not_kept_count_for_nothing() -> None:
    whole = Reply([ToyStatus(open=False)] * MOST_ROWS, page(x_next="/list?page=2").response)
    exchange = ask_pages(PAGE, HEADERS, HERE, lambda status: status.open)
    next(exchange)
    exchange.send(whole)
    exchange.send(whole)
    with pytest.raises(StopIteration) as end:
        exchange.send(page(False, True))
    assert end.value.value == [ToyStatus(open=True)]


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/list?page=2",
        "//evil.example/list?page=2",
        "http://pos.example/list?page=2",
        "https://pos.example:8443/list?page=2",
        "https://pos.example@evil.example/list?page=2",
        "https://pos.example:x/list?page=2",
        "https://[pos.example/list?page=2",
    ],
)
def test_no_page_is_read_from_another_host(address: str) -> None:
    with pytest.raises(OutageError, match="another host"):
        read(page(True, x_next=address))


@pytest.mark.parametrize("address", ["@127.0.0.2:99/steal?page=2", "page=2", "/list", "?page=2"])
def test_next_page_that_is_no_address_is_an_outage(address: str) -> None:
    with pytest.raises(OutageError, match="can't be read"):
        read(page(True, x_next=address))


def test_of_the_next_page_only_the_query_is_used() -> None:
    asked, _ = read(page(True, x_next="/../steal?page=2"), page(False))
    assert [request.path for request in asked] == ["/list", "/list?page=2"]


@pytest.mark.parametrize(
    ("thing_id", "segment"),
    [
        ("ord-1", "ord-1"),
        ("a/b", "a%2Fb"),
        ("a?b#c%2F@d", "a%3Fb%23c%252F%40d"),
        ("M\u00fcller 1", "M%C3%BCller%201"),
    ],
)
def test_id_stays_one_segment_of_a_path(thing_id: str, segment: str) -> None:
    assert path_segment(thing_id) == segment


@pytest.mark.parametrize("thing_id", ["", ".", "..", "../x", "a/..", "/a", "a\\b", "a\nb", "a\0"])
def test_id_that_no_path_can_contain_is_refused(thing_id: str) -> None:
    with pytest.raises(UnknownPosError, match="can't be part of an address") as caught:
        path_segment(thing_id)
    assert caught.value.applied is Applied.NO


def test_a_list_that_never_ends_is_an_outage() -> None:
    with pytest.raises(OutageError, match="doesn't end"):
        read(*(page(x_next="/list?page=2") for _ in range(MOST_PAGES)))


FIND, MAKE = (
    Request("GET", "/people?q=1", nothing),
    Request("POST", "/people", nothing, effect=Effect.SIDE),
)
MADE = Reply(None, Response(201, {"location": "/v1/people/7.json"}, b""))
NONE = Reply(None, Response(404, {}, b""))


@pytest.mark.parametrize(
    ("replies", "found", "asked"),
    [
        ([MADE], "7", 1),
        ([NONE, MADE], "7", 2),
        ([NONE, NONE], "", 2),
        ([NONE, SetupError("no")], "", 2),
        ([OutageError("gone")], "", 1),
    ],
)
def test_find_or_make_finds_makes_or_gives_up(
    replies: list[Reply | PosError], found: str, asked: int
) -> None:
    exchange, steps = find_or_make("people", FIND, MAKE), list[object]()

    def run() -> None:
        steps.append(next(exchange))
        for reply in replies:
            steps.append(
                exchange.throw(reply) if isinstance(reply, PosError) else exchange.send(reply)
            )

    with pytest.raises(StopIteration) as end:
        run()
    assert (end.value.value, steps) == (found, [FIND, MAKE][:asked])


def test_a_list_reads_as_its_members_and_nothing_else_as_a_list() -> None:
    assert reading_list(ToyStatus)(b'[{"open": true}]') == (ToyStatus(open=True),)
    for body in (b"null", b"{}", b'[{"open": "perhaps"}]'):
        with pytest.raises(ValidationError):
            reading_list(ToyStatus)(body)


def test_ask_when_there_repeats_a_404_after_each_pause() -> None:
    exchange = ask_when_there(STATUS, (0.5, 1.0))
    assert next(exchange) == STATUS
    assert exchange.throw(SetupError("Not Found", status_code=404)) == Wait(0.5)
    assert exchange.send(cast(Reply, None)) == STATUS
    assert exchange.throw(SetupError("Not Found", status_code=404)) == Wait(1.0)
    exchange.send(cast(Reply, None))
    with pytest.raises(SetupError):
        exchange.throw(SetupError("Not Found", status_code=404))


def test_ask_when_there_waits_for_a_404_only() -> None:
    exchange = ask_when_there(STATUS, (0.5,))
    next(exchange)
    with pytest.raises(OutageError):
        exchange.throw(OutageError("down", status_code=503))


@pytest.mark.parametrize(
    ("location", "found"),
    [
        ("https://pos.example/v1/companies/5/orders/93824701.json", "93824701"),
        ("/orders/a-1", "a-1"),
        ("/customers/7", ""),
        ("", ""),
    ],
)
def test_id_in_location_names_the_resource(location: str, found: str) -> None:
    assert id_in_location(Response(201, {"location": location}, b"null"), "orders") == found
    assert id_in_location(Response(201, {}, b"null"), "orders") == ""


class Thing(BaseModel):
    id: str


def test_answer_with_another_id_is_unreadable() -> None:
    read = reading_about(Thing, "7")
    assert read(b'{"id": "7"}') == Thing(id="7")
    with pytest.raises(ValueError, match="something else"):
        read(b'{"id": "8"}')


@pytest.mark.parametrize("seconds", [float("nan"), float("inf")])
def test_pause_without_an_end_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="a wait of"):
        next(pause(seconds))
