"""Seals the tokens that are kept in the database, so that a copy of it is useless without the key.

    key = new_key()                                    # `tillpost key new`; kept in TILLPOST_KEY,
    never in the database keyring = Keyring.of(key)                          # or several,
    "new,old": the first seals, all of them open text = keyring.seal({"access_token": "..."})
    keyring.open(text)["access_token"]                 # a SecretStr

Sealing is Fernet's (AES and HMAC, from the library `cryptography`). A key is told by its `mark`,
which says nothing of it but whether it is the same, so that a wrong key can be named as such.
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
"""The environment variable that holds the key, or several with commas between them: the newest first."""

_SECRETS: TypeAdapter[dict[str, SecretStr]] = TypeAdapter(dict[str, SecretStr])


def new_key() -> str:
    """Return a fresh key, as text."""
    return Fernet.generate_key().decode()


@dataclass(frozen=True, slots=True)
class EncryptionKeys:
    """The keys that are known: the first seals, and any of them opens. Its repr shows none of them."""

    _all: MultiFernet = field(repr=False)
    marks: tuple[str, ...]

    @classmethod
    def of(cls, keys: str) -> Self:
        """Return the keyring of one key, or of several with commas between. Raises `ConfigError` for what is none."""
        texts = [text.strip() for text in keys.split(",") if text.strip()]
        try:
            known = [Fernet(text) for text in texts]
            return cls(
                MultiFernet(known),
                tuple(hashlib.sha256(text.encode()).hexdigest() for text in texts),
            )
        except ValueError:
            pass
        raise ConfigError(
            f"{KEY_VARIABLE} holds no key that `tillpost key new` made"
        )  # out here: it quotes nothing

    @classmethod
    def from_environment(cls) -> Self:
        """Return the keyring of `TILLPOST_KEY`. Raises `ConfigError` when it isn't set."""
        keys = os.environ.get(KEY_VARIABLE, "")
        if not keys.strip():
            raise ConfigError(
                f"{KEY_VARIABLE} isn't set: set it to the key of this outbox; if there never was one, make it with "
                "`tillpost key new`, and keep it safe"
            )
        return cls.of(keys)

    @property
    def mark(self) -> str:
        """The mark of the key that seals."""
        return self.marks[0]

    def seal(self, secrets: Mapping[str, SecretStr]) -> str:
        """Return the secrets as a text that only the key opens."""
        told = {name: secret.get_secret_value() for name, secret in secrets.items()}
        return self._all.encrypt(json.dumps(told).encode()).decode()

    def open(self, sealed: str, mark: str = "") -> dict[str, SecretStr]:
        """Return the secrets that were sealed. Raises `ConfigError` when none of the keys opens them.

        `mark` is that of the key that they were sealed with, where it is known.
        """
        if not mark or mark in self.marks:
            try:
                return _SECRETS.validate_json(self._all.decrypt(sealed.encode()))
            except (InvalidToken, ValueError):
                pass
        raise ConfigError(
            f"{KEY_VARIABLE} isn't the key that the tokens in the database were sealed with"
        )
