"""What a worker decides, as log lines: one a decision, with ids and kinds, and no personal data.

A line reads `order id=ord_1 connection=cafe-42 state=received`. A handler that writes JSON finds
the same as a mapping in the record's `decision`. Platforms' own texts stay out: they may repeat
what the customer wrote.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import TypeAlias

from tillpost.errors import ErrorRecord

__all__ = ["decided", "error_in_short"]

log = logging.getLogger("tillpost.outbox")


def decided(event: str, **facts: object) -> None:
    """Log a decision at the level INFO; facts that are None or empty are left out."""
    known = {name: fact for name, fact in facts.items() if fact is not None and fact != ""}
    told = "".join(f" {name}={_plain(fact)}" for name, fact in known.items())
    log.info("%s%s", event, told, extra={"decision": {"event": event, **known}})


def error_in_short(error: ErrorRecord | None) -> Mapping[str, object]:
    """Return what a log may say of an error: its kind, the platform's code, and what became of the order."""
    if error is None:
        return {}
    return {
        "error": error.kind,
        "reason": error.reason,
        "code": error.code,
        "outcome": error.outcome.value,
    }


def _plain(fact: object) -> str:
    text = str(fact)
    return text if text.isprintable() and not any(c in text for c in ' "=') else json.dumps(text)


HookCall: TypeAlias = tuple[str, Mapping[str, object]]
"""A hook to be called, with its facts."""
