"""Two gaps that `docs/explanation/never-twice.md` names, with their sizes at Kounta.

Kounta has no keys, so a look-up that finds nothing has the order sent again.
"""

from __future__ import annotations

import http.client
import socket
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import pytest

from adapters.kounta.bench import QUICK, SUBSTITUTES, Bench, on_create, plain_order
from core.raw_server import served
from tillpost import Till
from tillpost.simulator import serve_in_thread
from tillpost_simulators.kounta import KountaSettings, KountaSimulator

LOST = httpx.ReadTimeout("no answer in time")


class BenchAhead(Bench):
    """A bench whose Till has a clock that is ahead, at a platform that reports no time."""

    hours = 0.0

    def now(self) -> float:
        """Return the Till's time, in epoch seconds."""
        return super().now() + self.hours * 3600.0


@pytest.mark.parametrize(("hours", "made"), [(24.9, 1), (25.1, 2)])
def test_clock_25_hours_ahead_hides_order_if_no_date_is_told(hours: float, made: int) -> None:
    bench = BenchAhead()
    bench.till.import_menu()
    bench.hours = hours
    bench.answer = on_create(LOST, done=True)
    placed_at = datetime.fromtimestamp(bench.now(), UTC)
    bench.till.submit(plain_order(placed_at=placed_at), is_new=True)
    assert len(bench.simulator.ledger().entries) == made


# ------------------------------------------------------------------ an answer that is sent twice


class Copying:
    """A proxy on the way to Kounta that sends one answer a second time.

    It carries the first create out, and closes the connection instead of answering it.
    """

    def __init__(self, port: int, copy: str, *, may_lose: bool = True) -> None:
        """Take Kounta's port, and when the copy of the first search's answer comes.

        `at once`: before the next request is written. `in the window`: once it is written, and
        before its own answer. `with the next`: after that. `never`: not at all. `to the create`: as
        `in the window`, and the next request is the create.
        """
        self.searches: list[socket.socket] = []
        """The connection of each search."""

        self._port = port
        self._copy = copy
        self._may_lose = may_lose
        self._empty = b""

    def handle(self, client: socket.socket) -> None:
        """Pass the requests of one connection on."""
        for request in requests_on(client):
            answer = carried_out(request, self._port)
            if request.is_create and self._may_lose:
                self._may_lose = False
                return
            if request.is_create and self._copy == "to the create":
                answer, self._copy = self._empty + answer, "never"
            if request.is_search:
                answer = self._found(client, answer)
            client.sendall(answer)

    def _found(self, client: socket.socket, answer: bytes) -> bytes:
        """Return what a search is answered with: the first finds nothing yet."""
        self.searches.append(client)
        if len(self.searches) == 1:
            self._empty = message([("Content-Type", "application/json")], b"[]")
            return self._empty * (2 if self._copy == "at once" else 1)
        if len(self.searches) == 2 and self._copy == "in the window":
            return self._empty + answer
        if len(self.searches) == 2 and self._copy == "with the next":
            return answer + self._empty
        return answer


class Received(NamedTuple):
    """A request as the proxy received it."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_create(self) -> bool:
        return self.method == "POST" and self.target.endswith("/orders.json")

    @property
    def is_search(self) -> bool:
        return "/sites/2301/orders.json" in self.target


def requests_on(client: socket.socket) -> Iterator[Received]:
    """Read the requests of a connection, until the other side closes it."""
    with client, client.makefile("rb") as stream:
        while first := stream.readline():
            method, target, _ = first.decode("latin-1").split()
            headers = dict(http.client.parse_headers(stream).items())
            body = stream.read(int(headers.get("Content-Length", "0")))
            yield Received(method, target, headers, body)


def carried_out(request: Received, port: int) -> bytes:
    """Send a request to Kounta, and return its answer."""
    kounta = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        kounta.request(request.method, request.target, request.body or None, dict(request.headers))
        answer = kounta.getresponse()
        headers = [each for each in answer.getheaders() if each[0] not in HOP_BY_HOP]
        return message(headers, answer.read(), answer.status)
    finally:
        kounta.close()


HOP_BY_HOP = ("Content-Length", "Transfer-Encoding", "Connection")


def message(headers: Iterable[tuple[str, str]], body: bytes, status: int = 200) -> bytes:
    """Return an answer as bytes, after which the connection stays open."""
    lines = [f"HTTP/1.1 {status} Whatever"]
    lines += [f"{name}: {value}" for name, value in (*headers, ("Content-Length", len(body)))]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


@contextmanager
def on_the_way(copying: str, **how: bool) -> Generator[tuple[Copying, Till, KountaSimulator]]:
    """Connect a Till to Kounta through a proxy that sends an answer twice."""
    world = KountaSettings(oauth_limit=10**9)
    with serve_in_thread(KountaSimulator(world)) as kounta:
        proxy = Copying(urlsplit(kounta.url).port or 0, copying, **how)
        with served(proxy.handle) as server:
            settings: dict[str, Any] = {
                **kounta.settings,
                **SUBSTITUTES,
                "base_url": server.url.rstrip("/"),
                "import_pace": 0.0,
                "look_after": (0.01, 0.01),
            }
            with Till.connect("kounta", policy=QUICK, **settings) as till:
                till.import_menu()
                yield proxy, till, kounta.simulator


@pytest.mark.parametrize(
    ("copy", "shares_connection", "made"),
    [
        ("never", True, 1),
        ("at once", False, 1),
        ("in the window", True, 2),
        ("with the next", True, 1),
    ],
)
def test_copy_of_an_empty_answer_hides_order_only_in_its_window(
    copy: str, *, shares_connection: bool, made: int
) -> None:
    """The window lasts from when the next request is written until its own answer comes."""
    with on_the_way(copy) as (proxy, till, simulator):
        till.submit(plain_order(), is_new=True)
        assert (proxy.searches[0] is proxy.searches[1]) is shares_connection
        assert len(simulator.ledger().entries) == made


def test_copy_that_is_taken_for_a_creates_answer_proves_nothing() -> None:
    with on_the_way("to the create", may_lose=False) as (proxy, till, simulator):
        till.submit(plain_order())
        assert len(proxy.searches) > 1
        assert len(simulator.ledger().entries) == 1
