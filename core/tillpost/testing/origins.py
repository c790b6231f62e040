"""What a cassette is recorded from: a simulator, or a vendor's published samples.

simulated(lambda: serve_in_thread(Simulator()), origin="Square simulator", note="...")
sampled(lambda: [Sample("GET", "/v2/orders/1", answer)], origin="...", adapted=("...",))
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

import httpx

from tillpost.simulator import Running
from tillpost.testing.provenance import Source

__all__ = ["Opened", "Origin", "Sample", "sampled", "simulated"]


class Opened(NamedTuple):
    """A running origin: settings to connect with, and its HTTP client if any."""

    settings: Mapping[str, Any]
    client: httpx.Client | None = None


@dataclass(frozen=True)
class Origin:
    """What answers while a cassette is recorded.

    Attributes:
        source: Whether it is a simulator or the vendor's samples.
        open: Starts it.
        origin: The document or simulator, for the provenance.
        adapted: Each change to the vendor's samples, in a sentence.
        note: What a reader should know.
        settings: Settings of the adapter that differ from the usual ones, in the replay too.
    """

    source: Source
    open: Callable[[], AbstractContextManager[Opened]]
    origin: str
    adapted: Sequence[str] = ()
    note: str = ""
    settings: Mapping[str, object] = field(default_factory=dict[str, object])


class Sample(NamedTuple):
    """A vendor's sample of an answer, and the request that it answers.

    `path` has no query.
    """

    method: str
    path: str
    answer: Mapping[str, Any] | Sequence[Any] | None
    status: int = 200
    headers: Mapping[str, str] = MappingProxyType({})


class _WrongSample(BaseException):
    """A request other than the one that the next sample answers.

    It isn't an `Exception`, like `UnmatchedRequest`.
    """


def simulated(
    serve: Callable[[], AbstractContextManager[Running[Any]]],
    *,
    origin: str,
    note: str = "",
    settings: Mapping[str, object] | None = None,
) -> Origin:
    """Return an origin that is a simulator; `serve` starts it."""

    @contextmanager
    def opened() -> Generator[Opened]:
        with serve() as running:
            yield Opened(running.settings)

    return Origin(Source.SIMULATOR, opened, origin, note=note, settings=settings or {})


def sampled(
    samples: Callable[[], Sequence[Sample]],
    *,
    origin: str,
    adapted: Sequence[str] = (),
    note: str = "",
    settings: Mapping[str, object] | None = None,
) -> Origin:
    """Return an origin that answers with the vendor's samples, one after the other.

    `samples` is called only when recording, so a replay doesn't need the vendor's document.
    """

    @contextmanager
    def opened() -> Generator[Opened]:
        waiting = list(samples())

        def answer(request: httpx.Request) -> httpx.Response:
            call = (request.method, request.url.path)
            left = [(sample.method, sample.path) for sample in waiting]
            if not left or left[0] != call:
                raise _WrongSample(f"the request is {call}, but the samples left are {left}")
            sample = waiting.pop(0)
            headers = {"Content-Type": "application/json", **sample.headers}
            content = json.dumps(sample.answer).encode()
            return httpx.Response(sample.status, headers=headers, content=content)

        with httpx.Client(transport=httpx.MockTransport(answer)) as client:
            yield Opened({}, client)

    return Origin(Source.VENDOR_SAMPLE, opened, origin, adapted, note, settings or {})
