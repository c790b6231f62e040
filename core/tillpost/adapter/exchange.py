"""A conversation with a platform, without any I/O in it: requests go out of a generator, replies come in.

An adapter's operation is an `Exchange`: it yields a `Request` or a `Wait` and is sent a `Reply`.
Who sends the request over the network, adds the credentials, repeats it or refreshes a token is not
its business. A refusal is thrown into it as a `PosError`, so that undoing is an `except PosError`.

    made = yield from ask(Request("POST", "/v2/orders", reading(OneOrder), to_body(order=...),
        Effect.CREATE, key))
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from functools import cache
from types import GenericAlias
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar, cast
from urllib.parse import urlsplit

from pydantic import BaseModel, TypeAdapter
from pydantic_core import to_json

from tillpost.errors import Applied, OutageError, PosError

__all__ = [
    "Effect",
    "Exchange",
    "Fault",
    "PageHeaders",
    "Reply",
    "Request",
    "Response",
    "Wait",
    "ask",
    "ask_pages",
    "ask_when_there",
    "ask_with_answer",
    "find_or_make",
    "id_in_location",
    "nothing",
    "pause",
    "reading",
    "reading_about",
    "reading_list",
    "to_body",
    "to_exact_body",
]

T = TypeVar("T")
M = TypeVar("M")
Model = TypeVar("Model", bound=BaseModel)

MOST_PAGES = 1000
"""After so many pages a list counts as one that never ends."""


class Effect(StrEnum):
    """What a request does to the order at the platform."""

    NONE = "none"  # a read: may be repeated freely
    SIDE = "side"  # writes, but not the order: a customer, a token
    CREATE = "create"  # may bring the order into being
    ADVANCE = "advance"  # moves on an order that is there: pays it
    UNDO = "undo"  # takes it away

    @property
    def counts(self) -> bool:
        """Whether the request can change what is known of the order."""
        return self in (Effect.CREATE, Effect.ADVANCE, Effect.UNDO)


@dataclass(frozen=True, slots=True)
class Request(Generic[M]):
    """One request, without any credential. `read` makes the typed answer of a successful body, or raises.

    `path` begins with a slash, is relative to the adapter's `base_url` and holds the query. `key`
    is the idempotency key, where the platform honours one; it is in the body or headers already.
    `private` keeps the bodies out of every transcript (tokens come back in them). `answers` are
    statuses beyond 2xx that answer the question all the same, such as a 404 that means none, or a
    redirect whose target is what was asked for: they are read, not judged.
    """

    method: str
    path: str
    read: Callable[[bytes], M]
    body: bytes = b""
    effect: Effect = Effect.NONE
    key: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    private: bool = False
    answers: frozenset[int] = frozenset()

    @property
    def digest(self) -> str:
        """A fingerprint of what is sent, to tell whether another body would go out under the same key."""
        return hashlib.sha256(f"{self.method} {self.path}\n".encode() + self.body).hexdigest()

    @property
    def repeatable(self) -> bool:
        """Whether sending it twice does no more than sending it once."""
        return self.effect is Effect.NONE or self.key is not None


@dataclass(frozen=True, slots=True)
class Wait:
    """A pause within a conversation, for a short read-back only. Long waits belong to recovery."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Response:
    """What the platform answered. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Fault:
    """What the network did instead of bringing an answer, and what that says of the request. No exception, no frame.

    `barred` means that we ourselves wouldn't talk to that address, which no waiting changes.
    """

    applied: Applied
    text: str
    barred: bool = False


class Reply(NamedTuple):
    """What an exchange is sent for its request: the typed value, and the answer that it was read from."""

    value: object
    response: Response


Exchange: TypeAlias = Generator[Request[Any] | Wait, Reply, T]
"""An operation in progress; it ends with its result."""


def ask(request: Request[M]) -> Exchange[M]:
    """Send a request and return its typed answer. A refusal is raised as a `PosError`."""
    reply = yield request
    return cast(M, reply.value)


def ask_with_answer(request: Request[M]) -> Exchange[tuple[M, Response]]:
    """Send a request and return its typed answer with the raw one, for adapters that need a header."""
    reply = yield request
    return cast(M, reply.value), reply.response


def ask_when_there(request: Request[M], pauses: Sequence[float]) -> Exchange[M]:
    """Ask for something that was made just now and may be a 404 for a moment: once more after each pause (seconds)."""
    for seconds in pauses:
        try:
            return (yield from ask(request))
        except PosError as error:
            if error.status_code != 404:
                raise
        yield from pause(seconds)
    return (yield from ask(request))


@dataclass(frozen=True, slots=True)
class PageHeaders:
    """The names, in lower case, of the headers by which a platform pages: some lists one way, some the other.

    `onward` holds the whole address of the next page. Or `count` says how many pages there are, of
    which the request's own header `number` asks for one, from 0 on.
    """

    onward: str
    count: str
    number: str


def ask_pages(
    first: Request[Sequence[M]], headers: PageHeaders, base_url: str
) -> Exchange[list[M]]:
    """Read a list to its end. No page is asked for at another host than `base_url`'s."""
    found: list[M] = []
    request = first
    for pages in range(1, MOST_PAGES + 1):
        rows, answer = yield from ask_with_answer(request)
        found += rows
        onward, count = (
            urlsplit(answer.headers.get(headers.onward, "")),
            answer.headers.get(headers.count, ""),
        )
        if onward.netloc not in ("", urlsplit(base_url).netloc):
            raise OutageError("the next page is said to be on another host")
        if onward.path:
            request = replace(first, path=f"{onward.path}?{onward.query}")
        elif count.isdecimal() and pages < int(count):
            request = replace(first, headers={headers.number: str(pages)})
        else:
            return found
    raise OutageError(f"the list didn't end after {MOST_PAGES} pages")


def find_or_make(kind: str, *requests: Request[None]) -> Exchange[str]:
    """Send one request after the other until the Location of an answer names a thing of that kind; return its id.

    For what an order can do without: when none names one, or one is refused, the id is empty.
    """
    for request in requests:
        try:
            _, answer = yield from ask_with_answer(request)
        except PosError:
            return ""
        if found := id_in_location(answer, kind):
            return found
    return ""


def pause(seconds: float) -> Exchange[None]:
    """Wait for some seconds within the conversation."""
    yield Wait(seconds)


def reading(model: type[Model]) -> Callable[[bytes], Model]:
    """Return a reader of JSON bodies as `model`, for `Request.read`."""
    return model.model_validate_json


def reading_about(model: type[Model], thing_id: str) -> Callable[[bytes], Model]:
    """Return a reader as `reading` does, of what is asked for by its id: an answer about another is no answer."""

    def read(body: bytes) -> Model:
        told = model.model_validate_json(body)
        if getattr(told, "id", None) != thing_id:
            raise ValueError("it is about something else")
        return told

    return read


def reading_list(model: type[Model]) -> Callable[[bytes], Sequence[Model]]:
    """Return a reader of JSON lists of `model`, for `Request.read`."""
    reader: TypeAdapter[tuple[Model, ...]] = _list_reader(model)
    return reader.validate_json


@cache
def _list_reader(model: Any) -> TypeAdapter[Any]:
    members: Any = GenericAlias(tuple, (model, ...))
    reader: TypeAdapter[Any] = TypeAdapter(members)
    return reader


def id_in_location(answer: Response, kind: str) -> str:
    """Return the id after `kind` in the answer's Location ("/v1/orders/7.json" names 7), or nothing."""
    hit = re.search(rf"/{re.escape(kind)}/([\w-]+)", answer.headers.get("location", ""))
    return hit[1] if hit else ""


def nothing(_: bytes) -> None:
    """Read a body that doesn't matter."""


def to_body(**content: object) -> bytes:
    """Write a JSON body. Fields that are None are left out."""
    return to_json({name: value for name, value in content.items() if value is not None})


def to_exact_body(**content: object) -> bytes:
    """Write a JSON body in which a Decimal is the number that it is, to the last digit.

    Fields that are None are left out, at any depth. For platforms whose amounts are decimals: a
    float would round them.
    """
    return _written(content).encode()


def _written(value: object) -> str:
    match value:
        case Decimal():
            return format(value, "f")
        case dict():
            members = cast(dict[str, object], value).items()
            return (
                "{"
                + ", ".join(f"{json.dumps(k)}: {_written(v)}" for k, v in members if v is not None)
                + "}"
            )
        case list() | tuple():
            return "[" + ", ".join(map(_written, cast("list[object]", value))) + "]"
        case _:
            return json.dumps(value)
