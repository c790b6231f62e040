"""An expired token is renewed once, by one of several real processes, and is on disk before it is used."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
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
from tillpost.outbox.connections.token_refresh import Renewal
from tillpost.simulator import FaultPlan, FaultRule, Running, serve_in_thread
from tillpost.simulator.faults import Fault
from tillpost_simulators.kounta import KountaSettings, KountaSimulator

TESTS = Path(__file__).parents[3]
TOKEN = "/v1/token"


@pytest.fixture(autouse=True)
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of its own, and a key."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TILLPOST_CONFIG", raising=False)
    monkeypatch.setenv("TILLPOST_KEY", new_key())


@pytest.fixture(params=[True, False], ids=["rotating", "reusable"])
def kounta(request: pytest.FixtureRequest) -> Iterator[Running[KountaSimulator]]:
    """A company at Kounta; its refresh tokens are good for one use, or for many."""
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
def vault(shop_outbox: Outbox, kounta: Running[KountaSimulator]) -> CredentialStore:
    """The connections of an outbox: the one to the company, whose access token has expired."""
    return expired_at(kounta, shop_outbox)


def expired_at(kounta: Running[KountaSimulator], outbox: Outbox) -> CredentialStore:
    """Keep the connection to the company in an outbox, and let its token expire."""
    outbox.prepare()
    vault = CredentialStore(outbox.database)
    app = kounta.simulator.settings
    client = {
        "client_id": app.client_id,
        "client_secret": app.client_secret,
        "refresh_token": app.refresh_token,
    }
    vault.keep("cafe-42", "kounta", {**kounta.settings, **client}, Grant("Mia Chen"))
    kounta.simulator.expire_token()
    return vault


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Callable[[Outbox], subprocess.Popen[str]]]:
    """Starts a worker's process that begins once the file `start` is there."""
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
def test_two_processes_that_find_it_expired_renew_it_once_and_both_go_on(
    either_outbox: Outbox,
    kounta: Running[KountaSimulator],
    process: Callable[[Outbox], subprocess.Popen[str]],
    tmp_path: Path,
) -> None:
    vault = expired_at(kounta, either_outbox)
    two = [process(either_outbox), process(either_outbox)]
    (tmp_path / "start").touch()
    assert [one.communicate(timeout=30)[0].strip() for one in two] == ["ready", "ready"]
    assert kounta.simulator.count("POST", TOKEN) == 1
    stored = vault.get("cafe-42")
    assert stored is not None
    assert stored.refresher is None
    assert stored.grant.granted_by == "Mia Chen"
    assert stored.grant.expires_at is not None


@pytest.mark.slow
def test_a_process_killed_in_the_middle_leaves_a_connection_that_works_or_must_be_reconnected(
    vault: CredentialStore,
    shop_outbox: Outbox,
    kounta: Running[KountaSimulator],
    process: Callable[[Outbox], subprocess.Popen[str]],
    tmp_path: Path,
) -> None:
    slow = Fault.model_validate({"kind": "slow_drip", "drip_seconds": 5.0})
    kounta.simulator.set_faults(FaultPlan(rules=(FaultRule(path=TOKEN, fault=slow),)))
    victim = process(shop_outbox)
    (tmp_path / "start").touch()
    give_up_at = time.monotonic() + 20
    while len(kounta.simulator.world.tokens) < 2:  # the provider has renewed it, and is telling so
        assert time.monotonic() < give_up_at
        time.sleep(0.01)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    stored = vault.get("cafe-42")
    assert stored is not None
    assert stored.refresher is not None  # nobody is told yet that its worker is dead

    said = process(shop_outbox).communicate(timeout=30)[0].strip()

    if kounta.simulator.settings.rotates_refresh_tokens:
        assert said != "ready"
    else:
        assert said == "ready"
    after = vault.get("cafe-42")
    assert after is not None
    assert after.refresher is None


def test_a_renewed_token_is_on_disk_sealed_before_it_is_used(
    vault: CredentialStore, kounta: Running[KountaSimulator], shop_outbox: Outbox, tmp_path: Path
) -> None:
    with Processor(shop_outbox) as processor:
        assert processor.tills["cafe-42"].check().ready
    stored = vault.get("cafe-42")
    assert stored is not None
    opened = vault.open(stored)
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


def test_what_cant_be_written_isnt_used_and_is_written_before_anything_else(
    vault: CredentialStore, kounta: Running[KountaSimulator]
) -> None:
    old = vault.get("cafe-42")
    assert old is not None
    secrets = vault.open(old)
    expired = Credentials(
        access_token=secrets["access_token"], refresh_token=secrets["refresh_token"]
    )
    new = Credentials(access_token=SecretStr("new"), refresh_token=SecretStr("newer"))
    renewal = Renewal(vault, "cafe-42", "kounta", "", old.version, lambda: "worker-1")
    asked: list[str] = []

    def ask() -> Credentials:
        asked.append("once")
        with vault.database.writing() as db:
            db.exec_driver_sql("CREATE TRIGGER full BEFORE UPDATE OF encrypted_secrets ON tillpost_credentials BEGIN "
                               "SELECT RAISE(ABORT, 'disk is full'); END")  # fmt: skip
        return new

    with pytest.raises(DatabaseError, match="disk is full"):
        renewal.renewed(expired, ask)
    with vault.database.writing() as db:
        db.exec_driver_sql("DROP TRIGGER full")
    assert renewal.renewed(expired, ask) == new
    assert asked == ["once"]
    after = vault.get("cafe-42")
    assert after is not None
    assert vault.open(after)["refresh_token"].get_secret_value() == "newer"


def test_a_person_who_reconnects_meanwhile_is_right(
    vault: CredentialStore, kounta: Running[KountaSimulator]
) -> None:
    old = vault.get("cafe-42")
    assert old is not None
    secrets = vault.open(old)
    expired = Credentials(
        access_token=secrets["access_token"], refresh_token=secrets["refresh_token"]
    )
    renewal = Renewal(vault, "cafe-42", "kounta", "", old.version, lambda: "worker-1")

    def ask() -> Credentials:
        vault.keep(
            "cafe-42", "kounta", {**kounta.settings, "access_token": "by-a-person"}, Grant("Ari")
        )
        return Credentials(access_token=SecretStr("late"), refresh_token=SecretStr("late"))

    assert renewal.renewed(expired, ask).access_token.get_secret_value() == "by-a-person"
    after = vault.get("cafe-42")
    assert after is not None
    assert vault.open(after)["access_token"].get_secret_value() == "by-a-person"
    assert (after.refresher, after.grant.granted_by) == (None, "Ari")


def test_a_connection_that_was_disconnected_meanwhile_isnt_brought_back(
    vault: CredentialStore,
) -> None:
    old = vault.get("cafe-42")
    assert old is not None
    secrets = vault.open(old)
    expired = Credentials(
        access_token=secrets["access_token"], refresh_token=secrets["refresh_token"]
    )

    def ask() -> Credentials:
        vault.forget("cafe-42")
        return Credentials(access_token=SecretStr("late"))

    Renewal(vault, "cafe-42", "kounta", "", old.version, lambda: "worker-1").renewed(expired, ask)
    assert vault.get("cafe-42") is None


def test_a_refusal_frees_the_place_and_says_that_the_store_must_be_connected_again(
    vault: CredentialStore, kounta: Running[KountaSimulator], shop_outbox: Outbox
) -> None:
    kounta.simulator.revoke_authorisation()
    with Processor(shop_outbox) as processor, pytest.raises(PermissionsError) as caught:
        processor.tills["cafe-42"].import_menu()
    assert caught.value.reason == "withdrawn"
    assert "Mia Chen, who connected it, was removed" in caught.value.remedy.manager
    assert (
        "Another person with admin rights in Kounta has to connect it again"
        in caught.value.remedy.manager
    )
    stored = vault.get("cafe-42")
    assert stored is not None
    assert stored.refresher is None


def test_tokens_of_the_file_are_renewed_and_kept_too(
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
            assert processor.tills["cafe-7"].check().ready
    assert kounta.simulator.count("POST", TOKEN) == 1


def test_who_waits_for_another_worker_for_too_long_tries_again_later(
    vault: CredentialStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tillpost.outbox.connections.token_refresh.PATIENCE", 0.3)
    with vault.database.writing() as db:
        vault.set_refresher(db, "cafe-42", "another worker")
    expired = Credentials(
        access_token=SecretStr("not-a-real-kounta-token"), refresh_token=SecretStr("r")
    )
    renewal = Renewal(vault, "cafe-42", "kounta", "", 1, lambda: "worker-1")
    with pytest.raises(PosError) as caught:
        renewal.renewed(expired, lambda: expired)
    assert caught.value.transient
