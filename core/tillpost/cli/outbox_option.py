"""The outbox that a command works on: opened by `--db`, TILLPOST_DB or the TOML file, its trouble told in one line.

Nothing of the outbox is imported before a command needs it, so that the others go without its
extra.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tillpost.cli.exit_codes import STORE, CliError

if TYPE_CHECKING:
    from tillpost.outbox import Outbox
    from tillpost.outbox.db.database import Database

__all__ = ["DatabaseUrl", "moment", "name_of", "need_outbox", "opened", "opened_if_there"]

DatabaseUrl = Annotated[
    str,
    typer.Option(
        "--db",
        metavar="URL",
        help="The outbox's database. [TILLPOST_DB, [outbox] db, sqlite:///tillpost.db]",
    ),
]


def need_outbox() -> None:
    """Raise `CliError` that says what to install when the extra for the outbox is missing."""
    if not _has_extra():
        raise CliError("the outbox needs an extra: pip install 'tillpost[outbox]'")


@contextmanager
def opened(db: str, config: str, *, engine: str = "", new: bool = False) -> Generator[Outbox]:
    """Open the outbox, and close it after the block. Whatever its database can't do raises `CliError`.

    A SQLite file that isn't there is made only if the outbox may be `new`: to look into a new one
    by mistake would say that there are no orders.
    """
    need_outbox()
    from tillpost.outbox import DatabaseError, Outbox

    try:
        outbox = Outbox.from_config(config or None, url=db, engine=engine)
    except DatabaseError as error:
        raise CliError(f"--db: {error}" if db else str(error), STORE) from None
    try:
        with outbox:
            if not new:
                _must_be_there(outbox.database)
            yield outbox
    except DatabaseError as error:
        raise CliError(f"{name_of(outbox.database)}: {error}", STORE) from None


@contextmanager
def opened_if_there(db: str, config: str, *, new: bool = False) -> Generator[Outbox | None]:
    """Open the outbox as `opened` does, or give None where none was ever made: nothing is made here.

    One that `--db` names has to be there, unless it may be `new`.
    """
    if not db and not _has_extra():
        yield None
        return
    with opened(db, config, new=new or not db) as outbox:
        from tillpost.outbox.db.migrate import is_created

        there = not _missing_file(outbox.database)
        if there:
            with outbox.database.reading() as tables:
                there = is_created(tables)
        if there:
            outbox.prepare()  # which says so when they are of another version
        yield outbox if there else None


def name_of(database: Database) -> str:
    """Return the database's URL without its password."""
    return database.engine.url.render_as_string()


def moment(at: float) -> str:
    """Return a time in epoch seconds as people write it, in this machine's time zone."""
    return f"{datetime.fromtimestamp(at).astimezone():%Y-%m-%d %H:%M:%S}"


def _has_extra() -> bool:
    return bool(find_spec("sqlalchemy") and find_spec("alembic"))


def _must_be_there(database: Database) -> None:
    if file := _missing_file(database):
        raise CliError(
            f"no outbox at {file}: --db or TILLPOST_DB names another; the first order added makes one",
            STORE,
        )


def _missing_file(database: Database) -> str:
    """Return the path of a SQLite file that isn't there; empty where there is one, or where it isn't SQLite."""
    file = database.engine.url.database or ""
    return (
        file
        if database.is_sqlite and not file.startswith("file:") and not Path(file).exists()
        else ""
    )
