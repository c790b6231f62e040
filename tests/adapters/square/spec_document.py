"""Square's requests and answers, as Square's OpenAPI document describes them.

The document isn't in this repository; see `vendor_documents`. It is read more strictly than it is
written: a property that it doesn't list is an error, so a misspelt field is found. Errors, which it
describes only as part of each answer, are checked by the answer's own schema under any status.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from openapi_core import Config, OpenAPI
from openapi_core.exceptions import OpenAPIError
from openapi_core.testing import MockRequest, MockResponse

from adapters.square.facts import SEEN_CODES
from adapters.square.spec_error import SpecError

HOST = "https://connect.squareup.com"


class DocumentSpec:
    """Checks requests and answers by the document."""

    def __init__(self, document: dict[str, Any]) -> None:
        # The document itself isn't validated: it isn't wholly valid, and it isn't ours.
        unchecked = Config(spec_validator_cls=None)  # pyright: ignore[reportArgumentType]
        self._api = OpenAPI.from_dict(_stricter(document), config=unchecked)
        self.operations = {
            (method.upper(), path): cast("str", operation["operationId"])
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
            if method in ("get", "post", "put", "delete")
        }

    @classmethod
    def read(cls, path: Path) -> DocumentSpec:
        """Read the document."""
        return cls(json.loads(path.read_bytes()))

    def check_request(
        self, method: str, path: str, body: bytes = b"", query: Mapping[str, str] | None = None
    ) -> None:
        """Raise SpecError unless the document has this request. Credentials aren't checked."""
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
        """Raise SpecError unless the document allows this answer for the operation."""
        response = MockResponse(
            data=body, status_code=status, content_type=content_type.partition(";")[0]
        )
        try:
            self._api.validate_response(_request(method, path, b"", None), response)
        except OpenAPIError as error:
            raise SpecError(f"answer {status} to {method} {path}: {_why(error)}") from error


def _request(method: str, path: str, body: bytes, query: Mapping[str, str] | None) -> MockRequest:
    bare, _, written = path.partition("?")
    args = dict(query or {}) | dict(
        pair.split("=", 1) for pair in written.split("&") if "=" in pair
    )
    return MockRequest(
        HOST, method.lower(), bare, args=args, data=body or None, content_type="application/json"
    )


def _why(error: BaseException) -> str:
    """Return each misfit with its place, or the library's text where it failed at the address."""
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
    """Return a copy without credentials, with any status, that closes every object."""
    copy: dict[str, Any] = json.loads(json.dumps(document))
    copy.pop("security", None)
    for methods in copy["paths"].values():
        for operation in methods.values():
            if isinstance(operation, dict) and "responses" in operation:
                operation.pop("security", None)  # pyright: ignore[reportUnknownMemberType]
                operation["responses"]["default"] = operation["responses"]["200"]
    schemas = copy["components"]["schemas"]
    schemas["ErrorCode"]["enum"] += sorted(SEEN_CODES)
    for schema in schemas.values():
        _close(schema)
    return copy


def _close(schema: Any) -> None:
    """Refuse unlisted properties in every object schema that lists any, at any depth."""
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
