"""A TCP proxy in front of a server that can fall silent: it keeps connections, and passes nothing.

Nobody is told: no packet ends a connection, and the operating system still takes what is sent.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self


class SilentProxy:
    """Forwards connections to a port of the loopback. A context manager."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._speaks = threading.Event()
        self._speaks.set()
        self._ended = False
        self._generation = 0
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def fall_silent(self) -> None:
        """Pass nothing on, over connections old and new."""
        self._speaks.clear()

    def speak(self) -> None:
        """Pass everything on again, over new connections. Those that fell silent stay so."""
        self._generation += 1
        self._speaks.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended = True
        self._speaks.set()
        for connection in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                self._sockets += [client, server]
                generation = self._generation
                for source, to in ((client, server), (server, client)):
                    arguments = (source, to, generation)
                    threading.Thread(target=self._pass, args=arguments, daemon=True).start()

    def _pass(self, source: socket.socket, to: socket.socket, generation: int) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._speaks.wait()
                if self._generation != generation and not self._ended:
                    continue  # it fell silent for good
                to.sendall(data)
            if self._generation == generation:
                to.shutdown(socket.SHUT_WR)
