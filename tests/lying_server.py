"""A real HTTP server in front of a simulator that changes its answers: a server that lies.

    with LyingServer(running.url) as server:
        server.lie("GET", "/orders/", names_another("ord-1"), times=1)
        till = Till.connect("square", **settings, base_url=server.url)

Requests are carried out truthfully. Only what comes back is changed, so the simulator's ledger
shows what the lie led to.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple, Self, cast

import httpx

HOP_HEADERS = {"connection", "content-length", "transfer-encoding", "date", "server"}


class Sent(NamedTuple):
    """An answer: status, headers and body."""

    status: int
    headers: dict[str, str]
    body: bytes


Lie = Callable[[Sent], Sent]
"""Changes an answer."""


@dataclass
class Rule:
    """Which requests are answered with a lie, and how often still (None: always)."""

    method: str
    path: re.Pattern[str]
    lie: Lie
    times: int | None


@dataclass
class LyingServer:
    """The server. A context manager; `seen` lists method and path of what was asked."""

    behind: str
    seen: list[str] = field(default_factory=list[str])
    rules: list[Rule] = field(default_factory=list[Rule])

    def lie(self, method: str, path: str, lie: Lie, *, times: int | None = None) -> None:
        """Answer the requests of a method and path (a regular expression) with a lie."""
        self.rules.append(
            Rule(
                method,
                re.compile(path),
                lie,
                times,
            )
        )

    def be_honest(self) -> None:
        """Tell no more lies."""
        self.rules.clear()

    @property
    def url(self) -> str:
        """The server's address."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Sent:
        """Carry a request out, and change the answer if a rule says so."""
        self.seen.append(f"{method} {path}")
        reply = self._client.request(
            method,
            self.behind + path,
            headers=headers,
            content=body,
        )
        kept = {name: value for name, value in reply.headers.items() if name not in HOP_HEADERS}
        kept.pop("content-encoding", None)
        sent = Sent(reply.status_code, kept, reply.content)
        for rule in self.rules:
            if rule.method == method and rule.path.search(path) and rule.times != 0:
                rule.times = None if rule.times is None else rule.times - 1
                sent = rule.lie(sent)
        return sent

    def __enter__(self) -> Self:
        lying = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def carry_out(self) -> None:
                length = int(self.headers.get("content-length", 0))
                headers = {n: v for n, v in self.headers.items() if n.lower() not in HOP_HEADERS}
                sent = lying.answer(
                    self.command,
                    self.path,
                    headers,
                    self.rfile.read(length),
                )
                self.send_response(sent.status)
                for name, value in sent.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(sent.body)))
                self.end_headers()
                self.wfile.write(sent.body)

            do_GET = do_POST = do_PUT = do_DELETE = carry_out  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self._client = httpx.Client(trust_env=False)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._client.close()


# ---------------------------------------------------------------------- lies


def whole(status: int, body: bytes) -> Lie:
    """Say something else altogether; the headers stay."""
    return lambda sent: sent._replace(status=status, body=body)


def names_another(reference: str, other: str = "other-9") -> Lie:
    """Name another reference wherever ours is as a whole."""
    return _in_texts(lambda text: text.replace(reference, other))


def names_other_id(pos_id: str, other: str) -> Lie:
    """Name another of the platform's ids."""

    def change(value: object) -> object:
        if str(value) != pos_id:
            return value
        return int(other) if isinstance(value, int) else other

    return _in_members(lambda name, value: change(value))


def names_nothing(*names: str) -> Lie:
    """Leave these members out, at any depth."""
    return _in_members(lambda name, value: _LEFT_OUT if name in names else value)


def states(**members: object) -> Lie:
    """Give members another value, at any depth."""
    return _in_members(lambda name, value: members.get(name, value))


def without_last_line(*names: str) -> Lie:
    """Drop the last of the order's lines."""

    def drop(name: str, value: object) -> object:
        if name not in names or not isinstance(value, list):
            return value
        lines = cast("list[object]", value)
        return lines[:-1]

    return _in_members(drop)


_LEFT_OUT = object()


def _in_texts(change: Callable[[str], str]) -> Lie:
    def value_changed(_name: str, value: object) -> object:
        return change(value) if isinstance(value, str) else value

    return _in_members(value_changed)


def _in_members(change: Callable[[str, object], object]) -> Lie:
    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            members = cast("dict[str, object]", value).items()
            changed = {name: change(name, member) for name, member in members}
            return {n: walk(v) for n, v in changed.items() if v is not _LEFT_OUT}
        if isinstance(value, list):
            return [walk(member) for member in cast("list[object]", value)]
        return value

    def lie(sent: Sent) -> Sent:
        try:
            content = json.loads(sent.body)
        except ValueError:
            return sent
        return sent._replace(body=json.dumps(walk(content)).encode())

    return lie
