"""The outbox's log: one line for each event, with ids and kinds.

It has no personal data. A line reads `order_processed id=ord_1 connection=cafe-42 state=received`.
The record's attribute `outbox_event` holds the same as a mapping, for a handler that writes JSON.
The platforms' own texts are left out, since they may repeat what the customer wrote.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from tillpost.errors import ErrorRecord
from tillpost.models.safe_text import log_value, safe_logger

__all__ = ["HookCall", "error_fields", "log_event"]

log = safe_logger("tillpost.outbox")

HookCall: TypeAlias = tuple[str, Mapping[str, object]]
"""The name of a hook to call, and its arguments."""


def log_event(event: str, **fields: object) -> None:
    """Log an event at the level INFO. Fields that are None or empty are left out."""
    words = [event]
    present: dict[str, object] = {}
    for name, field in fields.items():
        if field in (None, ""):
            continue
        present[name] = field
        words.append(f"{name}={log_value(field)}")
    line = " ".join(words)
    record = {"event": event, **present}
    log.info("%s", line, extra={"outbox_event": record})


def error_fields(error: ErrorRecord | None) -> Mapping[str, object]:
    """Return the fields that a log may hold of an error.

    They hold nothing that a platform wrote freely.
    """
    if error is None:
        return {}
    return {
        "error": error.kind,
        "reason": error.reason,
        "code": error.code,
        "outcome": error.outcome.value,
    }
