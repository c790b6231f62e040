"""The database's files are its owner's alone, and no text shows the password in its address."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from core.toy import toy_order
from tillpost import Outbox
from tillpost.outbox import DatabaseError
from tillpost.outbox.db.database import Database

WIDE_OPEN = 0


@pytest.fixture
def umask() -> object:
    """Let new files be readable by everybody, as some machines do."""
    before = os.umask(WIDE_OPEN)
    yield before
    os.umask(before)


def permissions(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.glob("orders.db*")}


@pytest.mark.parametrize("address", ["sqlite:///{}", "sqlite:///file:{}?uri=true"])
def test_new_database_is_readable_by_its_owner_alone(
    tmp_path: Path, umask: object, address: str
) -> None:
    with Outbox(address.format(tmp_path / "orders.db")) as outbox:
        outbox.add(toy_order(), connection="cafe")
        with outbox.database.reading():
            assert permissions(tmp_path) == {
                "orders.db": 0o600,
                "orders.db-wal": 0o600,
                "orders.db-shm": 0o600,
            }


def test_permissions_that_an_admin_chose_stay(tmp_path: Path) -> None:
    file = tmp_path / "orders.db"
    file.touch()
    file.chmod(0o640)
    with Outbox(f"sqlite:///{file}") as outbox:
        outbox.prepare()
    assert permissions(tmp_path) == {"orders.db": 0o640}


@pytest.mark.parametrize("mode", ["mode=ro", "mode=rw"])
def test_address_that_creates_no_file_creates_none(tmp_path: Path, mode: str) -> None:
    database = Database(f"sqlite:///file:{tmp_path / 'orders.db'}?{mode}&uri=true")
    with pytest.raises(DatabaseError), database.reading():
        pass
    database.close()
    assert permissions(tmp_path) == {}


def test_folder_that_does_not_exist_is_reported(tmp_path: Path) -> None:
    with (
        Outbox(f"sqlite:///{tmp_path / 'nowhere' / 'orders.db'}") as outbox,
        pytest.raises(DatabaseError, match="unable to open database file"),
    ):
        outbox.prepare()


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://me:CANARY@db.example/orders",
        "postgresql://me@db.example/orders?password=CANARY",
        "postgresql://db.example/orders?user=me&passfile=CANARY&sslpassword=CANARY",
    ],
)
def test_password_of_an_address_is_never_shown(address: str) -> None:
    database = Database(address)
    assert "db.example/orders" in repr(database)
    assert "CANARY" not in f"{database!r} {database}"


@pytest.mark.parametrize(
    "address",
    ["mysql://me@db.example/orders?password=CANARY", "nosuch://me:CANARY@db.example/?a=CANARY"],
)
def test_refused_address_does_not_show_its_password(address: str) -> None:
    with pytest.raises(DatabaseError) as caught:
        Database(address)
    assert "CANARY" not in str(caught.value)
