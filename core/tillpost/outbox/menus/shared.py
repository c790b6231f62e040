"""The menus in the store: one import of a connection's menu at a time, over all workers, and one menu in force for all.

`Menus` belongs to a processor. A worker that wants to import while another does is told so by
`MenuImportRunning`; when that one is done, its menu serves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import Connection, insert, select, update

from tillpost.client.locks import NamedLocks
from tillpost.errors import ErrorRecord, PosError
from tillpost.models.menu import Menu
from tillpost.outbox.db import schema as t
from tillpost.outbox.db.connection_rows import ConnectionRows
from tillpost.outbox.exceptions import MenuImportRunning
from tillpost.outbox.orders.workers import WorkerRegistry
from tillpost.submission.context import MenuCache
from tillpost.submission.menu_import import MenuImport

__all__ = ["Menus"]

_PLACE = t.connections.c


@dataclass(frozen=True, slots=True)
class Menus:
    """The menus of all connections, as one worker uses them."""

    workers: WorkerRegistry
    connection_rows: ConnectionRows
    clock: Callable[[], float]
    _turns: NamedLocks = field(default_factory=NamedLocks)

    def refresh(self, connection: str, menu_cache: MenuCache) -> None:
        """Put on the shelf what the store has."""
        wanted = select(
            _PLACE.menu,
            _PLACE.menu_at,
            _PLACE.menu_in_review,
            _PLACE.import_failure,
            _PLACE.import_failed_at,
        ).where(_PLACE.name == connection)
        with self.connection_rows.database.reading() as db:
            row = db.execute(wanted).one_or_none()
        if row is None:
            return
        menu_cache.menu = Menu.model_validate_json(row.menu) if row.menu else None
        menu_cache.held = (
            Menu.model_validate_json(row.menu_in_review) if row.menu_in_review else None
        )
        menu_cache.imported_at = row.menu_at
        menu_cache.failure = (
            ErrorRecord.model_validate_json(row.import_failure) if row.import_failure else None
        )
        menu_cache.failed_at = row.import_failed_at

    def importing(
        self, connection: str, worker: str, menu_cache: MenuCache, run: Callable[[], MenuImport]
    ) -> MenuImport:
        """Run an import of the connection's menu, alone among all workers, and keep what it brings.

        `run` works on the shelf, which holds what the store has when it begins. Raises
        `MenuImportRunning` when another worker is importing, or others have taken this one for
        dead; and whatever `run` raises.
        """
        with self._turns.hold(connection):
            return self._importing(connection, worker, menu_cache, run)

    def _importing(
        self, connection: str, worker: str, menu_cache: MenuCache, run: Callable[[], MenuImport]
    ) -> MenuImport:
        """Do so while no other thread of this worker does: they share the shelf."""
        with self.connection_rows.database.writing() as db:
            if not self.workers.is_enlisted(db, worker):
                raise MenuImportRunning
            if self.connection_rows.lock(db, connection)["importer"] not in (None, worker):
                raise MenuImportRunning
            self.connection_rows.update(db, connection, {"importer": worker})
        try:
            self.refresh(connection, menu_cache)
            result = run()
        except PosError:
            self._keep(connection, worker, menu_cache, None)
            raise
        except BaseException:
            self._let_go(connection, worker)
            raise
        self._keep(connection, worker, menu_cache, result)
        return result

    def _keep(
        self, connection: str, worker: str, menu_cache: MenuCache, result: MenuImport | None
    ) -> None:
        """Write what an import brought, and let the next one begin. A worker that was taken for dead writes nothing."""
        with self.connection_rows.database.writing() as db:
            if self.connection_rows.lock(db, connection)["importer"] != worker:
                return
            brought: dict[str, object] = {"importer": None}
            if result is None:
                failure = menu_cache.failure.model_dump_json() if menu_cache.failure else None
                brought |= {"import_failed_at": menu_cache.failed_at, "import_failure": failure}
            elif result.fresh:
                brought |= {
                    "menu": menu_cache.menu.model_dump_json() if menu_cache.menu else None,
                    "menu_at": menu_cache.imported_at,
                    "menu_in_review": menu_cache.held.model_dump_json()
                    if menu_cache.held
                    else None,
                }
                self._log(db, connection, result)
            self.connection_rows.update(db, connection, brought)

    def _log(self, db: Connection, connection: str, result: MenuImport) -> None:
        told = {
            "connection": connection,
            "imported_at": self.clock(),
            "changes": result.changes.model_dump_json(),
            "needed_review": result.held,
        }
        db.execute(insert(t.menu_imports).values(**told))

    def _let_go(self, connection: str, worker: str) -> None:
        with self.connection_rows.database.writing() as db:
            mine = (_PLACE.name == connection, _PLACE.importer == worker)
            db.execute(update(t.connections).where(*mine).values(importer=None))
