"""The database's files are its owner's alone, and no text shows the password in its address."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import traceback
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.toy import toy_order
from tillpost import ConfigError, Outbox
from tillpost.outbox import DatabaseError
from tillpost.outbox.db import schema
from tillpost.outbox.db.bounded_psycopg import BoundedConnection
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


PASSWORD = "CANARY-database-3f1e"


def shown_with_locals(error: BaseException) -> str:
    """Return a traceback as rich, Sentry and others show it, from our first frame down."""
    whole = traceback.TracebackException.from_exception(error, capture_locals=True)
    ours = [frame for frame in whole.stack if "tillpost" in frame.filename]
    assert ours
    shown = "".join(traceback.StackSummary.from_list(ours).format())
    # A context that isn't printed may be shown all the same.
    return shown + (shown_with_locals(error.__context__) if error.__context__ else "")


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://mia:{PASSWORD}@127.0.0.1:port/shop",
        f"nodatabase://mia:{PASSWORD}@127.0.0.1/shop",
        f"mysql://mia:{PASSWORD}@127.0.0.1/shop",
        f"mia:{PASSWORD}@127.0.0.1",
    ],
)
@pytest.mark.parametrize("where", ["argument", "environment", "file"])
def test_wrong_url_shows_no_password_in_local_variables(
    url: str, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "tillpost.toml"
    config.write_text(f'[outbox]\ndb = "{url}"\n' if where == "file" else "")
    if where == "environment":
        monkeypatch.setenv("TILLPOST_DB", url)
    else:
        monkeypatch.delenv("TILLPOST_DB", raising=False)
    with pytest.raises(DatabaseError) as refused:
        Outbox.from_config(config, url=url if where == "argument" else "")
    assert PASSWORD not in shown_with_locals(refused.value)


def test_wrong_setting_shows_no_database_password(tmp_path: Path) -> None:
    config = tmp_path / "tillpost.toml"
    config.write_text("[outbox]\nthreads = 0\n")
    with pytest.raises(ConfigError) as refused:
        Outbox.from_config(config, url=f"postgresql://mia:{PASSWORD}@127.0.0.1/shop")
    assert PASSWORD not in shown_with_locals(refused.value)


def test_interrupted_connecting_shows_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """What isn't the database's error passes through our frames as it is."""

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(BoundedConnection, "connect", interrupt)
    database = Database(f"postgresql://mia:{PASSWORD}@127.0.0.1/shop")
    with pytest.raises(KeyboardInterrupt) as interrupted, database.reading():
        pass
    assert PASSWORD not in shown_with_locals(interrupted.value)


def test_another_process_does_not_delete_the_log_in_use(tmp_path: Path) -> None:
    """It would if this process lost its locks on the file: orders added later would vanish."""
    url = f"sqlite:///{tmp_path}/orders.db"
    with Outbox(url) as outbox:
        outbox.add(toy_order("ord-1"), connection="cafe")
        # The pool opens a second connection, while the first goes on.
        with outbox.database.reading() as db:
            db.execute(sa.select(schema.orders.c.id)).all()
            outbox.add(toy_order("ord-2"), connection="cafe")

        assert ids_in_another_process(url) == ["ord-1", "ord-2"]
        outbox.add(toy_order("ord-3"), connection="cafe")
        assert ids_in_another_process(url) == ["ord-1", "ord-2", "ord-3"]


def ids_in_another_process(url: str) -> list[str]:
    """Return the ids of the orders, read by a process that opens and closes the database."""
    program = (
        "import json, sys; from tillpost import Outbox\n"
        "with Outbox(sys.argv[1]) as outbox:\n"
        "    print(json.dumps(sorted(stored.id for stored in outbox.orders())))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, url], capture_output=True, text=True, check=True
    )
    ids: list[str] = json.loads(done.stdout)
    return ids


@pytest.mark.parametrize(
    "scheme", ["mysql", "mysql+pymysql", "mariadb", "mariadb+mariadbconnector"]
)
def test_mysql_is_refused_with_the_reason(scheme: str) -> None:
    with pytest.raises(DatabaseError) as wrong:
        Outbox(f"{scheme}://cafe:hush@h/x")
    text = str(wrong.value)
    assert text.startswith("the database must be SQLite or PostgreSQL, not MySQL or MariaDB: ")
    assert "\n" not in text
    assert "hush" not in text


@pytest.mark.parametrize(
    ("scheme", "driver"),
    [
        ("postgres", "psycopg"),
        ("postgresql", "psycopg"),
        ("postgres+psycopg", "psycopg"),
        ("postgresql+psycopg", "psycopg"),
    ],
)
def test_postgres_scheme_means_postgresql_with_psycopg(scheme: str, driver: str) -> None:
    with Outbox(f"{scheme}://cafe:hush@h/x") as outbox:
        url = outbox.database.engine.url
        assert (url.drivername, outbox.database.is_sqlite) == (f"postgresql+{driver}", False)


def test_postgres_scheme_reaches_a_real_server(postgres_url: str) -> None:
    with Outbox(postgres_url.replace("postgresql+psycopg:", "postgres:")) as outbox:
        outbox.add(toy_order(), connection="cafe")
        assert [stored.id for stored in outbox.orders()] == ["ord-1"]
