"""What a connection needs, what its requests are signed with, what is asked of a store's admin, and what they granted.

An adapter derives its settings from `AdapterSettings`; `Till.connect` validates by them.
`Credentials` are what core keeps of them, renews, and hands to `Adapter.sign` alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from tillpost.models.base import Aware, FrozenModel

__all__ = [
    "Account",
    "AdapterSettings",
    "AuthorisationRequest",
    "Choice",
    "Credentials",
    "Looks",
    "Seconds",
    "Signed",
]

Seconds = Annotated[float, Field(ge=0, le=86_400)]
"""A time to wait, as a setting."""

Looks = Annotated[tuple[Seconds, ...], Field(min_length=1)]
"""When to look for an order that may be there, as a setting: each counted from the look before. A doubt needs one."""


class AdapterSettings(BaseModel):
    """What a connection needs. Adapters add their own fields; a secret is a `SecretStr`.

    With `refresh_token`, `client_id` and `client_secret` an expired access token is renewed by
    itself, where the adapter can. `webhook_secret` is what the platform signs its webhooks with.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True
    )

    base_url: str
    access_token: SecretStr = SecretStr("")
    refresh_token: SecretStr | None = None
    client_id: str = ""
    client_secret: SecretStr | None = None
    webhook_secret: SecretStr | None = None

    @field_validator("base_url")
    @classmethod
    def _encrypted(cls, url: str) -> str:
        """Plain http would show the token to the network, so it is for this machine only."""
        parts = urlsplit(url)
        if parts.scheme not in ("https", "http") or not parts.hostname:
            raise ValueError("must be an https address")
        if parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
            raise ValueError("must be https; plain http is for this machine only")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("must hold no user, password, query or fragment")
        return url.rstrip("/")

    @field_validator("access_token")
    @classmethod
    def _writable(cls, token: SecretStr) -> SecretStr:
        """A line break from the file that it was kept in is the usual fault; no request could be written with it."""
        text = token.get_secret_value()
        if not text.isascii() or not text.isprintable() or " " in text:
            raise ValueError("holds a space, a line break or another character that no token has")
        return token

    def credentials(self) -> Credentials:
        """Return what requests are signed with."""
        return Credentials(
            access_token=self.access_token,
            refresh_token=self.refresh_token,
            client_id=self.client_id,
            client_secret=self.client_secret,
        )


class Credentials(BaseModel):
    """What requests are signed with. Core keeps them, renews them, and hands them to `Adapter.sign` alone.

    `code`, `code_verifier` and `redirect_uri` are there only while an authorisation's code is
    exchanged.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    access_token: SecretStr
    refresh_token: SecretStr | None = None
    client_id: str = ""
    client_secret: SecretStr | None = None
    expires_at: Aware | None = None
    code: SecretStr | None = None
    code_verifier: SecretStr | None = None
    redirect_uri: str = ""

    def secrets(self) -> tuple[str, ...]:
        """Every secret text, to be scrubbed from what a platform sends back."""
        held = (
            self.access_token,
            self.refresh_token,
            self.client_secret,
            self.code,
            self.code_verifier,
        )
        return tuple(text for secret in held if secret and (text := secret.get_secret_value()))


@dataclass(frozen=True, slots=True)
class AuthorisationRequest:
    """What is asked of a store's admin. `state` comes back with the code; `code_challenge` is PKCE's, S256."""

    client_id: str
    redirect_uri: str
    state: str
    scopes: tuple[str, ...] = ()
    code_challenge: str = ""


@dataclass(frozen=True, slots=True)
class Signed:
    """What goes on the wire beside the request: headers, and a body where signing changes it."""

    headers: Mapping[str, str]
    body: bytes | None = None


class Choice(FrozenModel):
    """One value that a setting can have, such as a location's id, and its name for people."""

    value: str
    name: str = ""


class Account(FrozenModel):
    """Who let us in, and what the credentials let us see.

    `name` is the business at the provider. `choices` are the values that settings can have, by the
    settings' names: `{"location_id": (Choice(value="L123", name="Cafe 42"),)}`.
    """

    name: str = ""
    scopes: tuple[str, ...] = ()
    expires_at: Aware | None = None
    choices: Mapping[str, tuple[Choice, ...]] = {}
