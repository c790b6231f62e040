"""Square's errors: refusals with a code, a text and the field at fault.

Every refusal is answered with `{"errors": [{category, code, detail, field}]}`, and the HTTP status
is that of the first (developer documentation: Handling errors). The category of a code is the
spec's (`ErrorCode`, `error-category`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from tillpost.simulator import Answer


class Problem(NamedTuple):
    """One error of an answer.

    `field` is a path such as `order.line_items[0].catalog_object_id`, or empty.
    """

    code: str
    detail: str
    field: str = ""


class Refusal(Exception):
    """Raised to refuse a request. What the request asked for hasn't been done."""

    def __init__(self, status: int, *problems: Problem) -> None:
        super().__init__("; ".join(problem.detail for problem in problems))
        self.status = status
        self.problems = problems

    def answer(self) -> Answer:
        """Return the refusal as an answer."""
        errors = [_written(problem) for problem in self.problems]
        return Answer.of({"errors": errors}, status=self.status)


_AUTHENTICATION = {
    "UNAUTHORIZED",
    "ACCESS_TOKEN_EXPIRED",
    "ACCESS_TOKEN_REVOKED",
    "CLIENT_DISABLED",
    "FORBIDDEN",
    "INSUFFICIENT_SCOPES",
}
_API = {
    "INTERNAL_SERVER_ERROR",
    "NOT_IMPLEMENTED",
    "BAD_GATEWAY",
    "SERVICE_UNAVAILABLE",
    "GATEWAY_TIMEOUT",
}
_PAYMENT_METHOD = {"CURRENCY_MISMATCH", "INVALID_LOCATION", "TEMPORARY_ERROR"}


def category(code: str) -> str:
    """Return the category of an error code (spec: ErrorCode)."""
    if code in _AUTHENTICATION:
        return "AUTHENTICATION_ERROR"
    if code in _API:
        return "API_ERROR"
    if code in _PAYMENT_METHOD:
        return "PAYMENT_METHOD_ERROR"
    return "RATE_LIMIT_ERROR" if code == "RATE_LIMITED" else "INVALID_REQUEST_ERROR"


def bad_request(code: str, detail: str, field: str = "") -> Refusal:
    """Return a 400 with one problem."""
    return Refusal(400, Problem(code, detail, field))


def missing(field: str) -> Refusal:
    """Return a 400 for a required field that is missing."""
    return bad_request("MISSING_REQUIRED_PARAMETER", "Missing required parameter.", field)


def not_found(detail: str, field: str = "") -> Refusal:
    """Return a 404 with one problem."""
    return Refusal(404, Problem("NOT_FOUND", detail, field))


_CODE_AND_DETAIL = {
    401: ("UNAUTHORIZED", "This request could not be authorized."),
    404: ("NOT_FOUND", "Resource not found."),
    405: ("METHOD_NOT_ALLOWED", "Method not allowed."),
    413: ("REQUEST_ENTITY_TOO_LARGE", "The request is too large."),
    429: ("RATE_LIMITED", "Your request rate is too high. Try again later."),
    500: (
        "INTERNAL_SERVER_ERROR",
        "An internal error has occurred, and the API was unable to service your request.",
    ),
    502: ("BAD_GATEWAY", "Bad gateway."),
    503: ("SERVICE_UNAVAILABLE", "The service is unavailable."),
    504: ("GATEWAY_TIMEOUT", "Gateway timeout."),
}


def of_status(status: int) -> Refusal:
    """Return the refusal for a status that no handler chose."""
    default_code = "BAD_REQUEST" if status < 500 else "INTERNAL_SERVER_ERROR"
    code, detail = _CODE_AND_DETAIL.get(status, (default_code, "Failed."))
    return Refusal(status, Problem(code, detail))


def malformed(error: ValidationError, under: str = "") -> Refusal:
    """Return the refusal for a body that doesn't fit its schema, with all its faults.

    Args:
        error: What is wrong with the body.
        under: The path that the body's own paths follow.
    """
    return Refusal(400, *(_problem(detail, under) for detail in error.errors()))


def path_of(location: Sequence[int | str], under: str = "") -> str:
    """Return a field's path as Square writes it: `order.line_items[0].name`."""
    path = under
    for step in location:
        if isinstance(step, int):
            path += f"[{step}]"
        else:
            path += f".{step}" if path else step
    return path


def _problem(detail: ErrorDetails, under: str) -> Problem:
    location = detail["loc"]
    context = detail.get("ctx", {})
    in_map_key = bool(location) and location[-1] == "[key]"
    field = path_of(location[:-2] if in_map_key else location, under)
    if in_map_key:
        return Problem(
            "MAP_KEY_LENGTH_TOO_LONG",
            "A key is too long or holds a character that isn't allowed.",
            field,
        )
    match detail["type"]:
        case "missing":
            return Problem("MISSING_REQUIRED_PARAMETER", "Missing required parameter.", field)
        case "string_too_long":
            return Problem(
                "VALUE_TOO_LONG",
                f"Field must not be greater than {context.get('max_length')} in length",
                field,
            )
        case "string_too_short":
            return Problem("VALUE_EMPTY", "Field must not be blank", field)
        case "string_type":
            return Problem("EXPECTED_STRING", "Expected a string value.", field)
        case "int_type" | "int_parsing" | "int_from_float":
            return Problem("EXPECTED_INTEGER", "Expected an integer value.", field)
        case "bool_type":
            return Problem("EXPECTED_BOOLEAN", "Expected a boolean value.", field)
        case "list_type" | "tuple_type":
            return Problem("EXPECTED_ARRAY", "Expected an array.", field)
        case "model_type" | "dict_type" | "model_attributes_type":
            return Problem("EXPECTED_OBJECT", "Expected an object.", field)
        case "too_long":
            is_map = context.get("field_type") == "Dictionary"
            code = "TOO_MANY_MAP_ENTRIES" if is_map else "ARRAY_LENGTH_TOO_LONG"
            text = f"At most {context.get('max_length')} entries are allowed."
            return Problem(code, text, field)
        case "too_short":
            return Problem("ARRAY_EMPTY", "The array must not be empty.", field)
        case "literal_error":
            return Problem(
                "INVALID_ENUM_VALUE",
                f"`{detail['input']}` is not a valid enum value for `{field}`.",
                field,
            )
        case "string_pattern_mismatch":
            return Problem(
                "INVALID_VALUE", f"`{detail['input']}` is not a valid value for `{field}`.", field
            )
        case "greater_than_equal":
            return Problem("VALUE_TOO_LOW", f"Must be at least {context.get('ge')}.", field)
        case "less_than_equal":
            return Problem("VALUE_TOO_HIGH", f"Must be at most {context.get('le')}.", field)
        case "json_invalid":
            return Problem("EXPECTED_JSON_BODY", "The request body must be valid JSON.")
        case _:
            return Problem("INVALID_VALUE", detail["msg"], field)


def _written(problem: Problem) -> dict[str, str]:
    written = {
        "category": category(problem.code),
        "code": problem.code,
        "detail": problem.detail,
    }
    if problem.field:
        written["field"] = problem.field
    return written
