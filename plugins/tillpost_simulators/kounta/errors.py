"""Kounta's errors: free text, without codes that a caller could rely on.

Where the text sits differs from one third-party client to the next, so every place they look at can
be set (`ErrorStyle`). Texts that were seen are marked so where they are raised; the others are
ours, and say so.
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
    """Raised by a handler to refuse a request. Nothing that the request asked for has been done.

    `code` is the short word that OAuth's errors have beside the text. `style` overrides the
    world's.
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
        self.status, self.text, self.code, self.style = status, text, code, style
        self.headers: Mapping[str, str] = headers or {}

    def answer(self, style: ErrorStyle) -> Answer:
        """The refusal as it is sent."""
        match self.style or style:
            case "html":
                page = f"<!DOCTYPE html><html><body><h1>{html.escape(self.text)}</h1></body></html>"
                return Answer(self.status, page.encode(), "text/html", self.headers)
            case "error":
                body = {"error": self.text}
            case "message":
                body = {"message": self.text}
            case place:
                body = {"error": self.code, place: self.text}
        return json_answer(body, self.status, self.headers)


def bad_request(text: str) -> Refusal:
    """A 400.

    unconfirmed: that Kounta refuses orders with 400; no status of a refused order was seen, and one
    real refusal would tell.
    """
    return Refusal(400, text)


def not_found() -> Refusal:
    """A 404."""
    return Refusal(404, NOT_FOUND, "not_found")


def not_at_site(product_id: int) -> Refusal:
    """A product that the site doesn't sell. The text was seen (third-party logs), its status wasn't."""
    return bad_request(f"Product #{product_id} is not available at that site.")


_OF_STATUS = {
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
    """The refusal for a status that no handler chose.

    unconfirmed: all these texts but "Not Found"; a real answer of each status would tell.
    """
    text, code = _OF_STATUS.get(
        status, ("Bad Request" if status < 500 else "Internal Server Error", "error")
    )
    return Refusal(status, text, code, headers=headers)
