"""Canaries: secrets that must show up nowhere, and the search for them.

`leaks` looks into everything that an exception holds: its texts, its record, and from Tillpost's
frames down each local of each traceback, through containers, objects, closures and half-run
generators. A `SecretStr` is safe by design."""

from __future__ import annotations

import asyncio
import gc
import logging
import pickle
import types
from collections.abc import Iterator
from pathlib import Path

from pydantic import SecretStr

import tillpost
from core.toy_server import ToyServer
from tillpost import PosError

ACCESS = "CANARY-access-91c2"
REFRESH = "CANARY-refresh-77aa"
CLIENT = "CANARY-client-5d0e"
RENEWED = "CANARY-renewed-e811"
HOOK = "CANARY-hook-3b6f"
CODE = "CANARY-code-a04d"
VERIFIER = "CANARY-verifier-c7e5"
CORE = str(Path(tillpost.__file__).parent)

OPAQUE = (
    type,
    types.ModuleType,
    types.BuiltinFunctionType,
    types.CodeType,
    SecretStr,
    logging.Logger,
    asyncio.AbstractEventLoop,
    ToyServer,
)
"""What isn't looked into: the world beyond the objects at hand, and the test's own server."""


def leaks(error: BaseException) -> list[str]:
    """Return where a canary shows in an exception, its causes and their frames."""
    return [*_in_texts(error), *Search().through(_frames_of(error))]


def _in_texts(error: BaseException) -> Iterator[str]:
    for link in _chain(error):
        yield from (
            f"{name} of {type(link).__name__}" for name, text in _texts(link) if "CANARY" in text
        )


def _texts(error: BaseException) -> Iterator[tuple[str, str]]:
    yield from (("str", str(error)), ("repr", repr(error)))
    if isinstance(error, PosError):
        yield "record", error.record().model_dump_json()
        yield "pickle", pickle.dumps(error).decode("latin-1")
        yield "remedy", repr(error.remedy)
        yield "attributes", repr(vars(error))


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception and all that it holds on to: causes, contexts and, of a group, its parts."""
    todo, seen = [error], set[int]()
    while todo:
        link = todo.pop()
        if id(link) not in seen:
            seen.add(id(link))
            yield link
            parts: tuple[BaseException, ...] = getattr(link, "exceptions", ())
            todo += [more for more in (link.__cause__, link.__context__, *parts) if more]


def _frames_of(error: BaseException) -> Iterator[tuple[str, object]]:
    """The locals of each frame from Tillpost's first one down."""
    for link in _chain(error):
        inside, trace = False, link.__traceback__
        while trace:
            code = trace.tb_frame.f_code
            inside = inside or code.co_filename.startswith(CORE)
            if inside:
                for name, value in trace.tb_frame.f_locals.items():
                    yield f"{name} in {code.co_qualname}", value
            trace = trace.tb_next


class Search:
    """Finds canaries in objects and all that they hold, each object once."""

    def __init__(self) -> None:
        self._seen = dict[int, object]()

    def through(self, named: Iterator[tuple[str, object]]) -> Iterator[str]:
        todo = list(named)
        while todo:
            where, value = todo.pop()
            if id(value) in self._seen or isinstance(value, OPAQUE):
                continue
            self._seen[id(value)] = value  # held, so that no other object takes its id
            if isinstance(value, (str, bytes, bytearray)):
                if "CANARY" in (value if isinstance(value, str) else value.decode("latin-1")):
                    yield where
            else:
                todo += [(f"{name} of {where}"[:300], inner) for name, inner in _held(value)]


def _held(value: object) -> Iterator[tuple[str, object]]:
    """All that an object holds."""
    if isinstance(value, dict):
        for key, inner in list(value.items()):  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
            yield "key", key
            yield f"[{key!r}]", inner
    elif isinstance(value, types.GeneratorType) and value.gi_frame:
        yield from value.gi_frame.f_locals.items()
    elif isinstance(value, types.FunctionType):
        yield from (
            ("closure", cell.cell_contents) for cell in value.__closure__ or () if _filled(cell)
        )
        yield "defaults", value.__defaults__
    else:
        # What the collector knows reaches into slots and extension types too.
        yield from (
            ("held", inner)
            for inner in gc.get_referents(value)
            if not isinstance(inner, types.FrameType)
        )


def _filled(cell: types.CellType) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False
