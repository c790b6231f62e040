"""The settings of a connection, its credentials, and its authorisation.

An authorisation is what is asked for, and what is granted. An adapter derives its settings from
`AdapterSettings`, and `Till.connect` validates them. `Credentials` are the secrets among them: core
stores and renews them, and passes them to `Adapter.sign` alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, NoReturn, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator
from pydantic.fields import FieldInfo

from tillpost.models.base import Aware, FrozenModel
from tillpost.models.field_texts import WithFieldTexts
from tillpost.models.money import Currency

__all__ = [
    "WHICH_STORE",
    "Account",
    "AdapterSettings",
    "AuthorisationRequest",
    "Choice",
    "Credentials",
    "LookUpPauses",
    "Seconds",
    "Signed",
    "checked_address",
]

Seconds = Annotated[float, Field(ge=0, le=86_400)]
"""A time to wait, as a setting."""

LookUpPauses = Annotated[tuple[Seconds, ...], Field(min_length=1)]
"""When to look up an order that may exist, as a setting.

These are pauses, each after the look-up before.
"""


class _WhichStore:
    """The mark of a setting that is part of a store's address."""


WHICH_STORE = _WhichStore()
"""Marks a setting that says which store gets the orders. `base_url` needs no mark.

    location_id: Annotated[str, WHICH_STORE]

The journal records these settings, with their values in clear text, for each request that can
change an order. An order that may exist at one store is never looked up or sent again at another.
Don't mark a secret.
"""

_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


def checked_address(url: str) -> str:
    """Return a platform's address without a slash at its end, if it can be one.

    Parsers disagree on user names, backslashes and line breaks in addresses, so that two of them
    may see two hosts. An address with any of these is refused.

    Raises:
        ValueError: It isn't https, or holds more than host, port and path. The text leaves the
            address out, since it may contain a password.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ValueError("must be an https address")
    if parts.scheme == "http" and parts.hostname not in _THIS_MACHINE:
        raise ValueError("must be https; plain http is for this machine only")
    if any(mark in url for mark in "@?#"):
        raise ValueError("must hold no user, password, query or fragment")
    if "\\" in url or " " in url or not url.isprintable():
        raise ValueError("must hold no space, backslash or control character")
    if not _has_valid_port(parts) or {".", ".."} & set(parts.path.split("/")):
        raise ValueError("must be an https address")
    return url.rstrip("/")


def _has_valid_port(parts: SplitResult) -> bool:
    try:
        return parts.port != 0
    except ValueError:  # its text quotes the port, which may be a password
        return False


class _Unpicklable(BaseModel):
    """A model with secrets, which can be copied, but not pickled.

    Pickling would write them in clear.
    """

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(f"{type(self).__name__} holds secrets and can't be pickled")


class AdapterSettings(_Unpicklable, WithFieldTexts):
    """The settings that every connection has. An adapter adds its own fields.

    Use `SecretStr` for a secret. The text below a field is its description in the reference.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        defer_build=True,
    )

    base_url: str
    """The address of the platform's API.

    It must be https; plain http is allowed on this machine only.
    """

    access_token: SecretStr = SecretStr("")
    """The token that authorises requests."""

    refresh_token: SecretStr | None = None
    """The OAuth refresh token.

    With it, `client_id` and `client_secret`, an expired access token is renewed automatically,
    where the adapter can do that.
    """

    client_id: str = ""
    """The id of your application at the platform.

    It is for renewing an expired access token.
    """

    client_secret: SecretStr | None = None
    """The secret of your application at the platform.

    It is for renewing an expired access token.
    """

    webhook_secret: SecretStr | None = None
    """The secret with which the platform signs its webhooks.

    Without it webhooks are refused.
    """

    currency: Currency | None = None
    """The currency that the store sells in, such as AUD.

    An order in another currency is refused before anything is sent. What the menu or the platform
    says is compared as well: this is for a platform that doesn't say it.
    """

    @field_validator("base_url")
    @classmethod
    def _encrypted(cls, url: str) -> str:
        """Refuse plain http to another machine: it would show the token to the network."""
        return checked_address(url)

    @field_validator("access_token")
    @classmethod
    def _writable(cls, token: SecretStr) -> SecretStr:
        """Refuse what no header can carry, such as the line break at the end of a file."""
        text = token.get_secret_value()
        if not text.isascii() or not text.isprintable() or " " in text:
            raise ValueError("holds a space, a line break or another character that no token has")
        return token

    @classmethod
    def settings_of_address(cls) -> Sequence[str]:
        """Return the names of the settings that are part of the store's address."""
        return _settings_of_address(cls)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with some settings changed, validated unlike pydantic's own."""
        if not update:
            return super().model_copy(deep=deep)
        return type(self).model_validate({**dict(self), **update})

    def secrets(self) -> tuple[str, ...]:
        """Return every secret text, to be removed from what a platform sends back."""
        values: Iterable[object] = vars(self).values()
        texts = [value.get_secret_value() for value in values if isinstance(value, SecretStr)]
        return tuple(text for text in texts if text)

    def credentials(self) -> Credentials:
        """Return the secrets that requests are signed with."""
        return Credentials(
            access_token=self.access_token,
            refresh_token=self.refresh_token,
            client_id=self.client_id,
            client_secret=self.client_secret,
        )


@cache
def _settings_of_address(kind: type[AdapterSettings]) -> Sequence[str]:
    marked = [name for name, field in kind.model_fields.items() if _is_marked(field)]
    return ("base_url", *marked)


def _is_marked(field: FieldInfo) -> bool:
    return any(isinstance(mark, _WhichStore) for mark in field.metadata)


class Credentials(_Unpicklable):
    """The secrets that requests are signed with.

    Attributes:
        access_token: The token that authorises requests.
        refresh_token: The token that renews it.
        client_id: The id of our application.
        client_secret: The secret of our application.
        expires_at: When the access token expires, if that is known.
        code: The authorisation code, while it is being exchanged.
        code_verifier: PKCE's verifier, while a code is being exchanged.
        redirect_uri: The address that the code was sent to, while it is being exchanged.
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
        """Return every secret text, to be removed from what a platform sends back."""
        secrets = (
            self.access_token,
            self.refresh_token,
            self.client_secret,
            self.code,
            self.code_verifier,
        )
        texts = [secret.get_secret_value() for secret in secrets if secret]
        return tuple(text for text in texts if text)


@dataclass(frozen=True, slots=True)
class AuthorisationRequest:
    """A request to a store's admin for access.

    Attributes:
        client_id: The id of our application.
        redirect_uri: The address that the admin's browser returns to, with the code.
        state: A random text that comes back with the code.
        scopes: The scopes to ask for; empty for those that the adapter needs.
        code_challenge: PKCE's challenge (S256), empty for none.
    """

    client_id: str
    redirect_uri: str
    state: str
    scopes: tuple[str, ...] = ()
    code_challenge: str = ""


@dataclass(frozen=True, slots=True)
class Signed:
    """What signing adds to a request: headers, and a body if that is replaced."""

    headers: Mapping[str, str]
    body: bytes | None = None


class Choice(FrozenModel):
    """One value that a setting can have, and its name for people.

    A value is, for example, a location's id.
    """

    value: str
    name: str = ""


class Account(FrozenModel):
    """Whose access it is, and what it gives access to.

    Attributes:
        name: The business at the platform.
        scopes: The scopes that were granted.
        expires_at: When the access token expires, if that is known.
        choices: The values that settings can have, by the settings' names:
            `{"location_id": (Choice(value="L123", name="Cafe 42"),)}`.
    """

    name: str = ""
    scopes: tuple[str, ...] = ()
    expires_at: Aware | None = None
    choices: Mapping[str, tuple[Choice, ...]] = {}
