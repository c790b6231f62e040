"""A platform's answers from memory, over real HTTP, from a process of its own.

The fastest server that Python has without a library: it parses no more than it needs, so that the
time of an exchange is that of the client. An answer has the reference of its request.

    with serving(answers) as url:
        ...
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import formatdate

__all__ = ["NOW", "REFERENCE", "serving"]

NOW = "2001-02-03T04:05:06.007Z"
"""What stands in an answer for the time at which it is given."""

REFERENCE = "REFERENCE-OF-THE-REQUEST"
"""What stands in an answer for the `reference_id` of its request."""

_REFERENCE = re.compile(rb'"reference_id": ?"([^"]*)"')
_LENGTH = re.compile(rb"\r\ncontent-length: ?(\d+)", re.IGNORECASE)


class _Connection(asyncio.Protocol):
    """One connection of a client, whose requests are answered in turn."""

    transport: asyncio.Transport

    def __init__(self, answers: Mapping[bytes, bytes]) -> None:
        self._answers = answers
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each request that is whole."""
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end]
            length = _LENGTH.search(head)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._received) < whole:
                return
            request, self._received = self._received[:whole], self._received[whole:]
            self.transport.write(self._answer(head, request[end + 4 :]))

    def _answer(self, head: bytes, body: bytes) -> bytes:
        target = head.split(b" ", 2)[1]
        content = self._answers.get(target)
        if content is None:
            return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        reference = _REFERENCE.search(body)
        if reference:
            content = content.replace(REFERENCE.encode(), reference[1])
            content = content.replace(NOW.encode(), _now())
        fields = (
            "HTTP/1.1 200 OK",
            f"Date: {formatdate(usegmt=True)}",
            "Content-Type: application/json",
            "Square-Version: 2025-08-20",
            f"Content-Length: {len(content)}",
            "\r\n",
        )
        return "\r\n".join(fields).encode() + content


def _now() -> bytes:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z").encode()


@contextmanager
def serving(answers: Mapping[str, str]) -> Generator[str]:
    """Serve answers by their paths; yield the server's address."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.canned"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stdin
        assert process.stdout
        try:
            process.stdin.write(json.dumps(dict(answers)) + "\n")
            process.stdin.flush()
            yield process.stdout.readline().strip()
        finally:
            process.kill()


async def _serve(answers: Mapping[bytes, bytes]) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(answers), "127.0.0.1", 0, backlog=1024)
    host, port = server.sockets[0].getsockname()
    print(f"http://{host}:{port}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    given: dict[str, str] = json.loads(sys.stdin.readline())
    asyncio.run(_serve({path.encode(): body.encode() for path, body in given.items()}))
