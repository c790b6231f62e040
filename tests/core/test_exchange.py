"""The words of a conversation: requests and their fingerprints, and the small generators that adapters are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest
from pydantic import ValidationError

from tillpost.exchange import (
    Effect,
    Reply,
    Request,
    Response,
    Wait,
    ask,
    ask_with_answer,
    nothing,
    pause,
    reading,
    to_body,
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
