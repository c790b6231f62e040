"""Webhooks that a simulator sends.

They are real requests, sent in the background, to this machine only.
"""

from __future__ import annotations

import ipaddress
import logging
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

__all__ = ["Sender", "Sent"]

log = logging.getLogger("tillpost.simulator")

_TIMEOUT_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Sent:
    """A request that the platform sends.

    `topic` is what it is about, in the platform's terms, if these have a name for it.
    """

    url: str
    topic: str
    body: bytes
    headers: tuple[tuple[str, str], ...]


class Sender:
    """A sender of requests in the background, one after the other.

    It sends to the loopback only. Requests to other addresses are only recorded.
    """

    def __init__(self) -> None:
        self.recorded: list[Sent] = []
        self._executor: ThreadPoolExecutor | None = None
        self._client: httpx.Client | None = None
        self._pending: list[tuple[Sent, Future[bool]]] = []

    def send(self, request: Sent) -> None:
        """Record a request, and send it when its address is on the loopback."""
        self.recorded.append(request)
        if _is_on_loopback(request.url):
            if self._executor is None:
                self._executor = ThreadPoolExecutor(1, "webhooks")
            self._pending.append((request, self._executor.submit(self._post, request)))

    def wait(self) -> list[Sent]:
        """Wait until every request so far has been sent.

        Returns those that weren't answered with success.
        """
        refused: list[Sent] = []
        while self._pending:
            request, taken = self._pending.pop(0)
            if not taken.result():
                refused.append(request)
        return refused

    def clear(self) -> None:
        """Forget the recorded requests."""
        self.recorded.clear()

    def _post(self, request: Sent) -> bool:
        """Send a request, and return whether it was answered with success."""
        if self._client is None:
            # Nobody closes a sender, so no connection is kept open.
            alone = httpx.Limits(max_keepalive_connections=0)
            self._client = httpx.Client(timeout=_TIMEOUT_SECONDS, limits=alone, trust_env=False)
        headers = dict(request.headers)
        try:
            answer = self._client.post(request.url, content=request.body, headers=headers)
        except httpx.HTTPError as error:
            log.warning("webhook_failed url=%r error=%s", request.url, type(error).__name__)
            return False
        return answer.is_success


def _is_on_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
