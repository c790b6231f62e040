"""The outbox's settings come from the call, the environment and the TOML file; a wrong one is one line."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.outbox.corner_shop import lunch
from tillpost import ConfigError, Outbox
from tillpost.models.order import Pickup
from tillpost.outbox import ConnectionOptions, DatabaseError, OutboxSettings
from tillpost.outbox.delivery.connections import FromFile
from tillpost.outbox.delivery.open_connections import OpenConnections
from tillpost.outbox.settings import load_settings


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory of its own, and nothing in the environment."""
    monkeypatch.chdir(tmp_path)
    for variable in ("TILLPOST_DB", "TILLPOST_CONFIG"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path


def test_without_a_file_the_defaults_hold() -> None:
    with Outbox.from_config() as outbox:
        assert outbox.settings == OutboxSettings()
        assert outbox.orders() == []
    assert Path("tillpost.db").exists()


def test_the_database_is_the_calls_then_the_environments_then_the_files(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("tillpost.toml").write_text('[outbox]\ndb = "sqlite:///of-the-file.db"\n')
    named: list[str] = []
    for url, variable in (
        ("", ""),
        ("", "sqlite:///of-the-environment.db"),
        ("sqlite:///of-the-call.db", "sqlite:///x"),
    ):
        monkeypatch.setenv("TILLPOST_DB", variable)
        with Outbox.from_config(url=url) as outbox:
            named.append(str(outbox.database.engine.url.database))
    assert named == ["of-the-file.db", "of-the-environment.db", "of-the-call.db"]


def test_a_setting_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERS_DB", "postgresql://cafe:hush@db.example/orders")
    Path("tillpost.toml").write_text('[outbox]\ndb = "env:ORDERS_DB"\nthreads = 3\n')
    settings = load_settings()
    assert (settings.db, settings.threads) == ("postgresql://cafe:hush@db.example/orders", 3)
    assert "hush" not in repr(settings)
    with Outbox.from_config() as outbox:
        assert "hush" not in repr(outbox.database)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "[outbox]\nthreads = 0",
            "tillpost.toml: [outbox] threads: Input should be greater than or equal to 1",
        ),
        ("[outbox]\nthreds = 1", "tillpost.toml: [outbox] threds: isn't a field of it"),
        ("outbox = 3", "tillpost.toml: outbox must be a table: [outbox]"),
        (
            '[outbox]\ndb = "env:NOWHERE"',
            "tillpost.toml: [outbox] db is read from the environment, but NOWHERE isn't set there",
        ),
        ('[outbox]\nengine = "steam"', "no outbox engine 'steam'; there are: embedded"),
        (
            "[connections.cafe.outbox]\nlead = -1",
            "tillpost.toml: [connections.cafe.outbox] lead: Input should be greater than or equal to 0",
        ),
        ('[connections.cafe.outbox]\nsync_at = "10:30"', "sync_at needs the store's time_zone"),
        ("[outbox", "tillpost.toml: not TOML: "),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(text: str, line: str) -> None:
    Path("tillpost.toml").write_text(text + "\n")
    with pytest.raises(ConfigError) as wrong:
        Outbox.from_config()
    assert line in str(wrong.value)
    assert "\n" not in str(wrong.value)


@pytest.mark.parametrize(
    "url", ["orders.db", "mysql://cafe:hush@h/x", "sqlite://", "postgresql://cafe:hush@h:port/x"]
)
def test_a_wrong_url_is_one_line_that_says_where_it_stands(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("tillpost.toml").write_text(f'[outbox]\ndb = "{url}"\n')
    with pytest.raises(DatabaseError) as in_file:
        Outbox.from_config()
    monkeypatch.setenv("TILLPOST_DB", url)
    with pytest.raises(DatabaseError) as in_environment:
        Outbox.from_config()
    assert str(in_file.value).startswith("[outbox] db: ")
    assert str(in_environment.value).startswith("TILLPOST_DB: ")
    for wrong in (in_file, in_environment):
        assert "hush" not in str(wrong.value)
        assert "\n" not in str(wrong.value)


def test_a_file_that_was_named_must_be_there() -> None:
    with pytest.raises(ConfigError, match=r"elsewhere\.toml: No such file"):
        Outbox.from_config("elsewhere.toml")


def test_what_a_connection_leaves_out_the_outbox_says() -> None:
    settings = OutboxSettings(concurrency=9, lead=60)
    own = ConnectionOptions(sync_at="10:30", time_zone="Australia/Sydney", lead=5)
    assert (
        settings.options_of(own).concurrency,
        settings.options_of(own).lead,
        settings.options_of(own).sync_at,
    ) == (
        9,
        5,
        "10:30",
    )
    assert (settings.options_of(None).concurrency, settings.options_of(None).lead) == (9, 60)


def test_a_worker_heeds_the_outboxs_concurrency_where_a_connection_says_something_else() -> None:
    Path("tillpost.toml").write_text(
        '[connections.cafe]\nplatform = "square"\nlocation_id = "L"\naccess_token = "t"\n'
        '[connections.cafe.outbox]\nsync_at = "10:30"\ntime_zone = "UTC"\n'
    )
    opened = OpenConnections(FromFile(), OutboxSettings(concurrency=9))
    try:
        assert opened.options("cafe").concurrency == 9
    finally:
        opened.close()


def test_a_scheduled_order_goes_as_long_before_as_its_connection_says() -> None:
    due_at = datetime.now(UTC) + timedelta(hours=3)
    Path("tillpost.toml").write_text(
        "[outbox]\nlead = 600\n[connections.near]\n[connections.far]\n[connections.far.outbox]\nlead = 3600\n"
    )
    with Outbox.from_config() as outbox:
        for name, lead in (("near", 600), ("far", 3600)):
            order = lunch(f"ord-{name}", fulfilment=Pickup(due_at=due_at))
            added = outbox.add(order, connection=name)
            assert added.due_at == pytest.approx(due_at.timestamp() - lead)


def test_the_outbox_is_imported_from_tillpost_and_only_when_it_is_asked_for() -> None:
    loaded = "'sqlalchemy' in sys.modules"
    program = f"import sys, tillpost; print({loaded}); print(tillpost.Outbox.__name__, {loaded})"
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert ended.stdout.split() == ["False", "Outbox", "True"]


def test_without_the_extra_the_import_says_in_one_line_what_to_install() -> None:
    program = """
import importlib.util
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == "sqlalchemy" else real(name, package)
from tillpost import *
try:
    from tillpost import Outbox
except ModuleNotFoundError as missing:
    print(missing)
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert ended.stdout == "the outbox needs sqlalchemy: pip install 'tillpost[outbox]'\n"
