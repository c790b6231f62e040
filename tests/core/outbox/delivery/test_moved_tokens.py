"""Tokens of a connection that a person changes: never at another host, never over a new grant."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol

import pytest
from pydantic import SecretStr

from core.outbox.expired_kounta import expired_kounta, settings_of
from core.outbox.own_table import OwnTable
from tillpost import ConfigError, OutageError, Outbox
from tillpost.adapter.settings import Credentials
from tillpost.cli.stored_connections import open_stored_till
from tillpost.outbox import ConnectionSource, DatabaseError, Processor
from tillpost.outbox.connections.credentials import CredentialStore, Grant
from tillpost.outbox.connections.encryption import new_key
from tillpost.outbox.delivery.store_queries import StoreQueries
from tillpost.simulator import Running, serve_in_thread
from tillpost_simulators.kounta import KountaSettings, KountaSimulator

TOKEN = "/v1/token"

OPEN_CONNECTIONS = "tillpost.outbox.delivery.open_connections"


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory of its own, an encryption key, and changes that count at once."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TILLPOST_CONFIG", raising=False)
    monkeypatch.setenv("TILLPOST_KEY", new_key())
    monkeypatch.setattr(f"{OPEN_CONNECTIONS}.CHECK_INTERVAL", 0.0)
    monkeypatch.setattr("tillpost.outbox.delivery.sources.POLL_INTERVAL", 0.0)


@pytest.fixture
def kounta() -> Iterator[Running[KountaSimulator]]:
    """The company that is connected first. Its access token has expired."""
    with expired_kounta() as running:
        yield running


@pytest.fixture
def other() -> Iterator[Running[KountaSimulator]]:
    """The company that a person connects in its place."""
    settings = KountaSettings(
        rotates_refresh_tokens=True, access_token="new-grant", refresh_token="new-grants-refresh"
    )
    with serve_in_thread(KountaSimulator(settings)) as running:
        yield running


class Place(Protocol):
    """Where the connection "cafe" is kept."""

    source: ConnectionSource | None

    def connect(self, settings: Mapping[str, object]) -> None:
        """Connect the store, as a person does."""
        ...

    def tokens(self) -> tuple[object, object]:
        """Return the access token and the refresh token that are stored."""
        ...

    def fail(self, *, failing: bool) -> None:
        """Let storing tokens fail from now on, or no more."""
        ...

    def remove(self) -> None:
        """Disconnect the store."""
        ...


class InTable:
    """A table of an embedder's own."""

    def __init__(self, outbox: Outbox, folder: Path) -> None:
        del outbox
        self.source: ConnectionSource | None = None
        self.table = OwnTable(folder / "company.db", "kounta")
        self.source = self.table

    def connect(self, settings: Mapping[str, object]) -> None:
        self.table.put("cafe", settings)

    def tokens(self) -> tuple[object, object]:
        settings = self.table.settings("cafe")
        return settings["access_token"], settings["refresh_token"]

    def fail(self, *, failing: bool) -> None:
        def fail() -> None:
            raise OSError("disk is full")

        self.table.before_saving = fail if failing else lambda: None

    def remove(self) -> None:
        self.table.remove("cafe")


class InVault:
    """Tillpost's own database."""

    def __init__(self, outbox: Outbox, folder: Path) -> None:
        del folder
        outbox.prepare()
        self.source: ConnectionSource | None = None
        self.store = CredentialStore(outbox.database)

    def connect(self, settings: Mapping[str, object]) -> None:
        self.store.save("cafe", "kounta", settings, Grant("Mia Chen"))

    def tokens(self) -> tuple[object, object]:
        stored = self.store.get("cafe")
        assert stored is not None
        secrets = self.store.open(stored)
        access, refresh = secrets["access_token"], secrets["refresh_token"]
        return access.get_secret_value(), refresh.get_secret_value()

    def fail(self, *, failing: bool) -> None:
        trigger = (
            "CREATE TRIGGER full BEFORE UPDATE OF encrypted_secrets ON tillpost_credentials"
            " BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
        )
        with self.store.database.writing() as db:
            db.exec_driver_sql(trigger if failing else "DROP TRIGGER full")

    def remove(self) -> None:
        self.store.delete("cafe")


@pytest.fixture(params=[InTable, InVault])
def place(request: pytest.FixtureRequest, shop_outbox: Outbox, tmp_path: Path) -> Place:
    """Where the connection is kept: each place in its turn."""
    made: Place = request.param(shop_outbox, tmp_path)
    return made


def check(processor: Processor) -> bool:
    return StoreQueries(processor.connections["cafe"]).check().ready


def leave_unsaved(processor: Processor, place: Place) -> None:
    """Refresh the token while it can't be stored."""
    place.fail(failing=True)
    with pytest.raises(DatabaseError):
        check(processor)
    place.fail(failing=False)


# ---------------------------------------------------------------------- unsaved tokens


def test_unsaved_tokens_do_not_overwrite_a_reconnection_at_the_end(
    shop_outbox: Outbox,
    place: Place,
    kounta: Running[KountaSimulator],
    other: Running[KountaSimulator],
    caplog: pytest.LogCaptureFixture,
) -> None:
    place.connect(settings_of(kounta))
    with Processor(shop_outbox, connections=place.source) as processor:
        leave_unsaved(processor, place)
        place.connect(settings_of(other))
        assert check(processor)
    assert place.tokens() == ("new-grant", "new-grants-refresh")
    assert "tokens_dropped connection=cafe" in caplog.text
    assert "tokens_lost" not in caplog.text
    with Processor(shop_outbox, connections=place.source) as processor:
        assert check(processor)


def test_unsaved_tokens_are_not_taken_for_a_new_grant_that_expires(
    shop_outbox: Outbox,
    place: Place,
    kounta: Running[KountaSimulator],
    other: Running[KountaSimulator],
    caplog: pytest.LogCaptureFixture,
) -> None:
    place.connect(settings_of(kounta))
    with Processor(shop_outbox, connections=place.source) as processor:
        leave_unsaved(processor, place)
        place.connect(settings_of(other))
        assert check(processor)
        other.simulator.expire_token()
        assert check(processor)
        assert "tokens_dropped connection=cafe" in caplog.text
    assert other.simulator.count("POST", TOKEN) == 1
    assert place.tokens()[0] in other.simulator.world.tokens


def test_unsaved_tokens_are_dropped_if_only_the_host_changed(
    shop_outbox: Outbox,
    place: Place,
    kounta: Running[KountaSimulator],
    other: Running[KountaSimulator],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The token that they replace is still stored, but it goes to another host now."""
    settings = settings_of(kounta)
    place.connect(settings)
    with Processor(shop_outbox, connections=place.source) as processor:
        leave_unsaved(processor, place)
        place.connect(settings | {"base_url": other.settings["base_url"]})
    assert place.tokens() == (settings["access_token"], settings["refresh_token"])
    assert "tokens_dropped connection=cafe" in caplog.text


def test_unsaved_tokens_survive_a_corrected_site(
    shop_outbox: Outbox, place: Place, kounta: Running[KountaSimulator]
) -> None:
    """The tokens are the company's: it still is that grant which they belong to."""
    place.connect(settings_of(kounta, site_id="9999"))
    with Processor(shop_outbox, connections=place.source) as processor:
        leave_unsaved(processor, place)
        place.connect(settings_of(kounta))
    with Processor(shop_outbox, connections=place.source) as processor:
        assert check(processor)
    assert kounta.simulator.count("POST", TOKEN) == 1


def test_unsaved_tokens_of_a_connection_that_failed_once_are_saved(
    shop_outbox: Outbox, place: Place, kounta: Running[KountaSimulator]
) -> None:
    settings = settings_of(kounta)
    place.connect(settings)
    with Processor(shop_outbox, connections=place.source) as processor:
        leave_unsaved(processor, place)
        place.remove()
        with pytest.raises(ConfigError):
            check(processor)
        place.connect(settings)
    with Processor(shop_outbox, connections=place.source) as processor:
        assert check(processor)
    assert kounta.simulator.count("POST", TOKEN) == 1


def test_unsaved_tokens_of_an_idle_connection_are_saved(
    shop_outbox: Outbox,
    place: Place,
    kounta: Running[KountaSimulator],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(f"{OPEN_CONNECTIONS}.IDLE", 0.0)
    place.connect(settings_of(kounta))
    with Processor(shop_outbox, connections=place.source) as processor:
        leave_unsaved(processor, place)
    with Processor(shop_outbox, connections=place.source) as processor:
        assert check(processor)
    assert kounta.simulator.count("POST", TOKEN) == 1


def test_unsaved_tokens_of_a_deleted_connection_are_logged(
    shop_outbox: Outbox,
    place: Place,
    kounta: Running[KountaSimulator],
    caplog: pytest.LogCaptureFixture,
) -> None:
    place.connect(settings_of(kounta))
    with Processor(shop_outbox, connections=place.source) as processor:
        leave_unsaved(processor, place)
        place.remove()
    assert "tokens_lost connection=cafe" in caplog.text


def test_unsaved_tokens_are_saved_when_a_command_ends(
    shop_outbox: Outbox, tmp_path: Path, kounta: Running[KountaSimulator]
) -> None:
    vault = InVault(shop_outbox, tmp_path)
    vault.connect(settings_of(kounta))
    url = shop_outbox.database.engine.url.render_as_string()
    with open_stored_till("cafe", url, "", []) as till:
        vault.fail(failing=True)
        with pytest.raises(DatabaseError):
            till.check()
        vault.fail(failing=False)
    with Processor(shop_outbox) as processor:
        assert check(processor)
    assert kounta.simulator.count("POST", TOKEN) == 1


def test_unsaved_tokens_are_saved_when_a_receiver_ends(
    shop_outbox: Outbox, place: Place, kounta: Running[KountaSimulator]
) -> None:
    place.connect(settings_of(kounta))
    receiver = shop_outbox.receiver(connections=place.source)
    with closing(receiver):
        place.fail(failing=True)
        opened = receiver._connections["cafe"]  # pyright: ignore[reportPrivateUsage]
        with pytest.raises(DatabaseError):
            StoreQueries(opened).check()
        place.fail(failing=False)
    with Processor(shop_outbox, connections=place.source) as processor:
        assert check(processor)
    assert kounta.simulator.count("POST", TOKEN) == 1


# ---------------------------------------------------------------------- another address


@dataclass
class OldHost:
    """A server that refuses each token as expired, and records it.

    Attributes:
        seen: The paths and the tokens of what it was sent.
        on_first: Called during the first request.
    """

    url: str = ""
    seen: list[tuple[str, str | None]] = field(default_factory=list[tuple[str, str | None]])
    on_first: Callable[[], object] = lambda: None


@pytest.fixture
def old_host() -> Iterator[OldHost]:
    """The host that the connection was at before."""
    host = OldHost()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            host.seen.append((self.path, self.headers.get("authorization")))
            if len(host.seen) == 1:
                host.on_first()
            body = (
                b'{"error":"invalid_token",'
                b'"error_description":"The access token provided has expired"}'
            )
            self.send_response(401)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  as it is named there
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    host.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield host
    server.shutdown()
    server.server_close()


def test_token_of_the_new_host_is_not_sent_to_the_old_one(
    shop_outbox: Outbox, place: Place, old_host: OldHost, other: Running[KountaSimulator]
) -> None:
    new = settings_of(other)
    before = {"base_url": old_host.url, "access_token": "old-grant", "refresh_token": "old"}
    place.connect(new | before)
    old_host.on_first = lambda: place.connect(new)
    with Processor(shop_outbox, connections=place.source) as processor:
        (finding,) = StoreQueries(processor.connections["cafe"]).check().findings
        assert "another address" in finding.text
        assert check(processor)
    assert [token for _, token in old_host.seen] == ["Bearer old-grant"]
    assert place.tokens() == ("new-grant", "new-grants-refresh")


def test_token_of_another_site_is_not_taken(
    shop_outbox: Outbox, place: Place, kounta: Running[KountaSimulator]
) -> None:
    place.connect(settings_of(kounta))
    with Processor(shop_outbox, connections=place.source) as processor:
        opened = processor.connections["cafe"]
        place.connect(settings_of(kounta, site_id="9999", access_token="of-another-site"))
        credentials = opened.credentials
        with pytest.raises(OutageError, match="another address"):
            credentials.refresh(credentials.current, lambda: pytest.fail("it was asked for"))
    assert kounta.simulator.count("POST", TOKEN) == 0


def test_tokens_of_a_refresh_during_a_move_are_dropped(
    shop_outbox: Outbox,
    place: Place,
    kounta: Running[KountaSimulator],
    other: Running[KountaSimulator],
    caplog: pytest.LogCaptureFixture,
) -> None:
    place.connect(settings_of(kounta))

    def ask() -> Credentials:
        place.connect(settings_of(other))
        return Credentials(access_token=SecretStr("late"), refresh_token=SecretStr("late"))

    with Processor(shop_outbox, connections=place.source) as processor:
        credentials = processor.connections["cafe"].credentials
        with pytest.raises(OutageError, match="another address"):
            credentials.refresh(credentials.current, ask)
        assert check(processor)
    assert place.tokens() == ("new-grant", "new-grants-refresh")
    assert "tokens_dropped connection=cafe" in caplog.text


def write_file(settings: Mapping[str, object], **changed: object) -> None:
    lines = [f"{name} = {value!r}" for name, value in {**settings, **changed}.items()]
    table = ["[connections.cafe]", 'platform = "kounta"', *lines]
    Path("tillpost.toml").write_text("\n".join(table))


def test_refreshed_tokens_of_a_file_stay_with_the_files_grant(
    shop_outbox: Outbox,
    kounta: Running[KountaSimulator],
    other: Running[KountaSimulator],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    vault = InVault(shop_outbox, tmp_path)
    write_file(settings_of(kounta))
    with Processor(shop_outbox) as processor:
        vault.fail(failing=True)
        with pytest.raises(DatabaseError):
            check(processor)
        vault.fail(failing=False)
        write_file(settings_of(other))
        assert check(processor)
    assert vault.store.get("cafe") is None
    assert "tokens_dropped connection=cafe" in caplog.text


def test_file_with_another_host_gets_no_token_of_the_database(
    shop_outbox: Outbox,
    old_host: OldHost,
    other: Running[KountaSimulator],
    tmp_path: Path,
) -> None:
    """The file says where requests go, and a person's reconnection which tokens count."""
    vault = InVault(shop_outbox, tmp_path)
    new = settings_of(other)
    write_file(new, base_url=old_host.url, access_token="old-grant", refresh_token="old")

    def move() -> None:
        write_file(new, access_token="unused", refresh_token="unused")
        vault.connect(new)

    old_host.on_first = move
    with Processor(shop_outbox) as processor:
        StoreQueries(processor.connections["cafe"]).check()
        assert check(processor)
    assert [token for _, token in old_host.seen] == ["Bearer old-grant"]


def test_file_that_cannot_be_read_fails_the_refresh_alone(
    shop_outbox: Outbox, kounta: Running[KountaSimulator]
) -> None:
    """Where the token may be sent can't be known now."""
    write_file(settings_of(kounta))
    with Processor(shop_outbox) as processor:
        opened = processor.connections["cafe"]
        content = Path("tillpost.toml").read_text()
        Path("tillpost.toml").write_text("not toml [")
        with pytest.raises(DatabaseError, match=r"tillpost\.toml"):
            StoreQueries(opened).check()
        Path("tillpost.toml").write_text(content)
        assert StoreQueries(opened).check().ready
    assert kounta.simulator.count("POST", TOKEN) == 1


def test_lagging_table_does_not_lose_the_next_tokens(
    shop_outbox: Outbox, kounta: Running[KountaSimulator], tmp_path: Path
) -> None:
    """A copy shows the tokens that this process replaced before: they aren't newer."""
    place = InTable(shop_outbox, tmp_path)
    place.connect(settings_of(kounta))
    old = place.table.settings("cafe")
    with Processor(shop_outbox, connections=place.source) as processor:
        assert check(processor)
        credentials = processor.connections["cafe"].credentials
        place.connect(old)
        new = Credentials(access_token=SecretStr("next"), refresh_token=SecretStr("nexts-refresh"))
        assert credentials.refresh(credentials.current, lambda: new)
        assert credentials.current is new
    assert place.tokens() == ("next", "nexts-refresh")
