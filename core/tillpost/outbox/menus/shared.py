"""The menus that all workers share.

There is one import of a menu at a time, and one menu in effect. A `Processor` has one `Menus`.
Where another worker is importing the menu already, an import raises `MenuImportRunning`, and the
worker uses the menu which that import brings.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import Connection, bindparam, insert, select, update

from tillpost.client.locks import NamedLocks
from tillpost.errors import ErrorRecord, PosError
from tillpost.models.menu import Menu
from tillpost.models.safe_text import safe_logger
from tillpost.outbox.db import schema as t
from tillpost.outbox.db.connection_rows import ConnectionRows
from tillpost.outbox.exceptions import DatabaseError, MenuImportRunning
from tillpost.outbox.orders.workers import WorkerRegistry
from tillpost.outbox.rows import Row
from tillpost.submission.context import MenuCache
from tillpost.submission.menu_import import MenuImport

__all__ = ["Menus"]

log = safe_logger("tillpost.outbox")

_CONNECTION = t.connections.c

# Statements are built once: SQLAlchemy takes longer to build one than to run it.
_IN_EFFECT = select(
    _CONNECTION.menu,
    _CONNECTION.menu_at,
    _CONNECTION.menu_in_review,
    _CONNECTION.import_failure,
    _CONNECTION.import_failed_at,
).where(_CONNECTION.name == bindparam("connection_name"))
_LOG_IMPORT = insert(t.menu_imports)


@dataclass(frozen=True, slots=True)
class Menus:
    """The menus of all connections, as used by one worker. Thread-safe."""

    workers: WorkerRegistry
    connection_rows: ConnectionRows
    clock: Callable[[], float]
    _locks: NamedLocks = field(default_factory=NamedLocks)
    _unreleased: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def refresh(self, connection: str, menu_cache: MenuCache) -> None:
        """Load the menu that is in effect into the cache."""
        of_connection = {"connection_name": connection}
        with self.workers.database.reading() as db:
            found = db.execute(_IN_EFFECT, of_connection).mappings().one_or_none()
        if found is None:
            return
        row = Row(t.connections, found)
        menu_cache.menu = row.parse("menu", Menu.model_validate_json)
        menu_cache.held = row.parse("menu_in_review", Menu.model_validate_json)
        menu_cache.imported_at = row["menu_at"]
        menu_cache.failure = row.parse("import_failure", ErrorRecord.model_validate_json)
        menu_cache.failed_at = row["import_failed_at"]
        if row.faults:
            # Without its menu a connection sends what it is given, and imports a menu when needed.
            columns = ",".join(row.faults)
            log.warning("unreadable_columns_skipped connection=%s columns=%s", connection, columns)

    def importing(
        self,
        connection: str,
        worker: str,
        menu_cache: MenuCache,
        run: Callable[[], MenuImport],
    ) -> MenuImport:
        """Run an import of the menu while no other worker does, and store its result.

        Args:
            connection: The name of the connection.
            worker: The id of this worker.
            menu_cache: Refreshed before the import; `run` puts its result there.
            run: Imports the menu.

        Raises:
            MenuImportRunning: another worker is importing the menu, or this worker was declared
                dead.
            PosError: whatever `run` raises.
        """
        # The threads of one worker share the cache, so only one of them may run.
        with self._locks.hold(connection):
            try:
                return self._import(connection, worker, menu_cache, run)
            except DatabaseError:
                # The claim may still be there, and no other worker imports while this one lives.
                self._unreleased.append((connection, worker))
                raise

    def release_unfinished(self) -> None:
        """Release the claims of imports that were left when the database failed."""
        while True:
            try:
                connection, worker = self._unreleased.pop()
            except IndexError:
                return
            try:
                with self._locks.hold(connection):
                    self._release(connection, worker)
            except DatabaseError:
                self._unreleased.append((connection, worker))
                return

    def _import(
        self,
        connection: str,
        worker: str,
        menu_cache: MenuCache,
        run: Callable[[], MenuImport],
    ) -> MenuImport:
        self._claim(connection, worker)
        try:
            self.refresh(connection, menu_cache)
            result = run()
        except PosError:
            self._store_failure(connection, worker, menu_cache)
            raise
        except BaseException:
            self._release(connection, worker)
            raise
        self._store_result(connection, worker, menu_cache, result)
        return result

    def _claim(self, connection: str, worker: str) -> None:
        with self.workers.database.writing() as db:
            if not self.workers.is_enlisted(db, worker):
                raise MenuImportRunning
            importer = self.connection_rows.lock(db, connection)["importer"]
            if importer not in (None, worker):
                raise MenuImportRunning
            self.connection_rows.update(db, connection, {"importer": worker})

    def _release(self, connection: str, worker: str) -> None:
        with self.workers.database.writing() as db:
            claimed = (_CONNECTION.name == connection, _CONNECTION.importer == worker)
            db.execute(update(t.connections).where(*claimed).values(importer=None))

    def _store_failure(self, connection: str, worker: str, menu_cache: MenuCache) -> None:
        """Store why the import failed, and release it."""
        failure = menu_cache.failure.model_dump_json() if menu_cache.failure else None
        values = {"import_failed_at": menu_cache.failed_at, "import_failure": failure}
        with self.workers.database.writing() as db:
            if self._is_importer(db, connection, worker):
                self.connection_rows.update(db, connection, {"importer": None, **values})

    def _store_result(
        self,
        connection: str,
        worker: str,
        menu_cache: MenuCache,
        result: MenuImport,
    ) -> None:
        """Store the imported menu, if it is a new one, and release the import."""
        values: dict[str, object] = {"importer": None}
        if result.fresh:
            values["menu"] = _menu_json(menu_cache.menu)
            values["menu_at"] = menu_cache.imported_at
            values["menu_in_review"] = _menu_json(menu_cache.held)
        with self.workers.database.writing() as db:
            if not self._is_importer(db, connection, worker):
                return
            if result.fresh:
                self._log_import(db, connection, result)
            self.connection_rows.update(db, connection, values)

    def _is_importer(self, db: Connection, connection: str, worker: str) -> bool:
        """Return whether the import is still this worker's.

        A worker that was declared dead lost it.
        """
        return bool(self.connection_rows.lock(db, connection)["importer"] == worker)

    def _log_import(self, db: Connection, connection: str, result: MenuImport) -> None:
        entry = {
            "connection": connection,
            "imported_at": self.clock(),
            "changes": result.changes.model_dump_json(),
            "needed_review": result.held,
        }
        db.execute(_LOG_IMPORT, entry)


def _menu_json(menu: Menu | None) -> str | None:
    if not menu:
        return None
    return menu.model_dump_json()
