"""The `--db` option, and opening the outbox that it names.

Commands open the outbox with `opened`, or with `opened_if_there` where they also work without one.
The database is named by `--db`, TILLPOST_DB or the TOML file. Its errors end in one line. The
outbox is imported only when a command needs it, because it has an extra of its own.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tillpost.cli.exit_codes import STORE, CliError

if TYPE_CHECKING:
    from tillpost.outbox import Outbox
    from tillpost.outbox.db.database import Database

__all__ = ["DatabaseUrl", "has_extra", "name_of", "need_outbox", "opened", "opened_if_there"]

DatabaseUrl = Annotated[
    str,
    typer.Option(
        "--db",
        metavar="URL",
        help="The outbox's database. [TILLPOST_DB, [outbox] db, sqlite:///tillpost.db]",
    ),
]


def need_outbox() -> None:
    """Raise `CliError` that says what to install when the outbox's extra is missing."""
    if not has_extra():
        raise CliError("the outbox needs an extra: pip install 'tillpost[outbox]'")


@contextmanager
def opened(db: str, config: str, *, engine: str = "", new: bool = False) -> Generator[Outbox]:
    """Open the outbox for the duration of the block.

    Args:
        db: The database's URL; empty for the environment's or the TOML file's.
        config: The path of the TOML file; empty for the usual one.
        engine: The name of the engine; empty for the TOML file's.
        new: Whether an outbox that doesn't exist is created. Commands that only read leave it out:
            an empty outbox in the wrong place would report that there are no orders.

    Raises:
        CliError: If the database can't be opened, read or written.
    """
    need_outbox()
    from tillpost.outbox import DatabaseError, Outbox

    try:
        outbox = Outbox.from_config(config or None, url=db or None, engine=engine)
    except DatabaseError as error:
        source = "--db: " if db else ""
        raise CliError(f"{source}{error}", STORE) from None
    try:
        with outbox:
            if not new:
                _require_file(outbox.database)
                _require_tables(outbox)
            yield outbox
    except DatabaseError as error:
        raise CliError(f"{name_of(outbox.database)}: {error}", STORE) from None


@contextmanager
def opened_if_there(db: str, config: str, *, new: bool = False) -> Generator[Outbox | None]:
    """Open the outbox as `opened` does, or give None where none exists.

    Nothing is created. A database that `db` names has to exist, unless it may be `new`.
    """
    if not db and not has_extra():
        yield None
        return
    with opened(db, config, new=True) as outbox:
        if db and not new:
            _require_file(outbox.database)
        if _exists(outbox):
            # Checks the version of the tables.
            outbox.prepare()
            yield outbox
        else:
            yield None


def name_of(database: Database) -> str:
    """Return the database's URL without its password."""
    from tillpost.outbox.db.database import shown_url

    return shown_url(database.engine.url)


def has_extra() -> bool:
    """Return whether the outbox's extra is installed."""
    return bool(find_spec("sqlalchemy") and find_spec("alembic"))


def _exists(outbox: Outbox) -> bool:
    """Return whether the database has the outbox's tables."""
    from tillpost.outbox.db.migrate import is_created

    if _missing_file(outbox.database):
        return False
    with outbox.database.reading() as tables:
        return is_created(tables)


def _require_file(database: Database) -> None:
    file = _missing_file(database)
    if file:
        raise _no_outbox(f"at {file}")


def _require_tables(outbox: Outbox) -> None:
    if not _exists(outbox):
        raise _no_outbox(f"in {name_of(outbox.database)}")


def _no_outbox(where: str) -> CliError:
    advice = "name its database with --db or TILLPOST_DB. The first order that is added creates one"
    return CliError(f"no outbox {where}: {advice}", STORE)


def _missing_file(database: Database) -> str:
    """Return the path of a SQLite file that doesn't exist, or an empty string."""
    file = database.engine.url.database or ""
    is_path = database.is_sqlite and not file.startswith("file:")
    return file if is_path and not Path(file).exists() else ""
