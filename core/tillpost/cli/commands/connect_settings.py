"""The settings of a new connection.

They are the granted access, and what the platform still needs. `tillpost connect` builds a
`ConnectRequest` and calls its `collect`, which stores nothing. Secrets come from the provider, from
standard input, from an environment variable or from a hidden prompt, never from the command line.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
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

__all__ = ["REDIRECT", "ConnectRequest", "NewConnection", "label", "parse_settings"]

REDIRECT = "http://localhost:8765/callback"
"""The default address to which the provider sends the admin back."""

_GRANTED = ("access_token", "refresh_token")
_STORED_WITH_TOKEN = frozenset({*_GRANTED, "client_id", "client_secret"})
_ENVIRONMENT_PREFIX = "env:"


@dataclass(frozen=True, slots=True)
class NewConnection:
    """The settings to store for a connection, and who granted access.

    Attributes:
        settings: The settings by name, including secrets.
        granted_by: The person or business that granted access.
        account: The provider's account, where the adapter can query it.
        expires_at: When the token expires; None when that isn't known.
    """

    settings: Mapping[str, object]
    granted_by: str
    account: Account
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class ConnectRequest:
    """How to connect a store.

    Attributes:
        name: The connection's name.
        platform: The adapter's name.
        given: The settings from the command line.
        by: Who grants access; empty to ask.
        redirect_uri: The address to which the provider sends the admin back.
        browser: Whether to open the provider's page in a browser.
        wait: How long to wait for the admin, in seconds.
        in_file: The names of the settings that the TOML file has, and that stay there.
    """

    name: str
    platform: str
    given: Mapping[str, object]
    by: str
    redirect_uri: str
    browser: bool
    wait: float
    in_file: frozenset[str] = frozenset()

    def with_token_from_stdin(self) -> ConnectRequest:
        """Return the same request with the access token that standard input has."""
        token = sys.stdin.readline().strip()
        if not token:
            raise CliError("standard input has no access token")
        return replace(self, given={**self.given, "access_token": SecretStr(token)})

    def collect(self, previous: Mapping[str, object]) -> NewConnection:
        """Get access, and ask for the settings that are missing.

        Args:
            previous: The settings that the connection had before; empty for a new one.

        Raises:
            CliError: If access isn't granted, or a setting is missing and nobody can be asked.
            ConfigError: If the settings aren't valid.
            PosError: If the provider refuses.
        """
        # Tokens of the previous connection aren't reused.
        settings = {name: value for name, value in previous.items() if name not in _GRANTED}
        settings |= self.given
        expires_at: datetime | None = None
        if "access_token" not in settings:
            granted = self._get_access(settings)
            settings |= _settings_of(granted)
            expires_at = granted.expires_at
        seen = self._query_account(settings)
        for name in self._missing(settings, seen):
            settings[name] = self._choose(name, seen.choices.get(name, ()))
        # Validates the settings.
        adapter_for(self.platform, dict(settings))
        return NewConnection(
            settings=self._without_file_settings(settings),
            granted_by=self._granted_by(seen),
            account=seen,
            expires_at=expires_at or seen.expires_at,
        )

    def _without_file_settings(self, settings: Mapping[str, object]) -> dict[str, object]:
        """Return the settings to store: those that don't stay in the TOML file."""
        left_in_file = self.in_file - self.given.keys() - _STORED_WITH_TOKEN
        return {name: value for name, value in settings.items() if name not in left_in_file}

    def _granted_by(self, seen: Account) -> str:
        """Return who granted access.

        Providers only name the business, so a person at a terminal is asked.
        """
        if self.by:
            return self.by
        if not sys.stdin.isatty():
            return seen.name
        question = "Who has connected the store? Asked for when it has to be reconnected"
        return ask(question, "", default=seen.name)

    def _get_access(self, settings: Mapping[str, object]) -> Credentials:
        """Return what an admin grants on the provider's page, or a token that is typed in."""
        capabilities = adapter_named(self.platform).capabilities()
        if not {"authorize_url", "exchange_code"} <= capabilities:
            token = ask(
                "Access token",
                "access_token is missing: provide it with --access-token-stdin",
                hidden=True,
            )
            return Credentials(access_token=SecretStr(token))
        client_id = _text(settings.get("client_id"))
        client_secret = _text(settings.get("client_secret"))
        application = Application(
            self.platform,
            client_id=client_id or self._choose("client_id", ()),
            client_secret=client_secret or self._choose("client_secret", ()),
            redirect_uri=self.redirect_uri,
            base_url=_text(settings.get("base_url")),
        )
        return grant(application, browser=self.browser, seconds=self.wait)

    def _query_account(self, settings: Mapping[str, object]) -> Account:
        """Return the provider's account; an empty one if the adapter can't query it."""
        token = SecretStr(_text(settings.get("access_token")))
        credentials = Credentials(access_token=token)
        try:
            return account(self.platform, credentials, base_url=_text(settings.get("base_url")))
        except UnsupportedError:
            return Account()

    def _missing(self, settings: Mapping[str, object], seen: Account) -> list[str]:
        """Return the settings that are required, or have choices, and have no value yet."""
        fields = adapter_named(self.platform).settings.model_fields
        missing: list[str] = []
        for name, field in fields.items():
            required = field.is_required() and field.default is PydanticUndefined
            wanted = required or name in seen.choices
            if wanted and name not in settings:
                missing.append(name)
        return missing

    def _choose(self, setting: str, choices: Sequence[Choice]) -> str:
        """Return the value of a setting: the only choice, or what a person enters."""
        if len(choices) == 1:
            return choices[0].value
        for number, choice in enumerate(choices, 1):
            line = f"{number}  {choice.name} ({choice.value})"
            typer.echo(one_line(line), err=True)
        is_secret = setting in _secret_settings(self.platform)
        missing = _missing_message(setting, choices, is_secret=is_secret)
        answer = ask(label(setting), missing, hidden=is_secret)
        by_number = {str(number): choice.value for number, choice in enumerate(choices, 1)}
        return by_number.get(answer, answer)


def _missing_message(setting: str, choices: Sequence[Choice], *, is_secret: bool) -> str:
    value = f"{_ENVIRONMENT_PREFIX}VARIABLE" if is_secret else "..."
    message = f"{setting} is missing: --set {setting}={value}"
    if not choices:
        return message
    names = [f"{choice.value} ({choice.name})" for choice in choices]
    return f"{message}; choose one of: {', '.join(names)}"


def parse_settings(platform: str, options: Iterable[str]) -> dict[str, object]:
    """Return the settings that `--set NAME=VALUE` names.

    Raises:
        CliError: If the platform has no such setting, an environment variable isn't set, or a
            secret is on the command line.
    """
    fields = adapter_named(platform).settings.model_fields
    secret = _secret_settings(platform)
    settings: dict[str, object] = {}
    for option in options:
        name, _, value = option.partition("=")
        if name not in fields:
            raise CliError(f"{platform} has no setting {name!r}; it has: {', '.join(fields)}")
        if value.startswith(_ENVIRONMENT_PREFIX):
            value = _from_environment(name, value.removeprefix(_ENVIRONMENT_PREFIX))
        elif name in secret:
            raise CliError(
                f"{name} is a secret, and other users can see this command line: "
                f"use --set {name}={_ENVIRONMENT_PREFIX}VARIABLE"
            )
        settings[name] = SecretStr(value) if name in secret else value
    return settings


def _from_environment(name: str, variable: str) -> str:
    value = os.environ.get(variable, "")
    if not value:
        raise CliError(
            f"{name} is read from the environment, but {variable or 'the variable'} isn't set"
        )
    return value


def label(setting: str) -> str:
    """Return a setting's name for people.

    >>> label("payment_method_id")
    'Payment method'
    >>> label("client_id")
    'Client id'
    """
    if setting == "client_id":
        return "Client id"
    return setting.removesuffix("_id").replace("_", " ").capitalize()


def _secret_settings(platform: str) -> frozenset[str]:
    from tillpost.outbox.connections.credentials import secret_settings

    return secret_settings(platform)


def _settings_of(granted: Credentials) -> dict[str, object]:
    settings: dict[str, object] = {
        "access_token": granted.access_token,
        "refresh_token": granted.refresh_token,
        "client_id": granted.client_id,
        "client_secret": granted.client_secret,
    }
    return {name: value for name, value in settings.items() if value}


def _text(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return str(value or "")
