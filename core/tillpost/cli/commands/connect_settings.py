"""What a connection is made of: an access that somebody grants, and the settings that the platform still needs.

`Link.made` brings both together and keeps nothing. A secret comes from the provider, from standard
input, from an environment variable or from a hidden prompt, never from the command line.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import typer
from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from tillpost.adapter.settings import Account, Choice, Credentials
from tillpost.authorization import account
from tillpost.cli.commands.connect_oauth import Application, ask, grant
from tillpost.cli.exit_codes import CliError
from tillpost.cli.output import one_line
from tillpost.client.base import adapter_for
from tillpost.errors import UnsupportedError
from tillpost.plugins.manager import adapter_named

__all__ = ["REDIRECT", "Link", "Linked", "given", "label"]

REDIRECT = "http://localhost:8765/callback"
"""Where the provider sends the admin back to, unless another address is named."""

_OF_GRANT = ("access_token", "refresh_token")
_WITH_TOKEN = frozenset({*_OF_GRANT, "client_id", "client_secret"})
_FROM_ENVIRONMENT = "env:"


@dataclass(frozen=True, slots=True)
class Linked:
    """What came of it: the settings to keep, secrets among them, and who granted which access."""

    settings: Mapping[str, object]
    granted_by: str
    account: Account
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Link:
    """How a store is to be connected. `given` are the settings that were named, `by` who grants access.

    `of_file` names the settings that the TOML file has, and keeps.
    """

    name: str
    platform: str
    given: Mapping[str, object]
    by: str
    redirect_uri: str
    browser: bool
    wait: float
    of_file: frozenset[str] = frozenset()

    def with_token(self) -> Link:
        """Return the same with the access token that stands on standard input."""
        token = sys.stdin.readline().strip()
        if not token:
            raise CliError("standard input holds no access token")
        return replace(self, given={**self.given, "access_token": SecretStr(token)})

    def made(self, before: Mapping[str, object]) -> Linked:
        """Have access granted, and ask for what is missing. `before` are the settings that the connection had.

        Raises `CliError`, `ConfigError` and the provider's `PosError`.
        """
        settings = {
            name: value for name, value in {**before, **self.given}.items() if name not in _OF_GRANT
        }
        settings |= {name: value for name, value in self.given.items() if name in _OF_GRANT}
        expires_at: datetime | None = None
        if "access_token" not in settings:
            granted = self._granted(settings)
            settings |= _settings_of(granted)
            expires_at = granted.expires_at
        seen = self._account(settings)
        for missing in self._missing(settings, seen):
            settings[missing] = self._asked(missing, seen.choices.get(missing, ()))
        adapter_for(self.platform, dict(settings))
        theirs = self.of_file - self.given.keys() - _WITH_TOKEN
        kept = {name: value for name, value in settings.items() if name not in theirs}
        return Linked(kept, self._who(seen), seen, expires_at or seen.expires_at)

    def _who(self, seen: Account) -> str:
        """Return who granted access: providers tell the business alone, so the person at a terminal is asked."""
        if self.by or not sys.stdin.isatty():
            return self.by or seen.name
        return ask(
            "Who has connected the store? Asked for when it must be connected again",
            "",
            default=seen.name,
        )

    def _granted(self, settings: Mapping[str, object]) -> Credentials:
        """Return what an admin grants at the provider's page, or by a token that is made by hand."""
        can = adapter_named(self.platform).capabilities()
        if not {"authorize_url", "exchange_code"} <= can:
            told = ask(
                "Access token",
                "access_token is missing: --access-token-stdin reads it",
                hidden=True,
            )
            return Credentials(access_token=SecretStr(told))
        application = Application(
            self.platform,
            client_id=_text(settings.get("client_id")) or self._asked("client_id", ()),
            client_secret=_text(settings.get("client_secret")) or self._asked("client_secret", ()),
            redirect_uri=self.redirect_uri,
            base_url=_text(settings.get("base_url")),
        )
        return grant(application, browser=self.browser, seconds=self.wait)

    def _account(self, settings: Mapping[str, object]) -> Account:
        """Return whose access it is, and what can be chosen; nothing where the platform's adapter can't tell."""
        held = Credentials(access_token=SecretStr(_text(settings.get("access_token"))))
        try:
            return account(self.platform, held, base_url=_text(settings.get("base_url")))
        except UnsupportedError:
            return Account()

    def _missing(self, settings: Mapping[str, object], seen: Account) -> list[str]:
        fields = adapter_named(self.platform).settings.model_fields
        needed = {
            name
            for name, field in fields.items()
            if field.is_required() and field.default is PydanticUndefined
        }
        return [
            name for name in fields if name not in settings and name in needed | seen.choices.keys()
        ]

    def _asked(self, setting: str, choices: tuple[Choice, ...]) -> str:
        """Return what a setting is to be: the only choice that there is, or what a person says."""
        if len(choices) == 1:
            return choices[0].value
        for number, choice in enumerate(choices, 1):
            typer.echo(one_line(f"{number}  {choice.name} ({choice.value})"), err=True)
        there = (
            f"; there are: {', '.join(f'{c.value} ({c.name})' for c in choices)}" if choices else ""
        )
        secret = setting in _secret(self.platform)
        how = "env:VARIABLE" if secret else "..."
        said = ask(
            label(setting), f"{setting} is missing: --set {setting}={how}{there}", hidden=secret
        )
        by_number = {str(number): choice.value for number, choice in enumerate(choices, 1)}
        return by_number.get(said, said)


def given(platform: str, told: Iterable[str]) -> dict[str, object]:
    """Return settings that were given as NAME=VALUE. Raises `CliError` for a secret in clear, and a name nobody knows."""
    found: dict[str, object] = {}
    known, secret = adapter_named(platform).settings.model_fields, _secret(platform)
    for one in told:
        name, _, value = one.partition("=")
        if name not in known:
            raise CliError(f"{platform} has no setting {name!r}; it has: {', '.join(known)}")
        variable = value.removeprefix(_FROM_ENVIRONMENT)
        if variable != value:
            if not (value := os.environ.get(variable, "")):
                raise CliError(
                    f"{name} is read from the environment, but {variable or 'a variable'} isn't set there"
                )
        elif name in secret:
            raise CliError(
                f"{name} is a secret, and others see this command line: --set {name}=env:VARIABLE"
            )
        found[name] = SecretStr(value) if name in secret else value
    return found


def label(setting: str) -> str:
    """Return a setting's name for people.

    >>> label("payment_method_id")
    'Payment method'
    """
    return (
        setting.removesuffix("_id").replace("_", " ").capitalize()
        if setting != "client_id"
        else "Client id"
    )


def _secret(platform: str) -> frozenset[str]:
    from tillpost.outbox.connections.credentials import secret_settings

    return secret_settings(platform)


def _settings_of(granted: Credentials) -> dict[str, object]:
    known: dict[str, object] = {
        "access_token": granted.access_token,
        "refresh_token": granted.refresh_token,
        "client_id": granted.client_id,
        "client_secret": granted.client_secret,
    }
    return {name: value for name, value in known.items() if value}


def _text(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value or "")
