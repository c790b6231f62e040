"""Square's published OpenAPI document, as a judge of requests and answers.

    spec = square_spec()                                   # skips the test when the document isn't
    at hand spec.check_request("POST", "/v2/orders", body) spec.check_answer("POST", "/v2/orders",
    200, answer)

The document is looked for at TILLPOST_SQUARE_SPEC, else beside the repository. It is read more
strictly than it is written: a property that it doesn't list is an error, so a misspelt field is
found. Errors, which it describes only as part of each answer, are judged by the answer's own schema
under any status."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from openapi_core import Config, OpenAPI
from openapi_core.exceptions import OpenAPIError
from openapi_core.testing import MockRequest, MockResponse

HOST = "https://connect.squareup.com"
WHERE = "TILLPOST_SQUARE_SPEC"

# Seen from Square and not in its document: developer forum 13601.
_SEEN_CODES = ("VERSION_MISMATCH",)


class SpecError(AssertionError):
    """A request or an answer doesn't fit the document. The text names each misfit and where it is."""


class SquareSpec:
    """The document, ready to judge."""

    def __init__(self, document: dict[str, Any]) -> None:
        # The document itself isn't judged: it isn't wholly valid, and it isn't ours.
        unjudged = Config(spec_validator_cls=None)  # pyright: ignore[reportArgumentType]
        self._api = OpenAPI.from_dict(_stricter(document), config=unjudged)
        self.operations = {
            (method.upper(), path): cast("str", operation["operationId"])
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
            if method in ("get", "post", "put", "delete")
        }

    def check_request(
        self, method: str, path: str, body: bytes = b"", query: Mapping[str, str] | None = None
    ) -> None:
        """Raises SpecError unless the request is one that the document describes. Credentials aren't looked at."""
        try:
            self._api.validate_request(_request(method, path, body, query))
        except OpenAPIError as error:
            raise SpecError(f"request {method} {path}: {_why(error)}") from error

    def check_answer(
        self,
        method: str,
        path: str,
        status: int,
        body: bytes,
        content_type: str = "application/json",
    ) -> None:
        """Raises SpecError unless the answer is one that the document allows for this operation."""
        response = MockResponse(
            data=body, status_code=status, content_type=content_type.partition(";")[0]
        )
        try:
            self._api.validate_response(_request(method, path, b"", None), response)
        except OpenAPIError as error:
            raise SpecError(f"answer {status} to {method} {path}: {_why(error)}") from error


def square_spec() -> SquareSpec:
    """The document; see `document` for where there is none."""
    return _loaded(document())


def document() -> Path:
    """Where the document is. Where there is none the test is skipped, or fails when CI is set."""
    path = Path(
        os.environ.get(WHERE)
        or Path(__file__).parents[4] / "shared" / "reference" / "square-openapi.json"
    )
    if path.is_file():
        return path
    reason = f"Square's OpenAPI document is not at hand: set {WHERE} to where it is"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@functools.cache
def _loaded(path: Path) -> SquareSpec:
    return SquareSpec(json.loads(path.read_bytes()))


def _request(method: str, path: str, body: bytes, query: Mapping[str, str] | None) -> MockRequest:
    bare, _, written = path.partition("?")
    args = dict(query or {}) | dict(
        pair.split("=", 1) for pair in written.split("&") if "=" in pair
    )
    return MockRequest(
        HOST, method.lower(), bare, args=args, data=body or None, content_type="application/json"
    )


def _why(error: BaseException) -> str:
    """Each misfit with where it is, or what the library says when it got no further than the address."""
    texts: list[str] = []
    misfits: list[str] = []
    link: BaseException | None = error
    while link is not None:
        texts.append(str(link))
        misfits += [
            f"{'/'.join(str(step) for step in detail.absolute_path)}: {detail.message}"[:500]
            for detail in cast("Any", getattr(link, "schema_errors", ()))
        ]
        link = link.__cause__
    return " | ".join(dict.fromkeys(misfits or texts))


def _stricter(document: dict[str, Any]) -> dict[str, Any]:
    """A copy without credentials, with answers of any status, and with no room for properties that aren't listed."""
    copy: dict[str, Any] = json.loads(json.dumps(document))
    copy.pop("security", None)
    for methods in copy["paths"].values():
        for operation in methods.values():
            if isinstance(operation, dict) and "responses" in operation:
                operation.pop("security", None)  # pyright: ignore[reportUnknownMemberType]
                operation["responses"]["default"] = operation["responses"]["200"]
    schemas = copy["components"]["schemas"]
    schemas["ErrorCode"]["enum"] += list(_SEEN_CODES)
    for schema in schemas.values():
        _close(schema)
    return copy


def _close(schema: Any) -> None:
    """Refuses unlisted properties in every object schema that lists any, down to the last."""
    if not isinstance(schema, dict):
        return
    known = cast("dict[str, Any]", schema)
    if (
        known.get("type") == "object"
        and known.get("properties")
        and "additionalProperties" not in known
    ):
        known["additionalProperties"] = False
    for part in (
        *known.get("properties", {}).values(),
        known.get("items"),
        known.get("additionalProperties"),
    ):
        _close(part)
