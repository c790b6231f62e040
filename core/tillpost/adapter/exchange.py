"""Exchanges: an adapter's operations as generators, without any I/O.

An operation yields a `Request` or a `Wait` and is sent a `Reply`:

    body = to_body(order=...)
    create = Request("POST", "/v2/orders", reading(OneOrder), body, Effect.CREATE, key)
    created = yield from ask(create)

Core sends each request, adds the credentials, retries it and refreshes an expired token; the
operation doesn't notice. A refusal is raised inside it as a `PosError`, so undo a half-done order
in an `except PosError`.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from functools import cache
from types import GenericAlias
from typing import Annotated, Any, Generic, NamedTuple, TypeAlias, TypeVar, cast
from urllib.parse import SplitResult, quote, urlsplit

from pydantic import BaseModel, Field, TypeAdapter
from pydantic_core import to_json

from tillpost.errors import Applied, OutageError, PosError, UnknownPosError

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
    "ask_list",
    "ask_pages",
    "ask_when_there",
    "ask_with_answer",
    "find_or_make",
    "id_in_location",
    "nothing",
    "path_segment",
    "pause",
    "reading",
    "reading_about",
    "reading_list",
    "reading_where",
    "to_body",
    "to_exact_body",
]

T = TypeVar("T")
M = TypeVar("M")
Model = TypeVar("Model", bound=BaseModel)

MOST_PAGES = 1000
"""A list with more pages than this counts as endless."""

MOST_ROWS = 50_000
"""A list of which more rows than this are kept counts as endless.

It is five times a large menu.
"""


class Effect(StrEnum):
    """What a request does to the order at the platform."""

    NONE = "none"  # a read: may be repeated freely
    SIDE = "side"  # writes, but not the order: a customer, a token
    CREATE = "create"  # may create the order
    ADVANCE = "advance"  # advances an order that exists: pays it
    UNDO = "undo"  # cancels it

    @property
    def counts(self) -> bool:
        """Whether the request can change what is known of the order."""
        return self in (Effect.CREATE, Effect.ADVANCE, Effect.UNDO)


@dataclass(frozen=True, slots=True)
class Request(Generic[M]):
    """One request, without any credential.

    Attributes:
        method: The HTTP method.
        path: The path and query, beginning with a slash, relative to `base_url`.
        read: Returns the typed value of a successful answer's body, or raises.
        body: The body, empty for none.
        effect: What the request does to the order. Core's promises depend on it.
        key: The idempotency key, where the platform honours one. Put it into the body or the
            headers as well.
        headers: Headers beside those that `Adapter.sign` adds.
        private: Whether to keep both bodies out of transcripts, since tokens are in them.
        answers: Statuses outside 2xx that are an answer too: a 404 that means none, or a redirect
            whose target was asked for. They are read like a success.
        notices: What a request that creates the order leaves out of it or changes, for people. Core
            adds them to the order, also if only a look-up finds it.
        is_menu: Whether the answer is a part of a menu, which may be larger than any other. Core
            sets it for each request of `import_menu`.
        sent_at: When it is sent, in epoch seconds, for signatures that name a time. Core sets it
            before `Adapter.sign`, by the connection's clock.
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
    notices: tuple[str, ...] = ()
    is_menu: bool = False
    sent_at: float = 0.0

    @property
    def digest(self) -> str:
        """A hash of what is sent: it differs if another body has the same key."""
        return hashlib.sha256(f"{self.method} {self.path}\n".encode() + self.body).hexdigest()

    @property
    def content(self) -> str:
        """A hash of what is sent without the key, so that two generations can be compared."""
        key_in_json = to_json(self.key or "")[1:-1]
        body = self.body.replace(key_in_json, b"") if key_in_json else self.body
        return hashlib.sha256(f"{self.method} {self.path}\n".encode() + body).hexdigest()

    @property
    def repeatable(self) -> bool:
        """Whether sending it twice has the same effect as sending it once."""
        return self.effect is Effect.NONE or self.key is not None


@dataclass(frozen=True, slots=True)
class Wait:
    """A short pause within an operation, in seconds. Core schedules all longer waits."""

    seconds: float

    def __post_init__(self) -> None:
        """Raise `ValueError` for NaN and infinity."""
        if not math.isfinite(self.seconds):
            raise ValueError(f"a wait of {self.seconds} seconds")


@dataclass(frozen=True, slots=True)
class Response:
    """A platform's answer. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Fault:
    """A failure of the network instead of an answer.

    It holds no exception and no frame.

    Attributes:
        applied: Whether the platform may have applied the request all the same.
        text: What happened, for people.
        barred: Whether we refuse to connect to that address. Waiting doesn't change that.
    """

    applied: Applied
    text: str
    barred: bool = False


class Reply(NamedTuple):
    """What an exchange is sent for its request: the typed value, and its answer."""

    value: object
    response: Response


Exchange: TypeAlias = Generator[Request[Any] | Wait, Reply, T]
"""An operation in progress. It ends by returning its result."""


def ask(request: Request[M]) -> Exchange[M]:
    """Send a request and return its typed answer. A refusal is raised as a `PosError`."""
    reply = yield request
    return cast(M, reply.value)


def ask_with_answer(request: Request[M]) -> Exchange[tuple[M, Response]]:
    """Send a request and return its typed answer and the raw one, for its headers."""
    reply = yield request
    return cast(M, reply.value), reply.response


def ask_when_there(request: Request[M], pauses: Sequence[float]) -> Exchange[M]:
    """Read something that was created just now, and that may be a 404 for a moment.

    Args:
        request: The request.
        pauses: Seconds to wait before each further try.

    Raises:
        PosError: The platform refuses it, or it is still a 404 after the last pause.
    """
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
    """The names of a platform's headers for paging, in lower case.

    A list may use either way.

    Attributes:
        onward: The response header with the address of the next page.
        count: The response header with the number of pages.
        number: The request header that selects a page, from 0.
    """

    onward: str
    count: str
    number: str


def ask_list(
    first: Request[T],
    rows_of: Callable[[T], Iterable[M]],
    next_page: Callable[[T, Response, int], Request[T] | None],
) -> Exchange[list[M]]:
    """Read a list page by page to its last one, and return the rows that are kept.

    Args:
        first: The request for the first page.
        rows_of: Returns the rows of a page that are to be kept. A search should keep only those
            that may be the one that it looks for: all others would fill the memory.
        next_page: Returns the request for the next page, None after the last one. It takes the
            page, its answer and the number of pages that were read.

    Raises:
        OutageError: The list doesn't end.
    """
    rows: list[M] = []
    request = first
    for pages_read in range(1, MOST_PAGES + 1):
        page, answer = yield from ask_with_answer(request)
        rows += rows_of(page)
        if len(rows) > MOST_ROWS:
            raise OutageError(f"the list doesn't end after {MOST_ROWS} rows")
        following = next_page(page, answer, pages_read)
        if following is None:
            return rows
        request = following
    raise OutageError(f"the list doesn't end after {MOST_PAGES} pages")


def ask_pages(
    first: Request[Sequence[M]],
    headers: PageHeaders,
    base_url: str,
    keep: Callable[[M], bool] = lambda _: True,
) -> Exchange[list[M]]:
    """Read a list whose headers name its next page or count them. See `ask_list`.

    Args:
        first: The request for the first page.
        headers: The names of the platform's headers for paging.
        base_url: The platform's address. Of the next page's address only the query is used, and
            only if it has the same origin.
        keep: Whether a row is kept; by default all are.

    Returns:
        The rows that are kept.

    Raises:
        OutageError: The next page has another origin, or the list doesn't end.
    """

    def next_page(_: object, answer: Response, pages_read: int) -> Request[Sequence[M]] | None:
        address = answer.headers.get(headers.onward, "")
        page_count = answer.headers.get(headers.count, "")
        if address:
            query = _query_of_page(address, base_url)
            return replace(first, path=f"{first.path.partition('?')[0]}?{query}")
        if page_count.isdecimal() and pages_read < int(page_count):
            return replace(first, headers={headers.number: str(pages_read)})
        return None

    return ask_list(first, lambda page: filter(keep, page), next_page)


def _query_of_page(address: str, base_url: str) -> str:
    """Return the query of the next page's address, a path or a whole address."""
    here = _origin(urlsplit(base_url))
    try:
        page = urlsplit(address)
        origin = _origin(page)
    except ValueError:
        page, origin = None, None
    if page is None or origin not in (("", None, None), here):
        raise OutageError("the address of the next page is on another host")
    if not page.query or not (page.netloc or address.startswith("/")):
        raise OutageError("the address of the next page can't be read")
    return page.query


def _origin(address: SplitResult) -> tuple[str, str | None, int | None]:
    default_ports = {"http": 80, "https": 443}
    port = address.port or default_ports.get(address.scheme)
    return address.scheme, address.hostname, port


def find_or_make(kind: str, *requests: Request[None]) -> Exchange[str]:
    """Send requests until an answer names a resource, and return the resource's id.

    The answer names it in its Location header. It is for what an order can do without, such as a
    customer record.

    Args:
        kind: The resource's name in the path, such as `customers`.
        *requests: The requests in order: usually one that finds it and one that creates it.

    Returns:
        The id, empty if a request is refused or none names one.
    """
    for request in requests:
        try:
            _, answer = yield from ask_with_answer(request)
        except PosError:
            return ""
        found_id = id_in_location(answer, kind)
        if found_id:
            return found_id
    return ""


def pause(seconds: float) -> Exchange[None]:
    """Pause for some seconds within an operation."""
    yield Wait(seconds)


def reading(model: type[Model]) -> Callable[[bytes], Model]:
    """Return a reader for `Request.read` that parses a JSON body as `model`."""
    return model.model_validate_json


class AboutAnother(ValueError):
    """An answer is about something else than what was asked for, so it proves nothing."""


def reading_where(
    model: type[Model], is_about_it: Callable[[Model], bool]
) -> Callable[[bytes], Model]:
    """Return a reader that accepts only an answer about what was asked for.

    Otherwise it reads as one of `reading` does. Any other answer counts as one that can't be read:
    the request may have been applied.

    Args:
        model: The answer's model.
        is_about_it: Whether an answer names the id or the reference of the request.
    """

    def read(body: bytes) -> Model:
        answer = model.model_validate_json(body)
        if not is_about_it(answer):
            raise AboutAnother("the answer is about something else than the request")
        return answer

    return read


def reading_about(model: type[Model], thing_id: str) -> Callable[[bytes], Model]:
    """Return a reader as `reading` does that accepts only an answer with this `id`."""
    return reading_where(model, lambda answer: getattr(answer, "id", None) == thing_id)


def reading_list(model: type[Model]) -> Callable[[bytes], Sequence[Model]]:
    """Return a reader for `Request.read` that parses a JSON list of `model`."""
    reader: TypeAdapter[tuple[Model, ...]] = _list_reader(model)
    return reader.validate_json


@cache
def _list_reader(model: Any) -> TypeAdapter[Any]:
    members: Any = Annotated[GenericAlias(tuple, (model, ...)), Field(fail_fast=True)]
    reader: TypeAdapter[Any] = TypeAdapter(members)
    return reader


def path_segment(thing_id: str) -> str:
    """Return an id as one segment of a path, quoted so that it changes nothing else.

    Raises:
        UnknownPosError: No path can contain the id: it is empty, has a control character or a
            backslash, or is a path of its own with `.` or `..`. Quoting doesn't help then, since
            some servers unquote a path before they split it.
    """
    leads_elsewhere = {"", ".", ".."} & set(thing_id.split("/"))
    if leads_elsewhere or "\\" in thing_id or not thing_id.isprintable():
        raise UnknownPosError("this id can't be part of an address", applied=Applied.NO)
    return quote(thing_id, safe="")


def id_in_location(answer: Response, kind: str) -> str:
    """Return the id that an answer's Location header names, empty if there is none.

    With `kind` "orders", "/v1/orders/7.json" names 7.
    """
    location = answer.headers.get("location", "")
    found = re.search(rf"/{re.escape(kind)}/([\w-]+)", location)
    return found[1] if found else ""


def nothing(_: bytes) -> None:
    """Ignore the body: the reader for answers whose content doesn't matter."""


def to_body(**content: object) -> bytes:
    """Return a JSON body. Fields that are None are left out."""
    return to_json({name: value for name, value in content.items() if value is not None})


def to_exact_body(**content: object) -> bytes:
    """Return a JSON body in which each Decimal is written with all its digits.

    A float would round amounts. Fields that are None are left out, at any depth.
    """
    return _exact_json(content).encode()


def _exact_json(value: object) -> str:
    match value:
        case Decimal():
            return format(value, "f")
        case dict():
            members = cast(dict[str, object], value).items()
            pairs = [
                f"{json.dumps(name)}: {_exact_json(member)}"
                for name, member in members
                if member is not None
            ]
            return "{" + ", ".join(pairs) + "}"
        case list() | tuple():
            entries = [_exact_json(entry) for entry in cast("list[object]", value)]
            return "[" + ", ".join(entries) + "]"
        case _:
            return json.dumps(value)
