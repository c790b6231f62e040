"""Settings of the outbox from the call, the environment and the TOML file."""

from __future__ import annotations

import subprocess
import sys
import time
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from core.outbox.corner_shop import lunch
from tillpost import ConfigError, OrderError, Outbox
from tillpost.models.order import Pickup
from tillpost.outbox import ConnectionOptions, DatabaseError, OrderState, OutboxSettings
from tillpost.outbox.delivery.connections import FromFile
from tillpost.outbox.delivery.open_connections import OpenConnections
from tillpost.outbox.settings import load_settings


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and no variable of Tillpost in the environment."""
    monkeypatch.chdir(tmp_path)
    for variable in ("TILLPOST_DB", "TILLPOST_CONFIG"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path


def test_missing_default_file_gives_default_settings() -> None:
    with Outbox.from_config() as outbox:
        assert outbox.settings == OutboxSettings()
        assert outbox.orders() == []
    assert Path("tillpost.db").exists()


def test_url_argument_beats_environment_which_beats_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("tillpost.toml").write_text('[outbox]\ndb = "sqlite:///of-the-file.db"\n')
    cases = [
        (None, "", "of-the-file.db"),
        (None, "sqlite:///of-the-environment.db", "of-the-environment.db"),
        ("sqlite:///of-the-call.db", "sqlite:///x", "of-the-call.db"),
    ]
    for argument, variable, expected in cases:
        monkeypatch.setenv("TILLPOST_DB", variable)
        with Outbox.from_config(url=argument) as outbox:
            assert outbox.database.engine.url.database == expected


def test_setting_is_read_from_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "postgresql://cafe:hush@db.example/orders"
    monkeypatch.setenv("ORDERS_DB", url)
    Path("tillpost.toml").write_text('[outbox]\ndb = "env:ORDERS_DB"\nthreads = 3\n')
    settings = load_settings()
    assert (settings.db, settings.threads) == (url, 3)
    assert "hush" not in repr(settings)
    with Outbox.from_config() as outbox:
        assert "hush" not in repr(outbox.database)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "[outbox]\nthreads = 0",
            "tillpost.toml: [outbox] threads: must be 1 or more",
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
            "tillpost.toml: [connections.cafe.outbox] lead: must be 0 or more",
        ),
        ('[connections.cafe.outbox]\nsync_at = "10:30"', "sync_at needs the store's time_zone"),
        ("[outbox", "tillpost.toml: not TOML: "),
    ],
)
def test_invalid_setting_is_reported_in_one_line(text: str, line: str) -> None:
    Path("tillpost.toml").write_text(text + "\n")
    with pytest.raises(ConfigError) as wrong:
        Outbox.from_config()
    assert line in str(wrong.value)
    assert "\n" not in str(wrong.value)


@pytest.mark.parametrize(
    "url", ["orders.db", "mysql://cafe:hush@h/x", "sqlite://", "postgresql://cafe:hush@h:port/x"]
)
def test_invalid_url_error_says_where_it_was_set(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
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


@pytest.mark.parametrize("url", ["", "  "])
def test_empty_url_argument_is_refused_in_one_line(url: str) -> None:
    line = "the database's URL is empty: name one, as in sqlite:///orders.db"
    with pytest.raises(DatabaseError) as of_constructor:
        Outbox(url)
    with pytest.raises(DatabaseError) as of_config:
        Outbox.from_config(url=url)
    assert str(of_constructor.value) == str(of_config.value) == line


def test_empty_url_in_settings_is_refused_in_one_line() -> None:
    with pytest.raises(DatabaseError, match=r"^\[outbox\] db: the database's URL is empty"):
        Outbox(settings=OutboxSettings(db=""))


def test_url_of_none_is_the_default() -> None:
    with Outbox(None) as outbox:
        assert outbox.database.engine.url.database == "tillpost.db"


def test_named_file_must_exist() -> None:
    with pytest.raises(ConfigError, match=r"elsewhere\.toml: No such file"):
        Outbox.from_config("elsewhere.toml")


def test_connection_options_default_to_the_outbox_settings() -> None:
    settings = OutboxSettings(concurrency=9, lead=60)
    own = ConnectionOptions(sync_at="10:30", time_zone="Australia/Sydney", lead=5)
    merged = settings.options_of(own)
    assert (merged.concurrency, merged.lead, merged.sync_at) == (9, 5, "10:30")
    defaults = settings.options_of(None)
    assert (defaults.concurrency, defaults.lead) == (9, 60)


def test_worker_uses_outbox_concurrency_if_connection_sets_none() -> None:
    Path("tillpost.toml").write_text(
        '[connections.cafe]\nplatform = "square"\nlocation_id = "L"\naccess_token = "t"\n'
        '[connections.cafe.outbox]\nsync_at = "10:30"\ntime_zone = "UTC"\n'
    )
    connections = OpenConnections(FromFile(), OutboxSettings(concurrency=9), time.time)
    try:
        assert connections.options("cafe").concurrency == 9
    finally:
        connections.close()


def test_scheduled_order_is_due_by_the_lead_of_its_connection() -> None:
    due_at = datetime.now(UTC) + timedelta(hours=3)
    Path("tillpost.toml").write_text(
        "[outbox]\nlead = 600\n"
        "[connections.near]\n"
        "[connections.far]\n"
        "[connections.far.outbox]\nlead = 3600\n"
    )
    with Outbox.from_config() as outbox:
        for name, lead in (("near", 600), ("far", 3600)):
            order = lunch(f"ord-{name}", fulfilment=Pickup(due_at=due_at))
            added = outbox.add(order, connection=name)
            assert added.due_at == pytest.approx(due_at.timestamp() - lead)


def run_python(program: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    return ended.stdout


def test_tillpost_imports_outbox_lazily() -> None:
    loaded = "'sqlalchemy' in sys.modules"
    output = run_python(
        f"import sys, tillpost; print({loaded}); print(tillpost.Outbox.__name__, {loaded})"
    )
    assert output.split() == ["False", "Outbox", "True"]


WITHOUT_SQLALCHEMY = """
import importlib.util
real = importlib.util.find_spec

def find_spec(name, package=None):
    return None if name == "sqlalchemy" else real(name, package)

importlib.util.find_spec = find_spec
from tillpost import *
try:
    from tillpost import Outbox
except ModuleNotFoundError as missing:
    print(missing)
"""


def test_import_without_extra_says_what_to_install() -> None:
    output = run_python(WITHOUT_SQLALCHEMY)
    assert output == "the outbox needs sqlalchemy: pip install 'tillpost[outbox]'\n"


CAFE = '[connections.cafe-42]\nplatform = "square"\nlocation_id = "L"\naccess_token = "t"\n'


def test_unknown_connection_is_refused_until_the_file_has_it() -> None:
    file = Path("tillpost.toml")
    file.write_text(CAFE)
    with Outbox.from_config() as outbox:
        with pytest.raises(ConfigError) as unknown:
            outbox.add(lunch("o-1"), connection="cafe-24")
        assert str(unknown.value) == "no connection 'cafe-24'; did you mean 'cafe-42'?"
        assert outbox.orders() == []

        file.write_text(CAFE + CAFE.replace("cafe-42", "cafe-24"))
        outbox.add(lunch("o-1"), connection="cafe-24")

        file.write_text("not TOML")
        outbox.add(lunch("o-2"), connection="bar")
        assert {stored.connection for stored in outbox.orders()} == {"cafe-24", "bar"}


def test_unknown_connection_is_refused_within_a_transaction() -> None:
    Path("tillpost.toml").write_text(CAFE)
    with Outbox.from_config() as outbox:
        own = sa.create_engine(outbox.database.engine.url)
        with own.begin() as session:
            session.execute(sa.text("CREATE TABLE payments (id TEXT)"))
            with pytest.raises(ConfigError, match="no connection 'bar'; there are: cafe-42"):
                outbox.add(lunch("o-1"), connection="bar", session=session)
            outbox.add(lunch("o-1"), connection="cafe-42", session=session)
        own.dispose()
        assert [stored.id for stored in outbox.orders()] == ["o-1"]


def test_known_names_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    others = "".join(CAFE.replace("42", str(number)) for number in range(30))
    Path("tillpost.toml").write_text(others)
    reads: list[str] = []
    read = tomllib.loads

    def counted(text: str) -> dict[str, Any]:
        reads.append("")
        return read(text)

    with Outbox.from_config() as outbox:
        outbox.prepare()
        monkeypatch.setattr(tomllib, "loads", counted)
        for number in range(30):
            outbox.add(lunch(f"o-{number}"), connection=f"cafe-{number}")
    assert len(reads) == 1


@pytest.mark.parametrize(
    ("connection", "kind", "line"),
    [
        ("", ConfigError, "the connection has no name: add(order, connection='cafe-42')"),
        (None, TypeError, "connection must be a str, not NoneType"),
        (42, TypeError, "connection must be a str, not int"),
    ],
)
def test_connection_without_a_name_is_refused(
    connection: Any, kind: type[Exception], line: str
) -> None:
    with Outbox() as outbox:
        with pytest.raises(kind) as wrong:
            outbox.add(lunch("o-1"), connection=connection)
        assert str(wrong.value) == line
        assert outbox.orders() == []


def test_dict_in_place_of_an_order_is_refused() -> None:
    order: Any = lunch("o-1").model_dump()
    with Outbox() as outbox, pytest.raises(TypeError) as wrong:
        outbox.add(order, connection="cafe")
    assert str(wrong.value) == ("an order is a tillpost.Order: Order.model_validate(...) makes one")


def test_orders_are_filtered_by_states_or_by_one() -> None:
    with Outbox() as outbox:
        outbox.add(lunch("o-1"), connection="cafe")
        for states in ("due", ["due"], OrderState.DUE, [OrderState.DUE, "error"], ()):
            assert [stored.id for stored in outbox.orders(states=states)] == ["o-1"]
        assert outbox.orders(states="error") == []


@pytest.mark.parametrize("states", ["duee", ["due", "duee"]])
def test_unknown_state_is_refused_with_the_known_ones(states: Any) -> None:
    with Outbox() as outbox, pytest.raises(ValueError) as wrong:
        outbox.orders(states=states)
    assert str(wrong.value) == (
        "no state 'duee'; there are: due, sending, received, accepted, rejected, error, manual, "
        "cancelled"
    )


def test_every_fault_of_an_added_order_is_named() -> None:
    order = lunch("o-1").model_copy(update={"id": "o 1", "currency": "AU", "code": ""})
    with Outbox() as outbox, pytest.raises(OrderError) as wrong:
        outbox.add(order, connection="cafe")
    assert wrong.value.detail == (
        "the order isn't valid: id: must be 1 to 40 visible ASCII characters, without spaces; "
        "code: must not be empty; "
        "currency: must be a currency's three capital letters (ISO 4217), such as AUD"
    )
