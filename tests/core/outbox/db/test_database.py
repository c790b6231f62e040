"""The server that the tests run on keeps what it was given, and gives each test a database of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from databases import PostgresServer, Stop

ORDERS = sa.Table("orders", sa.MetaData(), sa.Column("id", sa.Text, primary_key=True))


def stored(url: str) -> list[str]:
    engine = sa.create_engine(url)
    try:
        with engine.connect() as connection:
            return list(connection.scalars(sa.select(ORDERS.c.id)))
    finally:
        engine.dispose()


def store(url: str, order_id: str) -> None:
    engine = sa.create_engine(url)
    try:
        with engine.begin() as connection:
            ORDERS.metadata.create_all(connection)
            connection.execute(ORDERS.insert(), {"id": order_id})
    finally:
        engine.dispose()


@pytest.mark.parametrize("test", ["the first", "the second"])
def test_each_test_has_an_empty_database(postgres_url: str, test: str) -> None:
    store(postgres_url, "A-1")  # would find the table and the order of the other

    assert stored(postgres_url) == ["A-1"]


def test_a_commit_is_synced_to_disk_as_it_would_be_in_production(postgres_url: str) -> None:
    engine = sa.create_engine(postgres_url)
    with engine.connect() as connection:
        said = [
            connection.scalar(sa.text(f"SHOW {name}")) for name in ("fsync", "synchronous_commit")
        ]
    engine.dispose()

    assert said == ["on", "on"]


@pytest.mark.slow
@pytest.mark.parametrize("how", ["fast", "immediate"])
def test_a_restart_keeps_what_was_committed_and_breaks_the_connections(
    postgres: PostgresServer, postgres_url: str, how: Stop
) -> None:
    store(postgres_url, "A-1")
    engine = sa.create_engine(postgres_url)
    with engine.connect() as connection:
        connection.execute(ORDERS.insert(), {"id": "not committed"})

        postgres.restart(how)

        with pytest.raises(OperationalError) as refused:
            connection.execute(sa.text("SELECT 1"))
        assert refused.value.connection_invalidated
    engine.dispose()
    assert stored(postgres_url) == ["A-1"]


def test_a_test_may_leave_the_server_stopped(postgres: PostgresServer, postgres_url: str) -> None:
    engine = sa.create_engine(postgres_url)

    postgres.stop()

    with pytest.raises(OperationalError), engine.connect():
        pass
    engine.dispose()


def test_the_next_test_finds_it_running(postgres: PostgresServer, postgres_url: str) -> None:
    store(postgres_url, "A-1")

    assert postgres.running


def test_another_process_connects_by_the_address(postgres_url: str) -> None:
    program = """
import sys, sqlalchemy as sa
with sa.create_engine(sys.argv[1]).begin() as connection:
    connection.execute(sa.text("CREATE TABLE orders (id text)"))
    connection.execute(sa.text("INSERT INTO orders VALUES ('A-1')"))
"""
    subprocess.run([sys.executable, "-c", program, postgres_url], check=True)

    assert stored(postgres_url) == ["A-1"]
