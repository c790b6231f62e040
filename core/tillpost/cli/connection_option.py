"""The connection that a command works on: which one, opened as a Till.

Its errors are shown. It is configured in the TOML file, or stored in the outbox's database where
there is one, or both, or of a plugin; see `stored_connections`. `work_on` opens it: it shows that
something is in progress, and turns what a platform refuses into a text or JSON with the right exit
code. The option types that several commands share are here too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Annotated, NoReturn, TypeVar

import typer

from tillpost.cli.exit_codes import INTERRUPTED, CliError, code_for
from tillpost.cli.output import error_facts, progress, show_error, show_json
from tillpost.cli.stored_connections import (
    open_plugin_till,
    open_stored_till,
    plugin_connection,
    plugin_owners,
    stored_platforms,
)
from tillpost.client.base import adapter_for
from tillpost.client.hooks import Watcher
from tillpost.client.sync import Till
from tillpost.config import ConnectionSettings, config_path, load_connections
from tillpost.errors import ConfigError, PosError
from tillpost.models.safe_text import listing
from tillpost.submission.context import Connection
from tillpost.submission.policy import Policy

__all__ = [
    "AsJson",
    "ConfigFile",
    "ConnectionName",
    "SelectedConnection",
    "Watcher",
    "fail",
    "listed",
    "select_connection",
    "work_on",
]

T = TypeVar("T")

ConnectionName = Annotated[
    str,
    typer.Option(
        "--connection",
        "-c",
        metavar="NAME",
        help="Which connection; may be left out when there is one.",
    ),
]
ConfigFile = Annotated[
    str,
    typer.Option(
        "--config",
        metavar="FILE",
        help="The TOML file with the connections. [TILLPOST_CONFIG, tillpost.toml]",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON with stable keys, for programs.")]


@dataclass(frozen=True, slots=True)
class SelectedConnection:
    """The connection that a command works on.

    Attributes:
        name: Its name.
        configured: What the TOML file says of it, if anything.
        stored_platform: Its platform in the database, "" if it isn't there.
        has_database: Whether there is a database, which may know it.
        db: The option `--db`.
        config: The option `--config`.
    """

    name: str
    configured: ConnectionSettings | None
    stored_platform: str
    has_database: bool
    db: str
    config: str

    @property
    def platform(self) -> str:
        """The adapter's name."""
        if self.configured:
            return self.configured.platform
        return self.stored_platform or plugin_connection(self.name)[1].adapter.platform

    @property
    def policy(self) -> Policy:
        """How failures are dealt with."""
        if self.configured:
            return self.configured.policy
        return Policy() if self.stored_platform else plugin_connection(self.name)[1].policy

    @contextmanager
    def open(self, watcher: Watcher) -> Generator[Till]:
        """Open it. Raises `CliError` if it is wrong."""
        with ExitStack() as stack:
            try:
                till = stack.enter_context(self._till(watcher))
            except ConfigError as error:
                source = self.configured.source if self.configured else ""
                where = f"{source}: [connections.{self.name}] " if source else ""
                raise CliError(where + str(error).removeprefix(where)) from None
            yield till

    def _till(self, watcher: Watcher) -> AbstractContextManager[Till]:
        if self.has_database:
            return open_stored_till(self.name, self.db, self.config, [watcher])
        if not self.configured:
            return open_plugin_till(self.name, [watcher])
        adapter = adapter_for(self.platform, self.configured.settings)
        return Till(Connection(adapter, name=self.name, policy=self.policy, hooks=[watcher]))


def select_connection(name: str, config: str, db: str, *, new: bool = False) -> SelectedConnection:
    """Return the connection of that name, or the only one.

    Args:
        name: The connection's name; "" for the only one.
        config: The option `--config`.
        db: The option `--db`.
        new: Whether the command may be the first to use the database.

    Raises:
        CliError: There is no such connection, or more than one; the text lists them.
    """
    stored = stored_platforms(db, config, new=new)
    owners = plugin_owners()
    configured = load_connections(config or None, needed=not (stored or owners))
    names = list(dict.fromkeys((*configured, *(stored or ()), *owners)))
    if not name and len(names) > 1:
        shown = listed(config, configured, stored or {}, owners)
        raise CliError(f"which connection? Name one with --connection; {shown}")
    if name and name not in names:
        shown = listed(config, configured, stored or {}, owners)
        raise CliError(f"no connection {name!r}; {shown}")
    name = name or names[0]
    return SelectedConnection(
        name,
        configured=configured.get(name),
        stored_platform=(stored or {}).get(name, ""),
        has_database=stored is not None,
        db=db,
        config=config,
    )


def listed(
    config: str,
    configured: Collection[str],
    stored: Collection[str],
    owners: Mapping[str, str],
) -> str:
    """Return which connections each place has, for an error."""
    parts = [f"{config_path(config)} has: {listing(configured)}"]
    if stored:
        parts.append(f"the database has: {listing(stored)}")
    for plugin in sorted(set(owners.values())):
        own = [name for name, owner in owners.items() if owner == plugin]
        parts.append(f"the plugin {plugin} has: {listing(own)}")
    return "; ".join(parts)


def work_on(
    connection: SelectedConnection,
    work: Callable[[Till], T],
    *,
    doing: str,
    failed: str,
    as_json: bool,
    interrupted: str = "interrupted",
    about_order: bool = False,
    watcher: Watcher | None = None,
) -> T:
    """Open the connection, do the work and return its result.

    A `PosError` is shown, and ends the command with its exit code.

    Args:
        connection: The connection.
        work: What to do with it.
        doing: Says what is in progress.
        failed: Says that it failed.
        as_json: Whether to print JSON.
        interrupted: The line for Ctrl-C.
        about_order: Whether to show an order's outcome with an error.
        watcher: Follows what the Till does automatically.
    """
    watcher = watcher or Watcher()
    try:
        with connection.open(watcher) as till, progress(doing) as watcher.status:
            return work(till)
    except KeyboardInterrupt:
        raise CliError(interrupted, INTERRUPTED) from None
    except PosError as error:
        fail(connection, error, failed, as_json=as_json, about_order=about_order)


def fail(
    connection: SelectedConnection,
    error: PosError,
    failed: str,
    *,
    as_json: bool,
    about_order: bool = False,
) -> NoReturn:
    """Show an error, and end the command with its exit code."""
    if as_json:
        show_json({"ok": False, "connection": connection.name, **error_facts(error)})
    else:
        show_error(error, failed, outcome=about_order)
    raise typer.Exit(code_for(error))
