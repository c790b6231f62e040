"""A PostgreSQL whose clock a test sets."""

from __future__ import annotations

from sqlalchemy import Engine, event


class DatabaseTime:
    """Sets the clock of a PostgreSQL ahead, as its answers through an engine show it.

    It counts how often it is asked.
    """

    def __init__(self, engine: Engine) -> None:
        self.ahead = 0.0
        self.queries = 0
        event.listen(engine, "before_cursor_execute", self._ask, retval=True)

    def _ask(
        self, _1: object, _2: object, statement: str, parameters: object, _3: object, _4: object
    ) -> tuple[str, object]:
        if "clock_timestamp()" not in statement or statement.startswith("INSERT"):
            return statement, parameters
        self.queries += 1
        return f"{statement} + {self.ahead}", parameters
