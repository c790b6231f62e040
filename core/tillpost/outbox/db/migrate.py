"""Creates the outbox's tables, and migrates older ones.

A new database is made ready at its first use; an older one is migrated only on request. The steps
are Alembic's, in `migrations`, with a version table of our own, so that the outbox can live beside
an embedder's tables and migrations. They run in the caller's transaction: a migration is complete
or didn't happen.

**Releases run side by side.** A change of the tables takes two releases, so that a company can
replace its programs one by one:

1. *Expand*: a step of the newer release adds tables, indexes, or columns that are nullable or have
   a default. Programs of the older release know nothing of them, and go on. The newer release reads
   rows that were written without them.
2. *Contract*: a step of a later release removes what no release needs any more that may still run.

Each step says in `oldest` which version of the tables a program must know to work after it: its own
for a step that contracts, an earlier one for a step that expands. The database keeps that of its
steps beside its version, so that a program meets one of three:

* its own version, or a newer one whose `oldest` it knows: it works;
* an older version: it names the command that migrates;
* a newer version whose `oldest` it doesn't know: it stops, and says to update.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import Connection, inspect, text

from tillpost.outbox.db.database import give_time
from tillpost.outbox.engine import Engine
from tillpost.outbox.exceptions import DatabaseError

if TYPE_CHECKING:
    from alembic.config import Config

__all__ = [
    "HEAD",
    "VERSIONS",
    "MigrationPlan",
    "MigrationStep",
    "is_created",
    "is_ready",
    "migrate",
    "plan",
    "prepare",
]

VERSION_TABLE = "tillpost_version"

VERSIONS = ("0001", "0002")
"""The versions of the tables, oldest first."""

HEAD = VERSIONS[-1]

STEPS = Path(__file__).parent / "migrations"
"""The folder of the migration steps."""

_OLDEST = "oldest"
"""The column of the version table that says which version a program must know.

It is there once a step has left older programs working; until then only the same version works.
"""

_LOCK = 0x7111_9057
"""The number of PostgreSQL's advisory lock.

Under that lock one program migrates at a time.
"""


class MigrationStep(NamedTuple):
    """A step that a migration takes.

    Attributes:
        version: The version of the tables after it.
        text: What it does, in a sentence.
        oldest: The version that a program must know at least to work after it.
        stops_others: Whether programs that work with the database now stop working.
    """

    version: str
    text: str
    oldest: str
    stops_others: bool


class MigrationPlan(NamedTuple):
    """What a migration would do.

    Attributes:
        version: The version of the tables now; None for a new database.
        steps: The steps that are missing, in their sequence.
        prepares_engine: Whether what the engine needs is missing.
    """

    version: str | None
    steps: Sequence[MigrationStep]
    prepares_engine: bool


class _State(NamedTuple):
    """The version of a database, and the version that a program must know to use it."""

    version: str
    oldest: str

    @property
    def is_supported(self) -> bool:
        """Whether this Tillpost works with it, which may be older than the database."""
        is_newer = self.version not in VERSIONS
        return self.version == HEAD or (is_newer and self.oldest in VERSIONS)


def prepare(db: Connection, engine: Engine) -> None:
    """Make a database ready that is new, or that was used with another engine.

    Raises:
        DatabaseError: its tables are of a version that this Tillpost doesn't work with.
    """
    state = _state(db)
    if state is not None and not state.is_supported:
        raise _wrong_version(state)
    migrate(db, engine)


def is_created(db: Connection) -> bool:
    """Return whether the tables exist, in any version."""
    return _state(db) is not None


def is_ready(db: Connection, engine: Engine) -> bool:
    """Return whether this Tillpost can use the tables, and its engine, too."""
    state = _state(db)
    return state is not None and state.is_supported and engine.is_ready(db)


def plan(db: Connection, engine: Engine) -> MigrationPlan:
    """Return what `migrate` would do. Nothing is changed.

    Raises:
        DatabaseError: the tables are of a newer version that this Tillpost doesn't work with.
    """
    state = _state(db)
    version = state.version if state else None
    prepares_engine = not engine.is_ready(db)
    if state is not None and state.version not in VERSIONS:
        if not state.is_supported:
            raise _wrong_version(state)
        return MigrationPlan(version, (), prepares_engine)
    done = VERSIONS.index(state.version) + 1 if state else 0
    in_use = state.oldest if state else HEAD
    steps = [
        MigrationStep(name, sentence, oldest, oldest > in_use)
        for name, sentence, oldest in _known_steps()[done:]
    ]
    return MigrationPlan(version, steps, prepares_engine)


def migrate(db: Connection, engine: Engine) -> bool:
    """Bring the tables to this version, and create what the engine needs.

    A newer version that this Tillpost works with is left as it is.

    Returns:
        Whether there was anything to do.

    Raises:
        DatabaseError: the tables are of a newer version that this Tillpost doesn't work with.
    """
    if is_ready(db, engine):
        return False
    give_time(db)
    if db.dialect.name == "postgresql":
        db.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    state = _state(db)
    is_older = state is None or (state.version in VERSIONS and state.version != HEAD)
    if state is not None and not is_older and not state.is_supported:
        raise _wrong_version(state)
    is_engine_ready = engine.is_ready(db)
    if is_older:
        _upgrade(db)
    if not is_engine_ready:
        engine.prepare(db)
    return is_older or not is_engine_ready


def _state(db: Connection) -> _State | None:
    """Return the version of a database; None if it has no tables."""
    if not inspect(db).has_table(VERSION_TABLE):
        return None
    # All columns are asked for, as reflecting them needs the server's version, which a driver's
    # connection doesn't say.
    query = f"SELECT * FROM {VERSION_TABLE}"  # nosec B608  # noqa: S608  our name
    row = db.execute(text(query)).mappings().one_or_none()
    if row is None:
        return None
    version = row["version_num"]
    return _State(version, row.get(_OLDEST) or version)


def _wrong_version(state: _State) -> DatabaseError:
    if state.version in VERSIONS:
        return DatabaseError(
            f"the database has an older version ({state.version}): run `tillpost outbox migrate`"
        )
    return DatabaseError(
        f"the database has a newer version ({state.version}) than this Tillpost supports ({HEAD}):"
        " update Tillpost"
    )


def _upgrade(db: Connection) -> None:
    # Imported here, since Alembic takes longer to import than all else, and is needed once.
    from alembic import command

    config = _config()
    config.attributes["connection"] = db
    command.upgrade(config, "head")
    _note_oldest(db)


def _note_oldest(db: Connection) -> None:
    """Write down which version a program must know, for programs older than this."""
    oldest = max(step_oldest for _, _, step_oldest in _known_steps())
    columns = {column["name"] for column in inspect(db).get_columns(VERSION_TABLE)}
    if _OLDEST not in columns:
        if oldest == HEAD:
            return
        db.execute(text(f"ALTER TABLE {VERSION_TABLE} ADD COLUMN {_OLDEST} VARCHAR(32)"))
    query = f"UPDATE {VERSION_TABLE} SET {_OLDEST} = :oldest"  # nosec B608  # noqa: S608  our names
    db.execute(text(query), {"oldest": oldest})


def _known_steps() -> Sequence[tuple[str, str, str]]:
    """Return each step: its version, what it does, and its `oldest`.

    A step that doesn't say that stops every older program.
    """
    from alembic.script import ScriptDirectory

    script = ScriptDirectory.from_config(_config())
    found = {
        step.revision: (step.revision, step.doc, getattr(step.module, _OLDEST, step.revision))
        for step in script.walk_revisions()
    }
    return [found[version] for version in VERSIONS]


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(STEPS).replace("%", "%%"))
    return config
