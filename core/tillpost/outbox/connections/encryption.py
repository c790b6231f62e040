"""The encryption of the secrets in the database.

A copy of the database is useless without the key.

    key = new_key()                             # `tillpost key new`
    keys = EncryptionKeys.of(key)               # or several: "new,old"
    text = keys.encrypt({"access_token": SecretStr("...")}, bound_to="cafe-42 at square")
    keys.decrypt(text, bound_to="cafe-42 at square")["access_token"]    # a SecretStr

A ciphertext is bound to a text that says whose secrets they are and where they may be sent. Without
the key nobody can change that text, so an attacker with write access can't have a secret sent
to another address. A ciphertext that was valid earlier can be put back with the text it had then.

The key lives in the environment variable `TILLPOST_KEY`, never in the database. With several keys
the first one encrypts, and each of them decrypts. Encryption is Fernet's (AES and HMAC, from the
library `cryptography`). Each ciphertext is stored with the fingerprint of its key, so that a wrong
key can be reported as such.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn, Self

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from pydantic import BaseModel, SecretStr

from tillpost.errors import ConfigError

__all__ = ["KEY_VARIABLE", "EncryptionKeys", "new_key"]

KEY_VARIABLE = "TILLPOST_KEY"
"""The environment variable with the key, or with several.

Several are separated by commas, the newest first.
"""


class _Sealed(BaseModel):
    """What is encrypted: the secrets, and a digest of the text that they are bound to.

    The digest is in it because Fernet has no associated data. Fernet authenticates what it
    encrypts, which binds it just as well.
    """

    bound_to: str
    secrets: dict[str, SecretStr]


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
        parsed = _parsed(keys)
        del keys  # so that no traceback from here on holds them
        if parsed is None:
            raise ConfigError(
                f"{KEY_VARIABLE} holds no valid key: set it to a key made by `tillpost key new`"
            )
        return cls(*parsed)

    @classmethod
    def from_environment(cls) -> Self:
        """Read the keys from `TILLPOST_KEY`.

        Raises:
            ConfigError: the variable isn't set, or holds no valid key.
        """
        if not os.environ.get(KEY_VARIABLE, "").strip():
            raise ConfigError(
                f"{KEY_VARIABLE} isn't set: set it to the key of this outbox; if there never was "
                "one, make it with `tillpost key new`, and keep it safe"
            )
        return cls.of(os.environ[KEY_VARIABLE])

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the key that encrypts."""
        return self.fingerprints[0]

    def encrypt(self, secrets: Mapping[str, SecretStr], *, bound_to: str) -> str:
        """Return the secrets as ciphertext.

        Args:
            secrets: The secrets, by the names of their settings.
            bound_to: Whose they are, and where they may be sent; `decrypt` needs the same text.
        """
        revealed = {name: secret.get_secret_value() for name, secret in secrets.items()}
        sealed = {"bound_to": _digest(bound_to), "secrets": revealed}
        return self._fernet.encrypt(json.dumps(sealed).encode()).decode()

    def decrypt(
        self, ciphertext: str, fingerprint: str = "", *, bound_to: str
    ) -> dict[str, SecretStr]:
        """Return the secrets of a ciphertext.

        Args:
            ciphertext: As returned by `encrypt`.
            fingerprint: Of the key that encrypted it, where that is known.
            bound_to: The text that it was encrypted with.

        Raises:
            ConfigError: none of the keys decrypts it, or it was encrypted for another purpose.
        """
        sealed = self._decrypted(ciphertext, fingerprint)
        if sealed is None:
            raise ConfigError(
                f"{KEY_VARIABLE} isn't the key that the tokens in the database were encrypted "
                "with: set it to that key, or connect the store again"
            )
        if not hmac.compare_digest(sealed.bound_to, _digest(bound_to)):
            raise ConfigError(
                "its settings in the database were changed by something else than Tillpost, so its "
                "tokens aren't used and nothing is sent: find out who changed them, and connect "
                "the store again"
            )
        return sealed.secrets

    def _decrypted(self, ciphertext: str, fingerprint: str) -> _Sealed | None:
        if fingerprint and fingerprint not in self.fingerprints:
            return None
        try:
            return _Sealed.model_validate_json(self._fernet.decrypt(ciphertext.encode()))
        except (InvalidToken, ValueError):
            return None

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: that would write the keys in clear."""
        raise TypeError("encryption keys can't be pickled")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _parsed(keys: str) -> tuple[MultiFernet, tuple[str, ...]] | None:
    """Return the keys and their fingerprints, None if one of them isn't a key."""
    texts = [text.strip() for text in keys.split(",") if text.strip()]
    try:
        fernet = MultiFernet([Fernet(text) for text in texts])
    except ValueError:
        return None
    return fernet, tuple(_digest(text) for text in texts)
