"""Stored connections: encrypted secrets, precedence over the file's tokens, visible changes."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from core.canaries import leaks
from core.outbox.corner_shop import lunch
from core.outbox.stores import in_thread
from tillpost import ConfigError, Outbox
from tillpost.outbox import OrderState, Processor, Worker
from tillpost.outbox.connections.credentials import CredentialStore, Grant
from tillpost.outbox.connections.encryption import EncryptionKeys, new_key
from tillpost.outbox.connections.token_refresh import RefreshMarks
from tillpost.outbox.delivery.open_connections import OpenConnections
from tillpost.outbox.delivery.sources import (
    FromFileAndDatabase,
    merge_settings,
    tokens_fingerprint,
)
from tillpost.outbox.delivery.store_queries import StoreQueries
from tillpost.simulator import Running, serve_in_thread
from tillpost_simulators.kounta import KountaSimulator
from tillpost_simulators.square import SquareSimulator
from waiting import AGES, eventually

TOKENS = {"access_token": SecretStr("CANARY-access"), "refresh_token": SecretStr("CANARY-refresh")}


@pytest.fixture(autouse=True)
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty working directory, and an encryption key."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TILLPOST_CONFIG", raising=False)
    monkeypatch.delenv("TILLPOST_DB", raising=False)
    made = new_key()
    monkeypatch.setenv("TILLPOST_KEY", made)
    return made


@pytest.fixture
def store(shop_outbox: Outbox) -> CredentialStore:
    """The credentials of an outbox."""
    shop_outbox.prepare()
    return CredentialStore(shop_outbox.database)


@pytest.fixture
def source(store: CredentialStore) -> FromFileAndDatabase:
    """The connections as a worker sees them."""
    return FromFileAndDatabase(store, None, RefreshMarks(store, lambda: "worker-1"))


@pytest.fixture
def connections(source: FromFileAndDatabase, shop_outbox: Outbox) -> Iterator[OpenConnections]:
    """The connections of a worker."""
    known = OpenConnections(source, shop_outbox.settings, time.time)
    yield known
    known.close()


def write_file(**settings: object) -> None:
    """Write a TOML file with the connection cafe-42."""
    lines = [f'{name} = "{value}"' for name, value in settings.items()]
    Path("tillpost.toml").write_text(
        "\n".join(["[connections.cafe-42]", 'platform = "square"', *lines, ""])
    )


def bytes_of(folder: Path) -> bytes:
    """The database's files, including the write-ahead log."""
    return b"".join(path.read_bytes() for path in sorted(folder.glob("orders.db*")))


def token_of(source: FromFileAndDatabase) -> str:
    """The access token that the connection's requests are signed with."""
    token: SecretStr = source.get("cafe-42").adapter.config.access_token
    return token.get_secret_value()


# ---------------------------------------------------------------------- encryption


def test_saved_connection_is_read_back_and_its_secrets_decrypted(
    store: CredentialStore,
) -> None:
    grant = Grant("Mia Chen", ("ORDERS_READ", "ORDERS_WRITE"), 1_800_000_000.0)
    store.save("cafe-42", "square", {"location_id": "L1", **TOKENS}, grant)
    stored = store.get("cafe-42")
    assert stored is not None
    assert (stored.platform, stored.settings, stored.grant) == (
        "square",
        {"location_id": "L1"},
        grant,
    )
    assert store.open(stored) == TOKENS
    assert list(store.all()) == ["cafe-42"]


def test_no_secret_is_on_disk_in_clear_nor_in_a_repr(
    store: CredentialStore, tmp_path: Path
) -> None:
    store.save(
        "cafe-42",
        "square",
        {"location_id": "L1", "client_secret": "CANARY-client", **TOKENS},
        Grant(),
    )
    on_disk = bytes_of(tmp_path)
    assert b"cafe-42" in on_disk
    assert b"CANARY" not in on_disk
    stored = store.get("cafe-42")
    assert stored is not None
    assert stored.encrypted_secrets not in repr(stored)
    assert "CANARY" not in f"{stored!r} {store.open(stored)!r}"


@pytest.mark.parametrize("other", ["", "another"])
def test_copied_database_is_useless_without_the_key(
    store: CredentialStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    store.save("cafe-42", "square", {"location_id": "L1", **TOKENS}, Grant())
    with store.database.writing() as db:
        db.exec_driver_sql("SELECT 1")
    copied = tmp_path / "copied"
    copied.mkdir()
    for path in tmp_path.glob("orders.db*"):
        shutil.copy(path, copied / path.name)
    monkeypatch.setenv("TILLPOST_KEY", new_key() if other else "")
    with Outbox(f"sqlite:///{copied / 'orders.db'}") as copy:
        known = OpenConnections(
            FromFileAndDatabase(CredentialStore(copy.database)),
            copy.settings,
            time.time,
        )
        with pytest.raises(ConfigError) as caught:
            known["cafe-42"]
    assert "\n" not in str(caught.value)
    reason = (
        "isn't the key that the tokens in the database were encrypted with"
        if other
        else "isn't set"
    )
    assert f"connection 'cafe-42': TILLPOST_KEY {reason}" in str(caught.value)
    assert leaks(caught.value) == []


def test_after_rotation_the_old_key_decrypts_nothing(
    store: CredentialStore, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.save("cafe-42", "square", {"location_id": "L1", **TOKENS}, Grant())
    fresh = new_key()
    monkeypatch.setenv("TILLPOST_KEY", f"{fresh},{key}")
    assert store.rotate() == (1, ())
    stored = store.get("cafe-42")
    assert stored is not None
    sealed = stored.encrypted_secrets, stored.key_fingerprint
    fresh_keys, old_keys = EncryptionKeys.of(fresh), EncryptionKeys.of(key)
    assert fresh_keys.decrypt(*sealed, bound_to=stored.bound_to) == TOKENS
    with pytest.raises(ConfigError, match="isn't the key"):
        old_keys.decrypt(*sealed, bound_to=stored.bound_to)


def test_rotation_passes_over_what_cannot_be_decrypted(
    store: CredentialStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.save("cafe-1", "square", {"location_id": "L1", **TOKENS}, Grant())
    key = new_key()
    monkeypatch.setenv("TILLPOST_KEY", key)
    store.save("cafe-2", "square", {"location_id": "L1", **TOKENS}, Grant())
    before = store.get("cafe-1")
    fresh = new_key()
    monkeypatch.setenv("TILLPOST_KEY", f"{fresh},{key}")
    assert store.rotate() == (1, ("cafe-1",))
    assert store.get("cafe-1") == before
    monkeypatch.setenv("TILLPOST_KEY", fresh)
    stored = store.get("cafe-2")
    assert stored
    assert store.open(stored) == TOKENS


def test_rotation_without_a_key_is_an_error(
    store: CredentialStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TILLPOST_KEY")
    with pytest.raises(ConfigError, match="TILLPOST_KEY"):
        store.rotate()


# ---------------------------------------------------------------------- precedence


def test_stored_connection_needs_no_file(
    store: CredentialStore, shop: Running[SquareSimulator], connections: OpenConnections
) -> None:
    store.save("cafe-42", "square", shop.settings, Grant("Mia Chen"))
    assert StoreQueries(connections["cafe-42"]).check().ready


def test_stored_token_precedes_the_files_other_settings_do_not(
    store: CredentialStore, source: FromFileAndDatabase
) -> None:
    write_file(
        location_id="L-file",
        access_token="of-the-file",
        refresh_token="old",
        client_id="old",
        tips="payment",
    )
    store.save(
        "cafe-42",
        "square",
        {"access_token": "sealed", "client_id": "new", "location_id": "L-db"},
        Grant(),
    )
    used = source.get("cafe-42").adapter.config
    assert token_of(source) == "sealed"
    assert used.refresh_token is None
    assert (used.location_id, used.client_id) == ("L-file", "new")


def test_refreshed_tokens_count_until_the_file_has_others(
    store: CredentialStore, source: FromFileAndDatabase
) -> None:
    write_file(location_id="L1", access_token="of-the-file", refresh_token="r1")
    follows = tokens_fingerprint({"access_token": "of-the-file", "refresh_token": "r1"})
    with store.database.writing() as db:
        row = replace(store.locked(db, "cafe-42"), platform="square", follows=follows)
        store.write(db, row, TOKENS, store.keyring())
    assert token_of(source) == "CANARY-access"
    write_file(location_id="L1", access_token="put-in-by-hand", refresh_token="r1")
    assert token_of(source) == "put-in-by-hand"


def test_file_and_database_must_agree_on_the_platform(
    store: CredentialStore, connections: OpenConnections
) -> None:
    write_file(location_id="L1", access_token="t")
    store.save(
        "cafe-42",
        "generic",
        {"base_url": "https://pos.example", "signing_key": "s", **TOKENS},
        Grant(),
    )
    with pytest.raises(ConfigError, match="is at square, but was connected at generic"):
        connections["cafe-42"]


def test_unknown_name_error_lists_the_known_ones(
    store: CredentialStore, connections: OpenConnections
) -> None:
    store.save("cafe-1", "square", {"location_id": "L1", **TOKENS}, Grant())
    with pytest.raises(
        ConfigError, match=r"no connection 'cafe-42'; .* has: none; the database has: cafe-1"
    ):
        connections["cafe-42"]


def test_settings_without_stored_connection_are_the_files() -> None:
    assert merge_settings({"access_token": "t"}, None, {}) == {"access_token": "t"}


@pytest.mark.parametrize("where", ["file", "database"])
def test_running_worker_sees_a_change_within_two_seconds(
    where: str, store: CredentialStore, shop: Running[SquareSimulator], shop_outbox: Outbox
) -> None:
    wrong: dict[str, Any] = {**shop.settings, "access_token": "wrong"}

    def put(settings: dict[str, Any]) -> None:
        if where == "file":
            write_file(**settings)
        else:
            store.save("cafe-42", "square", settings, Grant())

    put(wrong)
    with Processor(shop_outbox) as processor, in_thread(Worker(processor)):
        shop_outbox.add(lunch("ord-1"), connection="cafe-42")
        eventually(lambda: shop_outbox.get("ord-1").waits_for == "authorisation")  # type: ignore[union-attr]
        put(dict(shop.settings))
        began = time.monotonic()
        eventually(lambda: shop_outbox.get("ord-1").state is OrderState.RECEIVED)  # type: ignore[union-attr]
        took = time.monotonic() - began
    # Two seconds to see it, two more until the paused connection is tried. A probe comes no earlier
    # than in five minutes.
    assert took < AGES


# ---------------------------------------------------------------------- without a key


def test_without_key_a_refreshed_token_is_warned_about(
    store: CredentialStore,
    connections: OpenConnections,
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
        assert StoreQueries(connections["cafe-42"]).check().ready
        assert kounta.simulator.count("POST", "/v1/token") == 1
    assert "tokens_unsaved connection=cafe-42 remedy=" in caplog.text
    assert store.get("cafe-42") is None
