"""Kounta's errors: free text, without codes that a caller could rely on.

Third-party clients expect the text in different fields, so the field can be set (`ErrorStyle`). A
text that was seen is marked so where it is raised; the others are ours.
"""

from __future__ import annotations

import html
from collections.abc import Mapping

from tillpost.simulator import Answer
from tillpost_simulators.kounta.settings import ErrorStyle
from tillpost_simulators.kounta.wire import json_answer

NOT_FOUND = "Not Found"
"""Seen (third-party logs)."""


class Refusal(Exception):
    """Raised to refuse a request. What the request asked for hasn't been done.

    Args:
        status: The HTTP status.
        text: What is wrong.
        code: The short code beside the text, as in OAuth's errors.
        style: Where the text is; None takes the world's style.
        headers: Headers of the answer.
    """

    def __init__(
        self,
        status: int,
        text: str,
        code: str = "invalid_request",
        *,
        style: ErrorStyle | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.code = code
        self.style = style
        self.headers: Mapping[str, str] = headers or {}

    def answer(self, style: ErrorStyle) -> Answer:
        """Return the refusal as an answer."""
        match self.style or style:
            case "html":
                page = f"<!DOCTYPE html><html><body><h1>{html.escape(self.text)}</h1></body></html>"
                return Answer(self.status, page.encode(), "text/html", self.headers)
            case "error":
                body = {"error": self.text}
            case "message":
                body = {"message": self.text}
            case text_field:
                body = {"error": self.code, text_field: self.text}
        return json_answer(body, self.status, self.headers)


def bad_request(text: str) -> Refusal:
    """Return a 400.

    unconfirmed: that Kounta refuses orders with 400; no status of a refused order was seen, and one
    real refusal would show it.
    """
    return Refusal(400, text)


def not_found() -> Refusal:
    """Return a 404."""
    return Refusal(404, NOT_FOUND, "not_found")


def not_at_site(product_id: int) -> Refusal:
    """Return the refusal of a product that the site doesn't sell.

    The text was seen (third-party logs), its status wasn't.
    """
    return bad_request(f"Product #{product_id} is not available at that site.")


_TEXT_AND_CODE = {
    401: ("The access token provided is invalid", "invalid_token"),
    404: (NOT_FOUND, "not_found"),
    405: ("Method Not Allowed", "method_not_allowed"),
    406: ("Not Acceptable", "not_acceptable"),
    429: ("Too Many Requests", "too_many_requests"),
    500: ("Internal Server Error", "server_error"),
    502: ("Bad Gateway", "server_error"),
    503: ("Service Unavailable", "server_error"),
}


def of_status(status: int, headers: Mapping[str, str] | None = None) -> Refusal:
    """Return the refusal for a status that no handler chose.

    unconfirmed: all these texts but "Not Found"; a real answer of each status would show it.
    """
    default_text = "Bad Request" if status < 500 else "Internal Server Error"
    text, code = _TEXT_AND_CODE.get(status, (default_text, "error"))
    return Refusal(status, text, code, headers=headers)
