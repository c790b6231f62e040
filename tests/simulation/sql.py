"""Runs the outbox's SQLAlchemy statements on SQLite, without most of SQLAlchemy's work.

SQLAlchemy compiles each statement, once for all lives, and reads the values of its columns;
`sqlite3` runs the same SQL that it would run through an engine. What is left out are pools,
transactions, events and execution contexts, which took a third of a life. A test compares lives
that run through an engine.
"""

# pyright: reportPrivateUsage=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.engine.result import IteratorResult, SimpleResultMetaData

_Processor = Callable[[Any], Any] | None

_PLANS = "_plans_of_simulation"


@dataclass(slots=True)
class _Parameter:
    """One `?` of a statement.

    Attributes:
        name: Its name among the values that are passed with the statement.
        index: Which of the values in the statement's own text it is; -1 for none.
        value: Its value in every statement with this text, if it is neither.
        processor: What turns it into a value of SQLite.
    """

    name: str
    index: int
    value: Any
    processor: _Processor


@dataclass(slots=True)
class _Plan:
    """How a statement is run with values of given names."""

    compiled: Any
    sql: str
    parameters: Sequence[_Parameter]
    is_expanding: bool
    columns: SimpleResultMetaData | None
    processors: Sequence[_Processor] | None


_Plans = dict[tuple[str, ...], tuple[_Plan, Sequence[Any]]]
"""A statement's plans by the names of the values that come with it, and its own values."""


class _Result(IteratorResult[Any]):
    """The rows of a query, and how many a change has touched."""

    rowcount = -1


class _Count:
    """The result of a change that returns no rows."""

    __slots__ = ("rowcount",)

    def __init__(self, rowcount: int) -> None:
        self.rowcount = rowcount


class DirectConnection:
    """Has what the outbox uses of SQLAlchemy's `Connection`."""

    def __init__(self, engine: Engine, driver: sqlite3.Connection) -> None:
        self.dialect = engine.dialect
        self._driver = driver
        self._plans: dict[object, _Plan] = {}

    def execute(self, statement: Any, values: Mapping[str, Any] | None = None) -> Any:
        """Run a statement with values for its parameters."""
        plan, own = self._plan(statement, values)
        sql, arguments = plan.sql, None
        if plan.is_expanding:
            sql, arguments = self._expanded(plan, own, values)
        else:
            arguments = _arguments(plan, own, values)
        cursor = self._driver.execute(sql, arguments)
        columns = plan.columns
        if columns is None:
            if cursor.description is None:
                return _Count(cursor.rowcount)
            plan.columns = columns = SimpleResultMetaData([it[0] for it in cursor.description])
        rows: Sequence[Any] = cursor.fetchall()
        if rows and plan.processors:
            rows = [_processed(row, plan.processors) for row in rows]
        result = _Result(columns, iter(rows))
        result.rowcount = cursor.rowcount
        return result

    def scalar(self, statement: Any, values: Mapping[str, Any] | None = None) -> Any:
        """Return the first column of the first row."""
        return self.execute(statement, values).scalar()

    def scalars(self, statement: Any, values: Mapping[str, Any] | None = None) -> Any:
        """Return the first column of each row."""
        return self.execute(statement, values).scalars()

    def _plan(
        self, statement: Any, values: Mapping[str, Any] | None
    ) -> tuple[_Plan, Sequence[Any]]:
        """Return how to run a statement, and the values that are part of it.

        A statement that is built once carries its plans. A copy of it, which has another id, has
        other plans.
        """
        names = tuple(values) if values else ()
        plans = _plans_of(statement)
        known = plans.get(names)
        if known is not None:
            return known
        cache_key = statement._generate_cache_key()
        assert cache_key is not None, "each statement of the outbox can be cached"
        key = (cache_key.key, names)
        plan = self._plans.get(key)
        if plan is None:
            plan = self._plans[key] = self._compile(statement, names, cache_key)
        plans[names] = plan, cache_key.bindparams
        return plan, cache_key.bindparams

    def _compile(self, statement: Any, names: Sequence[str], cache_key: Any) -> _Plan:
        compiled = statement.compile(
            dialect=self.dialect, cache_key=cache_key, column_keys=sorted(names)
        )
        assert not compiled.insert_prefetch, "no default is made in Python"
        assert not compiled.update_prefetch, "no default is made in Python"
        matches: Mapping[Any, Sequence[Any]] = compiled._cache_key_bind_match[0]
        index_of = {
            id(copy): index
            for index, original in enumerate(cache_key.bindparams)
            for copy in matches[original]
        }
        processors = compiled._bind_processors
        parameters = [
            _parameter(compiled.binds[name], name, names, index_of, processors.get(name))
            for name in compiled.positiontup or ()
        ]
        entries = compiled._result_columns
        columns = SimpleResultMetaData([it.keyname for it in entries]) if entries else None
        readers = [it.type._cached_result_processor(self.dialect, None) for it in entries]
        return _Plan(
            compiled,
            str(compiled),
            parameters,
            bool(compiled.post_compile_params),
            columns,
            readers if any(readers) else None,
        )

    def _expanded(
        self, plan: _Plan, own: Sequence[Any], values: Mapping[str, Any] | None
    ) -> tuple[str, Sequence[Any]]:
        """Return the SQL of a statement with a list in it, which has as many `?` as the list."""
        compiled = plan.compiled
        named = compiled.construct_params(values, extracted_parameters=own, escape_names=False)
        state = compiled._process_parameters_for_postcompile(named)
        processors = {**compiled._bind_processors, **state.processors}
        arguments: list[Any] = []
        for name in state.positiontup:
            value = state.parameters[name]
            process = processors.get(name)
            arguments.append(process(value) if process else value)
        return state.statement, arguments


def _plans_of(statement: Any) -> _Plans:
    owner: int
    plans: _Plans
    owner, plans = statement.__dict__.get(_PLANS, (0, {}))
    if owner != id(statement):
        plans = {}
        statement.__dict__[_PLANS] = (id(statement), plans)
    return plans


def _parameter(
    bind: Any,
    name: str,
    names: Sequence[str],
    index_of: Mapping[int, int],
    processor: _Processor,
) -> _Parameter:
    for known in (bind.key, name):
        if known in names:
            return _Parameter(known, -1, None, processor)
    assert not bind.required, f"a value for {name} is missing"
    return _Parameter("", index_of.get(id(bind), -1), bind.effective_value, processor)


def _arguments(plan: _Plan, own: Sequence[Any], values: Mapping[str, Any] | None) -> Sequence[Any]:
    arguments: list[Any] = []
    for parameter in plan.parameters:
        if parameter.name:
            assert values is not None
            value = values[parameter.name]
        elif parameter.index >= 0:
            value = own[parameter.index].effective_value
        else:
            value = parameter.value
        arguments.append(parameter.processor(value) if parameter.processor else value)
    return arguments


def _processed(row: Sequence[Any], processors: Sequence[_Processor]) -> tuple[Any, ...]:
    pairs = zip(row, processors, strict=True)
    return tuple(process(value) if process else value for value, process in pairs)
