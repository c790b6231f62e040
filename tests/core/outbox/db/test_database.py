"""The tests' PostgreSQL server: durable commits, restarts, and a database for each test."""

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
    store(postgres_url, "A-1")  # would fail on the other test's row

    assert stored(postgres_url) == ["A-1"]


def test_commits_are_synced_to_disk_as_in_production(postgres_url: str) -> None:
    engine = sa.create_engine(postgres_url)
    with engine.connect() as connection:
        settings = [
            connection.scalar(sa.text(f"SHOW {name}")) for name in ("fsync", "synchronous_commit")
        ]
    engine.dispose()

    assert settings == ["on", "on"]


@pytest.mark.slow
@pytest.mark.parametrize("how", ["fast", "immediate"])
def test_restart_keeps_commits_and_breaks_connections(
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


def test_server_may_be_left_stopped(postgres: PostgresServer, postgres_url: str) -> None:
    engine = sa.create_engine(postgres_url)

    postgres.stop()

    with pytest.raises(OperationalError), engine.connect():
        pass
    engine.dispose()


def test_server_is_running_in_the_next_test(postgres: PostgresServer, postgres_url: str) -> None:
    store(postgres_url, "A-1")

    assert postgres.running


def test_another_process_can_connect(postgres_url: str) -> None:
    program = """
import sys, sqlalchemy as sa
with sa.create_engine(sys.argv[1]).begin() as connection:
    connection.execute(sa.text("CREATE TABLE orders (id text)"))
    connection.execute(sa.text("INSERT INTO orders VALUES ('A-1')"))
"""
    subprocess.run([sys.executable, "-c", program, postgres_url], check=True)

    assert stored(postgres_url) == ["A-1"]
