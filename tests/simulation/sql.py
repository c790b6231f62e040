"""Runs the outbox's SQLAlchemy statements on SQLite, without most of SQLAlchemy's work.

SQLAlchemy compiles each statement, once for all scenarios, and reads the values of its columns;
`sqlite3` runs the same SQL that it would run through an engine. What is left out are pools,
transactions, events, execution contexts and most of what results can do, which took a third of a
scenario. A test compares scenarios that run through an engine.
"""

# pyright: reportPrivateUsage=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, NamedTuple, cast

from sqlalchemy import Engine
from sqlalchemy.exc import MultipleResultsFound, NoResultFound

_Processor = Callable[[Any], Any] | None
_Reader = tuple[int, Callable[[Any], Any]]
"""A column's index, and what reads its value."""

_PLANS = "_plans_of_simulation"


class _Parameter(NamedTuple):
    """One `?` of a statement.

    Attributes:
        name: Its name among the values that are passed with the statement.
        place: Which of the values in the statement's own text it is; -1 for none.
        fixed: Its value in every statement with this text, if it is neither.
        processor: What turns it into a value of SQLite.
    """

    name: str
    place: int
    fixed: Any
    processor: _Processor


@dataclass(slots=True)
class _Plan:
    """How a statement is run with values of given names."""

    compiled: Any
    sql: str
    parameters: Sequence[_Parameter]
    is_expanding: bool
    row: type[_Row] | None
    readers: Sequence[_Reader]
    expanded: dict[tuple[int, ...], _Expanded] = field(default_factory=dict[Any, Any])


@dataclass(slots=True)
class _Expanded:
    """A statement with lists of given lengths: its SQL, and each value's name and processor."""

    sql: str
    parameters: Sequence[tuple[str, _Processor]]
    names: Mapping[str, Sequence[str]]


_Plans = dict[tuple[str, ...], tuple[_Plan, Sequence[Any]]]
"""A statement's plans by the names of the values that come with it, and its own values."""


class _Row(tuple[Any, ...]):
    """A row whose columns are attributes, too. Each query's rows have a class of their own."""

    __slots__ = ()
    columns: Sequence[str]

    @property
    def _mapping(self) -> Mapping[str, Any]:
        return dict(zip(self.columns, self, strict=True))


def _row_class(columns: Sequence[str]) -> type[_Row]:
    readers = {name: property(itemgetter(index)) for index, name in enumerate(columns)}
    return type("_RowOfQuery", (_Row,), {"__slots__": (), **readers, "columns": columns})


class _Result:
    """The rows of a query, or of a change that returns some, and how many it has touched."""

    __slots__ = ("_new", "_rows", "rowcount")

    def __init__(
        self, rows: Sequence[Any], new: Callable[[Any], Any] | None, rowcount: int
    ) -> None:
        """Take the rows, and what turns each into what the caller wants."""
        self._rows = rows
        self._new = new
        self.rowcount = rowcount

    def __iter__(self) -> Iterator[Any]:
        return map(self._new, self._rows) if self._new else iter(self._rows)

    def all(self) -> Sequence[Any]:
        return list(self)

    def first(self) -> Any:
        return next(iter(self), None)

    def one_or_none(self) -> Any:
        if len(self._rows) > 1:
            raise MultipleResultsFound("more than one row")
        return self.first()

    def one(self) -> Any:
        if not self._rows:
            raise NoResultFound("no row")
        return self.one_or_none()

    def scalar(self) -> Any:
        return self._rows[0][0] if self._rows else None

    def scalar_one(self) -> Any:
        return self.one()[0]

    def scalars(self) -> _Result:
        return _Result([row[0] for row in self._rows], None, self.rowcount)

    def mappings(self) -> _Result:
        row_class: Any = self._new
        columns: Sequence[str] = row_class.columns
        mappings = [dict(zip(columns, row, strict=True)) for row in self._rows]
        return _Result(mappings, None, self.rowcount)


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

    def execute(
        self, statement: Any, values: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None
    ) -> Any:
        """Run a statement with values for its parameters; with several, once for each."""
        if isinstance(values, list):
            return [self._execute(statement, each) for each in values]
        return self._execute(statement, cast("Mapping[str, Any] | None", values))

    def _execute(self, statement: Any, values: Mapping[str, Any] | None) -> Any:
        plan, own = self._plan(statement, values)
        sql, arguments = plan.sql, None
        if plan.is_expanding:
            sql, arguments = self._expanded(plan, own, values)
        else:
            arguments = _arguments(plan, own, values)
        cursor = self._driver.execute(sql, arguments)
        new_row = plan.row
        if new_row is None:
            if cursor.description is None:
                return _Count(cursor.rowcount)
            plan.row = new_row = _row_class([it[0] for it in cursor.description])
        rows: Sequence[Any] = cursor.fetchall()
        if rows and plan.readers:
            rows = [_processed(row, plan.readers) for row in rows]
        return _Result(rows, new_row, cursor.rowcount)

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
            _parameter(
                compiled.binds[name],
                name,
                names,
                index_of,
                processors.get(name),
            )
            for name in compiled.positiontup or ()
        ]
        entries = compiled._result_columns
        row = _row_class([it.keyname for it in entries]) if entries else None
        readers = [it.type._cached_result_processor(self.dialect, None) for it in entries]
        return _Plan(
            compiled,
            str(compiled),
            parameters,
            bool(compiled.post_compile_params),
            row,
            [(index, read) for index, read in enumerate(readers) if read],
        )

    def _expanded(
        self, plan: _Plan, own: Sequence[Any], values: Mapping[str, Any] | None
    ) -> tuple[str, Sequence[Any]]:
        """Return the SQL of a statement with a list in it, which has as many `?` as the list."""
        compiled = plan.compiled
        named = compiled.construct_params(values, extracted_parameters=own, escape_names=False)
        lists = [name for name in named if isinstance(named[name], list | tuple)]
        lengths = tuple(len(named[name]) for name in lists)
        expanded = plan.expanded.get(lengths)
        if expanded is None:
            expanded = plan.expanded[lengths] = _expanded(compiled, named)
        for name in lists:
            named.update(zip(expanded.names[name], named[name], strict=True))
        arguments = [
            process(named[name]) if process else named[name]
            for name, process in expanded.parameters
        ]
        return expanded.sql, arguments


def _expanded(compiled: Any, named: Mapping[str, Any]) -> _Expanded:
    state = compiled._process_parameters_for_postcompile(dict(named))
    processors = {**compiled._bind_processors, **state.processors}
    parameters = [(name, processors.get(name)) for name in state.positiontup]
    return _Expanded(state.statement, parameters, state.parameter_expansion)


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
            return _Parameter(
                known,
                -1,
                None,
                processor,
            )
    assert not bind.required, f"a value for {name} is missing"
    return _Parameter(
        "",
        index_of.get(id(bind), -1),
        bind.effective_value,
        processor,
    )


def _arguments(plan: _Plan, own: Sequence[Any], values: Mapping[str, Any] | None) -> Sequence[Any]:
    arguments: list[Any] = []
    for name, place, fixed, process in plan.parameters:
        value = fixed
        if name:
            assert values is not None
            value = values[name]
        elif place >= 0:
            value = own[place].effective_value
        arguments.append(process(value) if process else value)
    return arguments


def _processed(row: Sequence[Any], readers: Sequence[_Reader]) -> Sequence[Any]:
    values = list(row)
    for index, read in readers:
        values[index] = read(values[index])
    return tuple(values)
