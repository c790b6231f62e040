"""The generic format as an OpenAPI 3.1 document.

It is generated from the adapter's own models.

    python -m tillpost_generic.openapi > docs/generic/openapi.json

The page beside it has what a schema can't express: that payments add up to the total, and what is
signed. Objects are open, since fields may be added later, and either side ignores unknown ones. The
menu's objects are closed, because a misspelt field there would go unnoticed.
"""

from __future__ import annotations

import json
import sys
from typing import Any, TypeAlias, cast

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from tillpost.adapter import Menu
from tillpost_generic.adapter import Generic
from tillpost_generic.wire import Health, NewOrder, PosStatus, ProblemDetails

__all__ = ["OPERATIONS", "document", "kinds"]

Json: TypeAlias = dict[str, Any]

_MODELS: tuple[type[BaseModel], ...] = (NewOrder, PosStatus, Menu, Health, ProblemDetails)
_REF = "#/components/schemas/"

_REFERENCE = {
    "name": "reference",
    "in": "query",
    "required": True,
    "description": "The order's `id`, as Tillpost sent it.",
    "schema": {"type": "string", "maxLength": 40},
}
_POS_ID = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "Your own id of the order, as you answered it.",
    "schema": {"type": "string"},
}
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "The same key and the same body get the same answer, and create nothing new. "
    "The same key with another body is refused with 409 and the kind DoubtError. Keep keys for 30 "
    "days or more.",
    "schema": {"type": "string", "maxLength": 120},
}
_SIGNATURE = (
    {
        "name": "Tillpost-Timestamp",
        "in": "header",
        "required": True,
        "description": "When the request was sent, in seconds since 1970. Refuse a request whose "
        "time is 300 s or more from now.",
        "schema": {"type": "string", "pattern": "^[0-9]{1,12}$"},
    },
    {
        "name": "Tillpost-Signature",
        "in": "header",
        "required": True,
        "description": "HMAC-SHA256 over the timestamp, the method, the path with its query as "
        "sent, the idempotency key (empty if there is none) and the SHA-256 of the body in "
        "hexadecimal, joined by line feeds.",
        "schema": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    },
)


def _ref(model: type[BaseModel]) -> Json:
    return {"$ref": f"{_REF}{model.__name__}"}


def _operation(
    operation_id: str, summary: str, answers: Json, *parameters: Json, body: Json | None = None
) -> Json:
    operation: Json = {
        "operationId": operation_id,
        "summary": summary,
        "parameters": [*parameters, *_SIGNATURE],
        "responses": {
            "200": {"description": "Done.", "content": {"application/json": {"schema": answers}}},
            "default": {"$ref": "#/components/responses/Problem"},
        },
    }
    if body:
        content = {"application/json": {"schema": body}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


_LIST = {"type": "array", "items": _ref(PosStatus)}

OPERATIONS: dict[tuple[str, str], Json] = {
    ("post", "/orders"): _operation(
        "createOrder",
        "Create a paid order, unless its total isn't `expected_total`.",
        _ref(PosStatus),
        _KEY,
        body=_ref(NewOrder),
    ),
    ("get", "/orders"): _operation(
        "findOrders", "Return the orders with a reference, [] if there are none.", _LIST, _REFERENCE
    ),
    ("get", "/orders/{id}"): _operation(
        "getOrder", "Return an order's current state.", _ref(PosStatus), _POS_ID
    ),
    ("post", "/orders/{id}/cancel"): _operation(
        "cancelOrder",
        "Cancel an order. One that is cancelled already is returned as it is.",
        _ref(PosStatus),
        _POS_ID,
        _KEY,
    ),
    ("get", "/menu"): _operation(
        "getMenu", "Return the store's whole menu, at its own prices.", _ref(Menu)
    ),
    ("get", "/health"): _operation(
        "getHealth", "Return whether the store can take an order now.", _ref(Health)
    ),
}


def kinds() -> tuple[str, ...]:
    """Return all kinds of problem: the codes of the adapter's error table."""
    codes = {code for row in Generic.errors for code in row.codes}
    return tuple(sorted(codes))


def document() -> Json:
    """Return the whole document."""
    schemas = _schemas(*_MODELS)
    closed = _schemas(Menu)
    for name, schema in schemas.items():
        _tidy(schema, closed=name in closed)
    del schemas["Order"]["properties"]["metadata"]  # it stays at the ordering site
    schemas["ProblemDetails"]["properties"]["kind"]["examples"] = list(kinds())
    paths: Json = {}
    for (method, path), operation in OPERATIONS.items():
        paths.setdefault(path, {})[method] = operation
    problem = {
        "description": "Refused.",
        "content": {"application/problem+json": {"schema": _ref(ProblemDetails)}},
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tillpost: the generic POS",
            "version": "1",
            "description": "What a POS serves so that Tillpost can submit paid online orders to "
            "it. All amounts are integers in the currency's minor unit. All times have an offset.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "https://pos.example/tillpost"}],
        "security": [{"bearer": []}, {"basic": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": {"Problem": problem},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "basic": {"type": "http", "scheme": "basic"},
            },
        },
    }


def _schemas(*models: type[BaseModel]) -> dict[str, Json]:
    """Return the schemas of models, and of all models in them, by name."""
    _, schema = models_json_schema(
        [(model, "validation") for model in models], ref_template=_REF + "{model}"
    )
    return cast("dict[str, Json]", schema["$defs"])


def _tidy(schema: Json, *, closed: bool) -> None:
    """Remove pydantic's titles from a schema.

    Unless `closed`, also remove that the schema is closed.
    """
    schema.pop("title", None)
    if not closed:
        schema.pop("additionalProperties", None)
    # Whether an object's default is here depends on whether pydantic has built its model yet.
    if isinstance(schema.get("default"), dict):
        del schema["default"]
    parts: list[Json] = [schema["items"]] if "items" in schema else []
    parts += schema.get("anyOf", ())
    parts += schema.get("oneOf", ())
    parts += schema.get("properties", {}).values()
    for part in parts:
        _tidy(part, closed=closed)


def main() -> None:
    """Print the document."""
    json.dump(document(), sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
