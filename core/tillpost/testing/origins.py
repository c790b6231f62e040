"""What a cassette is recorded from: a platform's simulator, or the samples that the vendor publishes.

simulated(lambda: serve_in_thread(Simulator()), origin="Square simulator", note="...")
sampled(Sample("GET", "/v2/orders/1", answer), settings={...}, origin="...", adapted=("...",))
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
    """An origin that answers: the settings to connect with, and the HTTP client, None for an ordinary one."""

    settings: Mapping[str, Any]
    client: httpx.Client | None = None


@dataclass(frozen=True)
class Origin:
    """What answers while a cassette is recorded; the other fields are those of `Provenance`.

    `settings` are those of the adapter that differ from the usual ones, in the replay too.
    """

    source: Source
    open: Callable[[], AbstractContextManager[Opened]]
    origin: str
    adapted: Sequence[str] = ()
    note: str = ""
    settings: Mapping[str, object] = field(default_factory=dict[str, object])


class Sample(NamedTuple):
    """A vendor's sample of an answer, as JSON, and the request that it answers. `path` is without its query."""

    method: str
    path: str
    answer: Mapping[str, Any] | Sequence[Any] | None
    status: int = 200
    headers: Mapping[str, str] = MappingProxyType({})


class _WrongSample(BaseException):
    """A request came that the next sample doesn't answer. Not an `Exception`, as `UnmatchedRequest` isn't."""


def simulated(
    serve: Callable[[], AbstractContextManager[Running[Any]]],
    *,
    origin: str,
    note: str = "",
    settings: Mapping[str, object] | None = None,
) -> Origin:
    """Return an origin that is a simulator; `serve` starts it, ready for the case."""

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

    `samples` is called while recording only, so that a replay doesn't need the vendor's document.
    """

    @contextmanager
    def opened() -> Generator[Opened]:
        waiting = list(samples())

        def answer(request: httpx.Request) -> httpx.Response:
            asked = (request.method, request.url.path)
            if not waiting or waiting[0][:2] != asked:
                raise _WrongSample(
                    f"{asked} came, but the samples left are {[sample[:2] for sample in waiting]}"
                )
            sample = waiting.pop(0)
            headers = {"Content-Type": "application/json", **sample.headers}
            return httpx.Response(
                sample.status, headers=headers, content=json.dumps(sample.answer).encode()
            )

        with httpx.Client(transport=httpx.MockTransport(answer)) as client:
            yield Opened({}, client)

    return Origin(Source.VENDOR_SAMPLE, opened, origin, adapted, note, settings or {})
