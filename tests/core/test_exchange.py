"""The words of a conversation: requests and their fingerprints, and the small generators that adapters are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import cast

import pytest
from pydantic import ValidationError

from tillpost.errors import OutageError, SetupError
from tillpost.exchange import (
    MOST_PAGES,
    Effect,
    Reply,
    Request,
    Response,
    Wait,
    ask,
    ask_all,
    ask_when_there,
    ask_with_answer,
    id_in_location,
    nothing,
    pause,
    reading,
    reading_list,
    to_body,
    to_exact_body,
)

from .toy import ToyStatus

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
def test_an_effect_counts_when_it_can_change_what_is_known_of_the_order(effect: Effect, counts: bool) -> None:
    assert effect.counts is counts


@pytest.mark.parametrize("effect", list(Effect))
def test_a_request_is_repeatable_when_it_reads_or_has_a_key(effect: Effect) -> None:
    assert Request("POST", "/", nothing, effect=effect).repeatable is (effect is Effect.NONE)
    assert Request("POST", "/", nothing, effect=effect, key="k").repeatable


def test_the_digest_tells_requests_apart_by_method_path_and_body_alone() -> None:
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


def test_a_body_that_does_not_fit_its_model_is_an_error_of_the_reader() -> None:
    with pytest.raises(ValidationError):
        reading(ToyStatus)(b'{"open": "perhaps"}')


def test_a_body_that_does_not_matter_reads_as_nothing() -> None:
    read: Callable[[bytes], object] = nothing
    assert read(b"\xff") is None


def test_fields_that_are_none_stay_out_of_a_body() -> None:
    assert to_body(a=1, b=None, c="\N{SNOWMAN}", d=ToyStatus(open=True)) == (
        '{"a":1,"c":"\N{SNOWMAN}","d":{"open":true}}'.encode()
    )


def test_an_exact_body_keeps_every_digit_and_leaves_out_none_at_any_depth() -> None:
    body = to_exact_body(a=Decimal("13.18180"), b=None, c=[{"d": Decimal("1E-7"), "e": None}], f="x", g=(True, 2))
    assert body == b'{"a": 13.18180, "c": [{"d": 0.0000001}], "f": "x", "g": [true, 2]}'


PAGE = Request("GET", "/list", reading_list(ToyStatus))


def page(*opens: bool) -> Reply:
    return Reply([ToyStatus(open=each) for each in opens], ANSWER)


def test_a_list_is_read_to_its_end() -> None:
    asked: list[int] = []

    def following(_: Response, pages: int) -> Request[Sequence[ToyStatus]] | None:
        asked.append(pages)
        return PAGE if pages < 3 else None

    exchange = ask_all(PAGE, following)
    next(exchange)
    exchange.send(page(True))
    exchange.send(page())
    with pytest.raises(StopIteration) as end:
        exchange.send(page(False, True))
    assert [status.open for status in end.value.value] == [True, False, True]
    assert asked == [1, 2, 3]


def test_a_list_that_never_ends_is_an_outage() -> None:
    exchange = ask_all(PAGE, lambda _answer, _pages: PAGE)
    next(exchange)
    for _ in range(MOST_PAGES - 1):
        exchange.send(page())
    with pytest.raises(OutageError, match="didn't end"):
        exchange.send(page())


def test_a_list_reads_as_its_members_and_nothing_else_as_a_list() -> None:
    assert reading_list(ToyStatus)(b'[{"open": true}]') == (ToyStatus(open=True),)
    for body in (b"null", b"{}", b'[{"open": "perhaps"}]'):
        with pytest.raises(ValidationError):
            reading_list(ToyStatus)(body)


def test_what_isnt_there_yet_is_asked_for_again_after_each_pause() -> None:
    exchange = ask_when_there(STATUS, (0.5, 1.0))
    assert next(exchange) == STATUS
    assert exchange.throw(SetupError("Not Found", status_code=404)) == Wait(0.5)
    assert exchange.send(cast(Reply, None)) == STATUS
    assert exchange.throw(SetupError("Not Found", status_code=404)) == Wait(1.0)
    exchange.send(cast(Reply, None))
    with pytest.raises(SetupError):
        exchange.throw(SetupError("Not Found", status_code=404))


def test_only_a_404_is_waited_for() -> None:
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
def test_a_location_names_what_was_made(location: str, found: str) -> None:
    assert id_in_location(Response(201, {"location": location}, b"null"), "orders") == found
    assert id_in_location(Response(201, {}, b"null"), "orders") == ""
