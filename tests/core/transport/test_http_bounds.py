"""An answer is bounded in size, packed or not, and in time."""

from __future__ import annotations

import gzip
import time
import tracemalloc
import zlib
from dataclasses import replace

import httpx
import pytest

from core.both import Kind
from core.sending import Sender, client_over
from core.toy_server import ToyServer, answer, drip_for_ever, hang, raw
from tillpost import ConfigError, Limits
from tillpost.adapter.exchange import Fault, Request, Response, nothing
from tillpost.errors import Applied
from tillpost.transport.http import largest_body
from waiting import AGES


def test_too_large_answer_is_not_read_to_its_end(send: Sender, server: ToyServer) -> None:
    server.on("GET /menu", answer(200, b"x" * 10_001), answer(200, b"x" * 10_000))
    assert send() == Fault(Applied.MAYBE, "the answer is larger than 10000 bytes")
    got = send()
    assert isinstance(got, Response)
    assert len(got.body) == 10_000


def test_size_limit_holds_for_ready_answer(send: Sender, kind: Kind) -> None:
    client = client_over(kind, lambda _: httpx.Response(200, content=b"x" * 10_001))
    assert send(client=client) == Fault(Applied.MAYBE, "the answer is larger than 10000 bytes")


PACKED = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_a_packed_answer_is_unpacked(send: Sender, server: ToyServer) -> None:
    server.on("GET /menu", answer(200, gzip.compress(b'{"items": []}'), content_encoding="GZip"))
    got = send()
    assert isinstance(got, Response)
    assert got.body == b'{"items": []}'


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_packed_answer_of_several_members_is_unpacked(
    send: Sender, server: ToyServer, size: int
) -> None:
    """Whatever the sizes are in which it is received: RFC 1952, section 2.2."""
    members = b"".join(gzip.compress(part) for part in (b"", b'{"items"', b"", b": []}"))
    chunks = [members[start : start + size] for start in range(0, len(members), size)]
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    server.on("GET /menu", raw(PACKED + body + b"0\r\n\r\n"))
    got = send()
    assert isinstance(got, Response)
    assert got.body == b'{"items": []}'


def test_many_members_are_bounded_together(send: Sender, server: ToyServer) -> None:
    members = gzip.compress(b"x" * 6_000) * 2
    server.on("GET /menu", answer(200, members, content_encoding="gzip"))
    assert send() == Fault(Applied.MAYBE, "the answer is larger than 10000 bytes")


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_byte_order_mark_is_dropped(send: Sender, server: ToyServer, encoding: str) -> None:
    body = b'\xef\xbb\xbf{"items": []}'
    sent = gzip.compress(body) if encoding == "gzip" else body
    server.on("GET /menu", answer(200, sent, content_encoding=encoding))
    got = send()
    assert isinstance(got, Response)
    assert got.body == b'{"items": []}'


def test_what_follows_a_packed_answer_is_ignored(send: Sender, server: ToyServer) -> None:
    packed = gzip.compress(b"{}")
    parts = (packed, b"\x1f", b"rest", b"rest")
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    server.on("GET /menu", raw(PACKED + chunks + b"0\r\n\r\n"))
    got = send()
    assert isinstance(got, Response)
    assert got.body == b"{}"


@pytest.mark.parametrize("packings", [1, 2])
def test_a_gzip_bomb_is_stopped_before_it_fills_the_memory(
    send: Sender, server: ToyServer, packings: int
) -> None:
    bomb = b"\0" * 20_000_000
    for _ in range(packings):
        bomb = gzip.compress(bomb)
    assert len(bomb) < 90_000
    server.on("GET /menu", answer(200, bomb, content_encoding=", ".join(["gzip"] * packings)))
    tracemalloc.start()
    got = send()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert isinstance(got, Fault)
    assert got.applied is Applied.MAYBE
    assert peak < 2_000_000


@pytest.mark.parametrize(
    ("body", "encoding", "text"),
    [
        (b"not gzip at all", "gzip", "the answer can't be unpacked"),
        (
            gzip.compress(b'{"items": []}' * 9, mtime=0)[:-12],
            "gzip",
            "the answer can't be unpacked",
        ),
        (gzip.compress(b"{}", mtime=0)[:10], "gzip", "the answer can't be unpacked"),
        (
            gzip.compress(b"{}", mtime=0) + gzip.compress(b"", mtime=0)[:-4],
            "gzip",
            "the answer can't be unpacked",
        ),
        (zlib.compress(b"{}"), "deflate", "the answer is packed in a way that wasn't asked for"),
        (b"{}", "br", "the answer is packed in a way that wasn't asked for"),
    ],
)
def test_an_answer_that_cannot_be_unpacked_is_a_fault(
    send: Sender, server: ToyServer, body: bytes, encoding: str, text: str
) -> None:
    server.on("GET /menu", answer(200, body, content_encoding=encoding))
    assert send() == Fault(Applied.MAYBE, text)


ONE_SECOND = Limits(connect=AGES, read=AGES, answer=1.0, answer_bytes=10_000)
TOO_LONG = Fault(Applied.MAYBE, "the answer took longer than 1 s")
HEAD = b"HTTP/1.1 200 OK\r\n"
BODY_FOLLOWS = HEAD + b"Content-Length: 1000000\r\n\r\n"
GZIP_FOLLOWS = HEAD + b"Content-Encoding: gzip\r\nContent-Length: 1000000\r\n\r\n"
NAME_FOLLOWS = b"\x1f\x8b\x08\x08" + b"\0" * 6
"""The beginning of a gzip header, whose file name comes next."""


def test_dripping_server_ends_at_deadline(send: Sender, server: ToyServer) -> None:
    server.on("GET /menu", drip_for_ever(BODY_FOLLOWS, b"x"))
    began = time.monotonic()
    assert send(limits=ONE_SECOND) == TOO_LONG
    assert time.monotonic() - began < AGES


def test_dripping_server_ends_at_deadline_of_handed_in_client(
    send: Sender, server: ToyServer, kind: Kind
) -> None:
    server.on("GET /menu", drip_for_ever(BODY_FOLLOWS, b"x"))
    client = httpx.Client() if kind == "sync" else httpx.AsyncClient()
    assert send(client=client, limits=ONE_SECOND) == TOO_LONG


def test_dripped_empty_gzip_ends_at_deadline(send: Sender, server: ToyServer) -> None:
    """The file name in its header never ends, so that nothing is unpacked."""
    server.on("GET /menu", drip_for_ever(GZIP_FOLLOWS + NAME_FOLLOWS, b"n"))
    assert send(limits=ONE_SECOND) == TOO_LONG


@pytest.mark.parametrize("kind", ["async"])
def test_dripped_headers_are_bounded_under_async(send: Sender, server: ToyServer) -> None:
    server.on("GET /menu", drip_for_ever(HEAD, b"X-More: x\r\n"))
    began = time.monotonic()
    assert send(limits=ONE_SECOND) == TOO_LONG
    assert time.monotonic() - began < AGES


def test_a_wait_is_never_longer_than_the_whole_exchange_may_be(
    send: Sender, server: ToyServer
) -> None:
    server.on("GET /menu", hang())
    began = time.monotonic()
    got = send(limits=Limits(connect=10 * AGES, read=10 * AGES, answer=1.0))
    assert isinstance(got, Fault)
    assert got.applied is Applied.MAYBE
    assert time.monotonic() - began < AGES


def test_only_a_menu_may_use_the_larger_limit() -> None:
    limits = Limits(answer_bytes=1, menu_bytes=2)
    request = Request("GET", "/menu", nothing)
    assert largest_body(limits, request) == 1
    assert largest_body(limits, replace(request, is_menu=True)) == 2


@pytest.mark.parametrize("answer", [0.0, -1.0, float("nan"), float("inf")])
def test_limit_that_limits_nothing_is_refused(answer: float) -> None:
    with pytest.raises(ConfigError, match="answer must be a number above 0"):
        Limits(answer=answer)
