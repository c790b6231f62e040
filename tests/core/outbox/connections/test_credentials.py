"""Connections in the database: their secrets are sealed, a token there wins over the file's, changes are seen."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from core.canaries import leaks
from core.outbox.corner_shop import lunch
from tillpost import ConfigError, Outbox
from tillpost.outbox import OrderState, Processor, Worker
from tillpost.outbox.connections.credentials import CredentialStore, Grant
from tillpost.outbox.connections.encryption import EncryptionKeys, new_key
from tillpost.outbox.delivery.sources import FromFileAndDatabase, merged, tokens_mark
from tillpost.outbox.delivery.tills import Tills
from tillpost.simulator import Running, serve_in_thread
from tillpost_simulators.kounta import KountaSimulator
from tillpost_simulators.square import SquareSimulator
from waiting import eventually

TOKENS = {"access_token": SecretStr("CANARY-access"), "refresh_token": SecretStr("CANARY-refresh")}


@pytest.fixture(autouse=True)
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder of its own, and a key."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TILLPOST_CONFIG", raising=False)
    monkeypatch.delenv("TILLPOST_DB", raising=False)
    made = new_key()
    monkeypatch.setenv("TILLPOST_KEY", made)
    return made


@pytest.fixture
def vault(shop_outbox: Outbox) -> CredentialStore:
    """The connections of an outbox."""
    shop_outbox.prepare()
    return CredentialStore(shop_outbox.database)


@pytest.fixture
def source(vault: CredentialStore) -> FromFileAndDatabase:
    """The connections as a worker sees them."""
    return FromFileAndDatabase(vault, None, lambda: "worker-1")


@pytest.fixture
def tills(source: FromFileAndDatabase, shop_outbox: Outbox) -> Iterator[Tills]:
    """The Tills of a worker."""
    known = Tills(source, shop_outbox.settings)
    yield known
    known.close()


def write_file(**settings: object) -> None:
    """Write a connections file with the connection cafe-42."""
    lines = [f'{name} = "{value}"' for name, value in settings.items()]
    Path("tillpost.toml").write_text(
        "\n".join(["[connections.cafe-42]", 'platform = "square"', *lines, ""])
    )


def bytes_of(folder: Path) -> bytes:
    """All that the database has on disk, its write-ahead log too."""
    return b"".join(path.read_bytes() for path in sorted(folder.glob("orders.db*")))


def token_of(source: FromFileAndDatabase) -> str:
    """The access token that the connection's requests are signed with."""
    token: SecretStr = source("cafe-42").adapter.config.access_token
    return token.get_secret_value()


# Sealing


def test_what_is_kept_is_found_again_and_the_secrets_open_with_the_key(
    vault: CredentialStore,
) -> None:
    grant = Grant("Mia Chen", ("ORDERS_READ", "ORDERS_WRITE"), 1_800_000_000.0)
    vault.keep("cafe-42", "square", {"location_id": "L1", **TOKENS}, grant)
    stored = vault.get("cafe-42")
    assert stored is not None
    assert (stored.platform, stored.settings, stored.grant) == (
        "square",
        {"location_id": "L1"},
        grant,
    )
    assert vault.open(stored) == TOKENS
    assert list(vault.all()) == ["cafe-42"]


def test_no_secret_is_on_disk_in_clear_nor_in_a_repr(
    vault: CredentialStore, tmp_path: Path
) -> None:
    vault.keep(
        "cafe-42",
        "square",
        {"location_id": "L1", "client_secret": "CANARY-client", **TOKENS},
        Grant(),
    )
    on_disk = bytes_of(tmp_path)
    assert b"cafe-42" in on_disk
    assert b"CANARY" not in on_disk
    stored = vault.get("cafe-42")
    assert stored is not None
    assert stored.sealed not in repr(stored)
    assert "CANARY" not in f"{stored!r} {vault.open(stored)!r}"


@pytest.mark.parametrize("other", ["", "another"])
def test_a_copied_database_is_useless_without_the_key_and_says_so_in_one_line(
    vault: CredentialStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    vault.keep("cafe-42", "square", {"location_id": "L1", **TOKENS}, Grant())
    with vault.database.writing() as db:
        db.exec_driver_sql("SELECT 1")
    copied = tmp_path / "copied"
    copied.mkdir()
    for path in tmp_path.glob("orders.db*"):
        shutil.copy(path, copied / path.name)
    monkeypatch.setenv("TILLPOST_KEY", new_key() if other else "")
    with Outbox(f"sqlite:///{copied / 'orders.db'}") as copy:
        known = Tills(
            FromFileAndDatabase(CredentialStore(copy.database), None, lambda: "thief"),
            copy.settings,
        )
        with pytest.raises(ConfigError) as caught:
            known["cafe-42"]
    assert "\n" not in str(caught.value)
    said = (
        "isn't the key that the tokens in the database were sealed with" if other else "isn't set"
    )
    assert f"connection 'cafe-42': TILLPOST_KEY {said}" in str(caught.value)
    assert leaks(caught.value) == []


def test_a_key_is_rotated_and_the_old_one_is_worth_nothing_then(
    vault: CredentialStore, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.keep("cafe-42", "square", {"location_id": "L1", **TOKENS}, Grant())
    fresh = new_key()
    monkeypatch.setenv("TILLPOST_KEY", f"{fresh},{key}")
    assert vault.rotate() == 1
    stored = vault.get("cafe-42")
    assert stored is not None
    assert EncryptionKeys.of(fresh).open(stored.sealed, stored.sealed_with) == TOKENS
    with pytest.raises(ConfigError):
        EncryptionKeys.of(key).open(stored.sealed, stored.sealed_with)


def test_a_rotation_that_cant_open_everything_changes_nothing(
    vault: CredentialStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.keep("cafe-1", "square", {"location_id": "L1", **TOKENS}, Grant())
    monkeypatch.setenv("TILLPOST_KEY", new_key())
    vault.keep("cafe-2", "square", {"location_id": "L1", **TOKENS}, Grant())
    before = dict(vault.all())
    with pytest.raises(ConfigError, match="cafe-1"):
        vault.rotate()
    assert dict(vault.all()) == before


# What counts


def test_a_connection_of_the_database_works_without_a_file(
    vault: CredentialStore, shop: Running[SquareSimulator], tills: Tills
) -> None:
    vault.keep("cafe-42", "square", shop.settings, Grant("Mia Chen"))
    assert tills["cafe-42"].check().ready


def test_a_sealed_token_wins_over_the_files_and_the_file_has_the_rest(
    vault: CredentialStore, source: FromFileAndDatabase
) -> None:
    write_file(
        location_id="L-file",
        access_token="of-the-file",
        refresh_token="old",
        client_id="old",
        tips="payment",
    )
    vault.keep(
        "cafe-42",
        "square",
        {"access_token": "sealed", "client_id": "new", "location_id": "L-db"},
        Grant(),
    )
    used = source("cafe-42").adapter.config
    assert token_of(source) == "sealed"
    assert used.refresh_token is None
    assert (used.location_id, used.client_id) == ("L-file", "new")


def test_tokens_renewed_from_the_files_count_until_the_file_has_others(
    vault: CredentialStore, source: FromFileAndDatabase
) -> None:
    write_file(location_id="L1", access_token="of-the-file", refresh_token="r1")
    follows = tokens_mark({"access_token": "of-the-file", "refresh_token": "r1"})
    with vault.database.writing() as db:
        row = replace(vault.locked(db, "cafe-42"), platform="square", follows=follows)
        vault.write(db, row, TOKENS, vault.keyring())
    assert token_of(source) == "CANARY-access"
    write_file(location_id="L1", access_token="put-in-by-hand", refresh_token="r1")
    assert token_of(source) == "put-in-by-hand"


def test_another_platform_under_the_same_name_is_said(vault: CredentialStore, tills: Tills) -> None:
    write_file(location_id="L1", access_token="t")
    vault.keep(
        "cafe-42",
        "generic",
        {"base_url": "https://pos.example", "signing_key": "s", **TOKENS},
        Grant(),
    )
    with pytest.raises(ConfigError, match="is at square, but was connected at generic"):
        tills["cafe-42"]


def test_a_name_that_nobody_knows_is_said_with_those_there_are(
    vault: CredentialStore, tills: Tills
) -> None:
    vault.keep("cafe-1", "square", {"location_id": "L1", **TOKENS}, Grant())
    with pytest.raises(
        ConfigError, match=r"no connection 'cafe-42'; .* has: none; the database has: cafe-1"
    ):
        tills["cafe-42"]


def test_merging_leaves_a_file_alone_that_has_no_row() -> None:
    assert merged({"access_token": "t"}, None, {}) == {"access_token": "t"}


@pytest.mark.parametrize("where", ["file", "database"])
def test_a_change_is_seen_by_a_running_worker_within_two_seconds(
    where: str, vault: CredentialStore, shop: Running[SquareSimulator], shop_outbox: Outbox
) -> None:
    wrong: dict[str, Any] = {**shop.settings, "access_token": "wrong"}

    def put(settings: dict[str, Any]) -> None:
        if where == "file":
            write_file(**settings)
        else:
            vault.keep("cafe-42", "square", settings, Grant())

    put(wrong)
    with Processor(shop_outbox) as processor:
        worker = Worker(processor)
        running = threading.Thread(target=worker.run)
        running.start()
        try:
            shop_outbox.add(lunch("ord-1"), connection="cafe-42")
            eventually(lambda: shop_outbox.get("ord-1").waits_for == "authorisation")  # type: ignore[union-attr]
            put(dict(shop.settings))
            began = time.monotonic()
            eventually(lambda: shop_outbox.get("ord-1").state is OrderState.RECEIVED)  # type: ignore[union-attr]
            took = time.monotonic() - began
        finally:
            worker.stop()
            running.join()
    # Two seconds to see it, two more until the paused connection is tried, and a busy machine's.
    assert took < 15.0


# Without a key


def test_without_a_key_the_files_connections_work_and_a_rotated_token_is_warned_about(
    vault: CredentialStore,
    tills: Tills,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("TILLPOST_KEY", "")
    with serve_in_thread(KountaSimulator()) as kounta, caplog.at_level(logging.WARNING):
        app = kounta.simulator.settings
        lines = {**kounta.settings, "client_id": app.client_id, "client_secret": app.client_secret}
        Path("tillpost.toml").write_text(
            "\n".join(
                ["[connections.cafe-42]", 'platform = "kounta"']
                + [f'{k} = "{v}"' for k, v in {**lines, "refresh_token": app.refresh_token}.items()]
            )
        )
        kounta.simulator.expire_token()
        assert tills["cafe-42"].check().ready
        assert kounta.simulator.count("POST", "/v1/token") == 1
    assert "connection cafe-42 has new tokens that aren't kept" in caplog.text
    assert vault.get("cafe-42") is None
