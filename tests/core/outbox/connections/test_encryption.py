"""Encryption of stored tokens: only the right key decrypts them, and a wrong one is reported."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from core.canaries import leaks
from tillpost import ConfigError
from tillpost.outbox.connections.encryption import KEY_VARIABLE, EncryptionKeys, new_key

TOKEN = "canary-of-the-keyring"
CAFE = "cafe-42 at square"
SECRETS = {"access_token": SecretStr(TOKEN)}


@pytest.fixture
def keys() -> EncryptionKeys:
    return EncryptionKeys.of(new_key())


def token_in(secrets: dict[str, SecretStr]) -> str:
    return secrets["access_token"].get_secret_value()


def test_same_key_decrypts_and_ciphertext_holds_no_token(keys: EncryptionKeys) -> None:
    ciphertext = keys.encrypt(SECRETS, bound_to=CAFE)
    assert TOKEN not in ciphertext
    assert token_in(keys.decrypt(ciphertext, keys.fingerprint, bound_to=CAFE)) == TOKEN


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=200), max_size=4))
def test_decrypt_returns_what_was_encrypted(texts: dict[str, str]) -> None:
    keys = EncryptionKeys.of(new_key())
    ciphertext = keys.encrypt(
        {name: SecretStr(text) for name, text in texts.items()}, bound_to=CAFE
    )
    decrypted = keys.decrypt(ciphertext, bound_to=CAFE)
    assert {name: secret.get_secret_value() for name, secret in decrypted.items()} == texts


@pytest.mark.parametrize("fingerprint_known", [True, False])
def test_wrong_key_is_reported_in_one_line(keys: EncryptionKeys, fingerprint_known: bool) -> None:
    other = EncryptionKeys.of(new_key())
    ciphertext = keys.encrypt(SECRETS, bound_to=CAFE)
    fingerprint = keys.fingerprint if fingerprint_known else ""
    message = "isn't the key that the tokens in the database were encrypted with"
    with pytest.raises(ConfigError, match=message) as caught:
        other.decrypt(ciphertext, fingerprint, bound_to=CAFE)
    assert TOKEN not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_after_rotation_old_key_decrypts_and_new_key_encrypts() -> None:
    old_key = new_key()
    current_key = new_key()
    old = EncryptionKeys.of(old_key)
    current = EncryptionKeys.of(current_key)
    both = EncryptionKeys.of(f"{current_key}, {old_key}")
    by_old_key = old.encrypt(SECRETS, bound_to=CAFE)
    assert token_in(both.decrypt(by_old_key, old.fingerprint, bound_to=CAFE)) == TOKEN
    by_both = both.encrypt(SECRETS, bound_to=CAFE)
    assert token_in(current.decrypt(by_both, bound_to=CAFE)) == TOKEN
    assert both.fingerprint == current.fingerprint


@pytest.mark.parametrize("text", ["not-a-key", ","])
def test_invalid_key_is_refused_without_quoting_it(text: str) -> None:
    with pytest.raises(ConfigError, match="holds no valid key") as caught:
        EncryptionKeys.of(text)
    assert text not in str(caught.value)
    assert caught.value.__context__ is None


def test_missing_key_error_says_how_to_make_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    with pytest.raises(ConfigError, match="tillpost key new"):
        EncryptionKeys.from_environment()


def test_repr_shows_no_key() -> None:
    key = new_key()
    assert key not in repr(EncryptionKeys.of(key))


def test_ciphertext_for_another_purpose_is_refused(keys: EncryptionKeys) -> None:
    ciphertext = keys.encrypt(SECRETS, bound_to=CAFE)
    with pytest.raises(ConfigError, match="were changed by something else") as caught:
        keys.decrypt(ciphertext, keys.fingerprint, bound_to=f"{CAFE} ")
    assert TOKEN not in str(caught.value)


def test_keys_are_never_pickled(keys: EncryptionKeys) -> None:
    with pytest.raises(TypeError, match="can't be pickled"):
        pickle.dumps(keys)


def test_invalid_keys_leave_no_key_in_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    good = f"CANARY{new_key()[6:]}"
    EncryptionKeys.of(good)
    monkeypatch.setenv(KEY_VARIABLE, f"{good},not-a-key")
    with pytest.raises(ConfigError, match="holds no valid key") as caught:
        EncryptionKeys.from_environment()
    assert leaks(caught.value) == []
