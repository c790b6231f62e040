"""A filter that keeps the queries of our requests out of httpx's log.

A query may name a customer. httpx logs each request at INFO with its whole URL. The URLs of our
requests are `QuietUrl`s, and a filter on the logger `httpx` masks the values of their queries, for
every handler. Records of other requests are left as they are.
"""

from __future__ import annotations

import logging

import httpx

from tillpost.adapter.redaction import redact_path

__all__ = ["QuietUrl"]


class QuietUrl(httpx.URL):
    """The URL of one of our requests. It differs from any other only in httpx's log."""


class _WithoutQueries(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(_shown(argument) for argument in record.args)
        return True


def _shown(argument: object) -> object:
    if not isinstance(argument, QuietUrl):
        return argument
    return redact_path(str(argument))


logging.getLogger("httpx").addFilter(_WithoutQueries())
