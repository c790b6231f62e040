"""Square's requests and answers, as the types of Square's own SDK (`squareup`) describe them.

The SDK writes each JSON object down as a `TypedDict`: which fields it has, which of them are
required, which may be null, and the values of each enumeration. `SdkSpec` reads those and is
stricter than the SDK: a field that isn't listed is an error, so a misspelt field is found, and so
is a value that an enumeration doesn't list. Lengths, which the SDK leaves out, come from `facts`.
"""

from __future__ import annotations

import inspect
import json
import re
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple, NotRequired, Union, cast, get_args, get_origin

import typing_extensions
from square.catalog.object.raw_client import RawObjectClient
from square.catalog.raw_client import RawCatalogClient
from square.core.serialization import FieldMetadata
from square.locations.raw_client import RawLocationsClient
from square.merchants.raw_client import RawMerchantsClient
from square.o_auth.raw_client import RawOAuthClient
from square.orders.raw_client import RawOrdersClient
from square.payments.raw_client import RawPaymentsClient

from adapters.square.facts import LENGTHS, SEEN_CODES
from adapters.square.spec_error import SpecError


class _Operation(NamedTuple):
    name: str
    client: type[Any]
    method: str
    answer: str

    def parameters(self) -> dict[str, inspect.Parameter]:
        """Return what the SDK's method takes: path parameters, then query or body fields."""
        signature = inspect.signature(getattr(self.client, self.method))
        known = dict(signature.parameters)
        del known["self"], known["request_options"]
        return known

    def types(self) -> dict[str, Any]:
        """Return the type of each parameter."""
        return typing.get_type_hints(getattr(self.client, self.method), include_extras=True)


OPERATIONS: Mapping[tuple[str, str], _Operation] = {
    ("POST", "/v2/orders"): _Operation(
        "CreateOrder", RawOrdersClient, "create", "CreateOrderResponse"
    ),
    ("POST", "/v2/orders/calculate"): _Operation(
        "CalculateOrder", RawOrdersClient, "calculate", "CalculateOrderResponse"
    ),
    ("POST", "/v2/orders/batch-retrieve"): _Operation(
        "BatchRetrieveOrders", RawOrdersClient, "batch_get", "BatchGetOrdersResponse"
    ),
    ("POST", "/v2/orders/search"): _Operation(
        "SearchOrders", RawOrdersClient, "search", "SearchOrdersResponse"
    ),
    ("GET", "/v2/orders/{order_id}"): _Operation(
        "RetrieveOrder", RawOrdersClient, "get", "GetOrderResponse"
    ),
    ("PUT", "/v2/orders/{order_id}"): _Operation(
        "UpdateOrder", RawOrdersClient, "update", "UpdateOrderResponse"
    ),
    ("POST", "/v2/orders/{order_id}/pay"): _Operation(
        "PayOrder", RawOrdersClient, "pay", "PayOrderResponse"
    ),
    ("GET", "/v2/payments"): _Operation(
        "ListPayments", RawPaymentsClient, "list", "ListPaymentsResponse"
    ),
    ("POST", "/v2/payments"): _Operation(
        "CreatePayment", RawPaymentsClient, "create", "CreatePaymentResponse"
    ),
    ("POST", "/v2/payments/cancel"): _Operation(
        "CancelPaymentByIdempotencyKey",
        RawPaymentsClient,
        "cancel_by_idempotency_key",
        "CancelPaymentByIdempotencyKeyResponse",
    ),
    ("GET", "/v2/payments/{payment_id}"): _Operation(
        "GetPayment", RawPaymentsClient, "get", "GetPaymentResponse"
    ),
    ("GET", "/v2/catalog/list"): _Operation(
        "ListCatalog", RawCatalogClient, "list", "ListCatalogResponse"
    ),
    ("POST", "/v2/catalog/search"): _Operation(
        "SearchCatalogObjects", RawCatalogClient, "search", "SearchCatalogObjectsResponse"
    ),
    ("GET", "/v2/catalog/object/{object_id}"): _Operation(
        "RetrieveCatalogObject", RawObjectClient, "get", "GetCatalogObjectResponse"
    ),
    ("POST", "/v2/catalog/batch-retrieve"): _Operation(
        "BatchRetrieveCatalogObjects",
        RawCatalogClient,
        "batch_get",
        "BatchGetCatalogObjectsResponse",
    ),
    ("GET", "/v2/catalog/info"): _Operation(
        "CatalogInfo", RawCatalogClient, "info", "CatalogInfoResponse"
    ),
    ("GET", "/v2/locations"): _Operation(
        "ListLocations", RawLocationsClient, "list", "ListLocationsResponse"
    ),
    ("GET", "/v2/locations/{location_id}"): _Operation(
        "RetrieveLocation", RawLocationsClient, "get", "GetLocationResponse"
    ),
    ("GET", "/v2/merchants/{merchant_id}"): _Operation(
        "RetrieveMerchant", RawMerchantsClient, "get", "GetMerchantResponse"
    ),
    ("POST", "/oauth2/token"): _Operation(
        "ObtainToken", RawOAuthClient, "obtain_token", "ObtainTokenResponse"
    ),
    ("POST", "/oauth2/token/status"): _Operation(
        "RetrieveTokenStatus",
        RawOAuthClient,
        "retrieve_token_status",
        "RetrieveTokenStatusResponse",
    ),
    ("POST", "/oauth2/revoke"): _Operation(
        "RevokeToken", RawOAuthClient, "revoke_token", "RevokeTokenResponse"
    ),
}
"""The operations that the adapter uses or the simulator has, by method and path."""


class SdkSpec:
    """Judges requests and answers by the SDK's types."""

    @property
    def operations(self) -> dict[tuple[str, str], str]:
        """The operations' names, by method and path."""
        return {address: operation.name for address, operation in OPERATIONS.items()}

    def check_request(
        self, method: str, path: str, body: bytes = b"", query: Mapping[str, str] | None = None
    ) -> None:
        """Raise SpecError unless the SDK can send this request. Credentials aren't checked."""
        bare, _, written = path.partition("?")
        pairs = dict(pair.split("=", 1) for pair in written.split("&") if "=" in pair)
        about = f"request {method} {path}"
        try:
            operation, in_path = _operation(method, bare)
        except LookupError as error:
            raise SpecError(f"{about}: {error}") from None
        known = operation.parameters()
        named = {name: known[name] for name in known if name not in in_path}
        sent: object = json.loads(body) if body else {}
        if method == "GET":
            sent = {**(query or {}), **pairs}
            misfits = [f"{name}: not a query parameter" for name in sent if name not in named]
        else:
            misfits = _misfits_of_body(sent, operation, named)
        _raise(about, misfits)

    def check_answer(
        self,
        method: str,
        path: str,
        status: int,
        body: bytes,
        content_type: str = "application/json",
    ) -> None:
        """Raise SpecError unless the SDK's type of the answer describes this one."""
        about = f"answer {status} to {method} {path}"
        if content_type.partition(";")[0] != "application/json":
            raise SpecError(f"{about}: {content_type} is not JSON")
        try:
            operation, _ = _operation(method, path.partition("?")[0])
            content = json.loads(body)
        except (LookupError, ValueError) as error:
            raise SpecError(f"{about}: {error}") from None
        wanted = _sdk_type(f"{operation.answer}Params")
        _raise(about, _misfits(content, wanted, ""))


def _raise(about: str, misfits: Sequence[str]) -> None:
    if misfits:
        raise SpecError(f"{about}: {' | '.join(dict.fromkeys(misfits))}")


@cache
def _patterns() -> list[tuple[str, re.Pattern[str], _Operation]]:
    """The paths as patterns; a path without parameters comes before one that would match it too."""
    fixed_first = sorted(OPERATIONS.items(), key=lambda entry: "{" in entry[0][1])
    found: list[tuple[str, re.Pattern[str], _Operation]] = []
    for (method, path), operation in fixed_first:
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path)
        found.append((method, re.compile(pattern), operation))
    return found


def _operation(method: str, path: str) -> tuple[_Operation, Iterable[str]]:
    """Return the operation at an address, and the names of its path parameters."""
    for known, pattern, operation in _patterns():
        match = pattern.fullmatch(path)
        if match and known == method:
            return operation, match.groupdict().keys()
    raise LookupError(f"operation {method} {path} not found")


def _misfits_of_body(
    body: object, operation: _Operation, named: Mapping[str, inspect.Parameter]
) -> list[str]:
    if not isinstance(body, dict):
        return [f"{body!r} is not an object"]
    fields = cast("dict[str, object]", body)
    hints = operation.types()
    misfits = [f"{name}: not a field of {operation.name}" for name in fields if name not in named]
    for name, parameter in named.items():
        required = parameter.default is inspect.Parameter.empty
        if name in fields:
            misfits += _misfits(fields[name], hints[name], name)
            misfits += _misfits_of_length(fields[name], f"{operation.name}Request", name, name)
        elif required:
            misfits.append(f"{name}: required")
    return misfits


def _misfits(value: object, kind: Any, where: str) -> list[str]:
    """Return what is wrong with a JSON value, as the SDK's type has it."""
    origin, parts = get_origin(kind), get_args(kind)
    if kind is Any:
        return []
    if typing_extensions.is_typeddict(kind):
        return _misfits_of_object(value, kind, where)
    if origin in (NotRequired, typing.Annotated):
        return _misfits(value, parts[0], where)
    if origin in (Union, types.UnionType):
        return _misfits_of_union(value, parts, where)
    if origin is typing.Literal:
        known = value in parts
        return [] if known else [f"{where}: {value!r} is not one of {sorted(parts)}"]
    if origin in (list, Sequence):
        return _misfits_of_array(value, parts[0], where)
    if origin in (dict, Mapping):
        return _misfits_of_mapping(value, parts[1], where)
    fits = type(value) is kind or (kind is float and type(value) is int)
    return [] if fits else [f"{where}: {value!r} is not of type {kind.__name__}"]


def _misfits_of_object(value: object, kind: Any, where: str) -> list[str]:
    name = kind.__name__.removesuffix("Params")
    if not isinstance(value, dict):
        return [f"{where}: {value!r} is not an object ({name})"]
    fields = cast("dict[str, object]", value)
    known = _fields(kind)
    within = f"{where}/" if where else ""
    misfits = [f"{within}{unknown}: not a field of {name}" for unknown in fields.keys() - known]
    absent = known.keys() - fields.keys()
    missing = [field for field in absent if not _may_be_absent(known[field])]
    misfits += [f"{within}{field}: required" for field in missing]
    for field in known.keys() & fields.keys():
        misfits += _misfits(fields[field], known[field], f"{within}{field}")
        misfits += _misfits_of_length(fields[field], name, field, f"{within}{field}")
    return misfits


def _misfits_of_length(value: object, name: str, field: str, where: str) -> list[str]:
    least, most = LENGTHS.get((name, field), (0, None))
    if not isinstance(value, str):
        return []
    if len(value) < least:
        return [f"{where}: {value!r} is shorter than {least}"]
    if most is not None and len(value) > most:
        return [f"{where}: {value!r} is longer than {most}"]
    return []


def _type_of(value: object) -> object:
    """Return what a JSON object says of its type, None if it says nothing."""
    if not isinstance(value, dict):
        return None
    return cast("dict[str, object]", value).get("type")


def _misfits_of_union(value: object, parts: Sequence[Any], where: str) -> list[str]:
    """Return what is wrong in the alternative that fits best.

    The SDK lets every enumeration be anything, for values to come; only the listed ones pass here.
    """
    literals = [part for part in parts if get_origin(part) is typing.Literal]
    if literals and Any in parts:
        parts = [part for part in parts if part is not Any]
        seen = SEEN_CODES if "UNAUTHORIZED" in get_args(literals[0]) else frozenset[str]()
        if value in seen:
            return []
    kind = _type_of(value)
    if kind is not None:
        parts = [part for part in parts if _has_type(part, kind)] or parts
    return min((_misfits(value, part, where) for part in parts), key=len)


def _has_type(kind: Any, name: object) -> bool:
    """Whether objects of this type have the name in their field `type`."""
    if not typing_extensions.is_typeddict(kind):
        return False
    return name in get_args(_fields(kind).get("type"))


def _misfits_of_array(value: object, part: Any, where: str) -> list[str]:
    if not isinstance(value, list):
        return [f"{where}: {value!r} is not an array"]
    misfits: list[str] = []
    for number, member in enumerate(cast("list[object]", value)):
        misfits += _misfits(member, part, f"{where}/{number}")
    return misfits


def _misfits_of_mapping(value: object, part: Any, where: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{where}: {value!r} is not an object"]
    misfits: list[str] = []
    for name, member in cast("dict[str, object]", value).items():
        misfits += _misfits(member, part, f"{where}/{name}")
    return misfits


def _sdk_type(name: str) -> Any:
    """Return one of the SDK's types of objects; each has a module of its own."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.removesuffix("Params"))
    return getattr(import_module(f"square.requests.{words.lower()}"), name)


class _SdkNames(dict[str, Any]):
    """The SDK's types by name: some of its annotations name types that it doesn't import."""

    def __missing__(self, name: str) -> Any:
        try:
            return _sdk_type(name)
        except (ModuleNotFoundError, AttributeError):
            raise KeyError(name) from None


@cache
def _fields(kind: Any) -> dict[str, Any]:
    """Return the types of an object's fields, by their names in JSON."""
    hints = typing.get_type_hints(kind, localns=_SdkNames(), include_extras=True)
    return {_alias(hint) or name: hint for name, hint in hints.items()}


def _may_be_absent(hint: Any) -> bool:
    """Whether a field isn't required. A class's own list of them is wrong (Python issue 97727)."""
    if get_origin(hint) is typing.Annotated:
        return _may_be_absent(get_args(hint)[0])
    return get_origin(hint) is NotRequired


def _alias(hint: Any) -> str | None:
    """Return the name that a field has in JSON, where it differs from the attribute's."""
    for part in get_args(hint):
        if isinstance(part, FieldMetadata):
            return part.alias
        if get_origin(part) in (typing.Annotated, NotRequired):
            return _alias(part)
    return None
