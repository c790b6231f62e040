"""An expired token is refreshed once by several real processes, and is on disk before use."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from core.outbox.corner_shop import QUICK
from tillpost import Outbox, PermissionsError, PosError
from tillpost.adapter.settings import Credentials
from tillpost.outbox import DatabaseError, Processor
from tillpost.outbox.connections.credentials import CredentialStore, Grant
from tillpost.outbox.connections.encryption import new_key
from tillpost.outbox.connections.token_refresh import RefreshMarks, SharedCredentials
from tillpost.outbox.connections.vault_tokens import VaultTokens
from tillpost.outbox.delivery.sources import KnownConnections
from tillpost.outbox.delivery.store_queries import StoreQueries
from tillpost.outbox.orders.workers import WorkerRegistry
from tillpost.outbox.worker.maintenance import Maintenance
from tillpost.simulator import FaultPlan, FaultRule, Running, serve_in_thread
from tillpost.simulator.faults import Fault
from tillpost_simulators.kounta import KountaSettings, KountaSimulator
from waiting import eventually

TESTS = Path(__file__).parents[3]
TOKEN = "/v1/token"


@pytest.fixture(autouse=True)
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory of its own, and an encryption key."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TILLPOST_CONFIG", raising=False)
    monkeypatch.setenv("TILLPOST_KEY", new_key())


@pytest.fixture(params=[True, False], ids=["rotating", "reusable"])
def kounta(request: pytest.FixtureRequest) -> Iterator[Running[KountaSimulator]]:
    """A company at Kounta whose refresh tokens are good for one use, or for many."""
    settings = KountaSettings(rotates_refresh_tokens=request.param)
    with serve_in_thread(KountaSimulator(settings)) as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def either_outbox(request: pytest.FixtureRequest) -> Iterator[Outbox]:
    """An outbox on each kind of database."""
    if request.param == "sqlite":
        yield request.getfixturevalue("shop_outbox")
        return
    with Outbox(request.getfixturevalue("postgres_url"), settings=QUICK) as outbox:
        yield outbox


@pytest.fixture
def store(shop_outbox: Outbox, kounta: Running[KountaSimulator]) -> CredentialStore:
    """The stored connection to the company, whose access token has expired."""
    return expired_at(kounta, shop_outbox)


def expired_at(kounta: Running[KountaSimulator], outbox: Outbox) -> CredentialStore:
    """Store the connection to the company in an outbox, and let its token expire."""
    outbox.prepare()
    store = CredentialStore(outbox.database)
    app = kounta.simulator.settings
    client = {
        "client_id": app.client_id,
        "client_secret": app.client_secret,
        "refresh_token": app.refresh_token,
    }
    store.save("cafe-42", "kounta", {**kounta.settings, **client}, Grant("Mia Chen"))
    kounta.simulator.expire_token()
    return store


def source_of(
    store: CredentialStore,
    current: Credentials,
    version: int,
    worker: Callable[[], str] | None = None,
) -> SharedCredentials:
    """Return the credential source of the connection, as one worker has it."""
    enlisted = WorkerRegistry(store.database).enlist(0.0)
    known = KnownConnections(store)
    stored = store.get("cafe-42")
    assert stored is not None
    opened_with = known.current(None, stored)
    assert opened_with is not None
    address = opened_with.address
    tokens = VaultTokens(store, known, "cafe-42", "kounta", address, follows="", version=version)
    marks = RefreshMarks(store, worker or (lambda: enlisted))
    return SharedCredentials("cafe-42", tokens, marks, current=current)


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Callable[[Outbox], subprocess.Popen[str]]]:
    """Starts a worker's process, which begins once the file `start` exists."""
    started: list[subprocess.Popen[str]] = []

    def start(outbox: Outbox) -> subprocess.Popen[str]:
        url = outbox.database.engine.url.render_as_string()
        command = [
            sys.executable,
            "-m",
            "core.outbox.renewing_worker",
            url,
            "cafe-42",
            str(tmp_path / "start"),
        ]
        started.append(subprocess.Popen(command, cwd=TESTS, stdout=subprocess.PIPE, text=True))
        assert started[-1].stdout is not None
        assert started[-1].stdout.readline() == "up\n"
        return started[-1]

    yield start
    for one in started:
        one.kill()
        one.communicate()


@pytest.mark.slow
def test_two_processes_refresh_an_expired_token_once(
    either_outbox: Outbox,
    kounta: Running[KountaSimulator],
    process: Callable[[Outbox], subprocess.Popen[str]],
    tmp_path: Path,
) -> None:
    store = expired_at(kounta, either_outbox)
    two = [process(either_outbox), process(either_outbox)]
    (tmp_path / "start").touch()
    assert [one.communicate(timeout=30)[0].strip() for one in two] == ["ready", "ready"]
    assert kounta.simulator.count("POST", TOKEN) == 1
    stored = store.get("cafe-42")
    assert stored is not None
    assert stored.refresher is None
    assert stored.grant.granted_by == "Mia Chen"
    assert stored.grant.expires_at is not None


@pytest.mark.slow
def test_kill_during_refresh_leaves_usable_or_refused_token(
    store: CredentialStore,
    shop_outbox: Outbox,
    kounta: Running[KountaSimulator],
    process: Callable[[Outbox], subprocess.Popen[str]],
    tmp_path: Path,
) -> None:
    slow = Fault.model_validate({"kind": "slow_drip", "drip_seconds": 5.0})
    kounta.simulator.set_faults(FaultPlan(rules=(FaultRule(path=TOKEN, fault=slow),)))
    victim = process(shop_outbox)
    (tmp_path / "start").touch()
    # The provider has issued the new token, and is still answering.
    eventually(lambda: len(kounta.simulator.world.tokens) == 2)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    stored = store.get("cafe-42")
    assert stored is not None
    assert stored.refresher is not None  # nobody knows yet that its worker is dead

    printed = process(shop_outbox).communicate(timeout=30)[0].strip()

    if kounta.simulator.settings.rotates_refresh_tokens:
        assert printed != "ready"
    else:
        assert printed == "ready"
    after = store.get("cafe-42")
    assert after is not None
    assert after.refresher is None


def test_refreshed_token_is_on_disk_encrypted_before_use(
    store: CredentialStore, kounta: Running[KountaSimulator], shop_outbox: Outbox, tmp_path: Path
) -> None:
    with Processor(shop_outbox) as processor:
        assert StoreQueries(processor.connections["cafe-42"]).check().ready
    stored = store.get("cafe-42")
    assert stored is not None
    opened = store.open(stored)
    issued = [
        name
        for name in kounta.simulator.world.tokens
        if name != kounta.simulator.settings.access_token
    ]
    assert [opened["access_token"].get_secret_value()] == issued
    assert opened["client_secret"].get_secret_value() == kounta.simulator.settings.client_secret
    on_disk = b"".join(path.read_bytes() for path in tmp_path.glob("orders.db*"))
    for secret in opened.values():
        assert secret.get_secret_value().encode() not in on_disk


def test_token_that_cannot_be_written_is_written_first(
    store: CredentialStore, kounta: Running[KountaSimulator]
) -> None:
    old = store.get("cafe-42")
    assert old is not None
    secrets = store.open(old)
    expired = Credentials(
        access_token=secrets["access_token"], refresh_token=secrets["refresh_token"]
    )
    new = Credentials(access_token=SecretStr("new"), refresh_token=SecretStr("newer"))
    source = source_of(store, expired, old.version)
    asked: list[str] = []

    def ask() -> Credentials:
        asked.append("once")
        with store.database.writing() as db:
            db.exec_driver_sql(
                "CREATE TRIGGER full BEFORE UPDATE OF encrypted_secrets ON tillpost_credentials"
                " BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
            )
        return new

    with pytest.raises(DatabaseError, match="disk is full"):
        source.refresh(expired, ask)
    with store.database.writing() as db:
        db.exec_driver_sql("DROP TRIGGER full")
    assert source.current is expired
    assert source.refresh(expired, ask)
    assert source.current == new
    assert asked == ["once"]
    after = store.get("cafe-42")
    assert after is not None
    assert store.open(after)["refresh_token"].get_secret_value() == "newer"


def test_reconnection_during_refresh_wins(
    store: CredentialStore, kounta: Running[KountaSimulator]
) -> None:
    old = store.get("cafe-42")
    assert old is not None
    secrets = store.open(old)
    expired = Credentials(
        access_token=secrets["access_token"], refresh_token=secrets["refresh_token"]
    )
    source = source_of(store, expired, old.version)

    def ask() -> Credentials:
        store.save(
            "cafe-42", "kounta", {**kounta.settings, "access_token": "by-a-person"}, Grant("Ari")
        )
        return Credentials(access_token=SecretStr("late"), refresh_token=SecretStr("late"))

    assert source.refresh(expired, ask)
    assert source.current.access_token.get_secret_value() == "by-a-person"
    after = store.get("cafe-42")
    assert after is not None
    assert store.open(after)["access_token"].get_secret_value() == "by-a-person"
    assert (after.refresher, after.grant.granted_by) == (None, "Ari")


def test_disconnection_during_refresh_stays(
    store: CredentialStore,
) -> None:
    old = store.get("cafe-42")
    assert old is not None
    secrets = store.open(old)
    expired = Credentials(
        access_token=secrets["access_token"], refresh_token=secrets["refresh_token"]
    )

    def ask() -> Credentials:
        store.delete("cafe-42")
        return Credentials(access_token=SecretStr("late"))

    assert source_of(store, expired, old.version).refresh(expired, ask)
    assert store.get("cafe-42") is None


def test_refused_refresh_releases_the_row_and_asks_to_reconnect(
    store: CredentialStore, kounta: Running[KountaSimulator], shop_outbox: Outbox
) -> None:
    kounta.simulator.revoke_authorisation()
    with Processor(shop_outbox) as processor, pytest.raises(PermissionsError) as caught:
        processor.connections["cafe-42"].import_menu(forced=True)
    assert caught.value.reason == "withdrawn"
    assert "Mia Chen, who connected it, was removed" in caught.value.remedy.manager
    assert (
        "Ask another admin of the Kounta account to reconnect the store"
        in caught.value.remedy.manager
    )
    stored = store.get("cafe-42")
    assert stored is not None
    assert stored.refresher is None


def test_refreshed_tokens_of_the_file_are_stored(
    kounta: Running[KountaSimulator], shop_outbox: Outbox, tmp_path: Path
) -> None:
    app = kounta.simulator.settings
    client = {
        "client_id": app.client_id,
        "client_secret": app.client_secret,
        "refresh_token": app.refresh_token,
    }
    lines = [f'{name} = "{value}"' for name, value in {**kounta.settings, **client}.items()]
    (tmp_path / "tillpost.toml").write_text(
        "\n".join(["[connections.cafe-7]", 'platform = "kounta"', *lines])
    )
    kounta.simulator.expire_token()
    url = shop_outbox.database.engine.url.render_as_string()
    for _ in range(2):  # a worker, and the next one after a restart
        with Outbox(url, settings=QUICK) as outbox, Processor(outbox) as processor:
            assert StoreQueries(processor.connections["cafe-7"]).check().ready
    assert kounta.simulator.count("POST", TOKEN) == 1


def test_waiting_too_long_for_a_refresh_is_transient(
    store: CredentialStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tillpost.outbox.connections.token_refresh.PATIENCE", 0.3)
    with store.database.writing() as db:
        store.set_refresher(db, "cafe-42", "another worker")
    expired = Credentials(
        access_token=SecretStr("not-a-real-kounta-token"), refresh_token=SecretStr("r")
    )
    source = source_of(store, expired, 1)
    with pytest.raises(PosError) as caught:
        source.refresh(expired, lambda: expired)
    assert caught.value.transient


def expired_source(
    store: CredentialStore, worker: Callable[[], str]
) -> tuple[SharedCredentials, Credentials]:
    stored = store.get("cafe-42")
    assert stored is not None
    secrets = store.open(stored)
    expired = Credentials(
        access_token=secrets["access_token"], refresh_token=secrets["refresh_token"]
    )
    return source_of(store, expired, stored.version, worker), expired


def new_tokens() -> Credentials:
    return Credentials(access_token=SecretStr("new"), refresh_token=SecretStr("newer"))


def refresher_of(store: CredentialStore) -> str | None:
    stored = store.get("cafe-42")
    assert stored is not None
    return stored.refresher


def test_worker_reaped_before_refresh_starts_it_once_reenlisted(
    store: CredentialStore,
) -> None:
    """The mark of a worker without a row would stay, and the token be refreshed never again."""
    workers = WorkerRegistry(store.database)
    reaped, again = workers.enlist(0.0), workers.enlist(0.0)
    workers.reap(reaped, 0, 0.0)
    ids = [reaped, reaped, again]
    marks: list[str | None] = []

    def ask() -> Credentials:
        marks.append(refresher_of(store))
        return new_tokens()

    source, expired = expired_source(store, lambda: ids.pop(0) if len(ids) > 1 else ids[0])
    assert source.refresh(expired, ask)
    assert marks == [again]
    assert refresher_of(store) is None


def test_worker_reaped_during_a_refresh_removes_its_own_mark(store: CredentialStore) -> None:
    workers = WorkerRegistry(store.database)
    ids = [workers.enlist(0.0)]

    def ask() -> Credentials:
        ids.append(workers.enlist(0.0))
        return new_tokens()

    source, expired = expired_source(store, lambda: ids[-1])
    assert source.refresh(expired, ask)
    assert refresher_of(store) is None


def test_marks_of_vanished_workers_are_removed(store: CredentialStore, shop_outbox: Outbox) -> None:
    with Processor(shop_outbox) as processor:
        with store.database.writing() as db:
            store.set_refresher(db, "cafe-42", "nobody")
            shop_outbox.connection_rows.lock(db, "cafe-42")
            shop_outbox.connection_rows.update(db, "cafe-42", {"importer": "nobody"})
        maintenance = Maintenance(processor)
        maintenance.tend()
        maintenance.close()
    assert refresher_of(store) is None
    with store.database.writing() as db:
        assert shop_outbox.connection_rows.lock(db, "cafe-42")["importer"] is None
