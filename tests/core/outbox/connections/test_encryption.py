"""Tokens in the database are sealed: nothing but the key opens them, and a wrong key is called so."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from tillpost import ConfigError
from tillpost.outbox.connections.encryption import KEY_VARIABLE, EncryptionKeys, new_key

TOKEN = "canary-of-the-keyring"


def test_what_was_sealed_is_opened_by_the_same_key_and_isnt_in_the_sealed_text() -> None:
    keyring = EncryptionKeys.of(new_key())
    sealed = keyring.seal({"access_token": SecretStr(TOKEN)})
    assert TOKEN not in sealed
    assert keyring.open(sealed, keyring.mark)["access_token"].get_secret_value() == TOKEN


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=200), max_size=4))
def test_any_secrets_come_back_as_they_were(secrets: dict[str, str]) -> None:
    keyring = EncryptionKeys.of(new_key())
    opened = keyring.open(keyring.seal({name: SecretStr(text) for name, text in secrets.items()}))
    assert {name: secret.get_secret_value() for name, secret in opened.items()} == secrets


@pytest.mark.parametrize("marked", [True, False])
def test_another_key_opens_nothing_and_says_so_in_a_line(marked: bool) -> None:
    keyring, other = EncryptionKeys.of(new_key()), EncryptionKeys.of(new_key())
    sealed = keyring.seal({"access_token": SecretStr(TOKEN)})
    with pytest.raises(
        ConfigError, match="isn't the key that the tokens in the database were sealed with"
    ) as caught:
        other.open(sealed, keyring.mark if marked else "")
    assert TOKEN not in str(caught.value)


def test_after_a_rotation_the_old_key_still_opens_and_the_new_one_seals() -> None:
    old, new = new_key(), new_key()
    sealed = EncryptionKeys.of(old).seal({"access_token": SecretStr(TOKEN)})
    both = EncryptionKeys.of(f"{new}, {old}")
    assert (
        both.open(sealed, EncryptionKeys.of(old).mark)["access_token"].get_secret_value() == TOKEN
    )
    again = both.seal({"access_token": SecretStr(TOKEN)})
    assert EncryptionKeys.of(new).open(again)["access_token"].get_secret_value() == TOKEN
    assert both.mark == EncryptionKeys.of(new).mark


def test_what_is_no_key_is_refused_without_being_quoted() -> None:
    with pytest.raises(ConfigError) as caught:
        EncryptionKeys.of("not-a-key")
    assert "not-a-key" not in str(caught.value)


def test_a_missing_key_says_how_one_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    with pytest.raises(ConfigError, match="tillpost key new"):
        EncryptionKeys.from_environment()


def test_a_keyrings_repr_shows_no_key() -> None:
    key = new_key()
    assert key not in repr(EncryptionKeys.of(key))
