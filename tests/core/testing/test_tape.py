"""Recording and playing cassettes of a toy platform: matches, failures and files."""

from __future__ import annotations

import gzip
import json
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.toy import TOKEN, Toy, toy_order
from tillpost.errors import OrderError
from tillpost.plugins import manager as plugins
from tillpost.submission.policy import Policy
from tillpost.testing import (
    Cassettes,
    NetworkUsed,
    Opened,
    Origin,
    Sample,
    Source,
    Store,
    UnmatchedRequest,
    read_provenance,
    sampled,
)
from tillpost.testing.store import KINDS, Kind

QUIET = Policy(retries=0)
MADE = {"id": "p1", "ref": "ord-1", "total": 1000, "status": "new", "barista": "Ada Lovelace"}
SUBMITTING = sampled(
    lambda: [Sample("POST", "/orders", MADE)], origin="the toy's manual", adapted=("nothing",)
)
FETCHING = sampled(lambda: [Sample("GET", "/orders/p1", MADE)], origin="the toy's manual")


@pytest.fixture
def cassettes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cassettes:
    monkeypatch.setattr(plugins, "adapters", lambda: {"toy": plugins.Found(Toy, "toy", "1")})
    return Cassettes("toy", tmp_path, settings={"access_token": TOKEN}, api_version="7")


def record(cassettes: Cassettes, origin: Origin, work: Callable[[Store], object]) -> Path:
    with cassettes.recording("case", origin, QUIET) as tape:
        work(tape.store)
        tape.finish()
    return cassettes.folder / "case.yaml"


def play(cassettes: Cassettes, kind: Kind, work: Callable[[Store], Any]) -> Any:
    with cassettes.playing("case", SUBMITTING, QUIET, kind) as tape:
        result = work(tape.store)
        tape.finish()
    return result


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_recorded_is_played(cassettes: Cassettes, kind: Kind) -> None:
    record(cassettes, SUBMITTING, lambda store: store.submit(toy_order()))

    assert play(cassettes, kind, lambda store: store.submit(toy_order())).id == "p1"


@pytest.mark.parametrize("kind", KINDS)
def test_a_refusal_is_played_as_the_error_that_it_was(cassettes: Cassettes, kind: Kind) -> None:
    refusal = Sample("POST", "/orders", {"errors": [{"code": "LATE", "text": "too late"}]}, 422)

    def refused(store: Store) -> OrderError:
        with pytest.raises(OrderError) as caught:
            store.submit(toy_order())
        return caught.value

    record(cassettes, sampled(lambda: [refusal], origin="the toy's manual"), refused)

    error = play(cassettes, kind, refused)
    assert (error.code, error.detail, error.status_code) == ("LATE", "too late", 422)


@pytest.mark.parametrize("kind", KINDS)
def test_a_request_to_another_address_ends_the_test_at_once(
    cassettes: Cassettes, kind: Kind
) -> None:
    record(cassettes, FETCHING, lambda store: store.fetch("p1"))

    with pytest.raises(
        UnmatchedRequest,
        match=r"GET \S+/orders/p2 isn't in the cassette; not played yet: GET \S+/p1",
    ):
        play(cassettes, kind, lambda store: store.fetch("p2"))


@pytest.mark.parametrize("kind", KINDS)
def test_request_with_another_body_fails_with_difference(cassettes: Cassettes, kind: Kind) -> None:
    record(cassettes, SUBMITTING, lambda store: store.submit(toy_order()))

    with pytest.raises(UnmatchedRequest, match=r'(?s)-.*"total": 1000.*\+.*"total": 2000'):
        play(cassettes, kind, lambda store: store.submit(toy_order(quantity=2)))


@pytest.mark.parametrize("kind", KINDS)
def test_an_exchange_that_is_not_asked_for_fails_the_test(cassettes: Cassettes, kind: Kind) -> None:
    record(cassettes, FETCHING, lambda store: store.fetch("p1"))

    with pytest.raises(AssertionError, match=r"didn't use: GET \S+/orders/p1"):
        play(cassettes, kind, lambda store: store.till)


def test_an_exchange_is_played_once(cassettes: Cassettes) -> None:
    record(cassettes, FETCHING, lambda store: store.fetch("p1"))

    with pytest.raises(UnmatchedRequest, match="not played yet: nothing"):
        play(cassettes, "sync", lambda store: [store.fetch("p1"), store.fetch("p1")])


def test_neither_the_host_nor_the_writing_of_json_matters(cassettes: Cassettes) -> None:
    path = record(cassettes, SUBMITTING, lambda store: store.submit(toy_order()))
    text = path.read_text("utf-8")
    body = text[text.index("{") : text.index("}") + 1]
    turned = json.dumps(dict(reversed(json.loads(body).items())))
    path.write_text(
        text.replace(body, turned).replace("https://toy.invalid", "http://elsewhere.test:81"),
        "utf-8",
    )

    assert play(cassettes, "sync", lambda store: store.submit(toy_order())).id == "p1"


def test_the_network_is_blocked_while_a_cassette_plays(cassettes: Cassettes) -> None:
    record(cassettes, FETCHING, lambda store: store.fetch("p1"))

    def dial(store: Store) -> None:
        with pytest.raises(NetworkUsed):
            socket.create_connection(("127.0.0.1", 9))
        store.fetch("p1")

    play(cassettes, "sync", dial)


def test_a_file_says_where_it_comes_from(cassettes: Cassettes) -> None:
    provenance = read_provenance(
        record(cassettes, SUBMITTING, lambda store: store.submit(toy_order()))
    )

    assert (provenance.platform, provenance.api_version, provenance.source) == (
        "toy",
        "7",
        Source.VENDOR_SAMPLE,
    )
    assert (provenance.origin, provenance.adapted) == ("the toy's manual", ("nothing",))


def test_file_has_no_token_person_or_undeclared_header(
    cassettes: Cassettes,
) -> None:
    text = record(cassettes, SUBMITTING, lambda store: store.submit(toy_order())).read_text("utf-8")

    assert TOKEN not in text
    assert "Ada" not in text
    assert '"barista": "***"' in text
    assert "idempotency-key" not in text.lower()


def test_recording_the_same_again_leaves_the_file_with_its_day(cassettes: Cassettes) -> None:
    path = record(cassettes, SUBMITTING, lambda store: store.submit(toy_order()))
    earlier = path.read_text("utf-8").replace(read_provenance(path).recorded, "2020-02-02")
    path.write_text(earlier, "utf-8")

    record(cassettes, SUBMITTING, lambda store: store.submit(toy_order()))
    assert path.read_text("utf-8") == earlier

    record(cassettes, FETCHING, lambda store: store.fetch("p1"))
    assert read_provenance(path).recorded != "2020-02-02"


def test_a_test_that_fails_keeps_nothing(cassettes: Cassettes) -> None:
    with pytest.raises(ZeroDivisionError):
        record(cassettes, FETCHING, lambda store: [store.fetch("p1"), 1 // 0])

    assert list(cassettes.folder.iterdir()) == []


def test_a_cassette_that_is_missing_says_how_to_record_it(cassettes: Cassettes) -> None:
    with pytest.raises(FileNotFoundError, match="--record"):
        play(cassettes, "sync", lambda store: store.till)


def test_a_sample_answers_only_the_request_that_it_is_for(cassettes: Cassettes) -> None:
    with pytest.raises(BaseException, match=r"the request is .*'/orders/p2'"):
        record(cassettes, FETCHING, lambda store: store.fetch("p2"))


def test_a_packed_answer_is_kept_unpacked(cassettes: Cassettes) -> None:
    packed = httpx.Response(
        200, headers={"Content-Encoding": "gzip"}, content=gzip.compress(json.dumps(MADE).encode())
    )

    @contextmanager
    def opened() -> Generator[Opened]:
        with httpx.Client(transport=httpx.MockTransport(lambda _: packed)) as client:
            yield Opened({}, client)

    path = record(
        cassettes, Origin(Source.SIMULATOR, opened, "a packer"), lambda store: store.fetch("p1")
    )

    assert '"id": "p1"' in path.read_text("utf-8")
    assert play(cassettes, "async", lambda store: store.fetch("p1")).id == "p1"
