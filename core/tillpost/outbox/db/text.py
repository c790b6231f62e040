"""Text columns that store whatever they are given.

PostgreSQL refuses a NUL in a text, and no database takes half of a surrogate pair. Both come from
outside: an order, a webhook or a person's note must not fail, or fail for ever, because of one.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Dialect, types

from tillpost.models.safe_text import storable

__all__ = ["String", "Text"]


class String(types.TypeDecorator[str]):
    """A text of limited length. Characters that can't be stored become U+FFFD."""

    impl = types.String
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """Return a parameter as it is sent, in values and in conditions alike."""
        if not isinstance(value, str):
            return value
        return storable(value)


class Text(String):
    """A text of any length. Characters that can't be stored become U+FFFD."""

    impl = types.Text
    cache_ok = True
