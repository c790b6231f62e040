"""Writers of one program share a connection on SQLite, and no failure of one reaches the next."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from tillpost.outbox.db.database import Database
from tillpost.outbox.exceptions import DatabaseError

INSERT = text("INSERT INTO notes VALUES (:note)")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'notes.db'}")
    with database.writing() as db:
        db.execute(text("CREATE TABLE notes (note TEXT UNIQUE)"))
    yield database
    database.close()


def write(database: Database, *notes: str, failure: type[BaseException] | None = None) -> None:
    with database.writing() as db:
        for note in notes:
            db.execute(INSERT, {"note": note})
        if failure:
            raise failure


def notes(database: Database) -> list[str]:
    with database.reading() as db:
        return sorted(db.scalars(text("SELECT note FROM notes")))


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_failed_writer_leaves_nothing_to_the_next(
    database: Database, failure: type[BaseException]
) -> None:
    with pytest.raises(failure):
        write(database, "lost", failure=failure)
    write(database, "kept")
    assert notes(database) == ["kept"]


def test_refused_statement_leaves_nothing_to_the_next(database: Database) -> None:
    write(database, "once")
    with pytest.raises(DatabaseError):
        write(database, "lost", "once")
    write(database, "kept")
    assert notes(database) == ["kept", "once"]


def test_threads_write_in_turn(database: Database) -> None:
    def write_some(name: int) -> None:
        for number in range(20):
            write(database, f"{name}-{number}")

    threads = [threading.Thread(target=write_some, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(notes(database)) == 160


def test_closed_database_holds_no_file_and_opens_again(database: Database, tmp_path: Path) -> None:
    write(database, "before")
    database.close()
    descriptors = Path("/proc/self/fd")
    if descriptors.is_dir():
        held = [os.path.realpath(each) for each in descriptors.iterdir()]
        assert not [path for path in held if path.startswith(str(tmp_path))]
    write(database, "after")
    assert notes(database) == ["after", "before"]
