"""What Square publishes about its API, as a check of requests and answers.

    spec = square_spec()
    spec.check_request("POST", "/v2/orders", body)
    spec.check_answer("POST", "/v2/orders", 200, answer)

The types of Square's SDK serve everywhere. Square's OpenAPI document, where it is available, is
applied as well (see `vendor_documents`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Protocol

from adapters.square.spec_document import DocumentSpec
from adapters.square.spec_error import SpecError
from adapters.square.spec_sdk import SdkSpec
from vendor_documents import SQUARE, vendor_document, vendor_documents

__all__ = ["SpecError", "SquareSpec", "document_spec", "square_spec"]


class SquareSpec(Protocol):
    """Checks requests and answers. Both checks raise SpecError with each misfit and where it is."""

    @property
    def operations(self) -> Mapping[tuple[str, str], str]:
        """The operations' names, by method and path."""
        ...

    def check_request(
        self, method: str, path: str, body: bytes = b"", query: Mapping[str, str] | None = None
    ) -> None:
        """Raise SpecError unless Square describes such a request. Credentials aren't checked."""
        ...

    def check_answer(
        self,
        method: str,
        path: str,
        status: int,
        body: bytes,
        content_type: str = "application/json",
    ) -> None:
        """Raise SpecError unless Square describes such an answer."""
        ...


class _Both:
    """Applies the SDK's types, and then the document."""

    def __init__(self, sdk: SquareSpec, document: SquareSpec) -> None:
        self.operations = sdk.operations
        self._specs = (sdk, document)

    def check_request(
        self, method: str, path: str, body: bytes = b"", query: Mapping[str, str] | None = None
    ) -> None:
        for spec in self._specs:
            spec.check_request(method, path, body, query)

    def check_answer(
        self,
        method: str,
        path: str,
        status: int,
        body: bytes,
        content_type: str = "application/json",
    ) -> None:
        for spec in self._specs:
            spec.check_answer(method, path, status, body, content_type)


@cache
def square_spec() -> SquareSpec:
    """Return the check that this run applies."""
    sdk = SdkSpec()
    return _Both(sdk, document_spec()) if vendor_documents() else sdk


@cache
def document_spec() -> DocumentSpec:
    """Return the check by Square's document, for tests marked `vendor_document`."""
    return DocumentSpec.read(vendor_document(SQUARE))
