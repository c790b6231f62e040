"""Creates the outbox's tables, and migrates older ones.

A new database is made ready at its first use; an older one is migrated only on request. The steps
are Alembic's, in `migrations`, with a version table of our own, so that the outbox can live beside
an embedder's tables and migrations. They run in the caller's transaction: a migration is complete
or didn't happen.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from tillpost.outbox.db.database import give_time
from tillpost.outbox.engine import Engine
from tillpost.outbox.exceptions import DatabaseError

__all__ = ["HEAD", "VERSIONS", "is_created", "is_ready", "migrate", "prepare"]

VERSION_TABLE = "tillpost_version"

VERSIONS = ("0001", "0002")
"""The versions of the tables, oldest first."""

HEAD = VERSIONS[-1]

STEPS = Path(__file__).parent / "migrations"
"""The folder of the migration steps."""

_LOCK = 0x7111_9057
"""The number of PostgreSQL's advisory lock.

Under that lock one program migrates at a time.
"""


def prepare(db: Connection, engine: Engine) -> None:
    """Make a database ready that is new, or that was used with another engine.

    Raises:
        DatabaseError: its tables are of another version.
    """
    version = _version(db)
    if version not in (None, HEAD):
        raise _wrong_version(version)
    migrate(db, engine)


def is_created(db: Connection) -> bool:
    """Return whether the tables exist, in any version."""
    return _version(db) is not None


def is_ready(db: Connection, engine: Engine) -> bool:
    """Return whether the tables exist in this version, and all that the engine needs."""
    return _version(db) == HEAD and engine.is_ready(db)


def migrate(db: Connection, engine: Engine) -> bool:
    """Bring the tables to this version, and create what the engine needs.

    Returns:
        Whether there was anything to do.

    Raises:
        DatabaseError: the tables are of a newer version.
    """
    if is_ready(db, engine):
        return False
    give_time(db)
    if db.dialect.name == "postgresql":
        db.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    version = _version(db)
    if version not in (None, *VERSIONS):
        raise _wrong_version(version)
    is_engine_ready = engine.is_ready(db)
    if version != HEAD:
        _upgrade(db)
    if not is_engine_ready:
        engine.prepare(db)
    return version != HEAD or not is_engine_ready


def _version(db: Connection) -> str | None:
    if not inspect(db).has_table(VERSION_TABLE):
        return None
    query = f"SELECT version_num FROM {VERSION_TABLE}"  # nosec B608  # noqa: S608  the name is ours
    version: str | None = db.scalar(text(query))
    return version


def _wrong_version(version: str | None) -> DatabaseError:
    if version in VERSIONS:
        return DatabaseError(
            f"the database has an older version ({version}): run `tillpost outbox migrate`"
        )
    return DatabaseError(
        f"the database has a newer version ({version}) than this Tillpost supports ({HEAD}): "
        "update Tillpost"
    )


def _upgrade(db: Connection) -> None:
    # Imported here, since Alembic takes longer to import than all else, and is needed once.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(STEPS).replace("%", "%%"))
    config.attributes["connection"] = db
    command.upgrade(config, "head")
