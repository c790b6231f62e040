"""Encrypts the secrets that the database stores: a copy of it is useless without the key.

    key = new_key()                             # `tillpost key new`
    keys = EncryptionKeys.of(key)               # or several: "new,old"
    text = keys.encrypt({"access_token": SecretStr("...")})
    keys.decrypt(text)["access_token"]          # a SecretStr

The key lives in the environment variable `TILLPOST_KEY`, never in the database. With several keys
the first one encrypts, and each of them decrypts. Encryption is Fernet's (AES and HMAC, from the
library `cryptography`). Each ciphertext is stored with the fingerprint of its key, so that a wrong
key can be reported as such.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from pydantic import SecretStr, TypeAdapter

from tillpost.errors import ConfigError

__all__ = ["KEY_VARIABLE", "EncryptionKeys", "new_key"]

KEY_VARIABLE = "TILLPOST_KEY"
"""The environment variable with the key, or with several separated by commas, the newest first."""

_SECRETS: TypeAdapter[dict[str, SecretStr]] = TypeAdapter(dict[str, SecretStr])


def new_key() -> str:
    """Return a new random key."""
    return Fernet.generate_key().decode()


@dataclass(frozen=True, slots=True)
class EncryptionKeys:
    """One or more keys: the first encrypts, each of them decrypts.

    Attributes:
        fingerprints: SHA-256 of each key, which identifies a key without revealing it.
    """

    _fernet: MultiFernet = field(repr=False)
    fingerprints: tuple[str, ...]

    @classmethod
    def of(cls, keys: str) -> Self:
        """Parse one key, or several separated by commas.

        Raises:
            ConfigError: one of them isn't a key.
        """
        texts = [text.strip() for text in keys.split(",") if text.strip()]
        try:
            fernet = MultiFernet([Fernet(text) for text in texts])
        except ValueError:
            fernet = None
        # Raised outside of the handler, whose exception quotes the key.
        if fernet is None:
            raise ConfigError(
                f"{KEY_VARIABLE} holds no valid key: set it to a key made by `tillpost key new`"
            )
        fingerprints = tuple(hashlib.sha256(text.encode()).hexdigest() for text in texts)
        return cls(fernet, fingerprints)

    @classmethod
    def from_environment(cls) -> Self:
        """Read the keys from `TILLPOST_KEY`.

        Raises:
            ConfigError: the variable isn't set, or holds no valid key.
        """
        keys = os.environ.get(KEY_VARIABLE, "")
        if not keys.strip():
            raise ConfigError(
                f"{KEY_VARIABLE} isn't set: set it to the key of this outbox; if there never was "
                "one, make it with `tillpost key new`, and keep it safe"
            )
        return cls.of(keys)

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the key that encrypts."""
        return self.fingerprints[0]

    def encrypt(self, secrets: Mapping[str, SecretStr]) -> str:
        """Return the secrets as ciphertext."""
        revealed = {name: secret.get_secret_value() for name, secret in secrets.items()}
        return self._fernet.encrypt(json.dumps(revealed).encode()).decode()

    def decrypt(self, ciphertext: str, fingerprint: str = "") -> dict[str, SecretStr]:
        """Return the secrets of a ciphertext.

        Args:
            ciphertext: As returned by `encrypt`.
            fingerprint: Of the key that encrypted it, where that is known.

        Raises:
            ConfigError: none of the keys decrypts it.
        """
        if not fingerprint or fingerprint in self.fingerprints:
            try:
                return _SECRETS.validate_json(self._fernet.decrypt(ciphertext.encode()))
            except (InvalidToken, ValueError):
                pass
        raise ConfigError(
            f"{KEY_VARIABLE} isn't the key that the tokens in the database were encrypted with: "
            "set it to that key, or connect the store again"
        )
