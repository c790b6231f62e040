"""Brings the store's tables to this version: a new database by itself, an old one when a person says so.

The steps are Alembic's, in `migrations`, under a version table of our own, so that the outbox lives
beside an embedder's own tables and migrations. They run in the transaction that is given: all of a
step is there, or nothing.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from tillpost.outbox.engine import Engine
from tillpost.outbox.exceptions import DatabaseError

__all__ = ["HEAD", "VERSIONS", "is_made", "is_ready", "migrate", "prepare"]

VERSION_TABLE = "tillpost_version"

VERSIONS = ("0001",)
"""The versions of the tables, oldest first."""

HEAD = VERSIONS[-1]

_LOCK = 0x7111_9057
"""PostgreSQL's advisory lock under which one program migrates at a time."""


def prepare(db: Connection, engine: Engine) -> None:
    """Make a new database ready, and one that another engine had; raise `DatabaseError` for one of another version."""
    version = _version(db)
    if version in (None, HEAD):
        migrate(db, engine)
    else:
        raise DatabaseError(_other_version(version))


def is_made(db: Connection) -> bool:
    """Whether the tables are there, in whichever version."""
    return _version(db) is not None


def is_ready(db: Connection, engine: Engine) -> bool:
    """Whether the tables are there, in this version, and what the engine needs."""
    return _version(db) == HEAD and engine.is_ready(db)


def migrate(db: Connection, engine: Engine) -> bool:
    """Bring the tables to this version, and what the engine needs; return whether there was anything to do."""
    if is_ready(db, engine):
        return False
    if db.dialect.name == "postgresql":
        db.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    version = _version(db)
    if version not in (None, *VERSIONS):
        raise DatabaseError(_other_version(version))
    unready = not engine.is_ready(db)
    if version != HEAD:
        _upgrade(db)
    if unready:
        engine.prepare(db)
    return unready or version != HEAD


def _version(db: Connection) -> str | None:
    if not inspect(db).has_table(VERSION_TABLE):
        return None
    version: str | None = db.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))  # noqa: S608  the name is ours
    return version


def _other_version(version: str | None) -> str:
    if version in VERSIONS:
        return f"the store is of an older version ({version}): run `tillpost outbox migrate`"
    return f"the store is of a newer version ({version}) than this Tillpost knows ({HEAD}): update Tillpost"


def _upgrade(db: Connection) -> None:
    from alembic import (
        command,
    )  # here, since it takes longer to import than all else, and is needed once
    from alembic.config import Config

    config = Config()
    config.set_main_option(
        "script_location", str(Path(__file__).parent / "migrations").replace("%", "%%")
    )
    config.attributes["connection"] = db
    command.upgrade(config, "head")
