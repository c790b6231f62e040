"""Servers that work on the bare socket, and answer as no server should."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress

Handler = Callable[[socket.socket], None]


class RawServer:
    """A server on the loopback that hands each accepted socket to a function, in a thread."""

    def __init__(self, handle: Handler) -> None:
        self._handle = handle
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.accepted = 0
        self.sockets: list[socket.socket] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/"

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            self.sockets.append(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError):  # the other side has closed
            self._handle(client)

    def close(self) -> None:
        with suppress(OSError):  # closing alone doesn't end a wait in `accept`
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join(30)  # what it still accepted is closed, too
        for client in self.sockets:
            client.close()


@contextmanager
def served(handle: Handler) -> Generator[RawServer]:
    server = RawServer(handle)
    try:
        yield server
    finally:
        server.close()


def read_request(client: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        chunk = client.recv(65536)
        if not chunk:
            return b""
        received += chunk
    return received


def drip(data: bytes) -> Handler:
    """Send a beginning, then the same bytes again and again, slowly."""

    def handle(client: socket.socket) -> None:
        read_request(client)
        client.sendall(b"HTTP/1.1 ")
        while True:
            client.sendall(data)
            threading.Event().wait(0.05)

    return handle


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def drip_after(beginning: bytes, data: bytes) -> Handler:
    """Send a beginning, then the same bytes again and again, slowly."""

    def handle(client: socket.socket) -> None:
        read_request(client)
        client.sendall(beginning)
        while True:
            client.sendall(data)
            threading.Event().wait(0.05)

    return handle


def silent(client: socket.socket) -> None:
    read_request(client)
    threading.Event().wait()
