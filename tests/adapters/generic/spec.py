"""The published OpenAPI document of the generic format, as a judge of requests and answers.

It is read more strictly than it is written: a property that it doesn't list is an error, so a
misspelt field is found."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from openapi_core import Config, OpenAPI
from openapi_core.exceptions import OpenAPIError
from openapi_core.testing import MockRequest, MockResponse

PUBLISHED = Path(__file__).parents[3] / "docs" / "generic" / "openapi.json"
HOST = "https://pos.example"
PROBLEM = "application/problem+json"


@functools.cache
def strict_api() -> OpenAPI:
    """The document, with no room for properties that aren't listed."""
    document: dict[str, Any] = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    document["servers"] = [{"url": HOST}]
    for schema in document["components"]["schemas"].values():
        if schema.get("type") == "object":
            schema["additionalProperties"] = False
    problem = document["components"]["schemas"]["ProblemDetails"]["properties"]
    problem |= {"type": {}, "title": {}, "status": {}}  # of RFC 9457, which any problem may have
    return OpenAPI.from_dict(document, Config(extra_media_type_deserializers={PROBLEM: json.loads}))


def check_request(request: httpx.Request) -> None:
    """Raise AssertionError unless the document describes the request and its headers."""
    _judge(
        lambda: strict_api().validate_request(_mock(request)),
        f"{request.method} {request.url.path}",
    )


def check_answer(request: httpx.Request, response: httpx.Response) -> None:
    """Raise AssertionError unless the document allows the answer."""
    content_type = response.headers["content-type"].partition(";")[0]
    answer = MockResponse(
        data=response.read(), status_code=response.status_code, content_type=content_type
    )
    about = f"{response.status_code} to {request.method} {request.url.path}: {response.text[:300]}"
    _judge(lambda: strict_api().validate_response(_mock(request), answer), about)


def judged(
    request: httpx.Request, _number: int, carry_out: Callable[[], httpx.Response]
) -> httpx.Response:
    """Carry out the request and check the exchange: a twist for `InProcess`."""
    check_request(request)
    response = carry_out()
    check_answer(request, response)
    return response


def _mock(request: httpx.Request) -> MockRequest:
    return MockRequest(
        HOST,
        request.method.lower(),
        request.url.path,
        args=dict(request.url.params),
        headers=dict(request.headers),
        data=request.read() or None,
        content_type="application/json",
    )


def _judge(check: Callable[[], object], about: str) -> None:
    try:
        check()
    except OpenAPIError as error:
        raise AssertionError(f"{about}: {' | '.join(_why(error))}") from error


def _why(error: BaseException) -> list[str]:
    texts: list[str] = []
    link: BaseException | None = error
    while link is not None:
        misfits: list[Any] = list(getattr(link, "schema_errors", ()))
        texts += [f"{'/'.join(map(str, m.absolute_path))}: {m.message}"[:400] for m in misfits] or [
            str(link)[:200]
        ]
        link = link.__cause__
    return texts
